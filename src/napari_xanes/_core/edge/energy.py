"""Where the edge is: by the steepest rise of a spectrum, its half height, or the table of the elements.

A scan that holds no edge is told from one that does, and which of its sides is missing is said where that can
be known.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.checks import check_choice, check_energy, window_indices
from napari_xanes._core.base.door import public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.edge.curves import fitted_curves
from napari_xanes._core.edge.elements import ElementEdge, all_edges, edge_near
from napari_xanes._core.edge.params import NormalizeParams, least_energies
from napari_xanes._core.edge.windows import choose_windows

LOWEST = 45.0
"""eV; no edge that XANES is taken at lies below, so such energies are keV."""

RESOLUTION = 1e-4
"""Relative width over which a spectrum has no detail; on finer grids slopes are taken over at least this much."""

NEAR = 100.0
"""eV; an edge of the table this near to a scan's end is offered as the one that the scan misses."""

Method = Literal["derivative", "half_height"]


@public
def find_e0(
    energy: ArrayLike,
    mu: ArrayLike,
    *,
    method: Method = "derivative",
    pre_edge: Window | None = None,
    post_edge: Window | None = None,
) -> float:
    """Return the edge energy of a spectrum.

    Parameters
    ----------
    energy : array (E,)
        Photon energies in eV, ascending.
    mu : array (E,)
        Absorption; NaN are passed over.
    method : {"derivative", "half_height"}
        The energy of the steepest rise, or where the spectrum rises through the middle between its pre-edge and
        its post-edge line.
    pre_edge, post_edge : (float, float), optional
        Windows in eV of these two lines; chosen if not given, and not used by "derivative".

    Returns
    -------
    float
        Edge energy in eV, between the grid points.

    Raises
    ------
    InputError
        If there are fewer than 5 valid values, or the spectrum does not rise, or a window holds too few energies.

    Notes
    -----
    The slope at a point is that of a parabola fitted to it and its two neighbours on either side, more on grids
    finer than `RESOLUTION`; the maximum is that of a parabola through the largest slope and those beside it.
    For the half height the spectrum between its points is a monotone cubic; of several such energies the one
    nearest to the steepest rise is taken.

    Examples
    --------
    >>> import numpy as np
    >>> energy = np.linspace(8250, 8500, 101)
    >>> float(find_e0(energy, 1 / (1 + np.exp(-(energy - 8340) / 2))))
    8340.0
    """
    check_choice("method", method, Method)
    energies = check_energy(energy, label="the spectrum")
    values = unmasked(mu).astype(np.float64)
    if values.shape != energies.shape:
        raise InputError(
            f"the spectrum has shape {values.shape}, its energies {energies.shape}; give one value per energy."
        )
    valid = np.isfinite(values)
    energies, values = energies[valid], values[valid]
    measured = _steepest(energies, values)
    if method == "derivative":
        return measured
    params = NormalizeParams(pre_edge=pre_edge, post_edge=post_edge)
    return _half_height(energies, values, measured, edge_near(measured), params)


def choose_e0(
    energy: NDArray[np.float64], mean: NDArray[np.float64], params: NormalizeParams
) -> tuple[float, ElementEdge | None]:
    """Return the edge energy and the tabulated edge it belongs to; a given one is kept."""
    if (e0 := params.e0) is not None:
        if not energy[0] < e0 < energy[-1]:
            raise InputError(f"e0 is {e0:g} eV, outside the data's {energy[0]:g} to {energy[-1]:g} eV.")
        return float(e0), edge_near(e0)
    if energy[-1] < LOWEST:
        raise InputError(
            f"the energies go from {energy[0]:g} to {energy[-1]:g} and must be in eV; if they are keV, multiply by 1000."
        )
    measured = _steepest(energy, mean)
    edge = edge_near(measured)
    if params.e0_method == "half_height":
        return round(_half_height(energy, mean, measured, edge, params), 2), edge
    if params.e0_method == "derivative" or edge is None or not energy[0] < edge.energy < energy[-1]:
        return round(measured, 2), edge
    return edge.energy, edge


def missing_side(energy: NDArray[np.float64]) -> str:
    """Return which side of an edge a scan without one seems to lack, in words, or nothing if that cannot be told."""
    first, last = float(energy[0]), float(energy[-1])
    edges = [edge for edge in all_edges() if first - NEAR <= edge.energy <= last + NEAR]
    if any(edge.level == "K" and first < edge.energy < last for edge in edges):
        return ""
    sides = {
        "before": [edge for edge in edges if edge.energy <= first],
        "after": [edge for edge in edges if edge.energy >= last],
    }
    for levels in (("K",), ("K", "L3", "L2", "M5", "M4")):
        found = {side: [e for e in near if e.level in levels] for side, near in sides.items()}
        chosen = [side for side, near in found.items() if near]
        if len(chosen) == 1:
            side = chosen[0]
            edge = min(found[side], key=lambda e: max(first - e.energy, e.energy - last))
            where = "below the first energy" if side == "before" else "above the last energy"
            return (
                f"{edge} at {edge.energy:g} eV lies {where}, so energies {side} the edge seem to be missing"
            )
    return ""


def _steepest(energy: NDArray[np.float64], mu: NDArray[np.float64]) -> float:
    if energy.size < 5:
        raise InputError(
            f"the spectrum has {energy.size} valid values, at least 5 are needed to find its edge."
        )
    if np.ptp(mu) <= 1e-9 * np.abs(mu).max():
        raise InputError(f"the spectrum is constant ({mu[0]:g} at every energy), so it has no edge.")
    slopes = _slopes(energy, mu)
    if slopes.max() <= 0:
        what = missing_side(energy) or "is it transmission rather than absorption?"
        raise InputError(
            f"the spectrum falls everywhere from {energy[0]:g} to {energy[-1]:g} eV, so it has no edge; "
            + (what if what.endswith("?") else f"{what}; scan from before to after it.")
        )
    return _parabola_top(energy[2:-2], slopes)


def _slopes(energy: NDArray[np.float64], mu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slopes of parabolas, fitted about each energy but the two at either end."""
    at = np.arange(2, energy.size - 2)
    reach = RESOLUTION * energy[at]
    first = np.minimum(at - 2, np.searchsorted(energy, energy[at] - reach))
    count = np.maximum(at + 3, np.searchsorted(energy, energy[at] + reach, side="right")) - first
    slopes = np.empty(at.size)
    for n in np.unique(count):
        same = np.flatnonzero(count == n)
        inside = first[same, None] + np.arange(n)
        x = energy[inside] - energy[at[same], None]
        scale = np.abs(x).max(axis=1)
        fits = np.linalg.pinv((x / scale[:, None])[..., None] ** np.arange(3))
        slopes[same] = np.einsum("ij,ij->i", fits[:, 1], mu[inside]) / scale
    return slopes


def _parabola_top(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    i = int(np.argmax(y))
    if not 0 < i < x.size - 1:
        return float(x[i])
    left, right = x[i - 1] - x[i], x[i + 1] - x[i]
    curve, tilt = np.linalg.solve([[left**2, left], [right**2, right]], y[[i - 1, i + 1]] - y[i])
    return float(x[i] - np.clip(tilt / (2 * curve), left, right)) if curve < 0 else float(x[i])


def _half_height(
    energy: NDArray[np.float64],
    mu: NDArray[np.float64],
    rise: float,
    edge: ElementEdge | None,
    params: NormalizeParams,
) -> float:
    """Return where a spectrum rises through the middle of its two curves, next to its steepest `rise`."""
    from scipy.interpolate import PchipInterpolator  # long to load

    least = least_energies(params)
    windows = choose_windows(energy, rise, edge, params.pre_edge, params.post_edge, least)
    before, after = (window_indices(energy, window, "window") for window in windows)
    order = 1 if params.post_order is None else params.post_order
    curves = fitted_curves(energy, rise, before, after, params.pre, order)
    found = curves.coefficients(mu[before], mu[after])
    # above zero where the spectrum is nearer to the post-edge curve
    excess = PchipInterpolator(energy, mu - (curves.pre_curve + curves.difference / 2) @ found)
    crossings = np.asarray(excess.solve(0.0, extrapolate=False))
    inside = (crossings > windows[0][1]) & (crossings < windows[1][0])
    rising = crossings[inside & (excess(crossings, 1) > 0)] if crossings.size else crossings
    if not rising.size:
        raise InputError(
            f"the spectrum does not rise through half of its step between {windows[0][1]:g} and {windows[1][0]:g} eV, "
            "so it has no half height; give e0, or other windows."
        )
    return float(rising[np.argmin(np.abs(rising - rise))])
