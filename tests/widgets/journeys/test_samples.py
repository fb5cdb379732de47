"""From a sample of the menu to maps that are true, with the buttons of the window."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from mouse import drag_line
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_xanes as nx
from napari_xanes import _sample_data
from napari_xanes._widgets.layers.layers import about, find
from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.view.layers import mix_layers

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("samples")]


@pytest.fixture
def clicked(qtbot):
    """Click Run of the open step with the mouse and wait for the step that the workflow opens next."""

    def click(window, key):
        workflow = workflow_of(window)
        section, panel = workflow.sections[key], workflow.panels[key]
        if not section.button.isChecked():
            qtbot.mouseClick(section.button, Qt.MouseButton.LeftButton)
        assert panel.runner.run.isVisible() and panel.runner.run.isEnabled(), panel.plan.text()
        with qtbot.waitSignal(panel.done, timeout=120_000):
            qtbot.mouseClick(panel.runner.run, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not panel.runner.background.running)
        return panel.result.text()

    return click


def open_sample(window, key):
    (layer,) = window.open_sample("napari-xanes", key)
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    QApplication.processEvents()
    return layer, workflow


def truth_of(key):
    with h5py.File(_sample_data.sample_file(key).parent / "truth.h5") as file:
        return {name: file[name][()] for name in file} | {
            "names": list(file["fractions"].attrs["references"])
        }


def maps_of(window):
    return {about(layer)["map"]: layer for layer in window.layers if about(layer).get("map")}


def assert_fractions(window, key, within, known=0.9):
    truth = truth_of(key)
    found = np.stack([maps_of(window)[f"fraction_{name}"].data for name in truth["names"]])
    wrong = (found - truth["fractions"])[:, truth["mask"]]
    assert np.isfinite(wrong).mean() > known
    assert np.sqrt(np.nanmean(wrong**2)) < within


def test_from_the_sample_to_maps_and_a_recipe_that_makes_them_again(
    window, clicked, qtbot, tmp_path, monkeypatch, rest
):
    _, workflow = open_sample(window, "ni_scan")
    for key in ("preprocess", "align", "normalize", "fit"):
        said = clicked(window, key)
    assert "R-factor" in said or "pixels" in said
    assert_fractions(window, "ni_scan", 0.035)
    moved = next(one for one in window.layers if one.name.endswith("aligned"))
    assert moved.data.shape == (61, 200, 240)

    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "recipe"), "Recipe (*.toml)")
    )
    (save,) = [one for one in workflow.results.buttons if one.text() == "Save recipe..."]
    qtbot.mouseClick(save, Qt.MouseButton.LeftButton)
    again = nx.run_recipe(tmp_path / "recipe.toml", _sample_data.sample_file("ni_scan"))
    for name, layer in maps_of(window).items():
        np.testing.assert_array_equal(layer.data, again.maps[name], err_msg=name)


def test_from_volumes_to_fractions_seen_in_three_dimensions(window, clicked, qtbot):
    window.window.resize(900, 600)  # in software a large canvas takes long to draw
    _, workflow = open_sample(window, "ni_volume")
    for key in ("align", "normalize", "fit"):
        clicked(window, key)
    assert_fractions(window, "ni_volume", 0.08)
    qtbot.mouseClick(workflow.results.view, Qt.MouseButton.LeftButton)
    view = next(one for one in window.window.dock_widgets.values() if hasattr(one, "volume"))
    qtbot.mouseClick(view.volume.fractions, Qt.MouseButton.LeftButton)
    assert window.dims.ndisplay == 3
    volumes = mix_layers(window, view.chooser.layer())
    assert volumes and all(one.visible and one.data.shape == (32, 72, 80) for one in volumes)
    picture = window.screenshot(canvas_only=True, flash=False)[..., :3]
    assert (picture.max(axis=-1) > 40).mean() > 0.02, "nothing is seen"

    aligned = next(one for one in window.layers if one.name.endswith("aligned"))
    for layer in window.layers:
        layer.visible = layer is aligned
    pictures = []
    for step in (3, 30):
        window.dims.set_current_step(0, step)
        qtbot.wait(300)
        pictures.append(window.screenshot(canvas_only=True, flash=False)[..., :3].mean())
    assert window.dims.nsteps[0] == 41, "the energy is a slider"
    assert pictures[1] > 1.1 * pictures[0], "above the edge the volume is brighter"
    window.dims.ndisplay = 2
    assert find(window, about(aligned)["id"]) is aligned


def test_a_scan_without_flats_takes_its_beam_from_the_empty_part(window, clicked, qtbot):
    _, workflow = open_sample(window, "fe_stxm")
    panel = workflow.panels["preprocess"]
    assert "no flats" in panel.plan.text()
    with qtbot.waitSignal(panel.done, timeout=30_000):
        qtbot.mouseClick(panel.advice.button("I0 from an empty region"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.runner.background.running)
    for key in ("align", "normalize", "fit"):
        clicked(window, key)
    assert_fractions(window, "fe_stxm", 0.035)


def test_fluorescence_maps_need_neither_flats_nor_a_logarithm(window, clicked):
    _, workflow = open_sample(window, "fe_fluorescence")
    assert "absorption already" in workflow.panels["preprocess"].plan.text()
    said = clicked(window, "align")
    assert "doubtful" in said or "nothing to align by" in said
    for key in ("normalize", "fit"):
        clicked(window, key)
    assert_fractions(window, "fe_fluorescence", 0.06)


def test_windows_dragged_in_the_plot_go_into_the_form_and_the_preview(window, clicked, qtbot):
    _, workflow = open_sample(window, "ni_scan")
    _, spectrum = window.window.add_plugin_dock_widget("napari-xanes", "XANES spectrum")
    clicked(window, "preprocess")
    panel = workflow.panels["normalize"]
    qtbot.mouseClick(workflow.sections["normalize"].button, Qt.MouseButton.LeftButton)
    panel.preview.box.setChecked(True)
    qtbot.waitUntil(lambda: panel.preview.layer() is not None, timeout=30_000)
    qtbot.waitUntil(lambda: not panel.preview.background.running, timeout=30_000)
    before = np.array(panel.preview.layer().data)
    editor = panel.forms["normalize"].editors["post_edge"]
    qtbot.waitUntil(lambda: spectrum.plot.windows["post_edge"].isVisible(), timeout=5000)
    drag_line(spectrum.plot, spectrum.plot.windows["post_edge"].lines[0], 60, qtbot)
    assert editor.value() == pytest.approx(spectrum.plot.windows["post_edge"].getRegion(), abs=0.01)
    qtbot.waitUntil(
        lambda: not np.array_equal(panel.preview.layer().data, before, equal_nan=True), timeout=30_000
    )
