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

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx

from napari_xanes._core.active_sets import bounded, covariance, sums_to_one
from napari_xanes._core.fit_design import Constraint, FloatArray, Matrix

FARTHEST = 30.0
"""Distance beyond the bound, in standard errors, from which the width is no longer taken to shrink."""


@dataclass(frozen=True, eq=False)
class _Widths:
    """Of one set of free references, for noise of one: see `FractionSigma._widths`."""

    diagonal: Matrix
    with_sum: Matrix
    of_sum: float
    directions: Matrix
    errors: Matrix
    quadratic: tuple[Matrix, Matrix, Matrix]


class FractionSigma:
    """Fills the standard error of fractions (K, n) = coefficients over their sum."""

    def __init__(self, r: Matrix, constraint: Constraint) -> None:
        self._r, self._to_one, self._bounded = r, sums_to_one(constraint), bounded(constraint)
        full = covariance(r, tuple(range(r.shape[1])), self._to_one)
        self._diagonal, self._with_sum = np.diag(full), full.sum(axis=1)
        self.of_sum = max(float(full.sum()), 0.0)
        self._known: dict[int, _Widths] = {}

    def fill(
        self, x: FloatArray, z: FloatArray, fractions: FloatArray, noise: FloatArray, sigma: FloatArray
    ) -> None:
        """Fill `sigma` from coefficients `x`, projected spectra `z` and the noise (n,) of one spectrum's values.

        It is NaN where the fractions are.
        """
        scale = noise / x.sum(axis=0)
        for k, f in enumerate(fractions):
            variance = (self.of_sum * f - 2 * self._with_sum[k]) * f + self._diagonal[k]
            np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
            np.multiply(variance, scale, out=sigma[k])
        if self._bounded and (held := np.flatnonzero((x <= 0).any(axis=0))).size:
            scale[np.isnan(fractions[0])] = np.nan
            self._fill_held(held, x, z, noise, scale, sigma)

    def _fill_held(
        self,
        held: NDArray[np.intp],
        x: FloatArray,
        z: FloatArray,
        noise: FloatArray,
        scale: FloatArray,
        sigma: FloatArray,
    ) -> None:
        """Do the pixels `held` in which a coefficient is zero, one set of free references after the other."""
        bits = (1 << np.arange(len(x)))[:, None]
        free = ((x[:, held] > 0) * bits).sum(axis=0)
        order = np.argsort(free, kind="stable")
        held, free = held[order], free[order]
        x, z, noise = x[:, held], z[:, held], noise[held]
        r = self._r.astype(x.dtype)
        slope = r.T @ (r @ x - z)
        shares = x / x.sum(axis=0)
        filled = np.empty_like(x)
        starts = np.flatnonzero(np.diff(free, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], free.size], strict=True):
            part = slice(start, stop)
            widths = self._widths(int(free[start]))
            filled[:, part] = _variances(widths, slope[:, part], shares[:, part], noise[part])
        sigma[:, held] = np.sqrt(np.maximum(filled, 0, out=filled)) * scale[held]

    def _widths(self, free: int) -> _Widths:
        """Return what is needed of the set whose bits are in `free`.

        For each held reference j (others being zero): the direction v in which the coefficients go when it is let
        in, the standard error of its coefficient then, and the polynomial in a fraction f that says how its
        variance goes on into that fraction, (v_k - f sum(v))^2.
        """
        if (known := self._known.get(free)) is not None:
            return known
        k = self._r.shape[1]
        chosen = tuple(i for i in range(k) if free >> i & 1)
        inner = covariance(self._r, chosen, self._to_one)
        directions, errors = np.zeros((k, k)), np.zeros(k)
        for j in set(range(k)) - set(chosen):
            column = covariance(self._r, tuple(sorted((*chosen, j))), self._to_one)[:, j]
            if column[j] > 0:
                directions[:, j], errors[j] = column / column[j], np.sqrt(column[j])
        sums = directions.sum(axis=0)
        terms = (directions**2, -2 * directions * sums, np.broadcast_to(sums**2, (k, k)))
        quadratic = (terms[0] * errors**2, terms[1] * errors**2, terms[2] * errors**2)
        widths = _Widths(np.diag(inner), inner.sum(axis=1), float(inner.sum()), directions, errors, quadratic)
        self._known[free] = widths
        return widths


def _variances(w: _Widths, slope: FloatArray, f: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the variances of fractions `f` (K, n) for noise and sum of one, where the references of `w` are free."""
    tiny = np.finfo(noise.dtype).tiny
    beyond = (w.directions.T.astype(f.dtype) @ slope) * w.errors[:, None].astype(f.dtype)
    beyond /= np.maximum(noise, tiny)
    width = cut_normal(beyond)
    constant, linear, square = (q.astype(f.dtype) @ width for q in w.quadratic)
    constant += w.diagonal[:, None].astype(f.dtype)
    linear -= 2 * w.with_sum[:, None].astype(f.dtype)
    square += f.dtype.type(w.of_sum)
    variance: FloatArray = (square * f + linear) * f + constant
    return variance


def cut_normal(beyond: FloatArray) -> FloatArray:
    """Return the mean square of a normal variable of variance one about -`beyond`, given that it is positive."""
    a = np.clip(beyond, 0, FARTHEST)
    square: FloatArray = 1 + a * (
        a - np.sqrt(2 / np.pi, dtype=a.dtype) / erfcx(a * a.dtype.type(np.sqrt(0.5)))
    )
    return square
