"""The slopes of the amounts in some pixels of an image: what a frame that is displaced leaves is in proportion to them."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.leftover import Index

SMOOTH = (0.25, 0.5, 0.25)
STEP = (-0.5, 0.0, 0.5)

WILDEST = 2.0
"""Largest fraction that is taken for one, where there is hardly any of the element."""


def slopes_at(
    parts: FloatArray, shape: tuple[int, ...], numbers: Index, thickness: FloatArray | None = None
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
    """
    layers = parts.reshape(-1, prod(shape))
    whole = None if thickness is None else thickness.reshape(-1)
    places = np.unravel_index(numbers, shape)

    around = list(product((-1, 0, 1), repeat=len(shape)))
    moved = [
        [np.clip(p + o, 0, size - 1) for p, o, size in zip(places, offsets, shape, strict=True)]
        for offsets in around
    ]
    wanted = np.stack([numbers, *(np.ravel_multi_index(one, shape) for one in moved)])
    index, where = np.unique(wanted, return_inverse=True)  # in order, as maps on the disk are read
    read = np.asarray(layers[:, index])
    if whole is not None:
        read = read.clip(-WILDEST, WILDEST) * np.asarray(whole[index])
    found = read[:, where.reshape(wanted.shape)]
    here = np.nan_to_num(found[:, 0])
    slopes = np.zeros((len(shape), *here.shape), here.dtype)
    for number, offsets in enumerate(around, 1):
        values = np.where(np.isfinite(found[:, number]), found[:, number], here)
        for axis in range(len(shape)):
            weight = prod((STEP if k == axis else SMOOTH)[o + 1] for k, o in enumerate(offsets))
            if weight:
                slopes[axis] += here.dtype.type(weight) * values
    return slopes.reshape(-1, numbers.size)
