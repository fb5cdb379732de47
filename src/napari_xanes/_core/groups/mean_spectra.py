"""Mean spectra of regions: painted labels, clusters, masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike as Numbers
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import inside_of, unmasked
from napari_xanes._core.base.door import Count, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.stack import ArrayLike, EnergyStack, FloatArray
from napari_xanes._core.engine import blocks


@dataclass(frozen=True, eq=False)
class MeanSpectra:
    """The spectra of n regions over E energies.

    Attributes
    ----------
    labels : array of int (n,)
        The label of each region, ascending; 1 for a mask.
    spectra : array (n, E)
        Mean of the region's valid pixels at each energy; NaN where it has none.
    spread : array (n, E)
        Standard deviation over these pixels (divided by their number, so 0 for one pixel).
    counts : array of int (n,)
        Pixels of each region.
    valid : array of int (n, E)
        Those of them that are valid at each energy.
    """

    labels: NDArray[np.int64]
    spectra: NDArray[np.float64]
    spread: NDArray[np.float64]
    counts: NDArray[np.int64]
    valid: NDArray[np.int64]


@public
def mean_spectra(
    stack: EnergyStack | StackLike,
    labels: Numbers,
    *,
    progress: Progress = no_progress,
    workers: Count | None = None,
) -> MeanSpectra:
    """Return the mean spectrum of every label and how much its pixels differ.

    Frames are read one at a time, so the stack may be larger than memory.

    Parameters
    ----------
    stack : EnergyStack, or array (E, ...)
        Not changed; values that are not finite are left out, energy by energy.
    labels : array of int or bool, shape of one image
        0 is outside; a bool array is one region.
    progress : callable, optional
        Called with (frames done, frames, text).
    workers : int, optional
        Number of threads; the result does not depend on it.

    Returns
    -------
    MeanSpectra

    Raises
    ------
    InputError
        If the labels are not of the images' shape, not whole numbers, or 0 everywhere.
    """
    frames = _frames(stack)
    image_shape = tuple(frames.shape[1:])
    regions = inside_of(labels)
    if regions.shape != image_shape:
        raise InputError(
            f"the labels have shape {regions.shape}, the images {image_shape}; they must be the same."
        )
    if regions.dtype.kind not in "iub":
        raise InputError(f"the labels have type {regions.dtype}, expected whole numbers or a mask.")
    inside = np.flatnonzero(regions)
    if not inside.size:
        raise InputError("the labels are 0 everywhere; paint or choose at least one region.")
    ids, which = np.unique(regions.ravel()[inside].astype(np.int64), return_inverse=True)
    shape = (ids.size, frames.shape[0])
    spectra, spread, valid = np.empty(shape), np.empty(shape), np.empty(shape, np.int64)

    def one_energy(index: int) -> None:
        values = _frame(stack, frames, index).ravel()[inside]
        spectra[:, index], spread[:, index], valid[:, index] = _statistics(values, which, ids.size)

    blocks.run(one_energy, range(shape[1]), progress=progress, text="mean spectra", workers=workers)
    return MeanSpectra(ids, spectra, spread, np.bincount(which, minlength=ids.size), valid)


def _frames(stack: Any) -> ArrayLike:
    if isinstance(stack, EnergyStack):
        return stack.data
    array: ArrayLike = stack if isinstance(stack, Unread) else unmasked(stack)
    if array.ndim < 1 or np.dtype(array.dtype).kind not in "fiub":
        raise InputError(
            f"the stack has shape {tuple(array.shape)} and type {array.dtype}, "
            "expected real numbers with energy as the first axis."
        )
    return array


def _frame(stack: Any, frames: ArrayLike, index: int) -> FloatArray:
    if isinstance(stack, EnergyStack):
        return stack.read(index)
    return np.asarray(frames[index])


def _statistics(
    values: FloatArray, which: NDArray[np.intp], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return mean, standard deviation and number of the finite values of each of n regions."""
    finite = np.isfinite(values)
    if not finite.all():
        values, which = values[finite], which[finite]
    values = values.astype(np.float64, copy=False)
    count = np.bincount(which, minlength=n)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: a region without valid pixels
        mean = np.bincount(which, values, n) / count
        deviation = values - mean[which]
        spread = np.sqrt(np.bincount(which, deviation * deviation, n) / count)
    return mean, spread, count
