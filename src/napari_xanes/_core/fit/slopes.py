"""The slopes of the amounts in some pixels of an image: what a frame that is displaced leaves is in proportion to them."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

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
    layers = parts.reshape(-1, prod(shape))
    whole = None if thickness is None else thickness.reshape(-1)
    places = np.unravel_index(numbers, shape)

    across, along = taps
    reach = len(along) // 2
    around = list(product(range(-reach, reach + 1), repeat=len(shape)))
    moved = [
        [np.clip(p + o, 0, size - 1) for p, o, size in zip(places, offsets, shape, strict=True)]
        for offsets in around
    ]
    wanted = np.stack([numbers, *(np.ravel_multi_index(one, shape) for one in moved)])
    found = _read(layers, wanted)
    if whole is not None:
        found = found.clip(-WILDEST, WILDEST) * _read(whole, wanted)
    here = np.nan_to_num(found[:, 0])
    slopes = np.zeros((len(shape), *here.shape), here.dtype)
    for number, offsets in enumerate(around, 1):
        values = np.where(np.isfinite(found[:, number]), found[:, number], here)
        for axis in range(len(shape)):
            weight = prod((along if k == axis else across)[o + reach] for k, o in enumerate(offsets))
            if weight:
                slopes[axis] += here.dtype.type(weight) * values
    return slopes.reshape(-1, numbers.size)


def _read(values: FloatArray, wanted: Index) -> FloatArray:
    """Return values at pixels, the last axis; of what is on the disk each once, in order."""
    if isinstance(values, np.ndarray):
        return values[..., wanted]
    index, where = np.unique(wanted, return_inverse=True)
    return np.asarray(values[..., index])[..., where.reshape(wanted.shape)]
