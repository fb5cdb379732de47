"""References of another edge are told by their energies."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.data.lazy import LazyArray
from napari_xanes._core.fit.other_edge import of_another_edge, strangers

NICKEL = np.linspace(8223.0, 8578.0, 61)


def edge_at(e0, energy, name="one"):
    return nx.Reference(name, energy, 1 / (1 + np.exp(-(energy - e0) / 2)))


def test_an_edge_outside_of_the_scan_is_told_whatever_the_spectrum_covers():
    cobalt, nickel = (
        edge_at(7712.0, np.arange(7600.0, 8900.0, 2), "cobalt"),
        edge_at(8340.0, NICKEL, "nickel"),
    )
    (said,) = strangers([nickel, cobalt], NICKEL)
    assert "'cobalt' at 7712 eV (Co K)" in said and "nickel" not in said
    assert strangers([nickel], NICKEL) == []


def test_oxidation_is_no_other_element():
    late = edge_at(8350.0, NICKEL)
    assert not of_another_edge(late, NICKEL, 8333.0) and of_another_edge(late, NICKEL, 8300.0)
    before_the_edge = np.linspace(8300.0, 8335.0, 30)  # of a scan of what lies before it
    assert not of_another_edge(late, before_the_edge)


def test_a_spectrum_without_an_edge_is_no_strangers():
    assert not of_another_edge(nx.Reference("flat", NICKEL, np.ones(NICKEL.size)), NICKEL)


@pytest.mark.parametrize("step", ["fit", "rank", "shift_map"])
def test_references_of_another_element_are_refused_before_any_image_is_read(tmp_path, step):
    iron = np.arange(7050.0, 7300.0)
    np.savetxt(tmp_path / "iron.txt", np.stack([iron, edge_at(7120.0, iron).mu], 1))

    class Unreadable(LazyArray):
        def read_rows(self, index, rows):
            raise AssertionError("an image was read")

    images = Unreadable((NICKEL.size, 8, 8), np.float32, cheap_rows=True)
    stack = nx.EnergyStack(images, NICKEL, "optical_density")
    steps = [{"do": "align"}, {"do": step, "references": [str(tmp_path / "iron.txt")]}]
    with pytest.raises(nx.InputError, match=r"'iron' covers .* is it of another element"):
        nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": steps}), stack)
