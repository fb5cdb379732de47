"""The noise before and after the edge, and with it the errors of the edge step and of the thickness.

Each window tells its own, as counts are fewer after the edge.  Of few energies the scatter of one pixel says next to
nothing; there it is backed by that of all others (see `engine.pooled`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from napari_xanes._core.edge.curves import STEP, EdgeCurves, Matrix
from napari_xanes._core.engine.pooled import ENOUGH, PooledNoise

FloatArray = NDArray[np.floating[Any]]

TELLING = 8.0
"""Degrees of freedom from which on a window tells its own noise without other pixels."""

SUREST = 8.0
"""Standard errors beyond which the tail of Student's distribution is not followed."""


class WindowNoise:
    """Variances of the noise in both windows, and of combinations of the coefficients.

    Parameters
    ----------
    curves : EdgeCurves
    pre, post : array of int
        Indices of the energies in the windows.
    apart : bool
        Whether each curve has its own window, so that each tells its noise.
    spectra : array (E, n)
        Of sampled pixels.

    Attributes
    ----------
    freedom : float
        Degrees of freedom of one pixel in both windows; with less than half a one nothing is told.
    sampled : (array (n,), array (n,))
        Edge steps of the sampled pixels and their standard errors; none where nothing is told.
    """

    def __init__(
        self,
        curves: EdgeCurves,
        pre: NDArray[np.intp],
        post: NDArray[np.intp],
        apart: bool,
        spectra: FloatArray,
    ) -> None:
        self._curves, self._windows = curves, (pre, post)
        both = np.concatenate([curves.pre_curve[pre], curves.post_curve[post]])
        rest = np.eye(len(both)) - both @ np.concatenate([curves.from_pre, curves.from_post], axis=1)
        left = (rest**2).sum(axis=1)
        own = left[: pre.size].sum(), left[pre.size :].sum()
        self.freedom = round(float(sum(own)), 6)
        self._own = [float(o) for o in own]
        self._apart = apart and min(own) > 0.9
        self._pools: list[PooledNoise | None] = [None, None]
        self.sampled: tuple[FloatArray, FloatArray] = np.zeros(0), np.zeros(0)
        if self.freedom < 0.5:
            return
        data = spectra[np.concatenate(self._windows)].astype(np.float64)
        found = curves.coefficients(data[: pre.size], data[pre.size :])
        rest = data - both @ found
        squares = [np.einsum("ij,ij->j", r, r) for r in (rest[: pre.size], rest[pre.size :])]
        self._pools = [_pool(part, o, found[STEP]) for part, o in zip(squares, self._own, strict=True)]
        alone = [o < TELLING and pool is None for o, pool in zip(self._own, self._pools, strict=True)]
        if not self._apart or any(alone):
            self._apart, self._own = False, [self.freedom, self.freedom]
            self._pools = [_pool(squares[0] + squares[1], self.freedom, found[STEP])] * 2
        variances = self.variances(squares[0], squares[1], found[STEP])
        self.sampled = found[STEP], self.sigma(np.eye(len(found))[STEP], variances)

    def variances(self, before: FloatArray, after: FloatArray, step: FloatArray) -> list[FloatArray]:
        """Return the variances (n,) of the noise in each window, from the sums of squared residuals in them."""
        if not self._apart:
            before = after = before + after
        found = []
        for squares, own, pool in zip((before, after), self._own, self._pools, strict=True):
            found.append(squares / squares.dtype.type(own) if pool is None else pool(squares, own, step))
        return found

    def sigma(self, weights: Matrix, variances: list[FloatArray]) -> FloatArray:
        """Return the standard error (n,) of a combination of the coefficients (m,)."""
        parts = [
            float(((weights @ part) ** 2).sum()) for part in (self._curves.from_pre, self._curves.from_post)
        ]
        sigma: FloatArray = np.sqrt(
            variances[0] * variances[0].dtype.type(parts[0])
            + variances[1] * variances[1].dtype.type(parts[1])
        )
        return sigma

    def limit(self, gate: float) -> float:
        """Return how many standard errors are as rare in pixels without a step as `gate` is of noise that is known."""
        known = min(
            o + (0.0 if pool is None else pool.freedom)
            for o, pool in zip(self._own, self._pools, strict=True)
        )
        at = min(gate, SUREST)
        return gate * -float(stdtrit(known, ndtr(-at))) / at


def _pool(squares: FloatArray, freedom: float, step: FloatArray) -> PooledNoise | None:
    """Return what all pixels tell of the noise, where one does not tell enough."""
    if freedom >= ENOUGH:
        return None
    pool = PooledNoise(squares, np.full(squares.shape, freedom), step)
    return pool if pool.known else None
