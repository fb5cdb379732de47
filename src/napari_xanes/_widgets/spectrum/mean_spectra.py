"""Mean spectra of some pixels of a stack's layer, as measured or as optical density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._core.data.stack import EnergyStack, rows_are_cheap
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.engine.sampling import complete_pixels
from napari_xanes._core.io.hdf5 import files_kept_open
from napari_xanes._core.prepare.flat_field import flat_field
from napari_xanes._core.prepare.optical_density import optical_density
from napari_xanes._widgets.layers.layers import stack_of
from napari_xanes._widgets.spectrum.spots import Pixels, spread, thinned

Float64 = NDArray[np.float64]

MEASURED, DENSITY, NORMALISED = "as measured", "optical density", "normalised"
QUANTITIES = (MEASURED, DENSITY, NORMALISED)

FEW_ROWS = 16
"""Rows of a region that are read of a stack that is not in memory."""
QUICK_ROWS, QUICK_BYTES = 500, 8_000_000
"""Of all frames; to read more takes so long that the window must live meanwhile. A row of a volume is a whole plane."""


@dataclass(frozen=True, eq=False)
class MeanSpectrum:
    """The mean spectrum (E,) of some pixels.

    Attributes
    ----------
    values : array (E,)
        NaN where no pixel is valid.
    pixels : int
        How many pixels were looked at.
    used : int
        How many of them are valid in all frames; the mean is over these, or where there are none over what is valid in
        each frame.
    """

    values: Float64
    pixels: int
    used: int


Wait = Callable[[Callable[[], NDArray[Any]]], NDArray[Any]]
"""Has something done that takes long, and returns what it gives."""


def mean_spectrum(
    layer: Layer, pixels: Pixels, quantity: str, wait: Wait = lambda read: read()
) -> MeanSpectrum:
    """Return the mean spectrum of some pixels of a stack's layer; `wait` where reading takes long."""
    stack = stack_of(layer)
    in_memory = isinstance(stack.data, np.ndarray)
    pixels = thinned(pixels if in_memory else _few_rows(pixels))
    read = partial(_values_at, stack, pixels, quantity, in_memory)
    values = read() if in_memory or _is_quick(stack.data, pixels) else wait(read)
    return _mean_of(values)


def mean_of_stack(layer: Layer, quantity: str, wait: Wait = lambda read: read()) -> MeanSpectrum:
    """Return the mean spectrum of pixels spread over a stack's layer."""
    stack = stack_of(layer)
    sample = stack.data.sample if isinstance(stack.data, ComputedStack) else None
    if sample is not None and stack.signal in ("optical_density", "normalized"):  # to read others takes long
        return _mean_of(sample.spectra)
    return mean_spectrum(layer, spread(stack.image_shape), quantity, wait)


def _is_quick(data: Any, pixels: Pixels) -> bool:
    """Whether the spectra of some pixels of a stack that is not in memory are there at once."""
    if isinstance(data, ComputedStack):
        return data.has_spectra(pixels)
    rows = np.unique(pixels[0]).size * data.shape[0]
    size = rows * prod(data.shape[2:]) * np.dtype(data.dtype).itemsize
    return rows_are_cheap(data) and rows <= QUICK_ROWS and size <= QUICK_BYTES


def _mean_of(values: NDArray[Any]) -> MeanSpectrum:
    """Return the mean of spectra (E, n)."""
    valid = np.isfinite(values)
    complete = complete_pixels(valid)
    used = int(complete.sum())
    if used:
        valid &= complete
    total = np.where(valid, values, 0).sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return MeanSpectrum(np.asarray(total / valid.sum(axis=1)), values.shape[1], used)


def _values_at(stack: EnergyStack, pixels: Pixels, quantity: str, in_memory: bool) -> NDArray[Any]:
    """Return the spectra (E, n) of some pixels."""
    with files_kept_open():
        values = _gather(stack.data, pixels, in_memory)
        return values if quantity == MEASURED else density_at(values, stack, pixels)


def _few_rows(pixels: Pixels) -> Pixels:
    """Return the pixels of some rows only."""
    rows = np.unique(pixels[0])
    chosen = rows[:: -(-rows.size // FEW_ROWS)]
    kept = np.isin(pixels[0], chosen)
    return tuple(axis[kept] for axis in pixels)


def _gather(data: Any, pixels: Pixels, in_memory: bool) -> NDArray[Any]:
    """Return the spectra (E, n) of some pixels."""
    if in_memory:
        found = data[(slice(None), *pixels)]
        return np.asarray(found, np.float32 if found.dtype != np.float64 else np.float64)
    if isinstance(data, ComputedStack):
        return data.spectra(pixels)
    out = np.empty((data.shape[0], pixels[0].size), np.float32)
    if data.ndim == 3 and not rows_are_cheap(data):  # each row would cost as much as all of them
        first, last = int(pixels[0].min()), int(pixels[0].max())
        inside = (pixels[0] - first, *pixels[1:])
        for i in range(data.shape[0]):
            out[i] = np.asarray(data[i, first : last + 1])[inside]
        return out
    for row in np.unique(pixels[0]).tolist():
        here = pixels[0] == row
        rest = tuple(axis[here] for axis in pixels[1:])
        for i in range(data.shape[0]):
            out[i, here] = np.asarray(data[i, row])[rest]
    return out


def density_at(values: NDArray[Any], stack: EnergyStack, pixels: Pixels) -> NDArray[Any]:
    """Return spectra as optical density, through flats and darks where there are any."""
    if stack.signal in ("optical_density", "normalized"):
        return values
    if stack.signal == "counts" and stack.flat is not None:
        flat, dark = (None if a is None else _calibration(a, stack, pixels) for a in (stack.flat, stack.dark))
        assert flat is not None
        values = flat_field(values[:, None, :], flat, dark)[:, 0]
    return optical_density(values)


def _calibration(image: Any, stack: EnergyStack, pixels: Pixels) -> NDArray[Any]:
    """Return a flat or dark at some pixels, in a shape that `flat_field` knows: (E,), (E, 1, n) or (1, n)."""
    if image.ndim == 1:
        return np.asarray(image[:])
    if image.ndim < len(stack.image_shape) + 1:
        frame: NDArray[Any] = np.asarray(image[:])
        return frame[pixels][None, :]
    if image.shape[0] == stack.shape[0]:
        return _gather(image, pixels, isinstance(image, np.ndarray))[:, None, :]
    mean: NDArray[Any] = np.mean([np.asarray(image[i])[pixels] for i in range(image.shape[0])], axis=0)
    return mean[None, :]
