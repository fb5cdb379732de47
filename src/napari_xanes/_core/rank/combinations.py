"""All sets of a few references out of a library: how well each explains spectra, and which one to believe.

Every set is solved for all spectra at once from the products of references and spectra.  Under a non-negative
constraint a set whose plain solution is negative somewhere is no candidate: its bounded solution is that of a
smaller set, which is a candidate itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.solve.least_squares import Constraint, design

FloatArray = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]

MOST_SETS = 20_000
"""Sets that are tried at most."""

SINGULAR = 1e12
"""Condition number of its products from which a set's references are one spectrum."""


class Combinations:
    """The sets of 1 to `at_most` of the given spectra, with a background.

    Parameters
    ----------
    energy : array (n,)
        The fitted energies, eV.
    spectra : sequence of arrays (n,)
        The library at these energies.
    names : sequence of str
    background : sequence of int
        Polynomial orders fitted along.
    at_most : int
        References in a set.
    constraint : str
        See `lincombo.fit_references`.

    Attributes
    ----------
    sets : list of tuple of int
        Indices into the library, small sets first.
    sizes : array (M,)
        References in each set.
    unknowns : array (M,)
        Numbers that are fitted in each set, background included.
    """

    def __init__(
        self,
        energy: Matrix,
        spectra: Sequence[Matrix],
        names: Sequence[str],
        background: Sequence[int],
        at_most: int,
        constraint: Constraint,
    ) -> None:
        self._background = np.empty((energy.size, 0))
        for spectrum, name in zip(spectra, names, strict=True):
            basis = design(energy, [spectrum], [name], background)  # names a reference that cannot be fitted
            self._background = basis.q[:, : basis.background.shape[1]]
        library = np.stack(list(spectra), axis=1)
        self._library = library - self._background @ (self._background.T @ library)
        self._bounded, self._to_one = constraint.startswith("nonnegative"), constraint.endswith("sum_to_one")
        self.n_energies = energy.size
        at_most = min(at_most, len(names))
        total = sum(comb(len(names), k) for k in range(1, at_most + 1))
        if total > MOST_SETS:
            raise InputError(
                f"{len(names)} references give {total} combinations of up to {at_most}, at most {MOST_SETS} are tried; "
                "name fewer references or allow fewer in a combination."
            )
        products = self._library.T @ self._library
        scale = np.sqrt(np.diag(products))
        alike = products / np.outer(scale, scale)
        every = [s for k in range(1, at_most + 1) for s in combinations(range(len(names)), k)]
        self.sets = [s for s in every if np.linalg.cond(alike[np.ix_(s, s)]) < SINGULAR]
        self._inverses = [np.linalg.inv(products[np.ix_(s, s)]) for s in self.sets]
        self.sizes = np.array([len(s) for s in self.sets])
        self.unknowns = self.sizes + self._background.shape[1] - int(self._to_one)
        if self.n_energies < self.unknowns.max() + 3:
            raise InputError(
                f"{self.n_energies} energies are fitted with up to {self.unknowns.max()} unknowns, which leaves too few to "
                "compare combinations; fit more energies or fewer references."
            )

    def solve(self, data: FloatArray) -> tuple[Matrix, list[Matrix]]:
        """Return the sum of squared residuals (M, N) of spectra (n, N), and each set's coefficients (k, N).

        It is infinite where the constraint rules a set out, NaN where a spectrum is invalid.
        """
        y = data.astype(np.float64)
        if self._background.size:
            y -= self._background @ (self._background.T @ y)
        power = np.einsum("ij,ij->j", y, y)
        z = self._library.T @ y
        errors, solutions = np.empty((len(self.sets), y.shape[1])), []
        for row, chosen, inverse in zip(errors, self.sets, self._inverses, strict=True):
            projected = z[list(chosen)]
            x = inverse @ projected
            np.subtract(power, np.einsum("ij,ij->j", projected, x), out=row)
            if self._to_one:
                share = inverse.sum(axis=1)
                excess = x.sum(axis=0) - 1
                x -= np.outer(share / share.sum(), excess)
                row += excess**2 / share.sum()
            if self._bounded:
                row[(x < 0).any(axis=0)] = np.inf
            solutions.append(x)
        np.maximum(errors, 1e-14 * power, out=errors)  # of an exact fit rounding is left, of either sign
        return errors, solutions

    def akaike(self, errors: Matrix) -> Matrix:
        """Return Akaike's criterion (M, N), corrected for few data; the smaller the better."""
        n, p = self.n_energies, (self.unknowns + 1)[:, None]
        penalty: Matrix = 2 * p + 2 * p * (p + 1) / (n - p - 1)
        return n * np.log(errors / n) + penalty

    def chances(self, errors: Matrix) -> Matrix:
        """Return for each number of references (at_most, N) the chance that its best set is no real improvement.

        That is the F-test's p-value against the best set with one reference fewer, times the number of references
        that might have been added; 0 for one reference, 1 where there is no set.
        """
        best = self.best_errors(errors)
        chances = np.zeros_like(best)
        n, library = self.n_energies, self._library.shape[1]
        for k in range(1, len(best)):
            free = n - int(self.unknowns[self.sizes == k + 1].min(initial=n - 1))
            with np.errstate(invalid="ignore", over="ignore"):
                ratio = (best[k - 1] - best[k]) / (best[k] / free)
            chances[k] = np.minimum(1, (library - k) * fdtrc(1, free, np.maximum(ratio, 0)))
            chances[k][~np.isfinite(best[k])] = 1
        return chances

    def best_errors(self, errors: Matrix) -> Matrix:
        """Return the smallest error of any set with 1, 2, ... references."""
        return np.stack([errors[self.sizes == k].min(axis=0) for k in np.unique(self.sizes)])

    def choose(self, errors: Matrix, criterion: str, significance: float) -> NDArray[np.intp]:
        """Return the set to believe of each spectrum (N,), -1 where there is none."""
        valid = np.isfinite(errors).any(axis=0)
        if criterion == "aic":
            with np.errstate(invalid="ignore"):
                chosen = np.argmin(np.where(np.isnan(errors), np.inf, self.akaike(errors)), axis=0)
        else:
            accepted = np.logical_and.accumulate(self.chances(errors) < significance, axis=0)
            size = np.maximum(accepted.sum(axis=0), 1)
            allowed = np.where(self.sizes[:, None] == size, errors, np.inf)
            chosen = np.argmin(np.where(np.isnan(allowed), np.inf, allowed), axis=0)
        return np.where(valid, chosen, -1)
