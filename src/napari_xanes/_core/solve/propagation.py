"""How noise of the measured values goes into the coefficients of a fit, and into what the fit leaves.

Two things make that more than a covariance matrix for white noise.  Spectra that were normalised share the errors of
their lines, which depend on the spectrum itself (see `data.jacobian`); so covariances are polynomials of second
order in the coefficients.  And noise is not the same at all energies: counts are fewer after the edge, more so in thick
pixels, and images that were moved or merged have less.  How it is spread over the energies is learned from what the fit
leaves of many pixels, at a few levels of their thickness: the covariance is the pooled form of that of H. White,
Econometrica 48, 817 (1980), doi:10.2307/1912934.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.engine.pooled import differs
from napari_xanes._core.solve.design import Design, FloatArray, Matrix
from napari_xanes._core.solve.still_noise import Origin, still_noise

MOST_QUADRATIC = 8
"""References up to which covariances follow the coefficients of each pixel; of more, those of the mean pixel are taken."""

LIMITS = (-1.0, 2.0)
"""Coefficients of normalised spectra beyond these are noise, and are taken to be at them."""

FEWEST, PER_KNOT, MOST_KNOTS = 100, 400, 4
"""Pixels from which on it is learned how noise is spread over the energies; at least for each level; levels at most."""

WILD = 10.0
"""Pixels that leave this many times the median are not learned from."""

NOTHING = 1e-6
"""Share of the noise that must be left for its strength to be told."""

TOLD = 1e-3
"""By how much noise of counting must agree better or worse with what is left than even noise for that to tell."""

ENOUGH_FOR_MEDIAN = 200
"""Pixels that tell the median absorption at each energy well enough."""

ROUNDS, FLOOR = 60, 1e-3
"""Rounds in which variances are found, and the smallest, in units of their mean."""


class Propagation:
    """Covariances of the projected spectra z (K,) of a fit, and what it leaves, as features of each pixel.

    Attributes
    ----------
    covariances : array (F, K, K)
        Multiplied with the features of a pixel and added, they are the covariance of its z.
    left : array (F,)
        In the same way, the sum of (weighted) squared residuals.
    freedom : float
        Of those, in a pixel as the mean; 0 where nothing but rounding is left.
    with_thickness : array (F, K)
        In the same way, the covariance of its z with the thickness that was divided out, relative to it; zero if
        nothing was.
    """

    def __init__(self, basis: Design, fitted: NDArray[np.intp], jacobian: Jacobian | None) -> None:
        n, k = basis.references.shape
        root = np.ones(n) if basis.weights is None else np.sqrt(basis.weights)
        project = (basis.q.T * root)[-k:]
        rest = (np.eye(n) - basis.q @ basis.q.T) * root
        columns = fitted if jacobian is None else np.union1d(fitted, jacobian.used)
        if jacobian is None:
            changes = [np.eye(n)]
            self._into_thickness = np.zeros(n)
        else:
            first, second = jacobian.parts(fitted, columns)
            changes = [first, *(-row[:, None] * second for row in basis.references.T)]
            self._into_thickness = jacobian.thickness @ jacobian.functionals[:, columns] / jacobian.level
        self._into_z, self._into_rest = [project @ c for c in changes], [rest @ c for c in changes]
        self._root, self._columns, self._seen = root, columns, np.searchsorted(columns, fitted)
        self._mixed: Matrix | None = None
        self._nearest = np.abs(np.arange(columns.size)[:, None] - self._seen).argmin(axis=1)
        self._knots = np.zeros(1)
        self._typical = np.full(k, 1 / k)
        self._quadratic = jacobian is not None and k <= MOST_QUADRATIC
        self._set([np.ones(columns.size)])

    def learn(
        self,
        coefficients: FloatArray,
        residuals: FloatArray,
        level: FloatArray,
        density: Callable[[NDArray[np.intp]], FloatArray],
        origin: Origin | None = None,
    ) -> None:
        """Learn from pixels (n,) how noise is spread: by what was left (e, n), in units that are alike for all.

        They should hold clearly more of the element than noise: others would be sorted by their noise.

        `level` is what it may depend on, such as the thickness.  `density` gives the optical density (e, m) of m of the pixels
        but for a constant of each; where energies are too few to tell more, it is told whether noise is that of counting photons
        behind it, or the same at all energies; and where they do not tell that, whether it was counted, by `origin`, decides.
        """
        origin = origin or Origin()
        squares = residuals**2 if (self._root == 1).all() else (self._root[:, None] * residuals) ** 2
        power = squares.sum(axis=0)
        valid = np.isfinite(power) & np.isfinite(level) & np.isfinite(coefficients).all(axis=0)
        if valid.sum() < FEWEST or not np.median(power[valid]) > 0:
            return
        valid &= power <= WILD * np.median(power[valid])
        chosen = np.flatnonzero(valid)
        count = max(1, min(MOST_KNOTS, chosen.size // PER_KNOT)) if differs(level[chosen]) else 1
        groups = np.array_split(chosen[np.argsort(level[chosen], kind="stable")], count)
        self._typical = np.median(coefficients[:, chosen], axis=1).astype(np.float64)
        self._knots = np.array([level[g].mean() for g in groups])
        member = np.zeros((valid.size, count))
        for b, g in enumerate(groups):
            member[g, b] = 1 / g.size
        squares[:, ~valid] = 0
        means: Matrix = np.asarray(squares @ member, np.float64)
        few = [g[:: max(1, g.size // ENOUGH_FOR_MEDIAN)] for g in groups]
        typical = np.stack([np.median(density(g), axis=1) for g in few], axis=1).astype(np.float64)
        counting: Matrix = np.maximum(np.exp(typical - typical.max(axis=0)), FLOOR)
        even: Matrix = np.ones_like(counting)
        answer = self._answer()
        better = _unlikely(answer, means, even) - _unlikely(answer, means, counting)
        start = counting if better > TOLD or (origin.counted and better > -TOLD) else even
        variances = list(_spread(answer, means, start)[self._nearest].T)
        self._mixed = None
        self._set(variances)
        if origin.shifts is not None and self._find_still(residuals[:, chosen], variances, origin.shifts):
            self._set(variances)

    def _find_still(self, residuals: FloatArray, variances: list[Matrix], shifts: Matrix) -> bool:
        """Look for noise that stays while the sample moves, and return whether there is any."""
        there, weighted = shifts[self._columns], self._root[:, None] * residuals
        if not np.isfinite(there).all():
            return False
        answer = self._typical_change(self._into_rest) * np.sqrt(np.mean(variances, axis=0))
        covariances: Matrix = np.asarray(weighted @ weighted.T / weighted.shape[1], np.float64)
        correlation = still_noise(covariances, answer, there, weighted.shape[1])
        if correlation is not None:
            self._mixed = np.asarray(np.linalg.cholesky(correlation), np.float64)
        return correlation is not None

    def _noisy(self, part: Matrix, variance: Matrix) -> Matrix:
        """Return what independent values of variance one make of a part (m, c), so that noise has its variances and is correlated."""
        noisy: Matrix = part * np.sqrt(variance)
        return noisy if self._mixed is None else noisy @ self._mixed

    def _answer(self) -> Matrix:
        """Return what is left at each energy (e, e) of a variance of one at each."""
        answer = np.zeros((self._root.size, self._seen.size))
        np.add.at(answer.T, self._nearest, (self._typical_change(self._into_rest) ** 2).T)
        return answer

    def _typical_change(self, parts: list[Matrix]) -> Matrix:
        change = parts[0].copy()
        for x, part in zip(self._typical, parts[1:], strict=False):
            change += x * part
        return change

    def _set(self, variances: list[Matrix]) -> None:
        """Work out the covariances for noise that is spread so at each level."""
        z, rest = self._into_z, self._into_rest
        if not self._quadratic:
            z, rest = [self._typical_change(z)], [self._typical_change(rest)]
        pairs = list(combinations_with_replacement(range(len(z)), 2))
        covariances, left, with_thickness = [], [], []
        for a, b in pairs:
            twice = 1 if a == b else 2
            for v in variances:
                of_a, of_b = self._noisy(z[a], v), self._noisy(z[b], v)
                both = of_a @ of_b.T
                covariances.append(twice * (both + both.T) / 2)
                left.append(twice * float((self._noisy(rest[a], v) * self._noisy(rest[b], v)).sum()))
                with_thickness.append(of_b @ self._noisy(self._into_thickness[None], v)[0] * (a == 0))
        self.covariances, self.left, self._pairs = np.stack(covariances), np.array(left), pairs
        self.with_thickness = np.stack(with_thickness)
        whole = self._noisy(self._typical_change(self._into_rest), np.mean(variances, axis=0))
        of_rest = whole @ whole.T
        told = float(np.trace(of_rest)) > NOTHING * float(np.mean(variances)) * len(of_rest)
        self.freedom = float(np.trace(of_rest) ** 2 / (of_rest**2).sum()) if told else 0.0

    @property
    def by_level(self) -> bool:
        """Whether the features depend on the level of the pixels."""
        return self._knots.size > 1

    def features(self, x: FloatArray, level: FloatArray | None) -> FloatArray:
        """Return the features (F, n) of pixels with coefficients (K, n); a single one is one in all of them."""
        n, dtype = x.shape[1], x.dtype
        near = np.ones((1, n), dtype) if level is None or not self.by_level else self._near(level)
        if len(self._pairs) == 1:
            return near
        ones = np.ones(n, dtype)
        rows = [ones, *np.clip(x, *LIMITS)]
        return np.concatenate([near * (rows[a] * rows[b]) for a, b in self._pairs])

    def _near(self, level: FloatArray) -> FloatArray:
        """Return how near each level (n,) is to each knot (B, n), 0 to 1, their sum one."""
        level_or_least = np.where(np.isnan(level), level.dtype.type(self._knots[0]), level)
        at = np.interp(level_or_least, self._knots, np.arange(self._knots.size))
        near: FloatArray = np.maximum(1 - np.abs(at - np.arange(self._knots.size)[:, None]), 0)
        return near.astype(level.dtype)


def _unlikely(answer: Matrix, squares: Matrix, variances: Matrix) -> float:
    """Return how badly variances (e, B), but for a factor, agree with the mean squares (e, B) that are left at each level."""
    total = 0.0
    for mean, expected in zip(squares.T, (answer @ variances).T, strict=True):
        told = expected > NOTHING * expected.max()
        ratio = np.maximum(mean[told] / expected[told], FLOOR * mean.sum() / expected.sum())
        total += float(np.log(ratio.mean()) - np.log(ratio).mean())
    return total


def _spread(answer: Matrix, squares: Matrix, start: Matrix) -> Matrix:
    """Return the variance at each energy that measured values have, of mean one, from the mean squares (e, B) left.

    It begins as `start` (e, B), and is corrected step by step, which is maximum likelihood; so where residuals do not
    tell, it stays.
    """
    variance = start * (squares.sum(axis=0) / (answer @ start).sum(axis=0))
    floor, least = FLOOR * variance.mean(axis=0), FLOOR * squares.mean(axis=0)
    for _ in range(ROUNDS):
        expected = np.maximum(answer @ variance, least)
        gain = (answer.T @ (squares / expected**2)) / np.maximum(answer.T @ (1 / expected), 1e-30)
        variance = np.maximum(variance * np.sqrt(gain), floor)
    spread: Matrix = variance / variance.mean(axis=0)
    return spread


def of_set(covariances: Matrix, gain: Matrix) -> Matrix:
    """Return the covariances (F, K, K) of coefficients that are ``gain @ z``."""
    out: Matrix = gain @ covariances @ gain.T
    return out


def for_fractions(covariances: Matrix, dtype: Any) -> FloatArray:
    """Return what features are multiplied with (2K + 1, F) for variances of coefficients, with their sum, of their sum."""
    diagonal = np.einsum("fkk->kf", covariances)
    with_sum = covariances.sum(axis=2).T
    terms: FloatArray = np.concatenate([diagonal, with_sum, with_sum.sum(axis=0)[None]]).astype(dtype)
    return terms


def level_of(data: FloatArray, thickness: FloatArray | None) -> FloatArray:
    """Return what the noise follows: the absorption, or the thickness that was divided out."""
    if thickness is None:
        mean: FloatArray = data.mean(axis=0)
        return mean
    with np.errstate(divide="ignore", invalid="ignore"):
        level: FloatArray = np.log(np.where(thickness > 0, thickness, np.nan))
    return level
