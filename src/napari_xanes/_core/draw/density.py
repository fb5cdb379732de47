"""How many pixels have which values of two maps: the picture of a scatter plot of millions of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.errors import InputError

WITHIN = (0.1, 99.9)
"""Percentiles of the values that are in view, so that a few odd ones do not squeeze the others."""
MARGIN = 0.05


@dataclass(frozen=True, eq=False)
class MapDensity:
    """Counts of pixels (bins, bins) by the first and the second map, over (lo, hi) of each.

    `invalid` pixels have no value in one of the maps, `outside` lie beyond what is in view.
    """

    counts: NDArray[np.intp]
    x: tuple[float, float]
    y: tuple[float, float]
    invalid: int
    outside: int


def map_density(x: ArrayLike, y: ArrayLike, bins: int = 160) -> MapDensity:
    """Count pixels by the values of two maps of one shape.

    Raises InputError if the shapes differ or no pixel has a value in both.
    """
    first, second = np.asarray(x).ravel(), np.asarray(y).ravel()
    if np.shape(x) != np.shape(y):
        raise InputError(f"the maps have shapes {np.shape(x)} and {np.shape(y)}; choose maps of one stack.")
    valid = np.isfinite(first) & np.isfinite(second)
    if not valid.any():
        raise InputError("no pixel has a value in both maps; choose others.")
    first, second = first[valid].astype(np.float64), second[valid].astype(np.float64)
    ranges = [_range(values) for values in (first, second)]
    places = [
        np.floor((values - lo) * (bins / (hi - lo))).astype(np.intp)
        for values, (lo, hi) in zip((first, second), ranges, strict=True)
    ]
    seen = np.logical_and.reduce([(place >= 0) & (place < bins) for place in places])
    flat = places[0][seen] * bins + places[1][seen]
    counts = np.bincount(flat, minlength=bins * bins).reshape(bins, bins)
    return MapDensity(
        counts, ranges[0], ranges[1], int(valid.size - valid.sum()), int(seen.size - seen.sum())
    )


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return what of the values is in view, never empty."""
    lo, hi = np.percentile(values, WITHIN).tolist()
    wide = MARGIN * (hi - lo) or max(abs(lo), 1.0) * MARGIN
    return lo - wide, hi + wide
