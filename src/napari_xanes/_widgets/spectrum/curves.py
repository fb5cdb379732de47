"""Spectra of some pixels of a stack's layer, as they are shown: as measured, as optical density, or normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.edge.normalize import EdgeNormalization, normalize_edge
from napari_xanes._core.fit.fit import fit_references
from napari_xanes._core.prepare.flat_field import flat_field
from napari_xanes._core.prepare.optical_density import optical_density
from napari_xanes._widgets.layers.layers import results_of, stack_of
from napari_xanes._widgets.spectrum.spots import Pixels, thinned

Float64 = NDArray[np.float64]

MEASURED, DENSITY, NORMALISED = "as measured", "optical density", "normalised"
QUANTITIES = (MEASURED, DENSITY, NORMALISED)

FEW_ROWS = 16
"""Rows of a region that are read of a stack that is not in memory."""


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """A spectrum with the fit of references: what the plot shows."""

    energy: Float64
    measured: Float64
    fit: Float64
    components: Float64
    names: tuple[str, ...]
    fractions: Float64
    sigma: Float64


def mean_spectrum(layer: Layer, pixels: Pixels, quantity: str) -> Float64:
    """Return the mean spectrum (E,) of some pixels; NaN where none is valid."""
    stack = stack_of(layer)
    in_memory = isinstance(stack.data, np.ndarray)
    pixels = thinned(pixels if in_memory else _few_rows(pixels))
    values = _gather(stack.data, pixels, in_memory)
    if quantity != MEASURED:
        values = _density(values, stack, pixels)
    valid = np.isfinite(values)
    total = np.where(valid, values, 0).sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / valid.sum(axis=1))


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
    out = np.empty((data.shape[0], pixels[0].size), np.float32)
    for row in np.unique(pixels[0]).tolist():
        here = pixels[0] == row
        rest = tuple(axis[here] for axis in pixels[1:])
        for i in range(data.shape[0]):
            out[i, here] = np.asarray(data[i, row])[rest]
    return out


def _density(values: NDArray[Any], stack: EnergyStack, pixels: Pixels) -> NDArray[Any]:
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
        return np.asarray(image[:])[pixels][None, :]
    if image.shape[0] == stack.shape[0]:
        return _gather(image, pixels, isinstance(image, np.ndarray))[:, None, :]
    return np.mean([np.asarray(image[i])[pixels] for i in range(image.shape[0])], axis=0)[None, :]


def normalised(mu: Float64, energy: Float64, given: dict[str, Any]) -> EdgeNormalization | None:
    """Return the normalisation of a spectrum with the parameters of the form, or None where it cannot be."""
    usable = np.isfinite(mu)
    if usable.sum() < 5:
        return None
    given = {key: given[key] for key in ("e0", "pre_edge", "post_edge", "divide_by") if key in given}
    try:
        return normalize_edge(mu, energy, **given)
    except InputError:
        return None


def last_fit(line: list[Layer]) -> tuple[list[Reference], dict[str, Any], bool] | None:
    """Return references, parameters and whether the spectra were normalised, of the last fit in a line of stacks."""
    for layer in line:
        result = results_of(layer).get("fit") or results_of(layer).get("recipe")
        if result is None or "references" not in result.extra:
            continue
        for at in range(len(result.history) - 1, -1, -1):
            entry = result.history[at]
            if entry.step == "fit":
                before = [step.step for step in result.history[:at]]
                was_normalised = "normalize" in before or stack_of(layer).signal == "normalized"
                return list(result.extra["references"]), dict(entry.params), was_normalised
    return None


def fitted(
    mu: Float64, energy: Float64, references: list[Reference], params: dict[str, Any]
) -> FittedCurve | None:
    """Return the fit of references to a spectrum with the parameters of a fit that was run, or None."""
    keys = ("constraint", "background", "energy_range", "exclude", "extrapolate")
    given = {key: params[key] for key in keys if params.get(key) is not None}
    try:
        found = fit_references(mu, energy, references, **given)
    except InputError:
        return None
    if not np.isfinite(found.coefficients).all():
        return None
    model = found.model(())
    return FittedCurve(
        model.energy,
        np.asarray(model.measured, np.float64),
        np.asarray(model.fitted, np.float64),
        np.asarray(model.components + model.background, np.float64),
        found.names,
        np.asarray(found.fractions, np.float64),
        np.asarray(found.sigma, np.float64),
    )
