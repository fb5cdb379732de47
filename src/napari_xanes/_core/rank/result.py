"""What a ranking of combinations gives, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]

POOR = 0.05
"""R-factor from which on a fit is said not to describe the spectrum; good ones have 0.001."""

AS_GOOD = 4.0
"""By how much Akaike's criterion may be larger for a combination that cannot be excluded.

K. P. Burnham and D. R. Anderson, Sociol. Methods Res. 33, 261 (2004), doi:10.1177/0049124104268644: above, there is considerably
less support.
"""


@dataclass(frozen=True, eq=False)
class Combination:
    """A fit with some of the references: see `ReferenceFit` for the numbers.

    `sigma` is for as many values as are independent of one another.  `aic` is Akaike's criterion corrected for few
    data, `weight` the share of belief that it gives this combination among all, and `chance` the F-test's chance that
    the best fit with this many references is no improvement.
    """

    names: tuple[str, ...]
    coefficients: FloatArray
    fractions: FloatArray
    sigma: FloatArray
    error: float
    r_factor: float
    aic: float
    weight: float
    chance: float


@dataclass(frozen=True, eq=False)
class Ranking:
    """What `rank_combinations` returns.

    Attributes
    ----------
    combinations : tuple of Combination
        At most twenty, the smallest `aic` first.
    best : Combination
        The one that the criterion chose.
    tried : int
        How many there were.
    at_limit : bool
        Whether the chosen one has as many references as were allowed, or does not describe the spectrum, though the
        library holds more.
    at_most : int
        How many references were allowed.
    n_energies : int
        How many energies were fitted.
    n_independent : float
        How many values these are worth: fewer where what is left is not noise, and neighbouring energies agree.
    correlation : float
        Of what is left at neighbouring energies, 0 where it may be noise.
    as_good : tuple of Combination
        Those between which the data do not decide, `best` among them; the smallest `aic` first, at most twenty.
    in_all : tuple of str
        References in all combinations between which the data do not decide.
    """

    combinations: tuple[Combination, ...]
    best: Combination
    tried: int
    at_limit: bool = False
    at_most: int = 0
    n_energies: int = 0
    n_independent: float = 0.0
    correlation: float = 0.0
    as_good: tuple[Combination, ...] = ()
    in_all: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return the outcome in words."""
        b = self.best
        what = " + ".join(b.names)
        more = ""
        if self.at_limit:
            more = f"; more than {self.at_most} were not tried and may fit better, so raise at_most"
        if b.r_factor > POOR:
            return (
                f"none of {self.tried} combinations describes the spectrum: {what}, the closest that the data ask for, has an "
                f"R-factor of {b.r_factor:.2g}{more}; {'else ' if more else ''}another compound may be there, or the energies "
                "or the normalisation differ."
            )
        rest = ""
        if self.correlation:
            rest = (
                f"; what is left is not noise, as neighbouring energies agree (correlation {self.correlation:.2f}), so "
                f"{self.n_energies} energies count for {self.n_independent:.0f}"
            )
        asked = self._undecided() if len(self.as_good) > 1 else f"the data ask for {what}{_shares(b)}"
        return f"of {self.tried} combinations {asked}{more}{rest}."

    def _undecided(self) -> str:
        """Say between which combinations the data do not decide, and what these have in common."""
        others = [" + ".join(c.names) for c in self.as_good if c is not self.best]
        shared = ", ".join(f"{name} ({self._range(name)})" for name in self.in_all)
        common = f"all hold {shared}, the rest is not told" if shared else "no reference is in all of them"
        return (
            f"{len(self.as_good)} describe the spectrum about equally well, and the data do not decide: {common}; the one "
            f"taken is {' + '.join(self.best.names)}, others are {', '.join(others[:3])}"
        )

    def _range(self, name: str) -> str:
        """Return the share of a reference in all combinations that are as good."""
        share = [(c.fractions[k], c.sigma[k]) for c in self.as_good for k in [c.names.index(name)]]
        least, most = min(f - s for f, s in share), max(f + s for f, s in share)
        return f"{100 * max(least, 0):.0f} to {100 * min(most, 1):.0f} %"


def _shares(found: Combination) -> str:
    if len(found.names) == 1:
        return ""
    parts = zip(found.names, found.fractions, found.sigma, strict=True)
    return f" ({', '.join(f'{100 * f:.1f} ± {100 * s:.1f} % {name}' for name, f, s in parts)})"


@dataclass(frozen=True, eq=False)
class CombinationMap:
    """What `combination_map` returns.

    Attributes
    ----------
    labels : array of int (...)
        0 where nothing can be said, else 1 + index into `combinations`.
    combinations : tuple of tuple of str
        Those that were chosen anywhere, the most frequent first.
    counts : array of int (n,)
        Pixels of each.
    fractions : array (K, ...)
        Of every reference of the library, 0 where it was not chosen, NaN where nothing can be said.
    names : tuple of str
        The library.
    """

    labels: NDArray[np.int32]
    combinations: tuple[tuple[str, ...], ...]
    counts: NDArray[np.intp]
    fractions: FloatArray
    names: tuple[str, ...]
