"""The energy on the canvas: that of the frame that is seen."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.window.energy_text import KEY, show_energy


@pytest.fixture
def stack():
    """A stack of five energies."""
    energy = np.array([8300.0, 8320.5, 8333.25, 8350.0, 8400.0])
    return nx.EnergyStack(np.ones((5, 6, 7), np.float32), energy, "counts", name="Ni scan")


def test_the_energy_follows_the_slider_and_the_visible_stack(viewer, stack):
    text = show_energy(viewer)
    assert text.text == ""
    raw = add_stack(viewer, stack)
    viewer.dims.set_current_step(0, 2)
    assert text.text == "8333.25 eV  (3 of 5)"
    viewer.dims.set_current_step(0, 4)
    assert text.text == "8400.00 eV  (5 of 5)"
    raw.visible = False
    assert text.text == ""
    raw.visible = True
    assert text.text != ""
    viewer.layers.clear()
    assert text.text == ""


def test_no_single_energy_stands_on_a_picture_of_all(viewer, stack):
    text = show_energy(viewer)
    add_stack(viewer, stack)
    assert text.text
    for change in ({"ndisplay": 3}, {"ndisplay": 2, "order": (1, 0, 2)}):
        viewer.dims.update(change)
        assert text.text == ""
    viewer.dims.order = (0, 2, 1)
    assert text.text


def test_there_is_one_energy_text_a_viewer(viewer):
    before = len(viewer.dims.events.current_step.callbacks)
    assert show_energy(viewer) is show_energy(viewer)
    assert len(viewer.dims.events.current_step.callbacks) == before + 1
    assert KEY in viewer.canvas.overlays.keys()  # noqa: SIM118
