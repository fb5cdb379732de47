"""Two scans in one window, another element, and a workflow that is closed while it works; with real events."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLineEdit

import napari_xanes as nx
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.steps import panel as panel_module
from napari_xanes._widgets.window.energy_text import show_energy


def of_iron(density, name="iron", pixel_size_um=0.4):
    """The same pictures as if they were taken at the iron edge, by pixels of another size."""
    return density.replace(
        energy=density.energy - 8333.0 + 7112.0,
        name=name,
        pixel_size_um=pixel_size_um,
        source={"path": f"{name}.h5"},
    )


def share_in_view(window, pixel_size_um):
    """Return which part of the canvas a scan of such pixels takes."""
    seen = np.array(window.canvas.size) / window.scene.camera.zoom
    return (np.array([64, 72]) * pixel_size_um / seen).max()


@pytest.mark.viewer
@pytest.mark.parametrize("pixel_size_um", [0.007, 0.05, 0.4])
def test_one_scan_is_shown_at_a_time_and_comes_into_view(window, density, qtbot, run_step, pixel_size_um):
    small = density.replace(pixel_size_um=0.02, source={"path": "nickel.h5"})
    show_energy(window)
    first = add_stack(window, small)
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    qtbot.wait(300)
    run_step(workflow.panels["normalize"])
    second = add_stack(window, of_iron(density, pixel_size_um=pixel_size_um))
    assert [one.name for one in window.layers if one.visible] == [second.name]
    assert workflow.chooser.layer() is second
    assert 0.5 < share_in_view(window, pixel_size_um) <= 1.0, "all of it is in view"
    window.scene.camera.zoom *= 2
    zoom = window.scene.camera.zoom
    third = add_stack(window, of_iron(density, "like it", pixel_size_um))
    assert third.visible and window.scene.camera.zoom == zoom, "what was zoomed into is seen of the next, too"

    index = next(
        i for i in range(workflow.chooser.combo.count()) if workflow.chooser.combo.itemText(i) == first.name
    )
    workflow.chooser.combo.setFocus()
    steps = index - workflow.chooser.combo.currentIndex()
    for _ in range(abs(steps)):
        qtbot.keyClick(workflow.chooser.combo, Qt.Key.Key_Down if steps > 0 else Qt.Key.Key_Up)
    assert workflow.chooser.layer() is first
    visible = [one for one in window.layers if one.visible and about(one)]
    assert visible and all(about(one)["name"] == small.name for one in visible)
    second.visible = True  # the eye of the layer list
    assert second.visible and any(about(one)["name"] == small.name for one in window.layers if one.visible)


@pytest.mark.viewer
def test_of_a_result_that_is_opened_beside_another_scan_the_map_alone_is_seen(
    window, density, scan_file, tmp_path, qtbot
):
    """Not the stack below it, which would be seen through its invalid pixels."""
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "optical_density"}, {"do": "normalize"}]})
    nx.save_result(nx.run_recipe(recipe, scan_file), tmp_path / "result.h5")
    show_energy(window)
    first = add_stack(window, density.replace(name="another", source={"path": "another.h5"}))
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    qtbot.wait(300)
    window.open(str(tmp_path / "result.h5"), plugin="napari-xanes")
    qtbot.wait(300)
    assert workflow.chooser.layer() is not first
    assert [about(one).get("map") for one in window.layers if one.visible] == ["thickness"]
    for key in (Qt.Key.Key_End, Qt.Key.Key_Home):  # to the other scan and back
        qtbot.keyClick(workflow.chooser.combo, key)
        qtbot.wait(100)
    assert workflow.chooser.layer() is not first
    assert [about(one)["name"] for one in window.layers if one.visible] == [scan_file.stem]


@pytest.mark.viewer
@pytest.mark.parametrize("there", [True, False])
def test_a_result_of_other_pixels_than_the_scan_beside_it_comes_into_view(
    window, density, scan_file, tmp_path, qtbot, there
):
    """Also where its own scan is gone; a map has an axis less than the stack beside it."""
    scan_file = Path(shutil.copy(scan_file, tmp_path))
    steps = [{"do": name} for name in ("flat_field", "optical_density", "normalize")]
    result = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": steps}), scan_file)
    nx.save_result(result, tmp_path / "maps.h5")
    pixel_size_um = nx.read_stack(scan_file).pixel_size_um
    if not there:
        scan_file.unlink()
    text = show_energy(window)
    window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    add_stack(window, of_iron(density))
    qtbot.wait(300)
    window.open(str(tmp_path / "maps.h5"), plugin="napari-xanes")
    qtbot.waitUntil(lambda: text.text.startswith("thickness"))
    assert [about(one).get("map") for one in window.layers if one.visible] == ["thickness"]
    assert 0.5 < share_in_view(window, pixel_size_um) <= 1.0


def test_choices_of_another_element_are_said_and_its_energies_forgotten(workflow, viewer, density, qtbot):
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    form = panel.forms["normalize"]
    workflow.show()
    e0, divide_by = form.editors["e0"], form.editors["divide_by"]
    qtbot.mouseClick(e0.auto, Qt.MouseButton.LeftButton)
    line = e0.inner.findChild(QLineEdit) or e0.inner
    line.selectAll()
    qtbot.keyClicks(line, "8340")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    qtbot.mouseClick(divide_by.auto, Qt.MouseButton.LeftButton)
    box = divide_by.inner.findChild(QComboBox) or divide_by.inner
    qtbot.keyClick(box, Qt.Key.Key_Home)
    while form.values()["divide_by"] != "step":
        before = box.currentIndex()
        qtbot.keyClick(box, Qt.Key.Key_Down)
        assert box.currentIndex() > before
    assert form.values()["e0"] == 8340.0
    assert form.labels()["Divide by"].font().bold() and not form.labels()["Slopes"].font().bold()
    assert "Chosen before" not in panel.advice.text()
    add_stack(viewer, of_iron(density))
    qtbot.mouseClick(workflow.sections["normalize"].button, Qt.MouseButton.LeftButton)
    assert form.values()["e0"] is None, "an edge energy of nickel is none of iron"
    panel.update_plan()
    assert "Chosen before, for another scan: Divide by: step." in panel.advice.text()
    qtbot.mouseClick(panel.advice.button("Use the defaults"), Qt.MouseButton.LeftButton)
    assert form.values()["divide_by"] is None and panel.advice.text() == ""
    assert not form.labels()["Divide by"].font().bold()


def test_what_was_remembered_from_another_day_is_marked(workflow, viewer, density, qtbot):
    form = ParamsForm(workflow.panels["normalize"].forms["normalize"].cls, "Normalise", step="normalize")
    qtbot.addWidget(form)
    form.editors["slope"].set_value("shared")
    form.keep()
    again = ParamsForm(form.cls, "Normalise", step="normalize")
    qtbot.addWidget(again)
    assert again.carried_text() == "Slopes: shared" and again.labels()["Slopes"].font().bold()
    again.editors["slope"].set_value("pixel")
    assert again.carried_text() == "", "chosen now"


@pytest.mark.viewer
def test_a_workflow_that_is_closed_lets_its_run_finish_and_says_so(window, density, qtbot, monkeypatch):
    add_stack(window, density)
    dock, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    go, said = threading.Event(), []
    run_steps = panel_module.run_here

    def slow(*args, **kw):
        assert go.wait(20)
        return run_steps(*args, **kw)

    monkeypatch.setattr(panel_module, "run_here", slow)
    monkeypatch.setattr("napari_xanes._widgets.parts.dock.show_info", said.append)
    qtbot.mouseClick(workflow.sections["normalize"].button, Qt.MouseButton.LeftButton)
    qtbot.wait(100)
    qtbot.mouseClick(workflow.panels["normalize"].runner.run, Qt.MouseButton.LeftButton)
    assert workflow.panels["normalize"].runner.background.running
    qtbot.mouseClick(dock.titleBarWidget().close_button, Qt.MouseButton.LeftButton)
    assert said == ["Normalise: ni_simulated: goes on; the result will appear among the layers."]
    assert workflow_of(window) is None
    go.set()
    qtbot.waitUntil(
        lambda: any(about(one).get("map") == "thickness" for one in window.layers), timeout=20_000
    )
    again, _ = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    assert workflow_of(window) is not None
    again.destroyOnClose()
