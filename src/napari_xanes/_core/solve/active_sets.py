"""Least squares in few dimensions under constraints, solved exactly and without iteration for many pixels.

The problem of every pixel is min ||R x - z||, with as many dimensions as references.  For each set S of references
allowed to be non-zero, the conditions of Karush, Kuhn and Tucker (S. Boyd and L. Vandenberghe, Convex Optimization,
2004, section 5.5.3) are affine in z, and the set that violates them least is the solution's.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.solve.design import Constraint, FloatArray, Matrix

MOST_CONSTRAINED = 8
"""References up to which all 2^K sets are tried."""


def bounded(constraint: Constraint) -> bool:
    """Whether coefficients must not be negative."""
    return constraint.startswith("nonnegative")


def sums_to_one(constraint: Constraint) -> bool:
    """Whether coefficients must sum to one."""
    return constraint.endswith("sum_to_one")


def solution(r: Matrix, chosen: tuple[int, ...], to_one: bool) -> tuple[Matrix, Matrix]:
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


def covariance(r: Matrix, chosen: tuple[int, ...], to_one: bool) -> Matrix:
    """Return the covariance (K, K) of the coefficients for noise of one, with only `chosen` non-zero."""
    gain, _ = solution(r, chosen, to_one)
    return gain @ gain.T


class ExactSolver:
    """The solution for projected spectra z (K, n), in one precision."""

    def __init__(self, r: Matrix, constraint: Constraint, dtype: Any) -> None:
        k, to_one = r.shape[1], sums_to_one(constraint)
        if bounded(constraint) and k > MOST_CONSTRAINED:
            raise InputError(
                f"{k} references are too many for constraint '{constraint}', it takes {MOST_CONSTRAINED}; choose fewer."
            )
        gain, offset = solution(r, tuple(range(k)), to_one)
        self._gain, self._offset = gain.astype(dtype), offset.astype(dtype)[:, None]
        self._sets = _ActiveSets(r, to_one, dtype) if bounded(constraint) else None

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return coefficients (K, n)."""
        x: FloatArray = self._gain @ z + self._offset
        if self._sets is not None:
            below = np.flatnonzero((x < 0).any(axis=0))
            if below.size:
                solved = self._sets.solve(z.take(below, axis=1))
                for row, values in zip(x, solved, strict=True):
                    row[below] = values
        return x


class _ActiveSets:
    """Finds, for pixels whose free solution is negative somewhere, which references are non-zero, and solves."""

    def __init__(self, r: Matrix, to_one: bool, dtype: Any) -> None:
        k = r.shape[1]
        sets = [s for size in range(1 if to_one else 0, k + 1) for s in combinations(range(k), size)]
        tests = [_conditions(r, chosen, *solution(r, chosen, to_one), to_one) for chosen in sets]
        self._slopes = np.concatenate([t for t, _ in tests]).astype(dtype)
        self._levels = np.stack([c for _, c in tests]).astype(dtype)[..., None]
        chosen = np.array([np.isin(np.arange(k), s) for s in sets])
        scale = chosen / np.linalg.norm(r, axis=0)  # conditions of the chosen to coefficients
        self._lengths = scale.astype(dtype)

    def solve(self, z: FloatArray) -> FloatArray:
        met = (self._slopes @ z).reshape(*self._lengths.shape, -1)
        met += self._levels
        worst = met.min(axis=1)
        best, most = np.zeros(z.shape[1], np.intp), worst[0].copy()
        for index in range(1, len(worst)):
            np.copyto(best, index, where=worst[index] > most)
            np.maximum(most, worst[index], out=most)
        k, n = z.shape
        flat, where = met.reshape(-1), best * (k * n) + np.arange(n)
        x = np.empty_like(z)
        for row, out in enumerate(x):
            np.multiply(flat.take(where + row * n), self._lengths[:, row].take(best), out=out)
        return np.maximum(x, 0, out=x)


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
