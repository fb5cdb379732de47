"""What only a real window shows: docks that close and open again, menus, the sample, several themes and 3D."""

from __future__ import annotations

import gc
import weakref

import npe2
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QComboBox, QDockWidget

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.parts.dock import NARROW, Dock
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo
from napari_xanes._widgets.window import launch
from napari_xanes._widgets.window.energy_text import KEY, show_energy
from napari_xanes._widgets.window.import_dialog import ImportDialog, import_stack

pytestmark = pytest.mark.viewer


def listeners(viewer):
    events = viewer.layers.events
    return [
        len(e.callbacks)
        for e in (events.inserted, events.removed, events.renamed, viewer.dims.events.current_step)
    ]


def test_docks_close_and_open_again_without_leftovers(window, scan, qtbot):
    add_stack(window, scan)
    show_energy(window)
    before, gone = listeners(window), []
    for _ in range(3):
        dock, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
        assert listeners(window) != before
        gone.append(weakref.ref(workflow))
        window.window.remove_dock_widget(dock)
        assert listeners(window) == before
        del dock, workflow
        qtbot.wait(10)
    gc.collect()
    window.dims.set_current_step(0, 3)
    qtbot.waitUntil(lambda: "(4 of 41)" in show_energy(window).text)
    assert KEY in window.canvas.overlays.keys()  # noqa: SIM118


def test_closing_the_dock_lets_its_work_finish(window, scan, qtbot):
    add_stack(window, scan)
    dock, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    background = workflow.panels["preprocess"].runner.background
    workflow.panels["preprocess"].runner.run.click()
    window.window.remove_dock_widget(dock)
    assert background.running
    qtbot.waitUntil(lambda: len(window.layers) == 2, timeout=20_000)
    qtbot.wait(300)  # until the dock has gone, too


def test_every_step_opens_as_a_dock(window):
    for name in ("Preprocess", "Align", "Normalise", "Fit", "Find references", "Maps", "Clusters", "Masks"):
        dock, widget = window.window.add_plugin_dock_widget("napari-xanes", name)
        assert isinstance(dock, QDockWidget) and widget.panel.title == name


def test_every_dock_fits_into_a_narrow_column(window, scan, references, run_step):
    """What is wider than the dock is cut off, as there is no horizontal scroll bar; no text of a choice is cut without dots."""
    add_stack(window, scan)
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)
    for key in ("preprocess", "align", "normalize", "fit"):
        run_step(workflow.panels[key])
    wide, cut = {}, []
    for name in names_of_docks():
        _, widget = window.window.add_plugin_dock_widget("napari-xanes", name)
        QApplication.processEvents()
        if isinstance(widget, Dock) and name != "XANES spectrum":  # which lies below the canvas
            wide[name] = widget.body.minimumSizeHint().width()
            cut += [name for one in widget.findChildren(QComboBox) if is_cut(one)]
    assert max(wide.values()) <= NARROW - 16, wide  # less the vertical scroll bar
    assert not cut


def is_cut(combo):
    """Whether one of the texts of a choice has no room and would end without dots."""
    if isinstance(combo, ElidingCombo):
        return False
    texts = [combo.itemText(i) for i in range(combo.count())]
    longest = max((combo.fontMetrics().horizontalAdvance(text) for text in texts), default=0)
    return combo.isVisible() and not combo.isEditable() and longest > combo.width() - 30


def names_of_docks():
    manifest = npe2.PluginManager.instance().get_manifest("napari-xanes")
    return [one.display_name for one in manifest.contributions.widgets]


def test_the_sample_opens_with_its_energy_on_the_canvas(window, samples, qtbot):
    gc.unfreeze()
    window.open_sample("napari-xanes", "ni_scan")
    assert gc.get_freeze_count(), "what is loaded is left out when garbage is collected"
    assert [layer.name for layer in window.layers] == ["Ni scan"]
    shown = show_energy(window)
    assert len(shown.text) < 10, "what the window never wrote before comes in portions"
    qtbot.waitUntil(lambda: shown.text.endswith("of 61)"), timeout=20_000)
    layer = weakref.ref(window.layers[0])
    window.layers.clear()
    qtbot.waitUntil(lambda: gc.collect() and layer() is None)
    window.close()
    qtbot.waitUntil(lambda: not gc.get_freeze_count())


def test_the_import_dialog_opens_over_the_window(window, qtbot):
    dialog = import_stack(window)
    assert dialog.isVisible() and dialog.parent() is not None
    dialog.reject()


def in_event_loop(qtbot, action):
    """Do something as if the user did it, while the window runs."""
    QTimer.singleShot(0, action)
    qtbot.wait(300)


def test_what_the_reader_cannot_find_is_asked_for(window, tmp_path, qtbot):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, np.ones((5, 30, 40), np.uint16), photometric="minisblack")
    in_event_loop(qtbot, lambda: window.open(str(path), plugin="napari-xanes"))
    (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, ImportDialog) and w.isVisible()]
    qtbot.waitUntil(lambda: "no energies were found" in dialog.verdict.text(), timeout=10_000)
    dialog.reject()
    assert list(window.layers) == []


def test_what_cannot_be_read_is_a_notification(window, tmp_path, qtbot, monkeypatch):
    said = []
    monkeypatch.setattr("napari.utils.notifications.show_error", said.append)
    (tmp_path / "text.h5").write_text("this is not HDF5")
    in_event_loop(qtbot, lambda: window.open(str(tmp_path / "text.h5"), plugin="napari-xanes"))
    assert len(said) == 1 and "text.h5" in said[0]
    assert list(window.layers) == []


def test_a_result_is_opened_beside_its_scan(window, scan_file, tmp_path):
    table = {"schema": 1, "step": [{"do": do} for do in ("flat_field", "optical_density", "normalize")]}
    nx.save_result(nx.run_recipe(nx.Recipe.from_dict(table), scan_file), tmp_path / "maps.h5")
    workflow = launch.show_result(window, scan_file, tmp_path / "maps.h5")
    kinds = [about(layer)["kind"] for layer in window.layers]
    assert kinds[0] == "stack" and set(kinds) == {"stack", "thickness", "edge_step"}
    assert "3. Normalise" in workflow.results.text.toPlainText()
    assert workflow.panels["normalize"].forms["normalize"].params().e0 == pytest.approx(8333, abs=2)


def test_a_series_of_volumes_is_shown_in_three_dimensions(window, run_step, qtbot):
    energy = np.linspace(8300, 8400, 21)
    edge = 1 / (1 + np.exp(-(energy - 8340)))
    body = np.random.default_rng(0).random((6, 9, 10)) + 0.5
    volumes = (edge[:, None, None, None] * body).astype(np.float32)
    layer = add_stack(
        window, nx.EnergyStack(volumes, energy, "optical_density", name="tomo", pixel_size_um=0.1)
    )
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    assert "21 volumes of 6 x 9 x 10" in workflow.panels["normalize"].plan.text()
    form = workflow.panels["normalize"].forms["normalize"]
    form.editors["e0"].set_value(8340.0)
    form.editors["pre_edge"].set_value((8300.0, 8325.0))
    form.editors["post_edge"].set_value((8360.0, 8400.0))
    run_step(workflow.panels["normalize"])
    window.dims.ndisplay = 3
    thickness = next(one for one in window.layers if about(one)["kind"] == "thickness")
    np.testing.assert_allclose(thickness.data, body, rtol=0.01)
    assert thickness.axis_labels == ("z", "y", "x")
    assert layer.visible is False
    qtbot.waitUntil(lambda: show_energy(window).text == "thickness (optical density)")
    layer.visible = True
    window.dims.set_current_step(0, 20)
    qtbot.waitUntil(lambda: "(21 of 21)" in show_energy(window).text)


def test_panels_are_made_when_they_are_unfolded_or_asked_for(workflow, viewer):
    assert set(workflow.panels.there()) == {"preprocess"}, "the open one"
    workflow.sections["clusters"].button.click()
    assert "clusters" in workflow.panels.there()
    assert not workflow.panels["clusters"].isHidden()
    fit = workflow.panels["fit"]
    assert fit.isHidden() and workflow.panels["fit"] is fit
    assert workflow.masks.isHidden() and workflow.sections["masks"].panel is workflow.masks


def test_in_time_all_panels_are_made_and_what_was_found_stands_behind_their_titles(
    normalised, workflow, viewer, qtbot, rest
):
    other = type(workflow)(viewer)
    qtbot.addWidget(other)
    qtbot.waitUntil(lambda: not other.panels.missing(), timeout=20_000)
    assert other.sections["normalize"].headline.text() == workflow.sections["normalize"].headline.text() != ""
    other.close_down()
