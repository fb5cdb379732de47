"""Standard errors of fractions, also where coefficients are held at zero.

Without bounds the covariance of the coefficients is propagated to their ratios.  Where references are held at
zero, the free ones have the covariance of the smaller fit, and each held one the width that the data leave it on
its side of the bound: the root mean square of a normal distribution about the value it would take, cut at zero
(N. L. Johnson, S. Kotz and N. Balakrishnan, Continuous Univariate Distributions, vol. 1, 1994, chapter 13).  That
width goes on into the other fractions, because all sum to one.  So sigma is continuous where a coefficient reaches
its bound, and a fraction of exactly one has an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.solve.active_sets import bounded, covariance, solution, sums_to_one
from napari_xanes._core.solve.design import Constraint, FloatArray, Matrix
from napari_xanes._core.solve.propagation import for_fractions, of_set

FARTHEST = 1e6
"""Distance beyond the bound, in standard errors, that is told from none: where there is no noise it is infinite."""


@dataclass(frozen=True, eq=False)
class _Widths:
    """Of one set of free references, for noise of one: see `FractionSigma._widths`."""

    own: FloatArray
    let_in: FloatArray
    farther: FloatArray
    polynomial: FloatArray


class FractionSigma:
    """Fills the standard error of fractions (K, n) = coefficients over their sum, in one precision.

    `covariances` (F, K, K) are those of the projected spectra, by features of each pixel (see `propagation`).
    """

    def __init__(self, r: Matrix, constraint: Constraint, covariances: Matrix, dtype: Any) -> None:
        k = r.shape[1]
        self._r, self._dtype, self._covariances = r, np.dtype(dtype), covariances
        self._r_rounded = r.astype(dtype)
        self._to_one, self.bounded = sums_to_one(constraint), bounded(constraint)
        self._every = for_fractions(self._of_set(tuple(range(k))), dtype)
        self._all = (1 << k) - 1
        self._bits = next(t for t in (np.uint8, np.uint16, np.uint32, np.uint64) if k <= np.iinfo(t).bits)
        self._known: dict[int, _Widths] = {}

    def _of_set(self, chosen: tuple[int, ...]) -> Matrix:
        return of_set(self._covariances, solution(self._r, chosen, self._to_one)[0])

    def free(self, x: FloatArray) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return which coefficients are not held at zero (n,), bit k set where coefficient k is positive; and how many."""
        free: NDArray[Any] = np.zeros(x.shape[1], self._bits)
        count = np.zeros(x.shape[1], np.uint8)
        for k, row in enumerate(x):
            positive = row > 0
            free |= positive.astype(self._bits) << self._bits(k)
            count += positive
        return free, count

    def terms(self, features: FloatArray) -> FloatArray:
        """Return (2K + 1, n), for noise of one: variances of coefficients, covariances with their sum, that of their sum.

        With a single feature they are the same in all pixels, and are returned for one, (2K + 1, 1).
        """
        if len(features) == 1:
            return self._every
        terms: FloatArray = self._every @ features
        return terms

    def fill(
        self,
        x: FloatArray,
        z: FloatArray,
        fractions: FloatArray,
        noise: FloatArray,
        free: NDArray[Any] | None,
        features: FloatArray,
        terms: FloatArray,
        sigma: FloatArray,
        total: FloatArray | None = None,
    ) -> None:
        """Fill `sigma` from coefficients `x`, projected spectra `z` and the noise (n,) of one spectrum's values.

        It is NaN where the fractions are.  `total` (n,) is what coefficients are divided by, by default their sum.
        """
        scale = noise / (x.sum(axis=0) if total is None else total)
        k = len(x)
        variance = terms[-1] * fractions
        variance -= 2 * terms[k : 2 * k]
        variance *= fractions
        variance += terms[:k]
        np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
        np.multiply(variance, scale, out=sigma)
        if free is not None and (held := np.flatnonzero((free != self._all) & (free != 0))).size:
            held = held[np.argsort(free[held], kind="stable")]
            x, z, f = (a.take(held, axis=1) for a in (x, z, fractions))
            features = features[:, : held.size] if len(features) == 1 else features.take(held, axis=1)
            variance = self._variances_held(x, z, f, noise[held], free[held], features)
            np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
            variance *= scale[held]
            for row, values in zip(sigma, variance, strict=True):
                row[held] = values

    def _variances_held(
        self,
        x: FloatArray,
        z: FloatArray,
        f: FloatArray,
        noise: FloatArray,
        free: NDArray[Any],
        features: FloatArray,
    ) -> FloatArray:
        """Return variances for noise and sum of one where a coefficient is zero, pixels being sorted by `free`."""
        r, (k, n), tiny = self._r_rounded, x.shape, np.finfo(self._dtype).tiny
        slope = r.T @ (r @ x - z)
        if self._to_one:
            slope -= np.einsum("ij,ij->j", slope, x)  # what all free ones have in common
        slope /= np.maximum(noise, tiny)
        starts = np.flatnonzero(np.diff(free, prepend=free[0] + self._bits(1)))
        parts = [slice(a, b) for a, b in zip(starts, [*starts[1:], n], strict=True)]
        sets = [self._widths(int(free[start])) for start in starts]
        squares, terms = np.empty((k, n), self._dtype), np.empty((3 * k, n), self._dtype)
        for part, w in zip(parts, sets, strict=True):
            error = np.sqrt(np.maximum(_of(w.let_in, features[:, part]), 0))
            beyond = slope[:, part]
            beyond *= w.farther
            beyond /= np.maximum(error, tiny)
            squares[:, part] = error**2
        width = cut_normal(slope)
        width *= squares
        for part, w in zip(parts, sets, strict=True):
            np.matmul(w.polynomial, width[:, part], out=terms[:, part])
            terms[:, part] += _of(w.own, features[:, part])
        constant, linear, square = terms.reshape(3, k, n)
        variance: FloatArray = square
        variance *= f
        variance += linear
        variance *= f
        variance += constant
        return variance

    def _widths(self, free: int) -> _Widths:
        """Return what is needed of the set whose bits are in `free`.

        That is what features are multiplied with for the polynomial of the free references' own covariance (`own`) and
        for the variance of the coefficient of each held reference j (others being zero) if it is let in; how far it then goes for a
        slope of one; and the polynomial in a fraction f (coefficients of f^0, f^1, f^2 for each reference) that
        says how its variance goes on into that fraction: (v_k - f sum(v))^2, with the direction v in which the coefficients
        then go.
        """
        if (known := self._known.get(free)) is not None:
            return known
        k = self._r.shape[1]
        chosen = tuple(i for i in range(k) if free >> i & 1)
        directions, farther = np.zeros((k, k)), np.zeros((k, 1))
        let_in = np.zeros((k, len(self._covariances)))
        for j in set(range(k)) - set(chosen):
            both = tuple(sorted((*chosen, j)))
            column = covariance(self._r, both, self._to_one)[:, j]
            if column[j] > 0:
                directions[:, j], farther[j] = column / column[j], column[j]
                let_in[j] = self._of_set(both)[:, j, j]
        sums = directions.sum(axis=0)
        terms = (directions**2, -2 * directions * sums, np.broadcast_to(sums**2, (k, k)))
        own = for_fractions(self._of_set(chosen), self._dtype)
        widths = _Widths(
            np.concatenate([own[:k], -2 * own[k : 2 * k], np.repeat(own[-1:], k, axis=0)]),
            let_in.astype(self._dtype),
            farther.astype(self._dtype),
            np.concatenate(terms).astype(self._dtype),
        )
        self._known[free] = widths
        return widths


def _of(matrix: FloatArray, features: FloatArray) -> FloatArray:
    """Return the product of a matrix with features, of which a single one is one."""
    product: FloatArray = matrix if len(features) == 1 else matrix @ features
    return product


def cut_normal(beyond: FloatArray) -> FloatArray:
    """Return the mean square of a normal variable of variance one about -`beyond`, given that it is positive.

    That is 1 + a^2 - a phi(a) / Q(a), here by a rational function that is right to 0.3 %.
    """
    a = np.clip(beyond, 0, FARTHEST)
    square: FloatArray = (1 + 0.26052 * a) / (1 + a * (1.05840 + a * (0.45858 + a * 0.13123)))
    return square
