"""Least squares with few unknowns for very many spectra, exact also under constraints.

The design matrix [background | references] is split once by QR, so that what is left for every pixel is
min ||R x - z|| in as many dimensions as there are references: solved in `active_sets` or `admm`, its errors in
`fit_sigma`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.engine.blocks import Scratch
from napari_xanes._core.solve.active_sets import MOST_CONSTRAINED, ExactSolver, sums_to_one
from napari_xanes._core.solve.admm import AdmmSolver, Solver
from napari_xanes._core.solve.design import ALIKE, Constraint, Design, FloatArray, Matrix, design
from napari_xanes._core.solve.pooled import ENOUGH, PooledNoise
from napari_xanes._core.solve.sigma import FractionSigma

__all__ = ["ALIKE", "MOST_CONSTRAINED", "Constraint", "Design", "FitKernel", "Matrix", "design"]

PRECISIONS = (np.dtype(np.float32), np.dtype(np.float64))


class Keeper(Protocol):
    """Keeps what is left of some pixels: which of those with given numbers, and their residuals and coefficients."""

    every: Any

    def picked(self, numbers: NDArray[Any]) -> NDArray[np.intp]: ...
    def put(self, numbers: NDArray[Any], residuals: FloatArray, coefficients: FloatArray) -> None: ...


class FitKernel:
    """Fits spectra (E, n) and fills the maps of `fit_result.ReferenceFit`; does not change the spectra."""

    writes = False

    def __init__(
        self,
        basis: Design,
        fitted: NDArray[np.intp],
        constraint: Constraint,
        significance: float | None,
        *,
        step_noise: float = 0.0,
        solver: Solver = "direct",
        noise: NDArray[Any] | None = None,
        mask: NDArray[np.bool_] | None = None,
        keep: Keeper | None = None,
    ) -> None:
        """Set up.

        What is left of some pixels goes to `keep`.  `step_noise` is the error of the edge step that was divided out, for noise of one.  `noise` is an image of
        the standard deviation of a spectrum's values (at an energy of weight one).  Outside `mask` nothing is
        fitted.
        """
        k = basis.references.shape[1]
        maps: dict[str, tuple[int, ...]] = {
            "coefficients": (k,),
            "fractions": (k,),
            "sigma": (k,),
            "error": (),
            "rms": (),
            "r_factor": (),
        }
        reads: dict[str, NDArray[Any]] = {}
        if noise is not None:
            reads["noise"] = noise
            maps["reduced_chi_square"] = ()
        if mask is not None:
            reads["inside"] = mask
        self._keep = keep
        if keep is not None:
            reads["number"] = cast("NDArray[Any]", keep.every)
        self.basis = basis
        first, last = int(fitted[0]), int(fitted[-1])
        self._fitted = slice(first, last + 1) if last - first + 1 == fitted.size else fitted
        self._n = fitted.size
        self._residuals = {t: _Residual(basis, constraint, t) for t in PRECISIONS}
        r = basis.r[-k:, -k:]
        self._admm = AdmmSolver(r, constraint) if solver == "admm" else None
        if self._admm is not None:
            maps |= dict.fromkeys(self._admm.maps, ())
            self._solvers: dict[Any, Any] = dict.fromkeys(PRECISIONS, self._admm)
        else:
            self._solvers = {t: ExactSolver(r, constraint, t) for t in PRECISIONS}
        self.maps: Mapping[str, tuple[int, ...]] = maps
        self.optional: Mapping[str, str] = {name: name for name in ("sigma", "rms", "r_factor")}
        self.reads: Mapping[str, NDArray[Any]] = reads
        self._freedom = self._n - basis.q.shape[1] + (1 if sums_to_one(constraint) else 0)
        self._significance = significance or 0.0
        self._step_noise = step_noise
        self._sigma = {t: FractionSigma(r, constraint, t) for t in PRECISIONS}
        self._pool: PooledNoise | None = None
        self._trend = False
        self.follows: tuple[str, ...] = ()

    def learn_noise(
        self, spectra: FloatArray, thickness: FloatArray | None = None, image: FloatArray | None = None
    ) -> None:
        """Learn the noise from sampled spectra (E, n), where there are too few energies for each pixel's own.

        Parameters
        ----------
        spectra : array (E, n)
        thickness : array (n,), optional
            By which they were divided, if the noise is to follow it; by default it follows the mean of the spectrum.
        image : array, optional
            The thickness of all pixels, where no kernel of the same pass fills a map "thickness".
        """
        if self._freedom >= ENOUGH or "noise" in self.reads:
            return
        data = np.ascontiguousarray(spectra[self._fitted], np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            residual = self._residuals[data.dtype]
            projected = residual.project(data)
            k = self.maps["coefficients"][0]
            z, out = projected[-k:].copy(), {n: np.empty(data.shape[1]) for n in ADMM_MAPS}
            x = self._solvers[data.dtype](z) if self._admm is None else self._admm(z, out)
            _, _, weighted, _ = residual(data, projected, x, None)
            count = self._sigma[data.dtype].free(x)[1] if self._sigma[data.dtype].bounded else None
            freedom = np.broadcast_to(self._free_energies(count, data.dtype), weighted.shape)
            level = _level(data, thickness)
        pool = PooledNoise(weighted, np.nan_to_num(freedom), level)
        if not pool.known:
            return
        self._pool, self._trend = pool, thickness is not None
        if self._trend and image is not None:
            self.reads = {**self.reads, "thickness": image}
        elif self._trend:
            self.follows = ("thickness",)

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        if "inside" not in out or out["inside"].all():
            self._fit(y[self._fitted], out)
            return
        inside = np.flatnonzero(out["inside"])
        if 2 * inside.size > y.shape[1]:  # then picking spectra out costs more than fitting them all
            self._fit(y[self._fitted], out)
            for name in self.maps:
                out[name][..., ~out["inside"].astype(bool)] = np.nan
            return
        for name in self.maps:
            out[name].fill(np.nan)
        if inside.size:
            part = {name: np.empty((*lead, inside.size), y.dtype) for name, lead in self.maps.items()}
            given = {name: out[name][inside] for name in (*self.reads, *self.follows) if name in out}
            self._fit(y[self._fitted].take(inside, axis=1), part | given)
            for name, values in part.items():
                out[name][..., inside] = values

    def _fit(self, data: FloatArray, out: Mapping[str, FloatArray]) -> None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self._solve(data, out)

    def _solve(self, data: FloatArray, out: Mapping[str, FloatArray]) -> None:
        residual = self._residuals[data.dtype]
        projected = residual.project(data)
        z = projected[-out["coefficients"].shape[0] :].copy()
        x = self._solvers[data.dtype](z) if self._admm is None else self._admm(z, out)
        picked = None if self._keep is None else self._keep.picked(out["number"])
        error, power, weighted, left = residual(data, projected, x, picked)
        if self._keep is not None and left is not None:
            self._keep.put(out["number"][picked], left, x[:, picked])
        out["coefficients"][...] = x
        out["error"][...] = error
        np.sqrt(error / self._n, out=out["rms"])
        np.divide(error, power, out=out["r_factor"])
        sigma = self._sigma[data.dtype]
        free, count = sigma.free(x) if sigma.bounded else (None, None)
        freedom = self._free_energies(count, data.dtype)
        if self._pool is None:
            noise = np.sqrt(weighted / freedom)
        else:
            level = _level(data, out["thickness"] if self._trend else None)
            noise = np.sqrt(self._pool(weighted, freedom, level))
        if "noise" in out:
            noise = out["noise"].astype(noise.dtype)
            np.divide(weighted / freedom, noise**2, out=out["reduced_chi_square"])
        self._fill_fractions(x, noise, sigma.of_sum, out["fractions"])
        sigma.fill(x, z, out["fractions"], noise, free, out["sigma"])

    def _free_energies(self, count: NDArray[Any] | None, dtype: Any) -> Any:
        """Return the degrees of freedom that are left by all coefficients, or by `count` (n,) that are not held."""
        if count is None:
            return dtype.type(self._freedom if self._freedom > 0 else np.nan)
        left = (self._freedom + self.maps["coefficients"][0]) - count.astype(dtype)
        left[left <= 0] = np.nan
        return left

    def _fill_fractions(self, x: FloatArray, noise: FloatArray, of_sum: float, fractions: FloatArray) -> None:
        """Divide by the sum where it is positive and significant."""
        total = x.sum(axis=0)
        np.divide(x, total, out=fractions)
        valid = total > 0
        if self._significance:
            error_of_sum = noise * np.sqrt(of_sum + (self._step_noise * total) ** 2, dtype=total.dtype)
            valid &= total > self._significance * error_of_sum
        if not valid.all():
            fractions[:, ~valid] = np.nan


ADMM_MAPS = ("iterations", "primal_residual", "dual_residual", "unconverged")


def _level(data: FloatArray, thickness: FloatArray | None) -> FloatArray:
    """Return what the noise follows: the absorption, or the thickness that was divided out."""
    if thickness is None:
        mean: FloatArray = data.mean(axis=0)
        return mean
    with np.errstate(divide="ignore", invalid="ignore"):
        level: FloatArray = np.log(np.where(thickness > 0, thickness, np.nan))
    return level


class _Residual:
    """Projections of spectra on the fitted columns, and what a solution leaves of them, in one precision."""

    def __init__(self, basis: Design, constraint: Constraint, dtype: Any) -> None:
        k = basis.references.shape[1]
        q = basis.q
        self._weights: FloatArray | None = None
        if basis.weights is not None:
            root = np.sqrt(basis.weights)[:, None]
            self._weights = basis.weights.astype(dtype)
            q, self._q = q * root, (q / root).astype(dtype)
        else:
            self._q = q.astype(dtype)
        self._q_rows = np.ascontiguousarray(q.T.astype(dtype))
        self._r = basis.r[-k:, -k:].astype(dtype)
        self._free = constraint == "none"
        self._scratch = Scratch()

    def project(self, data: FloatArray) -> FloatArray:
        """Return the (weighted) spectra in the coordinates of Q (B + K, n)."""
        projected = np.empty((len(self._q_rows), data.shape[1]), data.dtype)
        for row, out in zip(self._q_rows, projected, strict=True):
            np.dot(row, data, out=out)  # a vector at a time: a thin matrix product is slower
        return projected

    def __call__(
        self, data: FloatArray, projected: FloatArray, x: FloatArray, picked: NDArray[np.intp] | None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
        """Return the sums of squared residuals and of squared data less background, and of weighted squared residuals, each (n,).

        And the residuals of the pixels that are picked.
        """
        first = len(projected) - len(x)
        explained = np.einsum("ij,ij->j", projected[first:], projected[first:])  # besides the background
        if not self._free:  # otherwise the fitted curve is the projection itself
            z = projected[-len(x) :]
            fitted = self._r @ x
            np.subtract(z, fitted, out=z)
            explained -= np.einsum("ij,ij->j", z, z)
            z[...] = fitted
        residual = self._scratch.like(data)
        np.matmul(self._q, projected, out=residual)
        np.subtract(data, residual, out=residual)
        left = None if picked is None or not picked.size else residual.take(picked, axis=1)
        error: FloatArray = np.einsum("ij,ij->j", residual, residual)
        if self._weights is None:
            return error, error + explained, error, left  # Pythagoras, which spares a pass over the data
        np.square(residual, out=residual)
        above = data - self._q[:, :first] @ projected[:first] if first else data
        return error, np.einsum("ij,ij->j", above, above), self._weights @ residual, left
