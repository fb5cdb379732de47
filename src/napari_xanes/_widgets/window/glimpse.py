"""What a scan looks like before it is opened: three of its frames, and its mean spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.stack import SIGNAL_WORDS, EnergyStack
from napari_xanes._widgets.spectrum.mean_spectra import density_at

SIDE = 160
"""Pixels along a side of a frame that is shown, at most about so many."""
MOST_ENERGIES = 64
MOST_BYTES = 2**28
"""More than this is not read for the mean spectrum: fewer rows of each frame are."""


@dataclass(frozen=True, eq=False)
class Glimpse:
    """A look at a scan.

    Attributes
    ----------
    frames : list of array (y, x)
        The first, the middle and the last frame, thinned out; of volumes their middle plane.
    shown : array (3,)
        The energies of these, in eV.
    energy, mean : array (n,)
        The mean spectrum, at some of the energies.
    quantity : str
        What it is the mean of.
    """

    frames: list[NDArray[Any]]
    shown: NDArray[np.float64]
    energy: NDArray[np.float64]
    mean: NDArray[np.float64]
    quantity: str


def glimpse(stack: EnergyStack, progress: Progress) -> Glimpse:
    """Look at a scan without reading more of it than need be."""
    n = stack.energy.size
    shown = np.unique([0, n // 2, n - 1])
    frames = [_thin(_plane(stack, i)) for i in shown]
    chosen = np.unique(np.linspace(0, n - 1, min(n, MOST_ENERGIES)).round().astype(int))
    rows = _rows(stack, chosen.size)
    read = []
    for done, i in enumerate(chosen):
        progress(done, chosen.size, "Looking at the images")
        read.append(np.asarray(_part(stack, i, rows), np.float32).ravel())
    values, quantity = np.stack(read), SIGNAL_WORDS[stack.signal]
    if stack.signal in ("counts", "transmission") and (stack.signal != "counts" or stack.flat is not None):
        whole = np.full((n, values.shape[1]), np.nan, np.float32)
        whole[chosen] = values
        values = density_at(whole, stack, _pixels(stack, rows))[chosen]
        quantity = "optical density"
    valid = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean = np.where(valid, values, 0).sum(axis=1, dtype=np.float64) / valid.sum(axis=1)
    return Glimpse(frames, stack.energy[shown], stack.energy[chosen], mean, quantity)


def _plane(stack: EnergyStack, i: int) -> NDArray[Any]:
    data: Any = stack.data
    return np.asarray(data[i, data.shape[1] // 2] if data.ndim > 3 else data[i])


def _thin(frame: NDArray[Any]) -> NDArray[Any]:
    step = -(-max(frame.shape) // SIDE)
    return np.asarray(frame[::step, ::step], np.float32)


def _rows(stack: EnergyStack, frames: int) -> slice:
    """Return the rows around the middle that are looked at."""
    height, width = stack.data.shape[-2:]
    most = MOST_BYTES // (frames * width * np.dtype(stack.data.dtype).itemsize)
    count = min(height, max(1, most))
    return slice((height - count) // 2, (height + count) // 2)


def _part(stack: EnergyStack, i: int, rows: slice) -> Any:
    data: Any = stack.data
    return data[i, data.shape[1] // 2, rows] if data.ndim > 3 else data[i, rows]


def _pixels(stack: EnergyStack, rows: slice) -> tuple[NDArray[Any], ...]:
    y, x = (axis.ravel() for axis in np.mgrid[rows, 0 : stack.data.shape[-1]])
    return (np.full(y.size, stack.data.shape[1] // 2), y, x) if stack.data.ndim > 3 else (y, x)
