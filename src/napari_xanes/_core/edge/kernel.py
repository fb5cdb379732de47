"""Normalises the spectra of many pixels in place: products with fixed matrices, a subtraction, a division.

Which energies, which curves and what is divided by is decided before; here is the arithmetic, and which pixels
cannot be normalised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.checks import window_indices
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.edge.curves import (
    STEP,
    Matrix,
    as_slice,
    background_fall,
    donor_coefficients,
    fitted_curves,
    shared_curves,
)
from napari_xanes._core.edge.jacobian import edge_jacobian, taken_off
from napari_xanes._core.edge.noise import WindowNoise
from napari_xanes._core.edge.params import FloatArray, ResolvedNormalizeParams, least_energies
from napari_xanes._core.engine import blocks


class CurveProduct:
    """A product of coefficients (m, n) with a fixed matrix (k, m), of whose columns only those not zero are used."""

    def __init__(self, matrix: Matrix, dtype: Any) -> None:
        used = np.flatnonzero(np.any(matrix != 0, axis=0))
        self._used = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1)
        self._matrix = np.ascontiguousarray(matrix[:, self._used].astype(dtype))

    def __call__(self, coefficients: FloatArray, out: FloatArray) -> FloatArray:
        if self._matrix.shape[1] == 1:  # spares a matrix product that is none
            np.multiply(self._matrix, coefficients[self._used], out=out)
        else:
            np.matmul(self._matrix, coefficients[self._used], out=out)
        return out


@dataclass(frozen=True, eq=False)
class _Products:
    """The matrices in one precision; what is not needed is None."""

    from_pre: FloatArray
    from_post: FloatArray
    subtract: CurveProduct | None
    divisor: CurveProduct | None
    area: FloatArray | None
    fit_pre: CurveProduct
    fit_post: CurveProduct


class NormalizeKernel:
    """Normalises spectra by resolved parameters, whatever the variant.

    `step_noise` is the standard error of the edge step for noise of one, `divisor_noise` that of what is divided
    by (at e0, if it is a curve).
    """

    writes = True
    flags = ("invalid", "gated")
    remembered: tuple[str, ...] | None = None

    def __init__(
        self,
        params: ResolvedNormalizeParams,
        energy: Matrix,
        usable: NDArray[np.bool_],
        spectra: FloatArray,
        *,
        lines: bool = False,
    ) -> None:
        self._params = params
        self._order = params.post_order
        self.pre, self.post = window_energies(params, energy, usable)
        self.curves = fitted_curves(
            energy,
            params.e0,
            self.pre,
            self.post,
            params.pre,
            self._order,
            alone=params.divide_by == "post",
        )
        if params.slope == "shared":
            donor = donor_coefficients(spectra, self.curves, self.pre, self.post)
            fall = background_fall(spectra, self.curves, self.pre, self.post, donor, params.e0)
            self.curves = shared_curves(self.curves, self.pre, self.post, donor, fall)
        self._noise: WindowNoise | None = None
        if params.gate is not None or params.uncertainty:
            self._noise = self.window_noise(spectra)
            self._limit = 0.0 if params.gate is None else self._noise.limit(params.gate)
        if self._noise is not None and self._noise.freedom < 0.5:
            raise InputError(
                f"{'gate' if params.gate is not None else 'uncertainty'} needs the scatter about the fitted curves, but the windows hold {self.pre.size + self.post.size} "
                "energies, as many as the curves have unknowns; widen them or leave it out."
            )
        self._set_area(energy, usable)
        self._set_maps(lines)
        self._set_noise()
        self._pre, self._post = as_slice(self.pre), as_slice(self.post)
        self._mean_step = self.curves.difference[self.post].mean(axis=0)
        self._subtract = taken_off(params, energy, self.curves)
        self._products = {np.dtype(t): self._make(t) for t in (np.float32, np.float64)}
        self._scratch = blocks.Scratch()

    def _set_area(self, energy: Matrix, usable: NDArray[np.bool_]) -> None:
        self._area: NDArray[np.intp] | None = None
        if self._params.divide_by == "area":
            there = np.flatnonzero(usable)
            weights = integral_weights(
                energy[there],
                self._params.area_range or (self._params.pre_edge[1], self._params.post_edge[1]),
            )
            self._area, self._area_weights = there[weights != 0], weights[weights != 0]
            self._area_slice = as_slice(self._area)

    def _set_maps(self, lines: bool) -> None:
        maps: dict[str, tuple[int, ...]] = {"thickness": (), "edge_step": (), "invalid": ()}
        if self._params.gate is not None:
            maps |= {"gated": ()}
        if self._noise is not None:
            maps |= {"edge_step_sigma": (), "thickness_sigma": ()}
        if lines:
            maps |= {"pre_line": (2,), "post_line": (len(self.curves.from_pre) - 2,)}
        self.maps: Mapping[str, tuple[int, ...]] = maps

    def _set_noise(self) -> None:
        self._at_e0 = np.zeros(len(self.curves.from_pre))  # of what is divided by
        self._at_e0[[0, STEP] if self._params.divide_by == "post" else [STEP]] = 1
        self.step_noise = self.divisor_noise = self.curves.noise()
        if self._params.divide_by == "post":
            self.divisor_noise = self.curves.noise(self._at_e0)
        elif self._area is not None:
            under = self._area_weights @ self.curves.pre_curve[self._area]
            size = self.curves.pre_curve.shape[0]
            whole = np.zeros(size)
            whole[self._area] = self._area_weights
            whole[self.pre] -= under @ self.curves.from_pre
            whole[self.post] -= under @ self.curves.from_post
            self.divisor_noise = float(np.linalg.norm(whole))

    def _make(self, dtype: Any) -> _Products:
        curves, divide_by = self.curves, self._params.divide_by
        divisor = {"line": curves.difference, "post": curves.post_curve}.get(divide_by)
        return _Products(
            curves.from_pre.astype(dtype),
            curves.from_post.astype(dtype),
            None if divide_by == "post" else CurveProduct(self._subtract, dtype),
            None if divisor is None else CurveProduct(divisor, dtype),
            self._area_weights.astype(dtype) if self._area is not None else None,
            CurveProduct(curves.pre_curve[self.pre], dtype),
            CurveProduct(curves.post_curve[self.post], dtype),
        )

    def window_noise(self, spectra: FloatArray) -> WindowNoise:
        """Return the noise in the windows, as some spectra (E, n) tell it if errors did not need it before."""
        apart = self._params.slope == "pixel"
        return self._noise or WindowNoise(self.curves, self.pre, self.post, apart, spectra)

    def remember(self) -> None:
        """Also make the maps by which single frames can be normalised later."""
        self.maps = {**self.maps, "found": (len(self.curves.from_pre),)}
        if self._area is not None:
            self.maps = {**self.maps, "area": ()}
        self.remembered = ("found", "invalid", *(("area",) if self._area is not None else ()))

    def jacobian(self, mean: Matrix) -> Jacobian:
        """Return how normalised spectra answer to noise; `mean` is the mean spectrum (E,), NaN where there is none."""
        area = None
        if self._area is not None:
            area = np.zeros(mean.size)
            area[self._area] = self._area_weights
        windows = (self.pre, self.post)
        return edge_jacobian(
            self._params, self.curves, windows, area, self._subtract, self._mean_step, np.nan_to_num(mean)
        )

    def divisor_of(self, spectrum: Matrix) -> Matrix:
        """Return what one spectrum (E,) is divided by, at every energy."""
        found = self.curves.coefficients(spectrum[self.pre], spectrum[self.post])
        divisor = {"line": self.curves.difference, "post": self.curves.post_curve}.get(self._params.divide_by)
        if divisor is not None:
            return np.asarray(divisor @ found)
        value = found[STEP]
        if self._area is not None:
            value = self._area_weights @ (spectrum - self.curves.pre_curve @ found)[self._area]
        return np.full(spectrum.size, value)

    def thickness_of(self, spectra: FloatArray) -> FloatArray:
        """Return the thickness (n,) of some spectra (E, n)."""
        found = self.curves.coefficients(spectra[self.pre], spectra[self.post])
        thickness: FloatArray = self._mean_step @ found
        return thickness

    def curves_of(self, spectrum: Matrix) -> tuple[Matrix, Matrix]:
        """Return the curves before and after the edge of one spectrum (E,), at every energy."""
        found = self.curves.coefficients(spectrum[self.pre], spectrum[self.post])
        return self.curves.pre_curve @ found, self.curves.post_curve @ found

    def divisor_at_e0(self, spectrum: Matrix) -> float:
        """Return the edge step of one spectrum (E,), or for "post" its post-edge curve at e0."""
        found = self.curves.coefficients(spectrum[self.pre], spectrum[self.post])
        return float(self._at_e0 @ found)

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        products = self._products[y.dtype]
        found = products.from_pre @ y[self._pre] + products.from_post @ y[self._post]
        self._fill(found, out)
        scratch = self._scratch.like(y)
        passed = self._judge(y, found, products, scratch, out) if "edge_step_sigma" in out else None
        if products.subtract is not None:
            y -= products.subtract(found, scratch)
        with np.errstate(divide="ignore", invalid="ignore"):
            if products.divisor is not None:
                divisor = products.divisor(found, scratch)
                ends = (divisor[0] > 0) & (divisor[-1] > 0)  # decide where it is straight
                valid = ends if self._order < 2 else divisor.min(axis=0) > 0
            else:
                divisor = found[STEP] if products.area is None else products.area @ y[self._area_slice]
                valid = divisor > 0
            y /= divisor
        if passed is not None:
            valid &= passed
        np.logical_not(valid, out=out["invalid"], casting="unsafe")
        if "found" in out:
            out["found"][...] = found
        if "area" in out:
            out["area"][...] = divisor
        if not valid.all():
            np.copyto(y, np.nan, where=~valid)  # an index takes ten times as long where all are

    def frame(self, index: int, y: FloatArray, known: Mapping[str, FloatArray]) -> None:
        """Normalise one frame (n,) in place, by the same products, so that all bits are the same."""
        products, found = self._products[y.dtype], np.ascontiguousarray(known["found"])
        scratch = self._scratch.like(np.broadcast_to(y, (self.curves.difference.shape[0], y.size)))
        if products.subtract is not None:
            y -= products.subtract(found, scratch)[index]
        if products.divisor is not None:
            y /= products.divisor(found, scratch)[index]
        else:
            y /= known["area"] if "area" in known else found[STEP]
        y[known["invalid"].astype(bool)] = np.nan

    def _fill(self, found: FloatArray, out: Mapping[str, FloatArray]) -> None:
        """Fill the maps that are the coefficients, or combinations of them."""
        if "pre_line" in out:
            out["pre_line"][...] = found[:2]
            out["post_line"][...] = found[2:]
            out["post_line"][:2] += found[:2]
        out["edge_step"][...] = found[STEP]
        thickness = out["thickness"]
        thickness[...] = found[STEP]
        for row, weight in enumerate(self._mean_step):
            if row != STEP and weight:
                thickness += found[row] * found.dtype.type(weight)

    def _judge(
        self,
        y: FloatArray,
        found: FloatArray,
        products: _Products,
        scratch: FloatArray,
        out: Mapping[str, FloatArray],
    ) -> NDArray[np.bool_] | None:
        """Fill the errors, and return which pixels have a step well above its own, if there is a gate."""
        assert self._noise is not None
        squares = []
        for window, indices, fit in (
            (self._pre, self.pre, products.fit_pre),
            (self._post, self.post, products.fit_post),
        ):
            rest = fit(found, scratch[: indices.size])
            np.subtract(y[window], rest, out=rest)
            squares.append(np.einsum("ij,ij->j", rest, rest))
        step, sigma = found[STEP], out["edge_step_sigma"]
        variances = self._noise.variances(squares[0], squares[1], step)
        sigma[...] = self._noise.sigma(np.eye(len(found))[STEP], variances)
        out["thickness_sigma"][...] = self._noise.sigma(self._mean_step, variances)
        if "gated" not in out:
            return None
        passed: NDArray[np.bool_] = (step > 0) & (step >= self._limit * sigma)
        np.logical_and(~passed, np.isfinite(step), out=out["gated"], casting="unsafe")
        return passed


def window_energies(
    params: ResolvedNormalizeParams, energy: Matrix, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the energies in the two windows, which must be enough for the curves."""
    least_pre, least_post = least_energies(params)
    return (
        window_indices(energy, params.pre_edge, "pre_edge", at_least=least_pre, usable=usable),
        window_indices(energy, params.post_edge, "post_edge", at_least=least_post, usable=usable),
    )


def integral_weights(energy: Matrix, window: Window) -> Matrix:
    """Return the weights (E,) of values in the integral over a window of the straight lines between them.

    Over a window from one of the energies to another that is the trapezoidal rule.
    """
    a, b = energy[:-1], energy[1:]
    width = np.clip(np.minimum(b, window[1]) - np.maximum(a, window[0]), 0, None)
    middle = (np.minimum(b, window[1]) + np.maximum(a, window[0])) / 2
    share = width * (middle - a) / (b - a)
    weights = np.zeros(energy.size)
    weights[:-1] += width - share
    weights[1:] += share
    return weights
