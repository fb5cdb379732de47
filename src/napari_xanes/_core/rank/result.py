"""What a ranking of combinations gives, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]

POOR = 0.05
"""R-factor from which on a fit is said not to describe the spectrum; good ones have 0.001."""

UNDECIDED = 0.05
"""Akaike weight from which a combination is said to be possible as well."""


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
        Whether the chosen one has as many references as were allowed, though there are more.
    n_energies : int
        How many energies were fitted.
    n_independent : float
        How many values these are worth: fewer where what is left is not noise, and neighbouring energies agree.
    correlation : float
        Of what is left at neighbouring energies, 0 where it may be noise.
    """

    combinations: tuple[Combination, ...]
    best: Combination
    tried: int
    at_limit: bool = False
    n_energies: int = 0
    n_independent: float = 0.0
    correlation: float = 0.0

    def sentence(self) -> str:
        """Return the outcome in words."""
        b = self.best
        what = " + ".join(b.names)
        if b.r_factor > POOR:
            return (
                f"none of {self.tried} combinations describes the spectrum: {what}, the closest that the data ask for, has an "
                f"R-factor of {b.r_factor:.2g}; another compound may be there, or the energies or the normalisation differ."
            )
        parts = ", ".join(
            f"{100 * f:.1f} ± {100 * s:.1f} % {name}"
            for name, f, s in zip(b.names, b.fractions, b.sigma, strict=True)
        )
        shares = f" ({parts})" if len(b.names) > 1 else ""
        others = [" + ".join(c.names) for c in self.combinations if c is not b and c.weight > UNDECIDED]
        also = f"; {', '.join(others[:3])} would do as well" if others else ""
        more = ""
        if self.at_limit:
            more = f"; more than {len(b.names)} were not tried and may fit better, so raise at_most"
        rest = ""
        if self.correlation:
            rest = (
                f"; what is left is not noise, as neighbouring energies agree (correlation {self.correlation:.2f}), so "
                f"{self.n_energies} energies count for {self.n_independent:.0f}"
            )
        return f"of {self.tried} combinations the data ask for {what}{shares}{also}{more}{rest}."


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
