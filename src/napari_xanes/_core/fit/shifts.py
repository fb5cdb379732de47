"""Energy shifts of references, given or fitted to a mean spectrum.

A scan and a reference measured at another time or beamline differ by some tenths of an eV, which a fit would take
for another mixture.  The noise of one pixel does not fix a shift; that of a mean spectrum does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.checks import check_mu, in_window
from napari_xanes._core.base.door import Limits, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.solve.design import Constraint, design

Matrix = NDArray[np.float64]

LARGEST_SHIFT = 2.0
"""eV; how far a reference may be shifted unless more is asked for."""


@dataclass(frozen=True, eq=False)
class ReferenceShifts:
    """What `fit_reference_shifts` returns for K references.

    Attributes
    ----------
    names : tuple of str
    shifts : array (K,)
        eV by which each reference is moved up in energy to match; NaN where the spectrum does not contain it.
    sigma : array (K,)
        Standard errors, from the residual; NaN where a shift is undetermined or at its limit.
    at_limit : array of bool (K,)
        Whether a shift went as far as it may.
    coefficients : array (K,)
        The fit with these shifts.
    rms, rms_before : float
        Root mean square of the residual with and without shifts.
    """

    names: tuple[str, ...]
    shifts: Matrix
    sigma: Matrix
    at_limit: NDArray[np.bool_]
    coefficients: Matrix
    rms: float
    rms_before: float


@public
def fit_reference_shifts(
    mu: ArrayLike,
    energy: ArrayLike,
    references: Sequence[Reference],
    *,
    limit: Annotated[float, Limits(most=100)] = LARGEST_SHIFT,
    constraint: Constraint = "none",
    background: Sequence[int] = (),
) -> ReferenceShifts:
    """Fit the energy shift of each reference, with its amount, to one spectrum.

    Parameters
    ----------
    mu : array (E,)
        A spectrum with little noise, such as the mean of a stack; energies where it is NaN are left out.
    energy : array (E,)
        Photon energies in eV, ascending.
    references : list of Reference
        At energies of their own; between these they are interpolated by cubic splines, and beyond their ends
        they keep their end values.
    limit : float
        eV; shifts stay within -limit and +limit.
    constraint : {"none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one"}
        Only whether amounts may be negative matters here.
    background : sequence of int
        Orders of the polynomial in energy that is fitted along.

    Returns
    -------
    ReferenceShifts

    Raises
    ------
    InputError
        If a reference does not cover the energies, or there are fewer energies than unknowns.

    Notes
    -----
    Solved by `scipy.optimize.least_squares`, a bounded trust-region method on the Gauss-Newton model, from the fit
    without shifts.
    """
    values, energies = check_mu(mu, energy)
    if values.ndim != 1:
        raise InputError(f"mu has shape {values.shape}, expected one spectrum (E,), such as a mean.")
    if not limit > 0:
        raise InputError(f"limit is {limit!r}, expected an energy above 0 eV.")
    fitted = np.isfinite(values)
    if fitted.sum() < 2 * len(references) + len(tuple(background)) + 1:
        raise InputError(
            f"{int(fitted.sum())} energies are too few to fit {len(references)} references and their shifts; give more."
        )
    problem = _Problem(energies[fitted], values[fitted].astype(np.float64), references, background)
    return problem.solve(limit, nonnegative=constraint.startswith("nonnegative"))


class _Problem:
    """Residuals and their derivatives; unknowns are background and reference amounts, then shifts."""

    def __init__(
        self,
        energy: Matrix,
        y: Matrix,
        references: Sequence[Reference],
        background: Sequence[int],
    ) -> None:
        self._size = float(np.abs(y).max()) or 1.0  # tolerances are absolute
        self._energy, self._y = energy, y / self._size
        self._names = tuple(r.name for r in references)
        self._curves = [_Curve(r, energy) for r in references]
        basis = design(energy, [curve(energy) for curve in self._curves], self._names, background)
        self._background = basis.background

    def _columns(self, shifts: Matrix) -> Matrix:
        moved = [curve(self._energy - s) for curve, s in zip(self._curves, shifts, strict=True)]
        return np.concatenate([self._background, np.stack(moved, axis=1)], axis=1)

    def _residual(self, unknowns: Matrix) -> Matrix:
        k = len(self._curves)
        fit: Matrix = self._columns(unknowns[-k:]) @ unknowns[:-k]
        return fit - self._y

    def _jacobian(self, unknowns: Matrix) -> Matrix:
        k = len(self._curves)
        amounts, shifts = unknowns[-2 * k : -k], unknowns[-k:]
        slopes = [
            -x * curve.slope(self._energy - s)
            for curve, x, s in zip(self._curves, amounts, shifts, strict=True)
        ]
        return np.concatenate([self._columns(shifts), np.stack(slopes, axis=1)], axis=1)

    def solve(self, limit: float, *, nonnegative: bool) -> ReferenceShifts:
        from scipy.optimize import least_squares, lsq_linear  # long to load

        k, b = len(self._curves), self._background.shape[1]
        lowest = np.r_[np.full(b, -np.inf), np.full(k, 0.0 if nonnegative else -np.inf)]
        start = lsq_linear(self._columns(np.zeros(k)), self._y, bounds=(lowest, np.inf)).x
        start[b:] = np.where(nonnegative & (start[b:] <= 0), 1e-3 * np.abs(start[b:]).max(), start[b:])
        found = least_squares(
            self._residual,
            np.r_[start, np.zeros(k)],
            self._jacobian,
            bounds=(np.r_[lowest, np.full(k, -limit)], np.r_[np.full(b + k, np.inf), np.full(k, limit)]),
            x_scale=np.r_[np.full(b + k, max(float(np.abs(start).max()), 1e-12)), np.ones(k)],
            xtol=1e-10,
            ftol=1e-10,
        )
        shifts, amounts = found.x[-k:].copy(), found.x[b : b + k]
        at_limit = np.abs(shifts) > (1 - 1e-3) * limit
        absent = amounts <= 1e-6 * np.abs(amounts).max() if nonnegative else np.abs(amounts) < 1e-12
        sigma = self._errors(found.x, np.r_[np.zeros(b, bool), absent, at_limit | absent])
        shifts[absent] = np.nan
        before = self._residual(np.r_[start, np.zeros(k)])
        rms = (float(np.sqrt((v**2).mean())) * self._size for v in (found.fun, before))
        return ReferenceShifts(self._names, shifts, sigma, at_limit & ~absent, amounts * self._size, *rms)

    def _errors(self, unknowns: Matrix, held: NDArray[np.bool_]) -> Matrix:
        """Return the standard errors of the shifts (K,), NaN for those held at a bound."""
        k = len(self._curves)
        jacobian, residual = self._jacobian(unknowns)[:, ~held], self._residual(unknowns)
        variance = (residual @ residual) / max(residual.size - jacobian.shape[1], 1)
        errors = np.full(held.size, np.nan)
        errors[~held] = np.sqrt(variance * np.diag(np.linalg.pinv(jacobian.T @ jacobian)))
        return errors[-k:]


class _Curve:
    """A reference as a smooth function of energy and its slope; beyond its ends it keeps its end values."""

    def __init__(self, reference: Reference, energy: Matrix) -> None:
        first, last = reference.energy[0], reference.energy[-1]
        if not in_window(energy[[0, -1]], (first, last)).all():
            raise InputError(
                f"reference '{reference.name}' covers {first:.2f} to {last:.2f} eV, but the energies go from "
                f"{energy[0]:.2f} to {energy[-1]:.2f} eV; fit fewer energies or leave it out."
            )
        from scipy.interpolate import CubicSpline  # long to load

        self._ends = first, last
        self._spline = CubicSpline(reference.energy, reference.mu)

    def __call__(self, energy: Matrix) -> Matrix:
        values: Matrix = self._spline(energy.clip(*self._ends))
        return values

    def slope(self, energy: Matrix) -> Matrix:
        first, last = self._ends
        return np.where((energy > first) & (energy < last), self._spline(energy, 1), 0.0)


def shifted_reference(reference: Reference, shift: float) -> Reference:
    """Return the reference moved up by `shift` eV; where it then begins later or ends earlier it keeps its end value."""
    if not shift:
        return reference
    energy, mu = reference.energy + shift, reference.mu
    if shift > 0:
        energy, mu = np.r_[reference.energy[0], energy], np.r_[mu[0], mu]
    else:
        energy, mu = np.r_[energy, reference.energy[-1]], np.r_[mu, mu[-1]]
    note = f"shifted by {shift:+.3f} eV"
    return replace(reference, energy=energy, mu=mu, notes=(*reference.notes, note))


def check_shifts(shifts: Mapping[str, float] | Sequence[float], names: Sequence[str]) -> tuple[float, ...]:
    """Return one shift in eV per reference, given as numbers in order or by name."""
    if isinstance(shifts, Mapping):
        if unknown := set(shifts) - set(names):
            raise InputError(
                f"reference_shifts names '{min(unknown)}', but the references are {', '.join(names)}."
            )
        shifts = [shifts.get(name, 0.0) for name in names]
    values = tuple(float(s) for s in shifts)
    if len(values) != len(names) or not np.isfinite(values).all():
        raise InputError(
            f"reference_shifts is {values}, expected one number of eV for each of {', '.join(names)}."
        )
    return values
