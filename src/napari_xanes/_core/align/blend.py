"""Two frames in one picture, so that the eye sees where they differ in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.errors import InputError

CLIPPED = (0.5, 99.5)
"""Percentiles of a frame that are shown black and full."""


def blend_frames(reference: ArrayLike, frame: ArrayLike) -> NDArray[np.float32]:
    """Return a picture of two frames, the reference in magenta and the other in green: grey where they agree.

    Each is stretched by itself, as contrast changes across an edge.

    Parameters
    ----------
    reference, frame : array (Y, X)
        NaN is black.

    Returns
    -------
    array (Y, X, 3)
        Red, green and blue in 0..1, float32.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    first, second = np.asarray(reference, np.float32), np.asarray(frame, np.float32)
    if first.shape != second.shape or first.ndim != 2:
        raise InputError(f"the frames have shapes {first.shape} and {second.shape}; give two images alike.")
    magenta, green = _stretched(first), _stretched(second)
    return np.stack([magenta, green, magenta], axis=-1)


def _stretched(image: NDArray[np.float32]) -> NDArray[np.float32]:
    values = image[np.isfinite(image)]
    if not values.size:
        return np.zeros_like(image)
    lo, hi = np.percentile(values, CLIPPED)
    shown = np.clip((image - np.float32(lo)) / np.float32(max(hi - lo, 1e-12)), 0, 1)
    return np.asarray(np.nan_to_num(shown), np.float32)
