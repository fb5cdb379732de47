"""All sets of a few references out of a library: how well each explains spectra, and which one to believe.

Every set is solved for all spectra at once from the products of references and spectra.  Under a non-negative
constraint a set whose plain solution is negative somewhere is no candidate: its bounded solution is that of a
smaller set, which is a candidate itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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

CHANCE = 3.0
"""Correlation of neighbouring residuals that noise may have, in standard errors."""

LOOKED_AT = 500
"""Spectra from which it is told how many values are independent, about."""

FEWEST_FREE = 2.5
"""Degrees of freedom that are left at least; a correlated residual is taken for no fewer independent values."""

SINGULAR = 1e12
"""Condition number of its products from which a set's references are one spectrum."""


LEAST_POWER = 1e-200
"""Sum of squares of a spectrum below which it shows nothing."""


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
        See `fit_references`.
    required : collection of int
        Indices of references that are in every set.

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
        required: Collection[int] = (),
    ) -> None:
        self._background = np.empty((energy.size, 0))
        for spectrum, name in zip(spectra, names, strict=True):
            basis = design(energy, [spectrum], [name], background)  # names a reference that cannot be fitted
            self._background = basis.q[:, : basis.background.shape[1]]
        library = np.stack(list(spectra), axis=1)
        self._library = library - self._background @ (self._background.T @ library)
        self._bounded, self._to_one = constraint.startswith("nonnegative"), constraint.endswith("sum_to_one")
        self.n_energies = energy.size
        self.correlation, self.n_effective = 0.0, float(energy.size)
        at_most = min(at_most, len(names))
        least = max(1, len(required))
        total = sum(comb(len(names) - len(required), k - len(required)) for k in range(least, at_most + 1))
        if total > MOST_SETS:
            raise InputError(
                f"{len(names)} references give {total} combinations of up to {at_most}, at most {MOST_SETS} are tried; "
                "name fewer references or allow fewer in a combination."
            )
        products = self._library.T @ self._library
        scale = np.sqrt(np.diag(products))
        alike = products / np.outer(scale, scale)
        others = [i for i in range(len(names)) if i not in required]
        every = [
            tuple(sorted((*required, *s)))
            for k in range(least, at_most + 1)
            for s in combinations(others, k - len(required))
        ]
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
        with np.errstate(over="ignore", invalid="ignore"):
            return self._solve(y)

    def _solve(self, y: Matrix) -> tuple[Matrix, list[Matrix]]:
        if self._background.size:
            y -= self._background @ (self._background.T @ y)
        power = np.einsum("ij,ij->j", y, y)
        power[(power < LEAST_POWER) | ~np.isfinite(power)] = np.nan
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

    def count_independent(self, data: FloatArray, errors: Matrix) -> None:
        """Find how many independent values there are, from what the closest set leaves of spectra (n, N).

        Where that is not noise but the shape of what is missing, neighbouring energies agree, and count for less: for
        residuals whose correlation falls off as r^k, n values are worth n (1 - r) / (1 + r)
        (G. V. Bayley and J. M. Hammersley, J. R. Stat. Soc. Suppl. 8, 184 (1946), doi:10.2307/2983560).
        """
        along = np.flatnonzero(np.isfinite(errors).any(axis=0))
        if not along.size:
            return
        y = data[:, along].astype(np.float64)
        y -= self._background @ (self._background.T @ y)
        best = np.where(np.isfinite(errors[:, along]), errors[:, along], np.inf).argmin(axis=0)
        for index in np.unique(best):
            columns = self._library[:, list(self.sets[index])]
            mine = best == index
            y[:, mine] -= columns @ np.linalg.lstsq(columns, y[:, mine], rcond=None)[0]
        together = float((y[1:] * y[:-1]).sum() / max(float((y**2).sum()), 1e-300))
        if together > CHANCE / np.sqrt(y.size):
            self.correlation = min(together, 0.999)
            worth = self.n_energies * (1 - self.correlation) / (1 + self.correlation)
            self.n_effective = max(worth, float(self.unknowns.max()) + FEWEST_FREE)

    def count_independent_of_many(self, spectra: FloatArray) -> None:
        """Do the same for some of the spectra (n, N) that are valid."""
        valid = spectra[:, np.isfinite(spectra).all(axis=0)]
        some = valid[:, :: max(1, valid.shape[1] // LOOKED_AT)]
        if some.shape[1]:
            self.count_independent(some, self.solve(some)[0])

    def akaike(self, errors: Matrix) -> Matrix:
        """Return Akaike's criterion (M, N), corrected for few data; the smaller the better."""
        n, p = self.n_effective, (self.unknowns + 1)[:, None]
        penalty: Matrix = 2 * p + 2 * p * (p + 1) / (n - p - 1)
        return n * np.log(errors / self.n_energies) + penalty

    def chances(self, errors: Matrix) -> Matrix:
        """Return for each number of references (at_most, N) the chance that its best set is no real improvement.

        That is the F-test's p-value against the best set with one reference fewer, times the number of references
        that might have been added; 0 for one reference, 1 where there is no set.
        """
        best = self.best_errors(errors)
        chances = np.zeros_like(best)
        library, sizes = self._library.shape[1], np.unique(self.sizes)
        for k in range(1, len(best)):
            free = self.n_effective - int(self.unknowns[self.sizes == sizes[k]].min())
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
            size = np.unique(self.sizes)[np.maximum(accepted.sum(axis=0), 1) - 1]
            allowed = np.where(self.sizes[:, None] == size, errors, np.inf)
            chosen = np.argmin(np.where(np.isnan(allowed), np.inf, allowed), axis=0)
        return np.where(valid, chosen, -1)
