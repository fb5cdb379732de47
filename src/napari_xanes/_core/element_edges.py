"""Absorption edges of the elements, and which one a scan was taken across.

Edge energies are those of xraydb (Elam, Ravel and Sieber 2002, doi:10.1016/S0969-806X(01)00227-4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import xraydb

LEVELS = ("K", "L3", "L2", "M5", "M4")
"""Edges that XANES is taken at, the likelier first."""


@dataclass(frozen=True)
class ElementEdge:
    """An absorption edge: element symbol, level such as "K" or "L3", tabulated energy in eV."""

    element: str
    level: str
    energy: float

    def __str__(self) -> str:
        return f"{self.element} {self.level}"


@lru_cache(maxsize=1)
def all_edges() -> tuple[ElementEdge, ...]:
    """Return the edges of all elements from lithium to californium."""
    return tuple(
        ElementEdge(symbol, level, float(edge.energy))
        for symbol in (xraydb.atomic_symbol(z) for z in range(3, 99))
        for level, edge in xraydb.xray_edges(symbol).items()
        if level in LEVELS and edge.energy > 0
    )


def edge_near(energy: float) -> ElementEdge | None:
    """Return the edge that a measured edge at `energy` (eV) most likely is, or None.

    K edges come first, then L3 and so on, within what chemistry and the monochromator's calibration may shift.
    """
    tolerance = max(5.0, 2e-3 * energy)
    near = [edge for edge in all_edges() if abs(edge.energy - energy) <= tolerance]
    if not near:
        return None
    return min(near, key=lambda edge: (LEVELS.index(edge.level), abs(edge.energy - energy)))


def partner(edge: ElementEdge) -> ElementEdge | None:
    """Return the spin-orbit partner above an edge (L2 of L3, M4 of M5), or None."""
    level = {"L3": "L2", "M5": "M4"}.get(edge.level)
    return next((e for e in all_edges() if e.element == edge.element and e.level == level), None)
