"""Where the spectra come from that are clustered and decomposed: an array in memory, or a stack on its way.

Here the arguments that these functions share are checked, and it is decided which energies and pixels count.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.checks import check_mu, window_indices
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.groups.covariance import THINNED_PIXELS, Float64, Spectra

CENTRE_PIXELS = 4096
"""Pixels whose mean is subtracted before squares are summed, so that single precision is enough."""


class ArrayBands:
    """Spectra of an array (E, ...) in memory."""

    def __init__(self, values: FloatArray) -> None:
        self.values = values
        self.image_shape: tuple[int, ...] = values.shape[1:]

    def bands(self) -> list[slice]:
        """Return bands of rows."""
        return blocks.row_blocks(self.image_shape, len(self.values), megabytes=16)

    def band(self, rows: slice) -> FloatArray:
        """Return the spectra (E, n) of a band, a view."""
        return self.values[:, rows].reshape(len(self.values), -1)


def spectra_of(
    mu: ArrayLike,
    *,
    energy: ArrayLike | None = None,
    energy_range: Window | None = None,
    mask: ArrayLike | None = None,
    chosen: NDArray[np.bool_] | None = None,
    thinned: bool = False,
    progress: Progress = no_progress,
    workers: int | None = None,
) -> Spectra:
    """Find what can be used of an array (E, ...), checking the arguments that all functions built on this share.

    Only energies that are `chosen` (E,), if given, are used; a covariance that is `thinned` is of some pixels only.

    Raises
    ------
    InputError
        If shapes do not fit, the range holds no energy, or no pixel is valid.
    """
    array = np.asarray(mu)
    if energy is None and energy_range is not None:
        raise InputError("energy_range needs the energies of mu; give energy too.")
    if array.ndim == 1:
        raise InputError(f"mu is a single spectrum {array.shape}; at least two pixels are needed, as (E, N).")
    numbers: Any = np.arange(1, len(array) + 1) if energy is None and array.ndim else energy
    values, energies = check_mu(array, numbers)
    inside = _inside(mask, values.shape[1:])
    usable, centre = _look(values.reshape(energies.size, -1), inside)
    used = _used(energies, usable if chosen is None else usable & chosen, energy_range)
    thin = _thin(int(np.count_nonzero(inside))) if thinned else 1
    return Spectra(ArrayBands(values), used, centre, inside, thin, progress, workers)


def spectra_of_chain(
    chain: Chain,
    energy_range: Window | None,
    found: Found,
    progress: Progress,
    *,
    chosen: NDArray[np.bool_] | None = None,
    thinned: bool = False,
) -> Spectra:
    """Find what can be used of a stack on its way through the steps; lost frames are named in `found`.

    Only energies that are `chosen` (E,), if given, are used.
    """
    if chain.in_memory:
        chain.run(keep_stack=True, progress=progress)
    else:
        chain.compute(progress)
    usable = chain.usable_energies(found)
    used = _used(chain.energy, usable if chosen is None else usable & chosen, energy_range)
    centre = np.where(usable, chain.sample().mean, 0).astype(np.float32)
    inside = np.ones(prod(chain.image_shape), bool)
    thin = _thin(inside.size) if thinned else 1
    return Spectra(chain, used, centre, inside, thin, progress, chain.workers)


def _thin(pixels: int) -> int:
    """Return an odd step, so that it is not in step with the image's rows."""
    return (pixels // THINNED_PIXELS) | 1


def _inside(mask: ArrayLike | None, image_shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.ones(image_shape, bool) if mask is None else np.asarray(mask)
    if inside.shape != image_shape:
        raise InputError(
            f"the mask has shape {inside.shape}, the images {image_shape}; they must be the same."
        )
    if not inside.any():
        raise InputError("the mask is empty; choose one with at least one pixel inside.")
    return inside.astype(bool).ravel()


def _look(values: FloatArray, inside: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return which energies have any valid value (E,), and the mean spectrum of a few pixels (E,)."""
    pixels = np.flatnonzero(inside)
    drawn = values[:, pixels[:: max(1, pixels.size // CENTRE_PIXELS)]]
    finite = np.isfinite(drawn)
    usable: NDArray[np.bool_] = np.any(finite, axis=1)
    for row in np.flatnonzero(~usable):
        usable[row] = np.isfinite(values[row, pixels]).any()
    if not usable.any():
        raise InputError("mu has no valid value inside the mask; choose another mask or stack.")
    total = np.sum(drawn, axis=1, where=finite, dtype=np.float64)
    centre: FloatArray = (total / np.maximum(finite.sum(axis=1), 1)).astype(values.dtype)
    return usable, centre


def _used(energy: Float64, usable: NDArray[np.bool_], energy_range: Window | None) -> NDArray[np.intp]:
    if energy_range is None:
        return np.flatnonzero(usable)
    return window_indices(energy, energy_range, "energy_range", usable=usable)
