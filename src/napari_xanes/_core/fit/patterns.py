"""What a wrong energy scale, another resolution or a flattened white line would leave of the references.

Each cause makes a pattern over the energies, known up to its size: the difference between the references as they
are and as they would be.  Small shifts give the first derivative of the references, small changes of the
resolution the second; as both may be large, the differences are taken themselves, for several sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import FloatArray

Matrix = NDArray[np.float64]

SHIFTS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""eV by which references are tried to be off, up and down."""

WIDTHS = (0.3, 0.6, 1.0, 1.5, 2.2)
"""eV (standard deviation) by which references are broadened."""

WORST_SPOILED = 30.0
"""Condition number up to which spoiled coefficients are put right."""

Cause = Literal[
    "energy shift", "resolution", "thickness", "flicker", "alignment", "missing reference", "unclear"
]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Of K references at e energies.

    Attributes
    ----------
    energy : array (e,)
    references : array (e, K)
    shifts, widths : dict of float to array (e, K)
        What is left where data are shifted up, or broadened, by so many eV; negative widths are of sharper data.
    background : array (e, B)
        What is fitted along.
    """

    energy: Matrix
    references: Matrix
    shifts: dict[float, Matrix]
    widths: dict[float, Matrix]
    background: Matrix

    def absorbed(self, pattern: Matrix) -> Matrix:
        """Return what the fit makes of patterns (e, n): coefficients of the references (K, n)."""
        found: Matrix = self._solve @ pattern
        return found

    @cached_property
    def _solve(self) -> Matrix:
        columns = np.c_[self.background, self.references]
        solve: Matrix = np.linalg.pinv(columns)[self.background.shape[1] :]
        return solve


def patterns_of(
    references: Sequence[Reference],
    energy: Matrix,
    background: Matrix,
    measured: Sequence[Reference] | None = None,
) -> Patterns:
    """Return the patterns of references, which keep their end values beyond their ends.

    References that were brought to the energies of the data have lost what lies between; their patterns are taken from
    those `measured`, as far as these are the same but for a factor and a line.
    """
    plain = np.stack([np.interp(energy, r.energy, r.mu) for r in references], axis=-1)
    curves = [_Curve(r) for r in measured or references]

    def at(energies: Matrix) -> Matrix:
        return np.stack([curve(energies) for curve in curves], axis=-1)

    here = at(energy)
    factor = np.ones(len(curves))
    if measured is not None:
        line = np.stack([np.ones_like(energy), _along(energy, float(energy.mean()))], axis=1)
        for k, (own, other) in enumerate(zip(here.T, plain.T, strict=True)):
            factor[k] = np.linalg.lstsq(np.column_stack([own, line]), other, rcond=None)[0][0]
    shifts = {s: (at(energy - s) - here) * factor for size in SHIFTS for s in (size, -size)}
    widths = {}
    for width in WIDTHS:
        nodes = energy[:, None] - width * _NODES
        broadened = np.einsum("enk,n->ek", at(nodes), _WEIGHTS / _WEIGHTS.sum())
        widths[width] = (broadened - here) * factor
        widths[-width] = -widths[width]
    return Patterns(energy, plain, shifts, widths, background)


class _Curve:
    """A reference between its points, by cubic polynomials with the slopes there, as these may be far apart."""

    def __init__(self, reference: Reference) -> None:
        self._energy, self._mu = reference.energy, reference.mu
        self._slope = np.gradient(self._mu, self._energy)

    def __call__(self, energy: Matrix) -> Matrix:
        known, mu, slope = self._energy, self._mu, self._slope
        at = energy.clip(known[0], known[-1])
        i = np.clip(np.searchsorted(known, at) - 1, 0, known.size - 2)
        step = known[i + 1] - known[i]
        t = (at - known[i]) / step
        risen = t * t * (3 - 2 * t)
        bent = t * (1 - t) * step * ((1 - t) * slope[i] - t * slope[i + 1])
        values: Matrix = (1 - risen) * mu[i] + risen * mu[i + 1] + bent
        return values


def _along(energy: Matrix, center: float) -> Matrix:
    return (energy - center) / max(float(np.ptp(energy)), 1e-12)


def explained_columns(patterns: Patterns, mean: Matrix, slopes: bool) -> Matrix:
    """Return what counts as explained (e, c): references and background, and what normalisation leaves.

    The latter are a line in energy, and the references times energy, because lines before and after the edge are not
    exact.  Of few energies only the mixture `mean` (K,) is taken times energy, which is counted from the edge, where
    the references differ most.  Of many energies a curvature of the background counts, too.
    """
    energy, known = patterns.energy, patterns.references
    columns = [patterns.background, known]
    mixture = known @ mean
    edge = float(energy[:-1][np.argmax(np.diff(mixture) / np.diff(energy))])
    x = _along(energy, edge)[:, None]
    many = energy.size >= 3 * (2 * known.shape[1] + 2)
    if slopes:
        columns += [np.ones_like(x), x, known * x if many else mixture[:, None] * x]
    if many:
        columns.append(x**2)
    return np.concatenate(columns, axis=1)


def candidates(patterns: Patterns, mean: Matrix) -> Iterator[tuple[Cause, float, Matrix]]:
    """Give each cause, a size, and its pattern (e, q) for every weight; `mean` (K,) is the mixture at thickness one."""
    k, known = mean.size, patterns.references
    pairs = list(combinations_with_replacement(range(k), 2))
    empty = np.zeros((patterns.energy.size, k + 2 * len(pairs) + 2))
    sized: list[tuple[Cause, dict[float, Matrix]]] = [
        ("energy shift", patterns.shifts),
        ("resolution", patterns.widths),
    ]
    for cause, sizes in sized:
        for size, pattern in sizes.items():
            own, common = empty.copy(), empty.copy()
            own[:, :k], common[:, k] = pattern, pattern @ mean
            yield cause, size, own
            yield cause, size, common
            if (before := _before(patterns, pattern)) is not None:
                righted = empty.copy()
                righted[:, :k] = pattern @ before
                yield cause, size, righted
    own, common = empty.copy(), empty.copy()
    squares = np.stack([known[:, i] * known[:, j] * (1 if i == j else 2) for i, j in pairs], axis=1)
    curve = known @ mean
    start = k + 1
    own[:, start : start + len(pairs)] = -squares / 2
    common[:, start : start + len(pairs)] = -(curve**2)[:, None] * [1 if i == j else 2 for i, j in pairs] / 2
    yield "thickness", 1.0, own.copy()
    yield "thickness", 1.0, common
    own[:, start + len(pairs) : -1] = -squares * curve[:, None] / 6
    yield "thickness", 1.0, own


def _before(patterns: Patterns, pattern: Matrix) -> Matrix | None:
    """Return the matrix (K, K) that gives true coefficients from those fitted, which the pattern has spoiled."""
    spoiled = np.eye(pattern.shape[1]) + patterns.absorbed(pattern)
    if np.linalg.cond(spoiled) > WORST_SPOILED:
        return None
    righted: Matrix = np.asarray(np.linalg.inv(spoiled), np.float64)
    return righted


def weights_of(coefficients: FloatArray) -> FloatArray:
    """Return what residuals are summed with (q, n).

    That is the amounts of the K references, their sum, the products of each two amounts, these times the sum, and one.
    """
    total = coefficients.sum(axis=0)
    pairs = combinations_with_replacement(range(len(coefficients)), 2)
    products = [coefficients[i] * coefficients[j] for i, j in pairs]
    return np.stack([*coefficients, total, *products, *(p * total for p in products), np.ones_like(total)])
