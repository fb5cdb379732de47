"""What can be energies of an absorption scan, told from names, units and the edges of real elements."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.edges import edge_energies

ENERGY_NAME = re.compile(r".*(energ|x_?eng|(^|_)eng($|_)|photon|(^|_)k?ev($|_)).*", re.IGNORECASE)
OTHER_NAME = re.compile(
    r"(^|[^a-z])(ring|curr(ent)?s?|srcurrent|i_?[012t]|io|mon(itor)?s?|temp(erature)?s?|theta|two_?theta|bragg|angles?|"
    r"rot(ation)?|azimuth|times?|timestamps?|epoch|dwell|counts?|exp(osure)?s?|exptimes|ind(ex|ices)|num(ber)?s?|frames?|"
    r"pressure|pos(ition)?s?|motors?|samp?l?e?_?[xyz]|[xyz]|shifts?|drift|dose|gap|phase|pol(arization)?|scan_?ids?|ids?|"
    r"scalers?|norm|dac|volt(age)?s?|bpm\w*|diodes?|flux|intensity|defocus|zp\w*|zone_?plate\w*|humidity|rate|gain|q|"
    r"image_?key|row|col(umn)?s?|channels?|mca|attenuat\w*|transmission)([^a-z]|$)",
    re.IGNORECASE,
)
"""Names of what is recorded along with a scan and is no energy."""
LEAST_SPAN, MOST_SPAN = 1.5, 3000.0
"""eV; a scan of an absorption edge is not narrower or wider."""
_LEVELS = ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5", "N4", "N5")
_UNITS = {"ev": "eV", "kev": "keV", "electronvolt": "eV", "kiloelectronvolt": "keV", "j": "J", "joule": "J"}
_UNITS |= {"megaelectronvolt": "MeV", "millielectronvolt": "meV"}


def energy_unit_of(unit: str) -> str | None:
    """Return "eV", "keV", "MeV", "meV", "mev" (one of the two) or "J" if a declared unit is one of energies of a scan.

    "" if none is declared; None for others.
    """
    bare = unit.strip().strip("[]()")
    words = bare.lower()
    if words == "mev":
        return bare if bare in ("MeV", "meV") else words
    if words in ("", "any", "nx_any", "nx_energy", "none", "-", "1"):
        return ""
    return _UNITS.get(re.sub(r"[-_\s]", "", words).removesuffix("s"))


@cache
def _edges() -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return all edges, ascending, and their names."""
    found = [
        (energy, f"{symbol} {level}")
        for (symbol, level), energy in edge_energies().items()
        if level in _LEVELS and symbol not in ("H", "He")
    ]
    found.sort()
    return np.array([energy for energy, _ in found]), tuple(name for _, name in found)


def edge_within(low: float, high: float) -> str:
    """Return the edge nearest to the lower third of a span that an absorption scan can have; "" if there is none."""
    if not (low > 0 and LEAST_SPAN <= high - low <= MOST_SPAN):
        return ""
    energies, names = _edges()
    inside = np.flatnonzero((energies > low) & (energies < high))
    if not inside.size:
        return ""
    rank = [
        (_LEVELS.index(names[i].split()[1]) // 4, abs(energies[i] - low - (high - low) / 3)) for i in inside
    ]
    best: str = names[inside[min(range(len(rank)), key=rank.__getitem__)]]
    return best


def units_that_fit(low: float, high: float) -> tuple[str, ...]:
    """Return in which units numbers from low to high can be the energies of a scan of an edge."""
    return tuple(
        unit for unit, factor in (("eV", 1.0), ("keV", 1000.0)) if edge_within(low * factor, high * factor)
    )


def could_be_scan(values: NDArray[np.float64]) -> bool:
    """Whether numbers without a name could be the energies of a scan: in order, over an edge of an element."""
    if values.size < 3 or not (np.isfinite(values).all() and (values > 0).all()):
        return False
    steps = np.diff(values)
    if not (np.all(steps >= 0) or np.all(steps <= 0)) or np.unique(values).size <= values.size / 2:
        return False
    return bool(units_that_fit(float(values.min()), float(values.max())))
