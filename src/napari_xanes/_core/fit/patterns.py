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
    causes : tuple of str
        "energy shift" or "resolution", m of them.
    sizes : array (m,)
        eV by which data are shifted up, or broadened; negative widths are of sharper data.
    changes : array (m, e, K)
        What is left then.
    background : array (e, B)
        What is fitted along.
    """

    energy: Matrix
    references: Matrix
    causes: tuple[Cause, ...]
    sizes: Matrix
    changes: Matrix
    background: Matrix

    def absorbed(self, pattern: Matrix) -> Matrix:
        """Return what the fit makes of patterns (..., e, n): coefficients of the references (..., K, n)."""
        found: Matrix = self._solve @ pattern
        return found

    @cached_property
    def _solve(self) -> Matrix:
        columns = np.concatenate([self.background, self.references], axis=1)
        inverse: Matrix = np.linalg.pinv(columns)  # also of columns that are dependent
        solve = inverse[self.background.shape[1] :]
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
    moved = (0.0, *SHIFTS, *(-s for s in SHIFTS), *(width * node for width in WIDTHS for node in _NODES))
    every = _between(measured or references, energy - np.array(moved)[:, None])
    here, shifted = every[0], every[1 : 1 + 2 * len(SHIFTS)]
    factor = np.ones(len(references))
    if measured is not None:
        line = np.stack([np.ones_like(energy), _along(energy, float(energy.mean()))], axis=1)
        for k, (own, other) in enumerate(zip(here.T, plain.T, strict=True)):
            factor[k] = np.linalg.lstsq(np.column_stack([own, line]), other, rcond=None)[0][0]
    at_nodes = every[1 + 2 * len(SHIFTS) :].reshape(len(WIDTHS), len(_NODES), *here.shape)
    broadened = np.einsum("wnek,n->wek", at_nodes, _WEIGHTS / _WEIGHTS.sum())
    changes = np.concatenate([shifted - here, broadened - here, here - broadened]) * factor
    sizes = np.array([*moved[1 : 1 + len(shifted)], *WIDTHS, *(-w for w in WIDTHS)])
    shift: Cause = "energy shift"
    width: Cause = "resolution"
    causes = (*[shift] * len(shifted), *[width] * (2 * len(WIDTHS)))
    return Patterns(energy, plain, causes, sizes, changes, background)


def _between(references: Sequence[Reference], energy: Matrix) -> Matrix:
    """Return references at energies (..., K).

    Between their points, which may be far apart, they are cubic polynomials with the slopes there.
    """
    values = np.empty((*energy.shape, len(references)))
    known = np.empty(0)
    for k, reference in enumerate(references):
        if not np.array_equal(reference.energy, known):  # mostly all are of one file
            known = reference.energy
            at = energy.clip(known[0], known[-1])
            i = np.clip(np.searchsorted(known, at) - 1, 0, known.size - 2)
            step = known[i + 1] - known[i]
            t = (at - known[i]) / step
            risen, bent = t * t * (3 - 2 * t), t * (1 - t) * step
        mu, slope = reference.mu, np.gradient(reference.mu, known)
        values[..., k] = mu[i] + risen * (mu[i + 1] - mu[i]) + bent * ((1 - t) * slope[i] - t * slope[i + 1])
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
    """Causes with one unknown that are tried: causes, sizes (m,), and patterns for the first w weights.

    These are made of `plain` (p, e, r), of which each cause has the one `of` (m,), by matrices `mixed` (m, r, w).
    """

    causes: tuple[Cause, ...]
    sizes: Matrix
    plain: Matrix
    of: NDArray[np.intp]
    mixed: Matrix

    def pattern(self, i: int) -> Matrix:
        """Return one of them (e, w)."""
        pattern: Matrix = self.plain[self.of[i]] @ self.mixed[i]
        return pattern


def candidates(patterns: Patterns, mean: Matrix) -> tuple[Candidates, Candidates]:
    """Return causes to be tried; `mean` (K,) is the mixture at thickness one.

    The first need no more than the weights that are the amounts and their sum, the others all of them.
    """
    k, m = mean.size, len(patterns.causes)
    # true coefficients are had from these, where that is told
    spoiled = np.eye(k) + patterns.absorbed(patterns.changes)
    known = np.flatnonzero(np.linalg.cond(spoiled) <= WORST_SPOILED)
    of = np.concatenate([np.arange(m), np.arange(m), known])
    mixed = np.zeros((of.size, k, k + 1))
    mixed[:m, :, :k] = np.eye(k)
    mixed[m : 2 * m, :, k] = mean
    mixed[2 * m :, :, :k] = np.linalg.inv(spoiled[known])
    causes = tuple(patterns.causes[i] for i in of)
    first = Candidates(causes, patterns.sizes[of], patterns.changes, of, mixed)
    return first, _flattened(patterns.references, mean)


def _flattened(known: Matrix, mean: Matrix) -> Candidates:
    """Return spectra (e, K) that are flattened in proportion to their squares, by three formulas."""
    k = mean.size
    pairs = list(combinations_with_replacement(range(k), 2))
    p = len(pairs)
    twice = np.array([1 if i == j else 2 for i, j in pairs])
    squares = np.stack([known[:, i] * known[:, j] for i, j in pairs], axis=1) * twice
    curve = (known @ mean)[:, None]
    plain = np.concatenate([squares, squares * curve, curve**2], axis=1)
    own, further, common = mixed = np.zeros((3, 2 * p + 1, k + 2 * p + 2))
    own[:p, k + 1 : k + 1 + p] = further[:p, k + 1 : k + 1 + p] = -np.eye(p) / 2
    further[p : 2 * p, k + 1 + p : -1] = -np.eye(p) / 6
    common[2 * p, k + 1 : k + 1 + p] = -twice / 2
    return Candidates(("thickness",) * 3, np.ones(3), plain[None], np.zeros(3, np.intp), mixed)


def weights_of(coefficients: FloatArray) -> FloatArray:
    """Return what residuals are summed with (q, n).

    That is the amounts of the K references, their sum, the products of each two amounts, these times the sum, and one.
    """
    total = coefficients.sum(axis=0)
    pairs = combinations_with_replacement(range(len(coefficients)), 2)
    products = [coefficients[i] * coefficients[j] for i, j in pairs]
    return np.stack([*coefficients, total, *products, *(p * total for p in products), np.ones_like(total)])
