"""The table of edges, held against what xraydb itself says."""

from __future__ import annotations

import xraydb

from napari_xanes._core.data.edges import edge_energies


def test_the_table_is_that_of_xraydb():
    symbols = [xraydb.atomic_symbol(z) for z in range(1, 99)]
    expected = {
        (symbol, level): float(edge.energy)
        for symbol in symbols
        for level, edge in xraydb.xray_edges(symbol).items()
    }
    found = edge_energies()
    assert found == expected
    assert list(dict.fromkeys(symbol for symbol, _ in found)) == symbols, "from light to heavy"
    assert found["Fe", "K"] == 7112.0
