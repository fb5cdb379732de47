"""Which energies lie safely before and after the edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.checks import check_window, window_indices
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.edge.elements import ElementEdge, partner

BEFORE, AFTER = 20.0, 55.0
"""Distance in eV kept from the edge on either side, where the scan is long enough."""


def choose_windows(
    energy: NDArray[np.float64],
    e0: float,
    edge: ElementEdge | None,
    pre_edge: Window | None,
    post_edge: Window | None,
    least: tuple[int, int] = (2, 2),
) -> tuple[Window, Window]:
    """Return the windows before and after the edge, those not given being chosen; each holds `least` energies or more.

    Chosen windows keep `BEFORE` and `AFTER` eV from the edge, or a third and a half of what there is if the scan
    is short, and begin beyond the spin-orbit partner of the edge if the scan reaches that.
    """
    _check_both_sides(energy, e0, pre_edge, post_edge, least)
    if pre_edge is None:
        pre_edge = (float(energy[0]), max(e0 - max(0.0, min(BEFORE, (e0 - energy[0]) / 3)), float(energy[1])))
    if post_edge is None:
        begin = e0 + min(AFTER, (energy[-1] - e0) / 2)
        second = partner(edge) if edge else None
        if second and e0 < second.energy < energy[-1]:
            begin = max(begin, (second.energy + energy[-1]) / 2)
        post_edge = (min(float(begin), float(energy[-max(2, least[1])])), float(energy[-1]))
    check_given(energy, pre_edge, post_edge, least)
    if pre_edge[1] >= post_edge[0]:
        raise InputError(
            f"pre_edge ends at {pre_edge[1]:g} eV, after post_edge starts at {post_edge[0]:g} eV; keep them apart."
        )
    return check_window(pre_edge, "pre_edge"), check_window(post_edge, "post_edge")


def check_given(
    energy: NDArray[np.float64], pre_edge: Window | None, post_edge: Window | None, least: tuple[int, int]
) -> None:
    """Say which of the windows that are given holds too few energies."""
    for window, name, n in ((pre_edge, "pre_edge", least[0]), (post_edge, "post_edge", least[1])):
        if window is not None:
            window_indices(energy, check_window(window, name), name, at_least=n)


def _check_both_sides(
    energy: NDArray[np.float64],
    e0: float,
    pre_edge: Window | None,
    post_edge: Window | None,
    least: tuple[int, int],
) -> None:
    before, after = int((energy < e0).sum()), int((energy > e0).sum())
    for count, given, n, side in (
        (before, pre_edge, 2, "before"),
        (after, post_edge, max(2, least[1]), "after"),
    ):
        if given is None and count < n:
            raise InputError(
                f"{count} of the energies lie {side} the edge at {e0:.2f} eV, at least {n} are needed to fit a line; "
                f"the data cover {energy[0]:g} to {energy[-1]:g} eV."
            )
