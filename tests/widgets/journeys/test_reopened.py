"""A result that is saved, closed and opened again lives on, with real events."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from mouse import drag_on_canvas
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, stack_layers

pytestmark = pytest.mark.viewer


def click(qtbot, button):
    qtbot.wait(100)  # until a section that was just unfolded is laid out
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def button_of(panel, text) -> QPushButton:
    return next(one for one in panel.findChildren(QPushButton) if one.text() == text)


def map_named(window, name):
    return next(one for one in window.layers if about(one).get("map") == name)


@pytest.fixture
def scan_of_its_own(scan_file, tmp_path):
    """The scan in a file that can be moved."""
    copy = tmp_path / "scan.h5"
    copy.write_bytes(scan_file.read_bytes())
    return copy


@pytest.fixture
def saved(window, scan_of_its_own, run_step, qtbot, tmp_path, monkeypatch):
    """A result with a mask applied and a region drawn, saved with the button; and what was seen."""
    window.open(str(scan_of_its_own), plugin="napari-xanes")
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    for key in ("preprocess", "align", "normalize"):
        run_step(workflow.panels[key])
    _, spectrum = window.window.add_plugin_dock_widget("napari-xanes", "XANES spectrum")
    qtbot.wait(300)
    click(qtbot, spectrum.tools.new_region)
    drag_on_canvas(window, workflow.chooser.layer(), (10, 12), (30, 40))
    spectrum.pin(workflow.chooser.layer().data_to_world((0, 20, 33)))
    qtbot.mouseClick(workflow.sections["masks"].button, Qt.MouseButton.LeftButton)
    click(qtbot, workflow.masks.otsu)
    qtbot.wait(300)
    click(qtbot, workflow.masks.keep)
    click(qtbot, workflow.masks.use.apply)
    qtbot.wait(500)
    seen = {
        "curves": sorted(spectrum.model.reading.spectra),
        "colors": {name: one.color for name, one in spectrum.model.reading.spectra.items()},
        "history": workflow.results.text.toPlainText(),
        "maps": {about(one)["map"]: np.array(one.data) for one in window.layers if about(one).get("map")},
    }
    path = tmp_path / "kept.h5"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), "Result (*.h5)"))
    qtbot.mouseClick(workflow.sections["results"].button, Qt.MouseButton.LeftButton)
    click(qtbot, button_of(workflow.results, "Save result..."))
    window.layers.clear()
    return workflow, spectrum, path, seen


def test_a_reopened_result_lives(window, saved, scan_of_its_own, run_step, qtbot, tmp_path, monkeypatch):
    _has_its_scan_and_goes_on(window, saved, run_step, qtbot, tmp_path, monkeypatch)
    window.layers.clear()
    _is_saved_by_napari_but_for_a_scan_that_was_changed_or_moved(
        window, saved, scan_of_its_own, qtbot, tmp_path, monkeypatch
    )


def _has_its_scan_and_goes_on(window, saved, run_step, qtbot, tmp_path, monkeypatch):
    workflow, spectrum, path, seen = saved
    window.open(str(path), plugin="napari-xanes")
    (stack,) = stack_layers(window)
    assert workflow.chooser.layer() is stack and stack.data.shape == (41, 64, 72)
    assert workflow.sections["results"].is_open()
    assert workflow.results.text.toPlainText() == seen["history"]

    for name, data in seen["maps"].items():  # masked as they were
        np.testing.assert_array_equal(map_named(window, name).data, data, err_msg=name)
    qtbot.wait(500)
    assert sorted(spectrum.model.reading.spectra) == seen["curves"]
    assert {name: one.color for name, one in spectrum.model.reading.spectra.items()} == seen["colors"]
    qtbot.mouseClick(workflow.sections["masks"].button, Qt.MouseButton.LeftButton)
    click(qtbot, workflow.masks.use.remove)
    whole = nx.load_result(path).maps
    for name in seen["maps"]:
        np.testing.assert_array_equal(map_named(window, name).data, whole[name], err_msg=name)
    assert np.isnan(seen["maps"]["thickness"]).sum() > np.isnan(whole["thickness"]).sum()

    again = tmp_path / "again.h5"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(again), "Result (*.h5)"))
    qtbot.mouseClick(workflow.sections["results"].button, Qt.MouseButton.LeftButton)
    click(qtbot, button_of(workflow.results, "Save result..."))
    assert set(nx.load_result(again).maps) == set(whole)
    run_step(workflow.panels["preprocess"])
    assert workflow.chooser.layer().name.endswith("optical density")


def _is_saved_by_napari_but_for_a_scan_that_was_changed_or_moved(
    window, saved, scan_of_its_own, qtbot, tmp_path, monkeypatch
):
    workflow, _, path, seen = saved
    window.open(str(path), plugin="napari-xanes")
    before, said = len(window.layers), []
    notification_manager.notification_ready.connect(lambda one: said.append(one.message))
    window.layers.save(str(tmp_path / "all.h5"))
    assert any("Stacks are not saved" in one and "History..." in one for one in said), said
    window.layers.clear()
    window.open(str(tmp_path / "all.h5"), plugin="napari-xanes")
    assert len(window.layers) == before and "regions" in window.layers
    np.testing.assert_array_equal(map_named(window, "thickness").data, seen["maps"]["thickness"])

    window.layers.clear()
    with scan_of_its_own.open("ab") as file:
        file.write(b"more")
    window.open(str(path), plugin="napari-xanes")
    assert not list(stack_layers(window)) and "changed since" in workflow.chooser.note.text()

    window.layers.clear()
    scan_of_its_own.rename(tmp_path / "elsewhere.h5")
    window.open(str(path), plugin="napari-xanes")
    assert not list(stack_layers(window)) and map_named(window, "thickness").visible
    assert str(scan_of_its_own) in workflow.chooser.note.text()
    assert workflow.results.text.toPlainText() == seen["history"]
    panels = [
        workflow.results,
        *(workflow.panels[key] for key in ("preprocess", "align", "normalize", "fit")),
    ]
    for button in (workflow.masks.use.paint, *(panel.runner.run for panel in panels)):
        assert not button.isEnabled() and str(scan_of_its_own) in button.toolTip(), "it says why it is grey"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "out"))
    click(qtbot, button_of(workflow.results, "Export TIFF, CSV..."))
    exported = tifffile.imread(tmp_path / "out" / "thickness.tif")
    np.testing.assert_array_equal(exported, seen["maps"]["thickness"])
    _, history = window.window.add_plugin_dock_widget("napari-xanes", "XANES history")
    assert [one.name for one in history.list.history.steps][-2:] == ["normalize", "mask"]
    assert str(scan_of_its_own) in history.note.text()
