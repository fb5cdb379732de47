"""The pixels that a beam is taken from are shown over the picture and in a histogram."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

import napari_xanes as nx
from napari_xanes._core.prepare.internal_i0 import InternalI0Params, empty_pixels
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.layers.names import PREVIEW
from napari_xanes._widgets.steps.empty_region import OWNER
from napari_xanes._widgets.window.workflow import CorrectionsDock


@pytest.fixture
def counts(scan):
    """Counts without flats."""
    return scan.replace(data=scan.data[:], flat=None, dark=None)


def shown(viewer):
    return next((one for one in viewer.layers if one.metadata.get(PREVIEW) == OWNER), None)


def test_the_pixels_are_those_that_the_step_takes(counts):
    found = empty_pixels(counts, InternalI0Params())
    run = run_steps(counts, [("internal_i0", InternalI0Params())], keep_stack=True, in_memory=True)
    taken = run.history[-1].facts["pixels"]
    assert taken <= found.empty.sum() <= 2 * taken
    assert found.mean[found.empty].min() > np.quantile(found.mean, 0.9)
    region = empty_pixels(counts, InternalI0Params(roi=(0, 5, 10, 20)))
    assert region.empty.sum() == 50 and region.empty[4, 19] and not region.empty[5, 20]


@pytest.mark.viewer
def test_they_are_seen_over_the_picture(window, counts, qtbot):
    layer = add_stack(window, counts)
    panel = window.window.add_plugin_dock_widget("napari-xanes", "Corrections")[1].panel
    qtbot.waitUntil(panel.isVisible)
    assert not panel.empty.isVisible()
    panel.combo.setCurrentIndex(panel.combo.findData("internal_i0"))
    qtbot.waitUntil(panel.empty.isVisible)
    box = panel.empty.shown
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    qtbot.waitUntil(lambda: shown(window) is not None, timeout=10_000)
    expected = empty_pixels(counts, InternalI0Params())
    np.testing.assert_array_equal(shown(window).data, expected.empty)
    assert tuple(shown(window).scale) == tuple(layer.scale[1:]) and layer.visible
    assert panel.empty.plot.isVisible() and "are taken as empty" in panel.empty.words.text()
    bars = np.asarray(panel.empty.plot.taken.getData()[1])
    assert np.round(bars**2).sum() == expected.empty.sum()
    before = panel.empty.words.text()
    panel.forms["internal_i0"].editors["share"].set_value(0.2)
    qtbot.waitUntil(lambda: panel.empty.words.text() != before, timeout=10_000)
    wider = empty_pixels(counts, InternalI0Params(share=0.2))
    np.testing.assert_array_equal(shown(window).data, wider.empty)
    panel.combo.setCurrentIndex(panel.combo.findData("bin"))
    assert shown(window) is None
    panel.combo.setCurrentIndex(panel.combo.findData("internal_i0"))
    qtbot.waitUntil(lambda: shown(window) is not None, timeout=10_000)
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert shown(window) is None and not panel.empty.plot.isVisible()


def test_a_stack_without_light_is_said_in_a_sentence(viewer, qtbot):
    dark = nx.EnergyStack(np.full((5, 6, 7), np.nan, np.float32), np.linspace(8300, 8400, 5), "counts")
    add_stack(viewer, dark)
    dock = CorrectionsDock(viewer)
    qtbot.addWidget(dock)
    panel = dock.panel
    panel.choose("internal_i0")
    panel.empty.shown.setChecked(True)
    qtbot.waitUntil(lambda: "no frame holds a valid number" in panel.empty.words.text(), timeout=10_000)
    assert shown(viewer) is None
    dock.close_down()
