"""The table of absorption edges: that of xraydb, read from its database without what else xraydb loads.

Elam, Ravel and Sieber 2002, doi:10.1016/S0969-806X(01)00227-4.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_EDGES = """
    select elements.element, iupac_symbol, absorption_edge
    from elements join xray_levels on elements.element = xray_levels.element
    where atomic_number <= 98 order by atomic_number, xray_levels.id
"""


@cache
def edge_energies() -> dict[tuple[str, str], float]:
    """Return the energy in eV of each edge, by element and level such as ("Fe", "K"), hydrogen to californium."""
    package = find_spec("xraydb")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("xraydb is not installed; it holds the table of absorption edges.")
    place = Path(package.origin).with_name("xraydb.sqlite").as_uri()
    with closing(sqlite3.connect(f"{place}?immutable=1", uri=True)) as database:
        return {(element, level): float(energy) for element, level, energy in database.execute(_EDGES)}
