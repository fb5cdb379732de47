"""A curve as it is drawn and written; no Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

WINDOW_COLORS = {"pre_edge": "#8296AA", "post_edge": "#AA9682"}
"""Paler than any curve of a pin or region."""
FIT_COLORS = ("#FF4040", "#909090")
"""Of the fit and of what it leaves."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve to be drawn; no color is that of the text, style "points" draws dots."""

    x: Float64
    y: Float64
    color: str | None = None
    style: str = "line"
    width: float = 1.5


def as_table(curves: dict[str, Curve]) -> tuple[list[str], list[list[Any]]]:
    """Return the names of columns and the rows; where a curve has no value at an energy, the field is empty."""
    energies = np.unique(np.concatenate([curve.x for curve in curves.values()])) if curves else np.empty(0)
    columns = []
    for curve in curves.values():
        at = np.searchsorted(curve.x, energies).clip(0, curve.x.size - 1)
        columns.append(np.where(curve.x[at] == energies, curve.y[at], np.nan))
    rows = [
        [f"{e:.10g}", *("" if np.isnan(v) else f"{v:.8g}" for v in values)]
        for e, *values in zip(energies, *columns, strict=True)
    ]
    return ["energy_eV", *curves], rows
