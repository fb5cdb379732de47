"""The slopes of the amounts in some pixels of an image: what a frame that is displaced leaves is in proportion to them."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from napari_xanes._core.base.unread import at_pixels
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.leftover import Index

Taps = tuple[float, ...]

SHARP: tuple[Taps, Taps] = (0.25, 0.5, 0.25), (-0.5, 0.0, 0.5)
WIDE: tuple[Taps, Taps] = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16), (-1 / 8, -2 / 8, 0.0, 2 / 8, 1 / 8)
"""Mean across a slope, and difference along it; the wide ones let through a quarter of the variance of noise."""

WILDEST = 2.0
"""Largest fraction that is taken for one, where there is hardly any of the element."""


def slopes_at(
    parts: FloatArray,
    shape: tuple[int, ...],
    numbers: Index,
    thickness: FloatArray | None = None,
    taps: tuple[Taps, Taps] = SHARP,
) -> FloatArray:
    """Return the slope of every amount along every axis of the image in some pixels, (K * axes, n).

    Parameters
    ----------
    parts : array (K, ...)
        Amounts; or fractions, with the `thickness` (...) that makes amounts of them.  Where a neighbour is NaN, the
        pixel's own value stands for it.
    shape : tuple of int
        Of the image.
    numbers : array (n,)
        The pixels, as indices into the flattened image.
    taps : tuple
        `SHARP`, or `WIDE` where amounts are noisy.
    """
    across, along = taps
    reach = len(along) // 2
    around = list(product(range(-reach, reach + 1), repeat=len(shape)))
    moved = _moved(shape, numbers, reach)
    wanted = np.stack(
        [numbers, *(sum((m[o] for m, o in zip(moved, one, strict=True)), numbers) for one in around)]
    )
    found = at_pixels(parts, shape, wanted)
    if thickness is not None:
        found = found.clip(-WILDEST, WILDEST) * at_pixels(thickness, shape, wanted)
    values = found[:, 1:]
    if not np.isfinite(found).all():
        values = np.where(np.isfinite(values), values, np.nan_to_num(found[:, :1]))
    weights = [
        [prod((along if k == axis else across)[o + reach] for k, o in enumerate(one)) for one in around]
        for axis in range(len(shape))
    ]
    slopes: FloatArray = np.asarray(weights, values.dtype) @ values
    return slopes.swapaxes(0, 1).reshape(-1, numbers.size)


def _moved(shape: tuple[int, ...], numbers: Index, reach: int) -> list[dict[int, Index]]:
    """Return by how much the number of each pixel grows, for each axis and step along it that ends in the image."""
    moved, stride = [], 1
    for size in reversed(shape):
        place = numbers // stride % size
        moved.append(
            {o: stride * (np.clip(place + o, 0, size - 1) - place) for o in range(-reach, reach + 1)}
        )
        stride *= size
    return moved[::-1]
