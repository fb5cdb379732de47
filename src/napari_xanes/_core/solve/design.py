"""The matrix of a fit: background and references at the fitted energies, weighted, and its QR.

Apart from the solvers, because rankings and checks of references need it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError

FloatArray = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]
Constraint = Literal["none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one"]

ALIKE = 1e-6
"""References whose part not explained by the others is smaller than this, relative, cannot be told apart."""


@dataclass(frozen=True, eq=False)
class Design:
    """Columns of the fit at the fitted energies: background (n, B), references (n, K).

    `q` and `r` are the QR of both side by side, each row times the root of its weight; `weights` (n,) have mean
    one, and are None where all are one.
    """

    background: Matrix
    references: Matrix
    q: Matrix
    r: Matrix
    condition_number: float
    weights: Matrix | None = None

    @cached_property
    def inverse(self) -> Matrix:
        """Return the inverse (K, K) of the part of `r` that is the references'."""
        k = self.references.shape[1]
        inverse: Matrix = np.asarray(np.linalg.inv(self.r[-k:, -k:]), np.float64)
        return inverse


def design(
    energy: Matrix,
    spectra: Sequence[Matrix],
    names: Sequence[str],
    background: Sequence[int],
    weights: Matrix | None = None,
) -> Design:
    """Set up the fit; an error names what makes it unsolvable.  Only the ratios of `weights` (n,) matter."""
    if isinstance(background, int | np.integer):
        raise InputError(
            f"background is {background}, expected polynomial orders such as (0, 1), a line; write ({background},) for one term."
        )
    orders = tuple(background) if isinstance(background, Sequence) else (background,)
    if any(not isinstance(order, int | np.integer) or order < 0 for order in orders) or len(
        set(orders)
    ) != len(orders):
        raise InputError(f"background is {orders}, expected different polynomial orders such as (0, 1).")
    if not spectra:
        raise InputError("there are no references to fit; give at least one.")
    x = 2 * (energy - energy[0]) / max(np.ptp(energy), 1e-12) - 1
    polynomials = np.stack([x**order for order in orders], axis=1) if orders else np.empty((energy.size, 0))
    references = np.stack(list(spectra), axis=1)
    columns = np.concatenate([polynomials, references], axis=1)
    if energy.size < columns.shape[1]:
        raise InputError(
            f"{energy.size} energies are fitted but there are {columns.shape[1]} unknowns "
            f"({references.shape[1]} references, {len(orders)} background terms); fit more energies or fewer unknowns."
        )
    if weights is not None:
        weights = weights / weights.mean()
        columns = columns * np.sqrt(weights)[:, None]
    lengths = np.linalg.norm(columns, axis=0)
    for name, length in zip(names, lengths[len(orders) :], strict=True):
        if not length > 0:
            raise InputError(
                f"reference '{name}' is zero at all fitted energies; leave it out or fit others."
            )
    _refuse_alike(columns / lengths, len(orders), names)
    q, r = np.linalg.qr(columns)
    return Design(polynomials, references, q, r, float(np.linalg.cond(columns / lengths)), weights)


def _refuse_alike(unit: Matrix, n_background: int, names: Sequence[str]) -> None:
    """Say which references cannot be told apart, from each other or from the background."""
    if np.linalg.svd(unit, compute_uv=False)[-1] > ALIKE:
        return
    references = unit[:, n_background:]
    for i, j in combinations(range(len(names)), 2):
        if np.linalg.norm(references[:, i] - references[:, j]) < 10 * ALIKE:
            raise InputError(
                f"references '{names[i]}' and '{names[j]}' are the same spectrum at the fitted energies; leave one out."
            )
    raise InputError(
        f"references {', '.join(names)} cannot be told apart at the fitted energies, one being a combination of "
        "the others or of the background; leave one out or fit more energies."
    )
