"""Least squares with few unknowns for very many spectra, exact also under constraints.

The design matrix [background | references] is split once by QR, so that what is left for every pixel is
min ||R x - z|| in as many dimensions as there are references: solved in `active_sets` or `admm`, its errors in
`sigma`, and what is left of the spectra in `residual`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.engine.pooled import ENOUGH, PooledNoise, learned_from, pooled
from napari_xanes._core.solve.active_sets import MOST_CONSTRAINED, ExactSolver, covariance, sums_to_one
from napari_xanes._core.solve.admm import AdmmSolver, Solver
from napari_xanes._core.solve.design import ALIKE, Constraint, Design, FloatArray, Matrix, design
from napari_xanes._core.solve.propagation import Propagation, level_of
from napari_xanes._core.solve.residual import Keeper, Residual
from napari_xanes._core.solve.sigma import FractionSigma
from napari_xanes._core.solve.still_noise import Origin

__all__ = ["ALIKE", "MOST_CONSTRAINED", "Constraint", "Design", "FitKernel", "Matrix", "design"]

CLEAR = 5.0
"""Standard errors of the sum of coefficients from which a pixel says how noise is spread."""

FREE_ENOUGH = 10
"""Degrees of freedom from which on a pixel's own scatter tells whether it holds anything at all."""

FEWEST_CLEAR = 1000
"""Such pixels without which all that were sampled are looked at, where frames were moved: covariances of few hide noise that stays."""

PRECISIONS = (np.dtype(np.float32), np.dtype(np.float64))


class FitKernel:
    """Fits spectra (E, n) and fills the maps of `fit_result.ReferenceFit`; does not change the spectra."""

    writes = False
    optional: Mapping[str, str] = {name: name for name in ("sigma", "rms", "r_factor")}

    def __init__(
        self,
        basis: Design,
        fitted: NDArray[np.intp],
        constraint: Constraint,
        significance: float | None,
        *,
        jacobian: Jacobian | None = None,
        step_noise: float = 0.0,
        solver: Solver = "direct",
        noise: NDArray[Any] | None = None,
        mask: NDArray[np.bool_] | None = None,
        keep: Keeper | None = None,
        uncertainty: bool = False,
    ) -> None:
        """Set up.

        What is left of some pixels goes to `keep`; with `uncertainty` there are maps of the errors of
        coefficients, and of the covariance of fractions with the thickness that was divided out, relative to it.
        `jacobian` says how the spectra were normalised, `step_noise` is the error of the edge step that was divided
        out, for noise of one.  `noise` is an image of the standard deviation of a spectrum's values (at an energy of
        weight one).  Outside `mask` nothing is fitted.
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
        if uncertainty:
            maps |= {"coefficient_sigma": (k,), "with_thickness": (k,)}
        if noise is not None:
            reads["noise"] = noise
            maps["reduced_chi_square"] = ()
        if mask is not None:
            reads["inside"] = mask
        self.keeps = keep
        if keep is not None:
            reads["number"] = cast("NDArray[Any]", keep.every)
        self.basis = basis
        first, last = int(fitted[0]), int(fitted[-1])
        self._fitted = slice(first, last + 1) if last - first + 1 == fitted.size else fitted
        self._n = fitted.size
        self._residuals = {t: Residual(basis, constraint, t) for t in PRECISIONS}
        r = basis.r[-k:, -k:]
        self._admm = AdmmSolver(r, constraint) if solver == "admm" else None
        if self._admm is not None:
            maps |= dict.fromkeys(self._admm.maps, ())
        self._solvers = {t: ExactSolver(r, constraint, t) for t in PRECISIONS if self._admm is None}
        self.maps: Mapping[str, tuple[int, ...]] = maps
        self.reads: Mapping[str, NDArray[Any]] = reads
        self._plain = self._n - basis.q.shape[1]
        self._freedom = self._plain + (1 if sums_to_one(constraint) else 0)
        self._significance = significance or 0.0
        self._constraint: Constraint = constraint
        self._step_noise = step_noise
        self._of_sum = max(float(covariance(r, tuple(range(k)), sums_to_one(constraint)).sum()), 0.0)
        self._propagation = Propagation(basis, fitted, jacobian)
        self._use_propagation()
        self._pool: PooledNoise | None = None
        self._free_pool: PooledNoise | None = None
        self._trend = False
        self.follows: tuple[str, ...] = ()

    @property
    def noise_unknown(self) -> bool:
        """Whether neither the residuals nor the caller tell the noise."""
        return "noise" not in self.reads and self._n > self.basis.q.shape[1] and not self._propagation.freedom

    def _use_propagation(self) -> None:
        made, k = self._propagation, self.maps["coefficients"][0]
        r = self.basis.r[-k:, -k:]
        self._sigma = {t: FractionSigma(r, self._constraint, made.covariances, t) for t in PRECISIONS}
        solved: Matrix = np.asarray(np.linalg.solve(r, made.with_thickness.T))
        self._with_thickness: dict[Any, FloatArray] = {t: solved.astype(t) for t in PRECISIONS}
        self._left: dict[Any, FloatArray] = {t: made.left.astype(t) for t in PRECISIONS}

    def learn_noise(
        self,
        spectra: FloatArray,
        thickness: FloatArray | None = None,
        image: FloatArray | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Learn from sampled spectra (E, n) how noise is spread, and how strong, where a pixel's own does not tell.

        Parameters
        ----------
        spectra : array (E, n)
        thickness : array (n,), optional
            By which they were divided, if the noise is to follow it; by default it follows the mean of the spectrum.
        image : array, optional
            The thickness of all pixels, where no kernel of the same pass fills a map "thickness".
        origin : Origin, optional
            How the spectra came about.
        """
        if "noise" in self.reads or self._freedom <= 0 or not spectra.size:
            return
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for every in (learned_from(spectra.shape[1]), slice(None)):
                data = np.ascontiguousarray(spectra[self._fitted, every], np.float64)
                part = np.ones(data.shape[1]) if thickness is None else thickness[every]
                x, weighted, of_noise, left = self._left_by(data)
                level = level_of(data, None if thickness is None else part)
                clear = np.flatnonzero(self._clear(x, weighted, part, level))
                if clear.size >= FEWEST_CLEAR or origin is None or origin.shifts is None:
                    break
            kept, scale = left[:, clear], part[clear]
            of = lambda some: scale[some] * (data[:, clear[some]] - kept[:, some])  # noqa: E731
            alike = kept if thickness is None else scale * kept
            self._propagation.learn(x[:, clear], alike, level[clear], of, origin)
            self._use_propagation()
            features = self._propagation.features(x, level)
            if self._propagation.freedom < ENOUGH:
                self._pool = pooled(*self._squares(x, weighted, features), level)
            if self._propagation.freedom < ENOUGH and self._constraint != "none":
                free = self._in_even_noise(of_noise, np.float64(self._plain), features)
                self._free_pool = pooled(*free, level)
        self._trend = thickness is not None
        if self._trend and image is not None:
            self.reads = {**self.reads, "thickness": image}
        elif self._trend:
            self.follows = ("thickness",)

    def _left_by(self, data: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return coefficients, what they and unbound ones leave (n,), and residuals (e, n) of these, as a bound's are no noise."""
        residual, k = self._residuals[data.dtype], self.maps["coefficients"][0]
        projected = residual.project(data)
        z = projected[-k:].copy()
        x = np.linalg.solve(self.basis.r[-k:, -k:], z)
        _, _, of_noise, left = residual(data, projected, x, np.arange(data.shape[1]))
        assert left is not None
        if self._constraint == "none":
            return x, of_noise, of_noise, left
        x = self._solved(z, {name: np.empty(data.shape[1]) for name in AdmmSolver.maps})
        return x, residual(data, residual.project(data), x, None)[2], of_noise, left

    def _solved(self, z: FloatArray, out: Mapping[str, FloatArray]) -> FloatArray:
        x: FloatArray = self._solvers[z.dtype](z) if self._admm is None else self._admm(z, out)
        return x

    def _squares(self, x: FloatArray, weighted: FloatArray, features: FloatArray) -> tuple[FloatArray, Any]:
        sigma = self._sigma[x.dtype]
        counted = self._free_energies(sigma.free(x)[1] if sigma.bounded else None, x.dtype)
        return self._in_even_noise(weighted, counted, features)

    def _clear(
        self, x: FloatArray, weighted: FloatArray, part: FloatArray, level: FloatArray
    ) -> NDArray[np.bool_]:
        """Return which pixels (n,) hold clearly more of the element than the noise of a typical one."""
        features = self._propagation.features(x, level)
        squares, freedom = self._squares(x, weighted, features)
        noise = np.sqrt(squares / freedom) * part
        typical = np.median(noise[np.isfinite(noise)]) if np.isfinite(noise).any() else np.inf
        of_sum = self._sigma[x.dtype].terms(features)[-1]
        clear: NDArray[np.bool_] = x.sum(axis=0) * part > CLEAR * typical * np.sqrt(np.maximum(of_sum, 0))
        return clear

    def _in_even_noise(
        self, weighted: FloatArray, counted: Any, features: FloatArray
    ) -> tuple[FloatArray, Any]:
        """Return squares and degrees of freedom whose ratio is the variance of the noise, of one at each energy."""
        if not self._plain:  # then only a constraint leaves anything
            return weighted, counted
        if not self._propagation.freedom:
            return np.full_like(weighted, np.nan), counted
        left = self._left[weighted.dtype]
        expected = left[0] if len(features) == 1 else left @ features
        freedom = (counted * (self._propagation.freedom / self._plain)).astype(weighted.dtype)
        return weighted * (self._propagation.freedom / expected), freedom

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
        x = self._solved(z, out)
        picked = None if self.keeps is None else self.keeps.picked(out["number"])
        error, power, weighted, left = residual(data, projected, x, picked)
        out["coefficients"][...] = x
        out["error"][...] = error
        np.sqrt(error / self._n, out=out["rms"])
        np.divide(error, power, out=out["r_factor"])
        sigma = self._sigma[data.dtype]
        free, count = sigma.free(x) if sigma.bounded else (None, None)
        level = self._level_of(data, out)
        features = self._propagation.features(x, level)
        counted = self._free_energies(count, data.dtype)
        squares, freedom = self._in_even_noise(weighted, counted, features)
        noise = np.sqrt(squares / freedom if self._pool is None else self._pool(squares, freedom, level))
        if "noise" in out:
            given = out["noise"].astype(noise.dtype)
            np.divide(noise**2, given**2, out=out["reduced_chi_square"])
            noise = given
        terms = sigma.terms(features)
        # by the plain scatter, which is the same to the last bit whether the step was divided out in this run or an earlier one
        own = self._freedom >= FREE_ENOUGH and "noise" not in out
        plain = np.sqrt(weighted / counted) if own and self._significance else noise
        self._fill_fractions(x, plain, out["fractions"])
        if self.keeps is not None and picked is not None and left is not None:
            variances = np.maximum((terms if len(features) == 1 else terms[:, picked])[: len(x)], 0)
            few = counted if count is None else counted[picked]
            of_sum = self._error_of_sum(
                x[:, picked].sum(axis=0), np.sqrt(weighted[picked] / few) if own else noise[picked]
            )
            told = noise[picked]
            if "noise" not in out and self._constraint != "none":
                told = self._unbound_noise(picked, x, z, weighted, level, features, noise)
            errors = np.concatenate([np.sqrt(variances) * told, of_sum[None]])
            self.keeps.put(out["number"][picked], left, x[:, picked], errors)
        sigma.fill(x, z, out["fractions"], noise, free, features, terms, out["sigma"])
        if "coefficient_sigma" in out:  # the error of a fraction of nothing, times the sum
            none, one = np.zeros_like(x), np.ones_like(noise)
            sigma.fill(x, z, none, noise, free, features, terms, out["coefficient_sigma"], one)
        if "with_thickness" in out:
            together = self._with_thickness[data.dtype] @ features
            out["with_thickness"][...] = together - out["fractions"] * together.sum(axis=0)
            out["with_thickness"] *= noise**2 / x.sum(axis=0)

    def _unbound_noise(
        self,
        picked: NDArray[np.intp],
        x: FloatArray,
        z: FloatArray,
        weighted: FloatArray,
        level: FloatArray | None,
        features: FloatArray,
        noise: FloatArray,
    ) -> FloatArray:
        """Return the noise of picked pixels by what an unbound fit leaves, as a bound leaves misfit, too; `noise` if that does not tell."""
        x, z, weighted, features, noise = (a[..., picked] for a in (x, z, weighted, features, noise))
        level = None if level is None else level[picked]
        pool, k = self._free_pool, len(x)
        if pool is None and self._plain < FREE_ENOUGH:
            return noise
        over = z - self.basis.r[-k:, -k:].astype(x.dtype) @ x
        rest = np.maximum(weighted - np.einsum("ij,ij->j", over, over), np.finfo(x.dtype).eps * weighted)
        squares, freedom = self._in_even_noise(rest, x.dtype.type(self._plain), features)
        unbound: FloatArray = np.sqrt(squares / freedom if pool is None else pool(squares, freedom, level))
        return unbound

    def _level_of(self, data: FloatArray, out: Mapping[str, FloatArray]) -> FloatArray | None:
        """Return what the noise follows; None if nothing is learned of it."""
        pools = (self._pool, self._free_pool)
        if not self._propagation.by_level and not any(pool is not None and pool.by_level for pool in pools):
            return None
        return level_of(data, out["thickness"] if self._trend else None)

    def _free_energies(self, count: NDArray[Any] | None, dtype: Any) -> Any:
        """Return the degrees of freedom that are left by all coefficients, or by `count` (n,) that are not held."""
        if count is None:
            return dtype.type(self._freedom if self._freedom > 0 else np.nan)
        left = (self._freedom + self.maps["coefficients"][0]) - count.astype(dtype)
        left[left <= 0] = np.nan
        return left

    def _fill_fractions(self, x: FloatArray, noise: FloatArray, fractions: FloatArray) -> None:
        """Divide by the sum where it is positive and significant: where there is nothing, steps are of noise as well."""
        total = x.sum(axis=0)
        np.divide(x, total, out=fractions)
        valid = total > 0
        if self._significance:
            valid &= ~(total <= self._significance * self._error_of_sum(total, noise))  # NaN: not known
        if not valid.all():
            fractions[:, ~valid] = np.nan

    def _error_of_sum(self, total: FloatArray, noise: FloatArray) -> FloatArray:
        of_sum: Any = self._of_sum
        if self._step_noise:
            of_sum = of_sum + (self._step_noise * total) ** 2
        error: FloatArray = noise * np.sqrt(of_sum, dtype=total.dtype)
        return error
