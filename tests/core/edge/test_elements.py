"""Edges are recognised where spectra really have them: shifted by oxidation and by the monochromator."""

import pytest

from napari_xanes._core.edge.elements import all_edges, edge_near, partner


@pytest.mark.parametrize(
    ("measured", "name"),
    [
        (8333.0, "Ni K"),
        (8346.8, "Ni K"),  # LiNiO2; Er L3 is nearer
        (7105.3, "Fe K"),  # iron foil, scale off by 7 eV
        (7126.0, "Fe K"),  # Fe2O3
        (4980.0, "Ti K"),  # TiO2
        (6005.0, "Cr K"),  # chromate
        (708.0, "Fe L3"),  # F K is 11 eV below
        (641.0, "Mn L3"),
        (531.0, "O K"),  # first resonance, 12 eV below the tabulated threshold
        (285.0, "C K"),
        (402.0, "N K"),
        (883.0, "Ce M5"),
        (11564.0, "Pt L3"),
        (25514.0, "Ag K"),
    ],
)
def test_measured_edges_are_recognised(measured, name):
    assert str(edge_near(measured)) == name


@pytest.mark.parametrize("energy", [9000.0, 6100.0, 15000.0])
def test_no_edge_is_invented(energy):
    assert edge_near(energy) is None


def test_tabulated_k_edges_are_themselves():
    edges = [
        edge
        for edge in all_edges()
        if edge.level == "K" and edge.element in "Ti V Cr Mn Fe Co Ni Cu Zn Se Zr"
    ]
    assert len(edges) >= 11
    for edge in edges:
        assert edge_near(edge.energy) == edge


def test_partner_is_the_other_spin_orbit_edge():
    iron, cerium = edge_near(708.0), edge_near(883.0)
    assert partner(iron).level == "L2" and partner(iron).energy == pytest.approx(719.9, abs=0.5)
    assert partner(cerium).level == "M4" and partner(cerium).energy > cerium.energy
    assert partner(edge_near(8333.0)) is None
