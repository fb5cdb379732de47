"""How normalised spectra answer to noise of what they were made from.

The lines before and after the edge, and with them the step that is divided out, are fitted to noisy values; their errors
are in every value of a normalised spectrum.  A Jacobian says how, so that errors of what is made from the spectra
can be worked out.  It stands here because it travels from the normalisation to fits and maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Jacobian:
    """What normalised values are made of: y = (mu - taken @ c) / (divisor @ c), with c = functionals @ mu.

    Attributes
    ----------
    functionals : array (r, E)
    taken, divisor : array (E, r)
    shape : array (E,)
        What the mean spectrum was divided by, its mean one; that of a pixel is taken to have the same shape.
    thickness : array (r,)
        Gives the thickness from c, in units of the mean of what the mean spectrum was divided by.
    level : float
        The mean spectrum's thickness in these units.
    """

    functionals: Matrix
    taken: Matrix
    divisor: Matrix
    shape: Matrix
    thickness: Matrix
    level: float

    @property
    def used(self) -> NDArray[np.intp]:
        """Return the energies whose values are in the functionals, as indices."""
        return np.flatnonzero((self.functionals != 0).any(axis=0))

    def parts(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Matrix, Matrix]:
        """Return matrices (rows, columns) of which the Jacobian of a spectrum y is ``first - y[rows, None] * second``.

        Both are for a divisor whose mean is one.
        """
        there, shape = self.functionals[:, columns], self.shape[rows, None]
        first = (rows[:, None] == columns).astype(np.float64) - self.taken[rows] @ there
        return first / shape, (self.divisor[rows] @ there) / shape
