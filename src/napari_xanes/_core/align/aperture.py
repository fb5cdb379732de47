"""What of the frames a fixed aperture leaves open: its rim stays put, and would hold every frame where it is.

Inside, frames differ as the sample moves and changes; outside, and at the rim, they differ by noise alone.  Where still
parts hold much of all the contrast, only the rectangle about what differs is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening, uniform_filter

from napari_xanes._core.data.stack import Float32

FEWEST_FRAMES = 5

AROUND = 5
"""px; variances are means over so many an axis."""

STILL, QUIETEST = 2.0, 5.0
"""Variances below this many times those of the quietest pixels are of noise alone; percentile that these are."""

HELD = 0.3
"""Share of the squared gradients of the mean frame that still parts must hold to be left out."""

LEAST_SIDE, LEAST_SHARE = 24, 0.1
"""px, and share of the frame, that must be left."""


def opening(frames: Sequence[Float32], usable: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """Return the part of images that a fixed aperture leaves open, None if there is none or it is all.

    Parameters
    ----------
    frames : sequence of array (Y, X)
        Their mean about 0.
    usable : array of bool (E,)
    """
    chosen: list[Float32] = [frames[int(i)] for i in np.flatnonzero(usable)]
    if len(chosen) < FEWEST_FRAMES or chosen[0].ndim != 2:
        return None
    mean, variance = _moments(chosen)
    variance = uniform_filter(variance, AROUND, mode="nearest")
    quiet = float(np.percentile(variance, QUIETEST))
    differs = binary_opening(variance > STILL * quiet, iterations=2)
    if not quiet > 0 or not differs.any():
        return None
    part = tuple(_span(differs.any(axis=1 - axis)) for axis in (0, 1))
    sides = [s.stop - s.start for s in part]
    small = min(sides) < LEAST_SIDE or np.prod(sides) < LEAST_SHARE * differs.size
    if small or sides == list(differs.shape):
        return None
    down, right = np.gradient(mean)
    strength = np.square(down) + np.square(right)
    total, inside = float(strength.sum()), float(strength[part].sum())
    return part if total - inside > HELD * total else None


def _moments(frames: Sequence[Float32]) -> tuple[Float32, Float32]:
    """Return mean and variance of frames, without one in memory for all."""
    total, squares = np.zeros_like(frames[0]), np.zeros_like(frames[0])
    for frame in frames:
        total += frame
    mean = total / np.float32(len(frames))
    for frame in frames:
        squares += (frame - mean) ** 2
    return mean, squares / np.float32(len(frames) - 1)


def _span(any_there: NDArray[np.bool_]) -> slice:
    """Return from where to where something differs, less the width of the means over variances, where there is a rim."""
    there, reach = np.flatnonzero(any_there), AROUND // 2 + 2
    first, last = int(there[0]), int(there[-1]) + 1
    return slice(first + reach if first > 0 else 0, last - reach if last < any_there.size else any_there.size)
