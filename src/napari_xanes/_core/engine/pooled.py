"""The noise of a pixel from its own residuals and those of all others: of few energies, its own say next to nothing.

Where noise is the same in all pixels the residuals of all together tell it.  Where it differs, it differs mostly with
the thickness, which it is taken to follow; what is left of differences is seen in how residuals scatter more than
chance makes them, and decides how much a pixel's own count.  This is the moderated variance of G. K. Smyth, Stat. Appl.
Genet. Mol. Biol. 3, 3 (2004), doi:10.2202/1544-6115.1027, with a trend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

FloatArray = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

LEARNED_FROM = 5000
"""Pixels from which the noise is learned, at most."""

ENOUGH = 30
"""Degrees of freedom from which on a pixel's own residuals tell its noise well enough."""

FEWEST = 40
"""Pixels without which nothing is learned from others."""

PER_KNOT, MOST_KNOTS = 150, 16
"""Pixels at least for each knot of the trend with thickness, and knots at most."""

SPREAD = 0.2
"""Range of levels (optical density, or logarithm of the thickness) below which they are taken for one."""

ALIKE = 1e6
"""Degrees of freedom of what others tell that stand for infinitely many."""


class PooledNoise:
    """Learns from sampled pixels, and gives the variance of the noise of any.

    Parameters
    ----------
    squares, freedom : array (n,)
        Sums of squared residuals of sampled pixels, and their degrees of freedom.
    level : array (n,), optional
        What the noise may depend on, as the thickness.
    """

    def __init__(self, squares: FloatArray, freedom: FloatArray, level: FloatArray | None) -> None:
        s, d = np.asarray(squares, np.float64), np.broadcast_to(freedom, squares.shape).astype(np.float64)
        used = np.isfinite(s) & (s > 0) & (d > 0)
        if level is not None:
            used &= np.isfinite(level)
        self.known = int(used.sum()) >= max(FEWEST, squares.size // 10)
        if not self.known:
            return
        s, d = s[used], d[used]
        few, which = np.unique(d, return_inverse=True)  # the functions of them take long
        scatter = np.log(s / d) - (digamma(few / 2))[which] + np.log(d / 2)
        at = np.zeros(s.size) if level is None else np.asarray(level, np.float64)[used]
        groups = _groups(at)
        self._knots = np.array([at[g].mean() for g in groups])
        self._heights = np.array([scatter[g].mean() for g in groups])
        rest = scatter - np.interp(at, self._knots, self._heights)
        left = float(rest.var() - polygamma(1, few / 2)[which].mean())
        doubt = 3 * np.sqrt((rest**4).mean() / rest.size)  # what chance makes of it
        self.freedom = ALIKE if left < doubt else min(2 * _inverse_trigamma(left), ALIKE)
        if self.freedom == ALIKE:  # of the mean the logarithm, not of the logarithm the mean
            self._heights = np.array([np.log(s[g].sum() / d[g].sum()) for g in groups])
        else:
            self._heights += digamma(self.freedom / 2) - np.log(self.freedom / 2)

    @property
    def by_level(self) -> bool:
        """Whether the variance depends on the level of the pixels."""
        return self._heights.size > 1

    def __call__(self, squares: FloatArray, freedom: Any, level: FloatArray | None = None) -> FloatArray:
        """Return the variance (n,) of the noise of pixels; where the level is NaN, as of no thickness, as at the lowest."""
        heights = self._heights
        if self.by_level and level is not None:
            heights = np.interp(np.where(np.isnan(level), self._knots[0], level), self._knots, heights)
        prior = np.exp(heights).astype(squares.dtype)
        if self.freedom == ALIKE:
            return np.where(np.isfinite(squares), prior, np.nan).astype(squares.dtype)
        own = np.where(np.isfinite(freedom), freedom, 0).astype(squares.dtype)
        part = np.where(own > 0, squares, 0 * squares)
        total: FloatArray = (self.freedom * prior + part) / (self.freedom + own)
        return total.astype(squares.dtype)


def learned_from(n: int) -> slice:
    """Return which of n sampled pixels the noise is learned from."""
    return slice(None, None, max(1, -(-n // LEARNED_FROM)))


def pooled(squares: FloatArray, freedom: Any, level: FloatArray) -> PooledNoise | None:
    """Return what pixels tell of each other's noise; None if they are too few."""
    pool = PooledNoise(squares, np.nan_to_num(np.broadcast_to(freedom, squares.shape)), level)
    return pool if pool.known else None


def _groups(at: Float64) -> list[NDArray[np.intp]]:
    """Return the pixels about each knot, in the order of their levels."""
    count = max(1, min(MOST_KNOTS, at.size // PER_KNOT)) if differs(at) else 1
    return np.array_split(np.argsort(at, kind="stable"), count)


def differs(level: FloatArray) -> bool:
    """Return whether levels (n,) differ by more than noise, which they would otherwise be sorted by."""
    return bool(np.ptp(np.quantile(level, (0.05, 0.95))) > SPREAD)


def _inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = value, by Newton's method as Smyth has it."""
    x = 0.5 + 1 / value
    for _ in range(50):
        there = float(polygamma(1, x))
        step = there * (1 - there / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x
