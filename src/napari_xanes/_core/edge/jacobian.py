"""How normalised spectra answer to noise of the absorption: the errors of the lines and of the step are in all values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.edge.curves import STEP, EdgeCurves, Matrix
from napari_xanes._core.edge.params import ResolvedNormalizeParams

LEAST_SHAPE = 0.05
"""What is divided by is taken to be nowhere less than this, in units of its mean, where errors are worked out."""


def taken_off(params: ResolvedNormalizeParams, energy: Matrix, curves: EdgeCurves) -> Matrix:
    """Return what gives the curve that is taken off from the coefficients (E, m); "post" takes nothing off."""
    if params.divide_by == "post":
        return np.zeros_like(curves.pre_curve)
    taken: Matrix = curves.pre_curve.copy()
    if params.flatten:
        above = energy > params.e0
        taken[above] += curves.difference[above]
        taken[above, STEP] -= 1
    return taken


def edge_jacobian(
    params: ResolvedNormalizeParams,
    curves: EdgeCurves,
    windows: tuple[NDArray[np.intp], NDArray[np.intp]],
    area: Matrix | None,
    taken: Matrix,
    mean_step: Matrix,
    mean: Matrix,
) -> Jacobian:
    """Return the Jacobian of a normalisation.

    Parameters
    ----------
    params, curves, windows
        The parameters, the curves, and the indices of the energies in both windows.
    area : array (E,) or None
        Weights of the integral that is divided by.
    taken : array (E, m)
        See `taken_off`.
    mean_step : array (m,)
        Gives the thickness from the coefficients.
    mean : array (E,)
        The mean spectrum.
    """
    size, n = len(curves.from_pre), mean.size
    functionals = np.zeros((size + (area is not None), n))
    functionals[:size, windows[0]] = curves.from_pre
    functionals[:size, windows[1]] += curves.from_post
    divisor, full, thickness = (
        np.zeros((n, len(functionals))),
        np.zeros((n, len(functionals))),
        np.zeros(size),
    )
    full[:, :size] = taken
    if area is not None:
        functionals[-1] = area - (area @ curves.pre_curve) @ functionals[:size]
        divisor[:, -1] = 1
    elif params.divide_by == "step":
        divisor[:, STEP] = 1
    else:
        divisor[:, :size] = curves.difference if params.divide_by == "line" else curves.post_curve
    found = functionals @ mean
    divided = divisor @ found
    thickness = np.zeros(len(functionals))
    thickness[:size] = mean_step
    unit = float(divided.mean())
    if not unit > 0:  # a mean spectrum without a step says nothing of shapes
        return Jacobian(functionals, full, divisor, np.ones(n), thickness, 1.0)
    shape = np.maximum(divided / unit, LEAST_SHAPE)
    return Jacobian(functionals, full, divisor, shape, thickness, float(thickness @ found) / unit)
