"""The alternating direction method of multipliers for the fit's small problem, all pixels of a chunk at once.

S. Boyd, N. Parikh, E. Chu, B. Peleato and J. Eckstein, Found. Trends Mach. Learn. 3, 1 (2011),
doi:10.1561/2200000016, section 5.2, as proposed for XANES by M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020),
doi:10.1107/S1600577520001071, section 7.2.  It iterates to what `active_sets` gives at once, takes any number of
references, and says how far it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from napari_xanes._core.solve.active_sets import bounded, sums_to_one
from napari_xanes._core.solve.design import Constraint, FloatArray, Matrix

Solver = Literal["direct", "admm"]

MOST_ITERATIONS = 20_000
"""Iterations after which a pixel is given up; well-conditioned references take some ten."""

TOLERANCE = 1e-6
"""Absolute and relative tolerance of both residuals, in units of the coefficients."""

RELAXATION = 1.8
"""Over-relaxation (Boyd et al., section 3.4.3)."""

CHECKED_EVERY = 5
"""Iterations between stop tests after the first."""


class AdmmSolver:
    """Minimises ||R x - z|| with x in a convex set, for projected spectra z (K, n), in double precision.

    Each iteration solves the penalised least squares for x, projects on the set to give v, and adds what they
    differ by to the scaled multipliers u.  The penalty is the geometric mean of the largest and smallest eigenvalue
    of R'R, the best one for a quadratic problem (E. Ghadimi, A. Teixeira, I. Shames and M. Johansson, IEEE Trans.
    Autom. Control 60, 644 (2015), doi:10.1109/TAC.2014.2354892); columns are scaled to equal length before.

    A pixel stops when both residuals are below ``TOLERANCE * (sqrt(K) * scale + max(||x||, ||v||))``, the scale
    being the length of its free solution.  The primal residual ||x - v|| is multiplied by the root of the condition
    number and the dual one, rho ||v - v_before||, divided by the smallest eigenvalue: so both bound the distance of
    v from the solution, in units of x.
    """

    maps = ("iterations", "primal_residual", "dual_residual", "unconverged")

    def __init__(
        self,
        r: Matrix,
        constraint: Constraint,
        *,
        tolerance: float = TOLERANCE,
        most_iterations: int | None = None,
    ) -> None:
        k = r.shape[1]
        self._to_one, self._bounded = sums_to_one(constraint), bounded(constraint)
        self._tolerance, self._most = tolerance, most_iterations or MOST_ITERATIONS
        self._lengths = np.ones(k) if self._to_one else np.linalg.norm(r, axis=0)
        self._r = r / self._lengths
        normal = self._r.T @ self._r
        eigenvalues = np.linalg.eigvalsh(normal)
        self._smallest = max(float(eigenvalues[0]), np.finfo(float).tiny)
        self._rho = float(np.sqrt(self._smallest * eigenvalues[-1]))
        self._amplified = float(np.sqrt(eigenvalues[-1] / self._smallest))
        self._inverse = np.linalg.inv(normal + self._rho * np.eye(k))
        self._free = np.linalg.pinv(self._r)

    def __call__(self, z: FloatArray, out: Mapping[str, FloatArray]) -> FloatArray:
        """Return coefficients (K, n) and fill the `maps` in `out`; spectra that are NaN stay NaN."""
        result = np.full(z.shape, np.nan)
        for name in self.maps:
            out[name].fill(np.nan)
        valid = np.flatnonzero(np.isfinite(z).all(axis=0))
        if valid.size:
            self._iterate(z[:, valid].astype(np.float64), valid, result, out)
        result /= self._lengths[:, None]
        return result.astype(z.dtype)

    def _iterate(self, z: Matrix, pixels: Any, result: Matrix, out: Mapping[str, FloatArray]) -> None:
        """Go on with the pixels that have not converged until there are none."""
        fixed = self._inverse @ (self._r.T @ z)
        free = self._free @ z
        least = self._tolerance * np.sqrt(len(z)) * (1.0 if self._to_one else np.linalg.norm(free, axis=0))
        least = np.broadcast_to(least, pixels.shape)
        v = self._nearest(free)
        u = np.zeros_like(v) if self._to_one else self._multipliers(v, z)
        for iteration in range(1, self._most + 1):
            x = self._rho * (self._inverse @ (v - u)) + fixed
            before, relaxed = v, RELAXATION * x + (1 - RELAXATION) * v
            v = self._nearest(relaxed + u)
            u += relaxed - v
            if iteration % CHECKED_EVERY != 1 and iteration != self._most:
                continue
            primal = np.linalg.norm(x - v, axis=0)
            dual = self._rho * np.linalg.norm(v - before, axis=0)
            size = np.maximum(np.linalg.norm(x, axis=0), np.linalg.norm(v, axis=0))
            enough = least + self._tolerance * size
            done = np.maximum(self._amplified * primal, dual / self._smallest) <= enough
            stop = done | (iteration == self._most)
            if not stop.any():
                continue
            where = pixels[stop]
            result[:, where] = v[:, stop]
            out["iterations"][where] = iteration
            out["primal_residual"][where], out["dual_residual"][where] = primal[stop], dual[stop]
            out["unconverged"][where] = ~done[stop]
            if stop.all():
                return
            on = ~stop
            pixels, fixed, v, u, least = pixels[on], fixed[:, on], v[:, on], u[:, on], least[on]

    def _multipliers(self, v: Matrix, z: Matrix) -> Matrix:
        """Return the scaled multipliers (K, n) that would make `v` the solution: not positive where v is zero."""
        u = self._r.T @ (z - self._r @ v) / self._rho
        return np.where(v > 0, 0, np.minimum(u, 0)) if self._bounded else np.zeros_like(v)

    def _nearest(self, x: Matrix) -> Matrix:
        """Return the point (K, n) of the set that is nearest to `x`."""
        if not self._to_one:
            return np.maximum(x, 0) if self._bounded else x.copy()
        if not self._bounded:
            shifted: Matrix = x + (1 - x.sum(axis=0)) / len(x)
            return shifted
        return nearest_fractions(x)


def nearest_fractions(x: Matrix) -> Matrix:
    """Return the nearest points (K, n) with no negative entry that sum to one (M. Held et al., doi:10.1007/BF01580223)."""
    descending = -np.sort(-x, axis=0)
    counts = np.arange(1, len(x) + 1)[:, None]
    levels = (np.cumsum(descending, axis=0) - 1) / counts
    n_free = np.maximum((descending > levels).sum(axis=0), 1)
    level = np.take_along_axis(levels, n_free[None] - 1, axis=0)
    nearest: Matrix = np.maximum(x - level, 0)
    return nearest
