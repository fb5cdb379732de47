"""Where the spectra come from that are clustered and decomposed: an array in memory, or a stack on its way.

Here the arguments that these functions share are checked, and it is decided which energies and pixels count.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from napari_xanes._core.base.arrays import inside_of, unmasked
from napari_xanes._core.base.checks import check_mu, window_indices
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.base.words import of_pixels
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.edge.handover import normalization_of
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.streamed import spectra_by_bands
from napari_xanes._core.groups.covariance import THINNED_PIXELS, Float64, Spectra

BAND_MEGABYTES = 16.0
"""Of a band of rows, in float32."""

CENTRE_PIXELS = 4096
"""Pixels whose mean is subtracted before squares are summed, so that single precision is enough."""


SIGNIFICANT, BY_CHANCE = 3.0, 0.1
"""Standard errors that an edge step must be for its pixel not to count as empty; and at least so many that of an image
without anything no more pixels pass on average, as one that does would outweigh thousands."""

FARTHEST = 5.0
"""Standard deviations that neighbouring values differ by at an end of the scan at most: by chance, one pixel in a million does."""

FEWEST_ENERGIES = 8
"""Without as many, the noise of a single pixel is not told, and none is taken to be empty."""


class ArrayBands:
    """Spectra of an array (E, ...)."""

    def __init__(self, values: FloatArray | Unread) -> None:
        self.values = values
        self.image_shape: tuple[int, ...] = values.shape[1:]

    def bands(self) -> list[slice]:
        """Return bands of rows."""
        return blocks.row_blocks(self.image_shape, len(self.values), megabytes=BAND_MEGABYTES)

    def band(self, rows: slice) -> FloatArray:
        """Return the spectra (E, n) of a band, not to be written to."""
        return self.values[:, rows].reshape(len(self.values), -1)


def spectra_of(
    mu: StackLike,
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
    array = mu if isinstance(mu, Unread) else unmasked(mu)
    if energy is None and energy_range is not None:
        raise InputError("energy_range needs the energies of mu; give energy too.")
    if array.ndim == 1:
        raise InputError(f"mu is a single spectrum {array.shape}; at least two pixels are needed, as (E, N).")
    numbers: Any = np.arange(1, len(array) + 1) if energy is None and array.ndim else energy
    values, energies = check_mu(array, numbers)
    inside = _inside(mask, values.shape[1:])
    usable, center = _look(values, inside)
    used = _used(energies, usable if chosen is None else usable & chosen, energy_range)
    thin = _thin(int(np.count_nonzero(inside))) if thinned else 1
    return Spectra(ArrayBands(values), used, center, inside, thin, progress, workers)


def spectra_of_chain(
    chain: Chain,
    energy_range: Window | None,
    found: Found,
    progress: Progress,
    *,
    chosen: NDArray[np.bool_] | None = None,
    thinned: bool = False,
    without_empty: bool = False,
) -> Spectra:
    """Find what can be used of a stack on its way through the steps; lost frames are named in `found`.

    Only energies that are `chosen` (E,), if given, are used; `without_empty` leaves normalised pixels out whose edge
    step is not above its noise, which divided by nearly nothing would outweigh all others.
    """
    if chain.in_memory:
        chain.run(keep_stack=True, progress=progress)
    else:
        chain.compute(progress)
    usable = chain.usable_energies(found)
    used = _used(chain.energy, usable if chosen is None else usable & chosen, energy_range)
    center = np.where(usable, chain.sample().mean, 0).astype(np.float32)
    inside = np.ones(prod(chain.image_shape), bool)
    if without_empty:
        inside = _holding_something(chain, usable, found)
    thin = _thin(int(np.count_nonzero(inside))) if thinned else 1
    return Spectra(chain, used, center, inside, thin, progress, chain.workers)


def _holding_something(chain: Chain, usable: NDArray[np.bool_], found: Found) -> NDArray[np.bool_]:
    """Return which pixels of normalised data have a step well above its noise (N,); those that have not are counted."""
    inside = np.ones(prod(chain.image_shape), bool)
    normalized = normalization_of(chain)
    if chain.signal != "normalized" or normalized is None:
        return inside
    width, bands, at = prod(chain.image_shape[1:]), chain.bands(), np.flatnonzero(usable)

    limit = _limit(inside.size)

    def judge(band: int) -> None:
        rows = slice(bands[band].start * width, bands[band].stop * width)
        inside[rows] = _has_step(chain.energy[at], chain.band(bands[band])[at], limit * normalized.step_noise)

    blocks.run(judge, range(len(bands)), text="Looking for empty pixels", workers=chain.workers)
    empty = int(inside.size - np.count_nonzero(inside))
    if empty in (0, inside.size):
        return np.ones_like(inside)
    found["pixels_without_signal"] = empty
    found.warn(
        f"{of_pixels(empty, inside.size)} have an edge step below {limit:.2g} times its noise and are left out, as their "
        "spectra would outweigh all others"
    )
    return inside


@public
def pixels_with_step(mu: StackLike, energy: ArrayLike, step_noise: float) -> NDArray[np.bool_]:
    """Return which pixels of normalised spectra have an edge step that is well above its noise.

    It must be at least three times as large, in large images more, so that hardly any empty pixel passes by chance.

    Divided by a step of nearly nothing, an empty pixel would outweigh all others in clusters and components.

    Parameters
    ----------
    mu : array (E, ...)
        Normalised spectra.  Frames that are NaN everywhere are left out.
    energy : array (E,)
        eV, ascending.
    step_noise : float
        `EdgeNormalization.step_noise`, the error of the step for noise of one.

    Returns
    -------
    array of bool (...)
        Also True where nothing can be said: NaN, or fewer than 8 energies.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    values, energies = check_mu(mu, energy)
    seen = [np.isfinite(spectra).any(axis=1) for _, spectra in spectra_by_bands(values)]
    usable = np.flatnonzero(np.logical_or.reduce(seen))
    inside = np.ones(prod(values.shape[1:]), bool)
    least = _limit(inside.size) * step_noise
    for pixels, spectra in spectra_by_bands(values):
        for start in range(0, spectra.shape[1], blocks.CHUNK_PIXELS):
            part = spectra[usable, start : start + blocks.CHUNK_PIXELS]
            first = pixels.start + start
            inside[first : first + part.shape[1]] = _has_step(energies[usable], part, least)
    return inside.reshape(values.shape[1:])


def _limit(pixels: int) -> float:
    """Return the standard errors that the step of one of so many pixels must have."""
    return max(SIGNIFICANT, -float(ndtri(BY_CHANCE / max(pixels, 1))))


def _has_step(energy: Float64, spectra: FloatArray, least: float) -> NDArray[np.bool_]:
    if energy.size < FEWEST_ENERGIES:
        return np.ones(spectra.shape[1], bool)
    noise, ends = _noise_of(energy, spectra)
    with np.errstate(invalid="ignore"):
        has: NDArray[np.bool_] = ~(least * np.maximum(noise, ends / FARTHEST) > 1)
    return has


def _noise_of(energy: Float64, spectra: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the noise of one value of spectra (E, n): what they differ by from lines between neighbouring energies.

    The median over the energies is not moved by the edge.  With it, what values differ by at the ends of the scan: lines
    may meet there, and what is divided by what is left between them outweighs all.  Elsewhere a white line differs as much.
    """
    before = (energy[2:] - energy[1:-1]) / (energy[2:] - energy[:-2])
    after = 1 - before
    size = np.sqrt(1 + before**2 + after**2)
    weights = [(w / size).astype(spectra.dtype)[:, None] for w in (np.ones_like(before), before, after)]
    rest = np.abs(weights[0] * spectra[1:-1] - weights[1] * spectra[:-2] - weights[2] * spectra[2:])
    ends: FloatArray = np.abs(spectra[[1, -1]] - spectra[[0, -2]]).max(axis=0) * spectra.dtype.type(0.5**0.5)
    return 1.4826 * np.median(rest, axis=0), ends


def _thin(pixels: int) -> int:
    """Return an odd step, so that it is not in step with the image's rows."""
    return (pixels // THINNED_PIXELS) | 1


def _inside(mask: ArrayLike | None, image_shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.ones(image_shape, bool) if mask is None else inside_of(mask)
    if inside.shape != image_shape:
        raise InputError(
            f"the mask has shape {inside.shape}, the images {image_shape}; they must be the same."
        )
    if not inside.any():
        raise InputError("the mask is empty; choose one with at least one pixel inside.")
    return inside.astype(bool).ravel()


def _look(values: FloatArray | Unread, inside: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return which energies have any valid value (E,), and the mean spectrum of a few pixels (E,)."""
    pixels = np.flatnonzero(inside)
    few = pixels[:: max(1, pixels.size // CENTRE_PIXELS)]
    parts = [
        spectra[:, few[(few >= at.start) & (few < at.stop)] - at.start]
        for at, spectra in spectra_by_bands(values)
    ]
    drawn = np.ascontiguousarray(np.concatenate(parts, axis=1))  # sums depend on the order
    finite = np.isfinite(drawn)
    usable: NDArray[np.bool_] = np.any(finite, axis=1)
    for row in np.flatnonzero(~usable):
        usable[row] = np.isfinite(values[row].ravel()[pixels]).any()
    if not usable.any():
        raise InputError("mu has no valid value inside the mask; choose another mask or stack.")
    total = np.sum(drawn, axis=1, where=finite, dtype=np.float64)
    center: FloatArray = (total / np.maximum(finite.sum(axis=1), 1)).astype(values.dtype)
    return usable, center


def _used(energy: Float64, usable: NDArray[np.bool_], energy_range: Window | None) -> NDArray[np.intp]:
    if energy_range is None:
        return np.flatnonzero(usable)
    return window_indices(energy, energy_range, "energy_range", usable=usable)
