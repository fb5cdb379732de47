"""Least squares with few unknowns for very many spectra, exact also under constraints.

The design matrix [background | references] is split once by QR, so that what is left for every pixel is
min ||R x - z|| in as many dimensions as there are references.  Under a constraint the active set is found
without iteration: for each set S of references allowed to be non-zero, the conditions of Karush, Kuhn and
Tucker (S. Boyd and L. Vandenberghe, Convex Optimization, 2004, section 5.5.3) are affine in z, and the set
that violates them least is the solution's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.blocks import Scratch
from napari_xanes._core.errors import InputError

FloatArray = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]
Constraint = Literal["none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one"]

MOST_CONSTRAINED = 8
"""References up to which all 2^K sets are tried."""

ALIKE = 1e-6
"""References whose part not explained by the others is smaller than this, relative, cannot be told apart."""


@dataclass(frozen=True, eq=False)
class Design:
    """Columns of the fit at the fitted energies: background (n, B), references (n, K), and their QR."""

    background: Matrix
    references: Matrix
    q: Matrix
    r: Matrix
    condition_number: float


def design(
    energy: Matrix, spectra: Sequence[Matrix], names: Sequence[str], background: Sequence[int]
) -> Design:
    """Set up the fit; an error names what makes it unsolvable."""
    orders = tuple(background) if isinstance(background, Sequence) else (background,)
    if any(not isinstance(order, int | np.integer) or order < 0 for order in orders) or len(
        set(orders)
    ) != len(orders):
        raise InputError(f"background is {orders}, expected different polynomial orders such as (0, 1).")
    if not spectra:
        raise InputError("there are no references to fit; give at least one.")
    x = 2 * (energy - energy[0]) / max(np.ptp(energy), 1e-12) - 1
    polynomials = np.stack([x**order for order in orders], axis=1) if orders else np.empty((energy.size, 0))
    references = np.stack(list(spectra), axis=1)
    columns = np.concatenate([polynomials, references], axis=1)
    if energy.size < columns.shape[1]:
        raise InputError(
            f"{energy.size} energies are fitted but there are {columns.shape[1]} unknowns "
            f"({references.shape[1]} references, {len(orders)} background terms); fit more energies or fewer unknowns."
        )
    lengths = np.linalg.norm(columns, axis=0)
    for name, length in zip(names, lengths[len(orders) :], strict=True):
        if not length > 0:
            raise InputError(
                f"reference '{name}' is zero at all fitted energies; leave it out or fit others."
            )
    _refuse_alike(columns / lengths, len(orders), names)
    q, r = np.linalg.qr(columns)
    return Design(polynomials, references, q, r, float(np.linalg.cond(columns / lengths)))


def _refuse_alike(unit: Matrix, n_background: int, names: Sequence[str]) -> None:
    """Say which references cannot be told apart, from each other or from the background."""
    if np.linalg.svd(unit, compute_uv=False)[-1] > ALIKE:
        return
    references = unit[:, n_background:]
    for i, j in combinations(range(len(names)), 2):
        if np.linalg.norm(references[:, i] - references[:, j]) < 10 * ALIKE:
            raise InputError(
                f"references '{names[i]}' and '{names[j]}' are the same spectrum at the fitted energies; leave one out."
            )
    raise InputError(
        f"references {', '.join(names)} cannot be told apart at the fitted energies, one being a combination of "
        "the others or of the background; leave one out or fit more energies."
    )


class FitKernel:
    """Fits spectra (E, n) and fills the maps of `lincombo.ReferenceFit`; does not change the spectra."""

    writes = False

    def __init__(
        self,
        basis: Design,
        fitted: NDArray[np.intp],
        constraint: Constraint,
        significance: float | None,
        *,
        step_noise: float = 0.0,
    ) -> None:
        """Set up; `step_noise` is the error of the edge step that was divided out, for noise of one."""
        k = basis.references.shape[1]
        if constraint.startswith("nonnegative") and k > MOST_CONSTRAINED:
            raise InputError(
                f"{k} references are too many for constraint '{constraint}', it takes {MOST_CONSTRAINED}; choose fewer."
            )
        self.maps: Mapping[str, tuple[int, ...]] = {
            "coefficients": (k,),
            "fractions": (k,),
            "sigma": (k,),
            "error": (),
            "rms": (),
            "r_factor": (),
        }
        first, last = int(fitted[0]), int(fitted[-1])
        self._fitted = slice(first, last + 1) if last - first + 1 == fitted.size else fitted
        self._n = fitted.size
        r = basis.r[-k:, -k:]
        to_one = constraint.endswith("sum_to_one")
        self._solvers = {
            np.dtype(t): _Solver(basis.q, r, to_one, constraint.startswith("nonnegative"), t)
            for t in (np.float32, np.float64)
        }
        self._freedom = self._n - basis.q.shape[1] + (1 if to_one else 0)
        self._significance = significance or 0.0
        self._step_noise = step_noise
        self._covariance = _covariance(r, to_one)

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        data = y[self._fitted]
        x, error, power = self._solvers[y.dtype](data)
        out["coefficients"][...] = x
        out["error"][...] = error
        np.sqrt(error / self._n, out=out["rms"])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            np.divide(error, power, out=out["r_factor"])
            noise = np.sqrt(error / self._freedom) if self._freedom > 0 else np.full_like(error, np.nan)
            self._fill_fractions(x, noise, out["fractions"], out["sigma"])

    def _fill_fractions(
        self, x: FloatArray, noise: FloatArray, fractions: FloatArray, sigma: FloatArray
    ) -> None:
        """Divide by the sum, and propagate the covariance of the coefficients to the ratios."""
        covariance = self._covariance
        with_sum, of_sum = covariance.sum(axis=1), max(float(covariance.sum()), 0.0)
        total = x.sum(axis=0)
        np.divide(x, total, out=fractions)
        valid = total > 0
        if self._significance:
            error_of_sum = noise * np.sqrt(of_sum + (self._step_noise * total) ** 2, dtype=total.dtype)
            valid &= total > self._significance * error_of_sum
        if not valid.all():
            fractions[:, ~valid] = np.nan
        noise /= total
        for k, f in enumerate(fractions):
            variance = (of_sum * f - 2 * with_sum[k]) * f + covariance[k, k]
            np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
            np.multiply(variance, noise, out=sigma[k])


def _covariance(r: Matrix, to_one: bool) -> Matrix:
    """Covariance of the coefficients for noise of one, without bounds."""
    gain, _ = _solution(r, tuple(range(r.shape[1])), to_one)
    return gain @ gain.T


def _solution(r: Matrix, chosen: tuple[int, ...], to_one: bool) -> tuple[Matrix, Matrix]:
    """Return W (K, K) and w (K,) so that x = W z + w minimises ||R x - z|| with only `chosen` non-zero."""
    k = r.shape[1]
    gain, offset = np.zeros((k, k)), np.zeros(k)
    if not chosen:
        return gain, offset
    rows = list(chosen)
    part = np.linalg.pinv(r[:, rows])
    if to_one:
        spread = np.linalg.inv(r[:, rows].T @ r[:, rows]).sum(axis=1)
        share = spread / spread.sum()
        part = part - np.outer(share, part.sum(axis=0))
        offset[rows] = share
    gain[rows] = part
    return gain, offset


class _Solver:
    """The solution and its residual for spectra at the fitted energies, in one precision."""

    def __init__(self, q: Matrix, r: Matrix, to_one: bool, nonnegative: bool, dtype: Any) -> None:
        k = r.shape[1]
        gain, offset = _solution(r, tuple(range(k)), to_one)
        self._q, self._q_rows = q.astype(dtype), np.ascontiguousarray(q.T.astype(dtype))
        self._r, self._gain, self._offset = r.astype(dtype), gain.astype(dtype), offset.astype(dtype)[:, None]
        self._scratch = Scratch()
        self._bound = to_one or nonnegative
        self._sets = _ActiveSets(r, to_one, dtype) if nonnegative else None

    def __call__(self, data: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return coefficients (K, n), the sum of squared residuals (n,) and that of squared data (n,)."""
        projected = np.empty((len(self._q_rows), data.shape[1]), data.dtype)
        for row, out in zip(self._q_rows, projected, strict=True):
            np.dot(row, data, out=out)  # a vector at a time: a thin matrix product is slower
        k = self._r.shape[1]
        z = projected[-k:]
        x = self._gain @ z + self._offset
        if self._sets is not None:
            below = np.flatnonzero((x < 0).any(axis=0))
            if below.size:
                x[:, below] = self._sets.solve(np.ascontiguousarray(z[:, below]))
        explained = np.einsum("ij,ij->j", projected, projected)
        if self._bound:  # otherwise the fitted curve is the projection itself
            fitted = self._r @ x
            np.subtract(z, fitted, out=z)
            explained -= np.einsum("ij,ij->j", z, z)
            z[...] = fitted
        residual = self._scratch.like(data)
        np.matmul(self._q, projected, out=residual)
        np.subtract(data, residual, out=residual)
        error: FloatArray = np.einsum("ij,ij->j", residual, residual)
        return x, error, error + explained  # Pythagoras, which spares a pass over the data


class _ActiveSets:
    """Finds, for pixels whose free solution is negative somewhere, which references are non-zero, and solves."""

    def __init__(self, r: Matrix, to_one: bool, dtype: Any) -> None:
        k = r.shape[1]
        sets = [s for size in range(1 if to_one else 0, k + 1) for s in combinations(range(k), size)]
        solutions = [_solution(r, chosen, to_one) for chosen in sets]
        tests = [
            _conditions(r, chosen, *solution, to_one)
            for chosen, solution in zip(sets, solutions, strict=True)
        ]
        self._slopes = np.concatenate([t for t, _ in tests]).astype(dtype)
        self._levels = np.concatenate([c for _, c in tests]).astype(dtype)[:, None]
        chosen = np.array([np.isin(np.arange(k), s) for s in sets])
        self._lengths = (chosen / np.linalg.norm(r, axis=0)).astype(
            dtype
        )  # conditions of the chosen to coefficients

    def solve(self, z: FloatArray) -> FloatArray:
        met = (self._slopes @ z + self._levels).reshape(*self._lengths.shape, -1)
        worst = met.min(axis=1)
        best, most = np.zeros(z.shape[1], np.intp), worst[0].copy()
        for index in range(1, len(worst)):
            better = worst[index] > most
            best[better] = index
            np.maximum(most, worst[index], out=most)
        pixels = np.arange(z.shape[1])
        x = np.stack([met[best, row, pixels] * scale[best] for row, scale in enumerate(self._lengths.T)])
        np.maximum(x, 0, out=x)
        return x


def _conditions(
    r: Matrix, chosen: tuple[int, ...], gain: Matrix, offset: Matrix, to_one: bool
) -> tuple[Matrix, Matrix]:
    """Return T (K, K) and t (K,): T z + t >= 0 where `chosen` is the set of the solution.

    Rows of chosen references are their coefficient, others their multiplier, both in units of the data.
    """
    k = r.shape[1]
    lengths = np.linalg.norm(r, axis=0)
    slope_gain, slope_offset = r.T @ (r @ gain - np.eye(k)), r.T @ (r @ offset)
    if to_one:
        first = chosen[0]
        slope_gain, slope_offset = slope_gain - slope_gain[first], slope_offset - slope_offset[first]
    inside = np.isin(np.arange(k), chosen)
    conditions = np.where(inside[:, None], gain * lengths[:, None], slope_gain / lengths[:, None])
    return conditions, np.where(inside, offset * lengths, slope_offset / lengths)
