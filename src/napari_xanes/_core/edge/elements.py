"""Absorption edges of the elements, and which one a scan was taken across.

Edge energies are those of `data.edges`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from napari_xanes._core.data.edges import edge_energies

LEVELS = {"K": 0.0, "L3": 8.0, "L2": 10.0, "M5": 10.0, "M4": 12.0}
"""Edges that XANES is taken at, and how many eV further away the less usual ones must seem than a K edge."""

REACH = 20.0
"""Distance in eV up to which a measured edge is still that of the table."""


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
        ElementEdge(symbol, level, energy)
        for (symbol, level), energy in edge_energies().items()
        if level in LEVELS and energy > 0 and symbol not in ("H", "He")
    )


def edge_near(energy: float) -> ElementEdge | None:
    """Return the edge that a measured edge at `energy` (eV) most likely is, or None.

    Oxidation moves an edge up by as much as 15 eV, a monochromator is off by a few eV either way; so an edge
    of the table that lies above what was measured counts as twice as far.  K edges below 1 keV are the exception,
    their first resonances lying below the tabulated threshold.
    """
    near = [edge for edge in all_edges() if _distance(edge, energy) <= max(REACH, 2e-3 * energy)]
    return min(near, key=lambda edge: _distance(edge, energy) + LEVELS[edge.level], default=None)


def _distance(edge: ElementEdge, measured: float) -> float:
    above = measured - edge.energy
    if above >= 0 or (edge.level == "K" and edge.energy < 1000):
        return abs(above)
    return -2 * above


def partner(edge: ElementEdge) -> ElementEdge | None:
    """Return the spin-orbit partner above an edge (L2 of L3, M4 of M5), or None."""
    level = {"L3": "L2", "M5": "M4"}.get(edge.level)
    return next((e for e in all_edges() if e.element == edge.element and e.level == level), None)
