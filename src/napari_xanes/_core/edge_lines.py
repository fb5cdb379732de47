"""The lines before and after the edge as fixed matrices: what a spectrum's values give, for all pixels alike.

With x = E - e0 the pre-edge line is C0 + C1 x, and post- minus pre-edge line D0 + D1 x.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.errors import InputError

FloatArray = NDArray[np.floating[Any]]

Operator = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Matrices (4, n_pre) and (4, n_post) that give (C0, C1, D0, D1) from the values in the two windows."""


def pixel_operator(x: NDArray[np.float64], pre: NDArray[np.intp], post: NDArray[np.intp]) -> Operator:
    """Least-squares lines, each through its own window."""
    fit_pre, fit_post = (np.linalg.pinv(np.stack([np.ones(i.size), x[i]], axis=1)) for i in (pre, post))
    return np.concatenate([fit_pre, -fit_pre]), np.concatenate([np.zeros_like(fit_post), fit_post])


def noise_of_step(operator: Operator) -> float:
    """Standard error of the edge step D0 for values with noise of one."""
    return float(np.linalg.norm(np.concatenate([part[2] for part in operator])))


def shared_operator(
    x: NDArray[np.float64], pre: NDArray[np.intp], post: NDArray[np.intp], donor: NDArray[np.float64]
) -> Operator:
    """Least squares for a constant and a step, the slopes per unit of step being the donors'."""
    pre_slope, step_slope = donor[1] / donor[2], donor[3] / donor[2]
    shape = np.concatenate([pre_slope * x[pre], 1 + (pre_slope + step_slope) * x[post]])
    fit = np.linalg.pinv(np.stack([np.ones(shape.size), shape], axis=1))
    lines = np.array([[1, 0], [0, pre_slope], [0, 1], [0, step_slope]]) @ fit
    return lines[:, : pre.size], lines[:, pre.size :]


def donor_lines(
    spectra: FloatArray, operator: Operator, pre: NDArray[np.intp], post: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return (C0, C1, D0, D1) of the mean spectrum of the fifth of the pixels with the largest steps."""
    rise = spectra[post].mean(axis=0) - spectra[pre].mean(axis=0)
    valid = np.isfinite(rise)
    if not valid.any():
        raise InputError(
            "no pixel is valid at all energies of both windows, so slopes cannot be shared; use slope='pixel'."
        )
    donors = valid & (rise >= np.quantile(rise[valid], 0.8))
    mean = spectra[:, donors].mean(axis=1, dtype=np.float64)
    lines: NDArray[np.float64] = operator[0] @ mean[pre] + operator[1] @ mean[post]
    if not lines[2] > 0:
        raise InputError(
            "the pixels with the largest steps show no edge, so slopes cannot be shared; use slope='pixel'."
        )
    return lines


def as_slice(indices: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return the indices as a slice where they are neighbours, which spares a copy."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == indices.size else indices
