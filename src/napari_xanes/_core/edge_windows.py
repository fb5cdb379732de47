"""Where the edge is, and which energies lie safely before and after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core._validate import check_energy, check_window, window_indices
from napari_xanes._core.element_edges import ElementEdge, edge_near, partner
from napari_xanes._core.errors import InputError
from napari_xanes._core.params import Window

BEFORE, AFTER = 20.0, 55.0
"""Distance in eV kept from the edge on either side, where the scan is long enough."""

LOWEST = 45.0
"""eV; no edge that XANES is taken at lies below, so such energies are keV."""

RESOLUTION = 1e-4
"""Relative width over which a spectrum has no detail; on finer grids slopes are taken over at least this much."""


def find_e0(energy: ArrayLike, mu: ArrayLike) -> float:
    """Return the energy of the steepest rise of a spectrum.

    Parameters
    ----------
    energy : array (E,)
        Photon energies in eV, ascending.
    mu : array (E,)
        Absorption; NaN are passed over.

    Returns
    -------
    float
        Edge energy in eV, between the grid points.

    Raises
    ------
    InputError
        If there are fewer than 5 valid values or the spectrum does not rise.

    Notes
    -----
    The slope at a point is that of a parabola fitted to it and its two neighbours on either side, more on grids
    finer than `RESOLUTION`; the maximum is that of a parabola through the largest slope and those beside it.
    """
    energies = check_energy(energy, label="the spectrum")
    values = np.asarray(mu, dtype=np.float64)
    if values.shape != energies.shape:
        raise InputError(
            f"the spectrum has shape {values.shape}, its energies {energies.shape}; give one value per energy."
        )
    valid = np.isfinite(values)
    energies, values = energies[valid], values[valid]
    if energies.size < 5:
        raise InputError(
            f"the spectrum has {energies.size} valid values, at least 5 are needed to find its edge."
        )
    if np.ptp(values) <= 1e-9 * np.abs(values).max():
        raise InputError(f"the spectrum is constant ({values[0]:g} at every energy), so it has no edge.")
    slopes = np.array([_slope(energies, values, i) for i in range(2, energies.size - 2)])
    if slopes.max() <= 0:
        raise InputError(
            "the spectrum falls everywhere, so it has no edge; is it transmission rather than absorption?"
        )
    return _parabola_top(energies[2:-2], slopes)


def _slope(energy: NDArray[np.float64], mu: NDArray[np.float64], i: int) -> float:
    reach = RESOLUTION * energy[i]
    first = min(i - 2, int(np.searchsorted(energy, energy[i] - reach)))
    last = max(i + 3, int(np.searchsorted(energy, energy[i] + reach, side="right")))
    x = energy[first:last] - energy[i]
    scale = np.abs(x).max()
    return float(np.polynomial.polynomial.polyfit(x / scale, mu[first:last], 2)[1] / scale)


def _parabola_top(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    i = int(np.argmax(y))
    if not 0 < i < x.size - 1:
        return float(x[i])
    left, right = x[i - 1] - x[i], x[i + 1] - x[i]
    curve, tilt = np.linalg.solve([[left**2, left], [right**2, right]], y[[i - 1, i + 1]] - y[i])
    return float(x[i] - np.clip(tilt / (2 * curve), left, right)) if curve < 0 else float(x[i])


def choose_e0(
    energy: NDArray[np.float64], mean: NDArray[np.float64], e0: float | None
) -> tuple[float, ElementEdge | None]:
    """Return the edge energy and the tabulated edge it belongs to; a given `e0` is kept."""
    if e0 is not None:
        if not energy[0] < e0 < energy[-1]:
            raise InputError(f"e0 is {e0:g} eV, outside the data's {energy[0]:g} to {energy[-1]:g} eV.")
        return float(e0), edge_near(e0)
    if energy[-1] < LOWEST:
        raise InputError(
            f"the energies go from {energy[0]:g} to {energy[-1]:g} and must be in eV; if they are keV, multiply by 1000."
        )
    measured = find_e0(energy, mean)
    edge = edge_near(measured)
    if edge is None or not energy[0] < edge.energy < energy[-1]:
        return round(measured, 2), edge
    return edge.energy, edge


def choose_windows(
    energy: NDArray[np.float64],
    e0: float,
    edge: ElementEdge | None,
    pre_edge: Window | None,
    post_edge: Window | None,
) -> tuple[Window, Window]:
    """Return the windows before and after the edge, those not given being chosen; each holds 2 energies or more.

    Chosen windows keep `BEFORE` and `AFTER` eV from the edge, or a third and a half of what there is if the scan
    is short, and begin beyond the spin-orbit partner of the edge if the scan reaches that.
    """
    _check_both_sides(energy, e0, pre_edge, post_edge)
    if pre_edge is None:
        pre_edge = (float(energy[0]), max(e0 - max(0.0, min(BEFORE, (e0 - energy[0]) / 3)), float(energy[1])))
    if post_edge is None:
        begin = e0 + min(AFTER, (energy[-1] - e0) / 2)
        second = partner(edge) if edge else None
        if second and e0 < second.energy < energy[-1]:
            begin = max(begin, (second.energy + energy[-1]) / 2)
        post_edge = (min(float(begin), float(energy[-2])), float(energy[-1]))
    for window, name in ((pre_edge, "pre_edge"), (post_edge, "post_edge")):
        window_indices(energy, check_window(window, name), name, at_least=2)
    if pre_edge[1] >= post_edge[0]:
        raise InputError(
            f"pre_edge ends at {pre_edge[1]:g} eV, beyond the begin of post_edge at {post_edge[0]:g} eV; keep them apart."
        )
    return check_window(pre_edge, "pre_edge"), check_window(post_edge, "post_edge")


def _check_both_sides(
    energy: NDArray[np.float64], e0: float, pre_edge: Window | None, post_edge: Window | None
) -> None:
    before, after = int((energy < e0).sum()), int((energy > e0).sum())
    for count, given, side in ((before, pre_edge, "before"), (after, post_edge, "after")):
        if given is None and count < 2:
            raise InputError(
                f"{count} of the energies lie {side} the edge at {e0:.2f} eV, at least 2 are needed to fit a line; "
                f"the data cover {energy[0]:g} to {energy[-1]:g} eV."
            )
