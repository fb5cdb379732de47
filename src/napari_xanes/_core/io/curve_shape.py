"""Whether a curve over energy looks like absorption across an edge; only good for a word of warning."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["rises", "falls", "no edge", "too few"]

LEAST_POINTS = 12
POINTS = 100
SHARP = 8.0
"""How many times steeper than usual the steepest part must be: of pure noise it is 3 to 7, of an edge 16 or more."""


def edge_shape(energy: NDArray[np.float64], mu: NDArray[np.float64]) -> Shape:
    """Tell whether a curve rises or falls at an edge.

    The slope of the curve, looked at in about a hundred even steps, is compared with its median; noise and straight
    lines have no part that is much steeper than the rest.

    Parameters
    ----------
    energy : array (n,)
        Any order.
    mu : array (n,)
        May hold values that are not finite.
    """
    good = np.isfinite(energy) & np.isfinite(mu)
    order = np.argsort(energy[good], kind="stable")
    e, y = energy[good][order], _without_spikes(mu[good][order])
    if e.size < LEAST_POINTS or e[-1] <= e[0]:
        return "too few"
    steps = min(POINTS, max(LEAST_POINTS, e.size // 2))
    edges = np.linspace(e[0], e[-1], steps + 1)
    which = np.clip(np.searchsorted(edges, e, side="right") - 1, 0, steps - 1)
    count = np.bincount(which, minlength=steps)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(which, y, minlength=steps) / count
        at = np.bincount(which, e, minlength=steps) / count
    filled = count > 0
    centers = (edges[:-1] + edges[1:]) / 2
    curve = np.interp(centers, at[filled], mean[filled])
    if np.ptp(curve) <= 1e-9 * max(abs(curve).max(), 1e-300):
        return "no edge"
    width = 2  # the slope over two steps, so that an edge between two of them is seen whole
    slope = curve[width:] - curve[:-width]
    usual = float(np.median(slope))
    away = np.abs(slope - usual)
    peak = int(away.argmax())
    typical = max(float(np.median(away)), 1e-6 * float(np.ptp(curve)))
    if away[peak] < SHARP * typical:
        return "no edge"
    reach = max(3, steps // 12)
    middle = peak + width // 2
    before, after = curve[max(0, middle - reach) : middle], curve[middle + 1 : middle + 1 + reach]
    if not before.size or not after.size:
        return "no edge"
    drift = usual / width * (reach + 1)
    return "rises" if after.mean() - before.mean() - drift > 0 else "falls"


def _without_spikes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each value and its neighbours, so that a single bad reading is no edge."""
    if values.size < LEAST_POINTS:
        return values
    middle = np.median([values[:-2], values[1:-1], values[2:]], axis=0)
    return np.concatenate([values[:1], middle, values[-1:]])
