"""The curves before and after the edge as fixed matrices: what a spectrum's values give, for all pixels alike.

With x = E - e0 a spectrum's coefficients are (C0, C1, D0, D1[, D2]): the pre-edge curve has the value C0 and the
slope C1 at e0, and D0 + D1 x + D2 x^2 is what the post-edge curve has over it, so that D0 is the edge step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.edge.params import Pre

FloatArray = NDArray[np.floating[Any]]
Matrix = NDArray[np.float64]

STEP = 2
"""Row of the coefficients that is the edge step D0."""

STEEPEST = 4.0
"""Power of the energy by which matter absorbs less, at most, away from its edges."""

CLEAR = 5.0
"""Standard errors that its absorption must be for its fall to be told."""


@dataclass(frozen=True, eq=False)
class EdgeCurves:
    """Least-squares curves of all pixels; m coefficients, E energies.

    Attributes
    ----------
    from_pre, from_post : array (m, n_pre), (m, n_post)
        Give the coefficients from the values in the two windows.
    pre_curve : array (E, m)
        Gives the pre-edge curve from the coefficients.
    difference : array (E, m)
        Gives post-edge minus pre-edge curve.
    """

    from_pre: Matrix
    from_post: Matrix
    pre_curve: Matrix
    difference: Matrix

    @property
    def post_curve(self) -> Matrix:
        """Give the post-edge curve from the coefficients, (E, m)."""
        return self.pre_curve + self.difference

    def coefficients(self, before: FloatArray, after: FloatArray) -> Matrix:
        """Return the coefficients (m, ...) of values in the two windows."""
        found: Matrix = self.from_pre @ before + self.from_post @ after
        return found

    def freedom(self, before: NDArray[np.intp], after: NDArray[np.intp]) -> float:
        """Return the expected sum of squared residuals in both windows for noise of one.

        Where each curve has its own window that is the number of energies less that of unknowns.
        """
        curve = np.concatenate([self.pre_curve[before], self.post_curve[after]])
        rest = np.eye(len(curve)) - curve @ np.concatenate([self.from_pre, self.from_post], axis=1)
        return round(float((rest * rest).sum()), 6)

    def noise(self, weights: Matrix | None = None) -> float:
        """Return the standard error of a combination of the coefficients (the edge step) for noise of one."""
        if weights is None:
            weights = np.eye(len(self.from_pre))[STEP]
        return float(
            np.hypot(np.linalg.norm(weights @ self.from_pre), np.linalg.norm(weights @ self.from_post))
        )


def fitted_curves(
    energy: Matrix,
    e0: float,
    before: NDArray[np.intp],
    after: NDArray[np.intp],
    pre: Pre = "line",
    post_order: int = 1,
    *,
    alone: bool = False,
) -> EdgeCurves:
    """Return least-squares curves, each through its own window (indices `before` and `after`).

    The polynomial goes through what is over the pre-edge curve, the post-edge curve being the sum of both; or, where
    it stands `alone`, through the values themselves.  For lines that is the same.
    """
    x = energy - e0
    free, n_post = (1 if pre == "constant" else 2), max(2, post_order + 1)
    shape = _victoreen(x, e0) if pre == "victoreen" else np.vander(x, 2, increasing=True)
    powers = np.vander(x, n_post, increasing=True)
    fit_pre, fit_post = np.zeros((2, before.size)), np.zeros((n_post, after.size))
    fit_pre[:free] = _fit(shape[before, :free])
    fit_post[: post_order + 1] = _fit_powers(x[after], post_order)
    pre_curve, difference = np.zeros((2, x.size, 2 + n_post))
    pre_curve[:, :free] = shape[:, :free]
    difference[:, 2:] = powers
    if alone:
        taken = np.eye(n_post, 2)
        difference[:, :2] = powers[:, :2] - shape
    else:
        taken = fit_post @ shape[after]
    return EdgeCurves(
        np.concatenate([fit_pre, -taken @ fit_pre]),
        np.concatenate([np.zeros((2, after.size)), fit_post]),
        pre_curve,
        difference,
    )


def _victoreen(x: Matrix, e0: float) -> Matrix:
    """Return the two combinations of E^-3 and E^-4 that have value 1 and slope 0, value 0 and slope 1, at e0.

    So scaled, they are nearly a constant and a line, and coefficients are as exact as those of a line.
    """
    u = e0 / (e0 + x)
    return np.stack([u**3 * (4 - 3 * u), e0 * u**3 * (1 - u)], axis=1)


def _fit(columns: Matrix) -> Matrix:
    """Return the matrix that gives least-squares coefficients of the columns."""
    scale = np.abs(columns).max(axis=0)
    scale[scale == 0] = 1
    fit: Matrix = np.linalg.pinv(columns / scale) / scale[:, None]
    return fit


def _fit_powers(x: Matrix, order: int) -> Matrix:
    """Return the matrix that gives the coefficients of powers of x, fitted about the middle of x."""
    center, width = x.mean(), np.ptp(x) or 1.0
    about = np.linalg.pinv(np.vander((x - center) / width, order + 1, increasing=True))
    about /= width ** np.arange(order + 1)[:, None]
    shift = [
        [comb(k, j) * (-center) ** (k - j) if k >= j else 0.0 for k in range(order + 1)]
        for j in range(order + 1)
    ]
    return np.asarray(shift) @ about


def shared_curves(
    curves: EdgeCurves, before: NDArray[np.intp], after: NDArray[np.intp], donor: Matrix, fall: float
) -> EdgeCurves:
    """Return least squares for the background and a step, all else per unit of step being the donors'.

    `donor` holds the donors' coefficients (m,); the background is 1 at e0 and changes by `fall` per eV.
    """
    background = np.zeros_like(donor)
    background[:2] = 1, fall
    unit = donor / donor[STEP]
    shapes = np.stack([background, unit - unit[0] * background])
    fit = np.linalg.pinv(_in_windows(curves, before, after, shapes.T))
    lines = shapes.T @ fit
    return EdgeCurves(
        lines[:, : before.size],
        lines[:, before.size :],
        curves.pre_curve,
        curves.difference,
    )


def _in_windows(
    curves: EdgeCurves, before: NDArray[np.intp], after: NDArray[np.intp], coefficients: Matrix
) -> Matrix:
    """Return what coefficients (m, ...) make of the values in both windows."""
    return np.concatenate([curves.pre_curve[before] @ coefficients, curves.post_curve[after] @ coefficients])


def donor_coefficients(
    spectra: FloatArray, curves: EdgeCurves, before: NDArray[np.intp], after: NDArray[np.intp]
) -> Matrix:
    """Return the coefficients (m,) of the mean spectrum of the fifth of the pixels with the largest steps."""
    mean = _mean_of_fifth(spectra, before, after, 1)
    found = curves.coefficients(mean[before], mean[after])
    if not found[STEP] > 0:
        raise InputError(
            "the pixels with the largest steps show no edge, so slopes cannot be shared; use slope='pixel'."
        )
    return found


def background_fall(
    spectra: FloatArray,
    curves: EdgeCurves,
    before: NDArray[np.intp],
    after: NDArray[np.intp],
    donor: Matrix,
    e0: float,
) -> float:
    """Return by how much what is not the element absorbs more or less per eV, relative to its absorption at e0.

    It is what the fifth of the pixels with the smallest steps have besides the donors' shape, and is taken to be what it
    can be of matter without an edge: constant, or falling by a power of the energy up to `STEEPEST`.  Where they hold hardly
    anything (air), so that its absorption is not `CLEAR` of the scatter about the fit, it is taken to be constant.
    """
    mean = _mean_of_fifth(spectra, before, after, -1)
    straight = np.zeros((donor.size, 2))
    straight[0, 0] = straight[1, 1] = 1
    columns = _in_windows(curves, before, after, np.column_stack([straight, donor / donor[STEP]]))
    columns[:, 1] /= e0
    values, fit = np.concatenate([mean[before], mean[after]]), np.linalg.pinv(columns)
    found = fit @ values
    rest, freedom = values - columns @ found, len(values) - len(found)
    level, fall, _ = found
    if not (freedom > 0 and level > CLEAR * np.linalg.norm(fit[0]) * np.sqrt(rest @ rest / freedom)):
        return 0.0
    return float(np.clip(fall / level, -STEEPEST, 0)) / e0


def _mean_of_fifth(
    spectra: FloatArray, before: NDArray[np.intp], after: NDArray[np.intp], sign: int
) -> Matrix:
    """Return the mean spectrum, in the windows, of the fifth of the pixels with the largest steps, or the smallest (`sign` -1).

    A large step is large by noise as well, which would go into the mean.  So every other energy of the windows
    chooses the pixels whose mean is taken at the energies between them.
    """
    spectra = np.where(np.isfinite(spectra), spectra, np.nan)
    rise = spectra[after].mean(axis=0) - spectra[before].mean(axis=0)
    valid = np.isfinite(rise)
    if not valid.any():
        raise InputError(
            "no pixel is valid at all energies of both windows, so slopes cannot be shared; use slope='pixel'."
        )
    mean = np.full(len(spectra), np.nan)
    for first in (0, 1):
        chosen = [window[first::2] if window.size > 1 else window for window in (before, after)]
        rise = sign * (spectra[chosen[1]].mean(axis=0) - spectra[chosen[0]].mean(axis=0))
        donors = valid & (rise >= np.quantile(rise[valid], 0.8))
        for window in (before, after):
            measured = window[1 - first :: 2] if window.size > 1 else window
            mean[measured] = spectra[measured][:, donors].mean(axis=1, dtype=np.float64)
    return mean


def as_slice(indices: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return the indices as a slice where they are neighbours, which spares a copy."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == indices.size else indices
