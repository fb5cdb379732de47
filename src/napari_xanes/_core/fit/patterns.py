"""What a wrong energy scale, another resolution or a flattened white line would leave of the references.

Each cause makes a pattern over the energies, known up to its size: the difference between the references as they
are and as they would be.  Small shifts give the first derivative of the references, small changes of the
resolution the second; as both may be large, the differences are taken themselves, for several sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        """Return what the fit makes of patterns (..., e, n): coefficients of the references (..., K, n)."""
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

    nodes = [energy - width * node for width in WIDTHS for node in _NODES]
    every = at(np.stack([energy, *(energy - s for s in SHIFTS), *(energy + s for s in SHIFTS), *nodes]))
    here, moved = every[0], every[1 : 1 + 2 * len(SHIFTS)]
    factor = np.ones(len(curves))
    if measured is not None:
        line = np.stack([np.ones_like(energy), _along(energy, float(energy.mean()))], axis=1)
        for k, (own, other) in enumerate(zip(here.T, plain.T, strict=True)):
            factor[k] = np.linalg.lstsq(np.column_stack([own, line]), other, rcond=None)[0][0]
    shifts = dict(zip((*SHIFTS, *(-s for s in SHIFTS)), (moved - here) * factor, strict=True))
    at_nodes = every[1 + 2 * len(SHIFTS) :].reshape(len(WIDTHS), len(_NODES), *here.shape)
    broadened = np.einsum("wnek,n->wek", at_nodes, _WEIGHTS / _WEIGHTS.sum())
    widths = dict(zip(WIDTHS, (broadened - here) * factor, strict=True))
    widths |= {-width: -pattern for width, pattern in widths.items()}
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


@dataclass(frozen=True, eq=False)
class Candidates:
    """Causes with one unknown that are tried: causes, sizes (m,), and patterns (m, e, w) for the first w weights."""

    causes: tuple[Cause, ...]
    sizes: Matrix
    patterns: Matrix


def candidates(patterns: Patterns, mean: Matrix) -> tuple[Candidates, Candidates]:
    """Return causes to be tried; `mean` (K,) is the mixture at thickness one.

    The first need no more than the weights that are the amounts and their sum, the others all of them.
    """
    k = mean.size
    shift: Cause = "energy shift"
    width: Cause = "resolution"
    causes = [*[shift] * len(patterns.shifts), *[width] * len(patterns.widths)]
    sizes = np.array([*patterns.shifts, *patterns.widths])
    plain = np.stack([*patterns.shifts.values(), *patterns.widths.values()])
    none = np.zeros((*plain.shape[:2], 1))
    own = np.concatenate([plain, none], axis=2)
    common = np.concatenate([np.zeros_like(plain), (plain @ mean)[..., None]], axis=2)
    spoiled = np.eye(k) + patterns.absorbed(plain)  # true coefficients are had from these, where that is told
    known = np.linalg.cond(spoiled) <= WORST_SPOILED
    righted = np.concatenate([plain[known] @ np.linalg.inv(spoiled[known]), none[known]], axis=2)
    told = [cause for cause, one in zip(causes, known, strict=True) if one]
    first = Candidates(
        (*causes, *causes, *told),
        np.concatenate([sizes, sizes, sizes[known]]),
        np.concatenate([own, common, righted]),
    )
    return first, Candidates(("thickness",) * 3, np.ones(3), _flattened(patterns.references, mean))


def _flattened(known: Matrix, mean: Matrix) -> Matrix:
    """Return what spectra (e, K) leave that are flattened in proportion to their squares: (3, e, q), by three formulas."""
    k = mean.size
    pairs = list(combinations_with_replacement(range(k), 2))
    own, common, further = np.zeros((3, len(known), k + 2 * len(pairs) + 2))
    twice = np.array([1 if i == j else 2 for i, j in pairs])
    squares = np.stack([known[:, i] * known[:, j] for i, j in pairs], axis=1) * twice
    curve = known @ mean
    here = slice(k + 1, k + 1 + len(pairs))
    own[:, here] = further[:, here] = -squares / 2
    common[:, here] = -(curve**2)[:, None] * twice / 2
    further[:, here.stop : -1] = -squares * curve[:, None] / 6
    return np.stack([own, common, further])


def weights_of(coefficients: FloatArray) -> FloatArray:
    """Return what residuals are summed with (q, n).

    That is the amounts of the K references, their sum, the products of each two amounts, these times the sum, and one.
    """
    total = coefficients.sum(axis=0)
    pairs = combinations_with_replacement(range(len(coefficients)), 2)
    products = [coefficients[i] * coefficients[j] for i, j in pairs]
    return np.stack([*coefficients, total, *products, *(p * total for p in products), np.ones_like(total)])
