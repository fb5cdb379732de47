"""Nothing is cut on a small screen, names stand beside the curves, the message is seen, the energy is on the picture."""

from __future__ import annotations

import numpy as np
import pytest
from mouse import canvas_mouse, double_click, drag_on_canvas
from qtpy.QtCore import QEvent, QPoint, QRect, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.parts.view import BAR_PX, WRITTEN_PX
from napari_xanes._widgets.spectrum.curves import Curve
from napari_xanes._widgets.spectrum.key import CurveKey
from napari_xanes._widgets.spectrum.reading import CURSOR
from napari_xanes._widgets.spectrum.spots import shape_pixels
from napari_xanes._widgets.window.energy_text import KEY, show_energy

pytestmark = pytest.mark.viewer


@pytest.fixture
def small_window(window):
    """A window of a small screen."""
    window.window._qt_window.resize(1366, 768)
    return window


def open_dock(window, name):
    return window.window.add_plugin_dock_widget("napari-xanes", name)[1]


def settle(dock, qtbot):
    qtbot.wait(50)
    qtbot.waitUntil(lambda: not dock.waiting(), timeout=3000)


def place_in(part, dock):
    return QRect(part.mapTo(dock, QPoint(0, 0)), part.size())


def assert_nothing_is_cut(dock):
    for part in dock.findChildren(QAbstractButton) + dock.findChildren(QComboBox):
        if part.isVisible() and part.parent() in (dock.tools, dock.table):
            assert dock.rect().contains(place_in(part, dock)), part
            assert part.width() >= part.minimumSizeHint().width(), part
    assert dock.rect().contains(place_in(dock.plot, dock))
    axis = dock.plot.getPlotItem().getAxis("bottom")
    name = axis.label.mapRectToScene(axis.label.boundingRect())
    assert dock.plot.sceneBoundingRect().adjusted(0, 0, 0, 4).contains(name), "the name of the axis is whole"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_on_a_small_screen(small_window, density, theme, qtbot):
    small_window.theme = theme
    layer = add_stack(small_window, density)
    open_dock(small_window, "XANES workflow")
    dock = open_dock(small_window, "XANES spectrum")
    qtbot.wait(400)
    for x in (20, 43):
        double_click(small_window, layer, 23, x)
    settle(dock, qtbot)
    assert small_window.window._qt_window.width() == 1366
    assert_nothing_is_cut(dock)
    plot, key = place_in(dock.plot, dock), place_in(dock.key, dock)
    assert not plot.intersects(key) and "pin 2" in dock.key.words.text()
    dock.tools.table.setChecked(True)
    settle(dock, qtbot)
    assert_nothing_is_cut(dock)
    assert dock.key.widget().height() <= dock.key.viewport().height(), "the names are read without scrolling"
    assert not place_in(dock.plot, dock).intersects(place_in(dock.key, dock))
    assert dock.plot.width() > 200
    before = dock.plot.text_color
    small_window.theme = "light" if theme == "dark" else "dark"
    qtbot.wait(100)
    assert dock.plot.text_color != before, "the plot follows the theme"
    back = dock.plot.backgroundBrush().color().lightness()
    assert (back > 128) == (small_window.theme == "light")
    hover = QEvent.Type.MouseMove
    for x in (42, 43):
        canvas_mouse(small_window, hover, layer, 23, x, modifiers=Qt.KeyboardModifier.ShiftModifier)
    settle(dock, qtbot)
    assert f'color: {dock.plot.text_color}">' in dock.key.words.text(), "the cursor's curve is named in it"


def test_the_whole_picture_is_seen_again_when_docks_open(window, density, qtbot):
    """And what is written in the corner does not lie on it, as little as when it was opened."""
    show_energy(window)
    layer = add_stack(window, density)

    def free():
        """Canvas pixels above the picture, and below it."""
        camera, height = window.scene.camera, window.canvas.size[0]
        top, bottom = (layer.extent.world[:, 1] - camera.center[1]) * camera.zoom + height / 2
        return top, height - bottom

    qtbot.waitUntil(lambda: free()[0] > WRITTEN_PX - 1)
    open_dock(window, "XANES workflow")
    qtbot.wait(500)
    open_dock(window, "XANES spectrum")
    size = np.ptp(layer.extent.world[:, 1:], axis=0)

    def seen():
        return size * window.scene.camera.zoom / np.array(window.canvas.size)

    qtbot.waitUntil(lambda: window.canvas.size[0] < 400 and seen().max() <= 1, timeout=5000)
    assert seen().max() > 0.6
    assert free()[0] > WRITTEN_PX - 1 and free()[1] > -1


def test_nothing_of_a_wide_picture_lies_under_the_colour_bar(small_window, density, run_step, qtbot):
    wide = np.tile(density.data, (1, 1, 3))
    add_stack(small_window, density.replace(data=wide))
    workflow = open_dock(small_window, "XANES workflow")
    open_dock(small_window, "XANES spectrum")
    qtbot.wait(500)
    run_step(workflow.panels["normalize"])
    shown = next(one for one in small_window.layers if one.visible)
    qtbot.waitUntil(lambda: shown.colorbar.visible, timeout=3000)
    camera, width = small_window.scene.camera, small_window.canvas.size[1]
    left, right = (shown.extent.world[:, 1] - camera.center[2]) * camera.zoom + width / 2
    assert left > 0 and width - right > BAR_PX - 1
    assert right - left > 0.75 * (width - BAR_PX)


def test_a_double_click_pins_and_leaves_the_view_where_it_is(window, density, qtbot):
    layer = add_stack(window, density)
    qtbot.wait(200)
    large = window.scene.camera.zoom
    dock = open_dock(window, "XANES spectrum")
    qtbot.waitUntil(lambda: window.scene.camera.zoom < large)  # fitted into what the dock leaves
    qtbot.wait(200)
    zoom = window.scene.camera.zoom
    double_click(window, layer, 20, 20)
    settle(dock, qtbot)
    assert window.scene.camera.zoom == zoom and "pin 1" in dock.plot.drawn()
    dock.close_down()
    double_click(window, layer, 20, 20)
    assert window.scene.camera.zoom == 2 * zoom, "without the dock napari zooms as ever"


def test_the_energy_stands_on_the_picture_from_the_start(window, scan_file, scan, qtbot):
    window.open(str(scan_file), plugin="napari-xanes")
    overlay = window.canvas.overlays[KEY]
    window.dims.set_current_step(0, 3)
    qtbot.waitUntil(lambda: overlay.text.startswith(f"{scan.energy[3]:.2f} eV"))
    assert overlay.visible


def test_the_energy_stands_on_the_picture_of_a_sample(window, monkeypatch, scan_file, qtbot):
    monkeypatch.setattr("napari_xanes._sample_data.sample_file", lambda key: scan_file)
    window.open_sample("napari-xanes", "ni_scan")
    overlay = window.canvas.overlays[KEY]
    qtbot.waitUntil(lambda: "eV" in overlay.text)
    assert overlay.visible
    assert overlay.font_size <= 10, "it does not cover the sample"


def test_the_message_is_seen_and_names_its_stack(small_window, density, qtbot):
    layer = add_stack(small_window, density)
    dock = open_dock(small_window, "XANES spectrum")
    qtbot.wait(300)
    kind = QEvent.Type.MouseMove
    for x in (30, 31):
        canvas_mouse(small_window, kind, layer, 20, x, modifiers=Qt.KeyboardModifier.ShiftModifier)
    settle(dock, qtbot)
    said = dock.tools.message
    assert isinstance(said, QLabel) and said.isVisible() and said.width() > 300
    assert said.text().startswith(f"{layer.name}: pixel ")
    dock.tools.fit.click()
    settle(dock, qtbot)
    assert said.text() == f"{layer.name}: choose references in 4 Fit to see a fit."


def test_choosing_a_layer_does_not_change_what_is_drawn(window, density, qtbot):
    raw = add_stack(window, density)
    workflow = open_dock(window, "XANES workflow")
    dock = open_dock(window, "XANES spectrum")
    with qtbot.waitSignal(workflow.panels["normalize"].done, timeout=30_000):
        workflow.panels["normalize"].runner.run.click()
    settle(dock, qtbot)
    normal = next(one for one in window.layers if one.name.endswith("normalised"))
    window.layers.selection.active = normal
    settle(dock, qtbot)
    assert dock.tools.quantity.currentText() == "normalised", "of a stack that is new"
    copy = add_stack(window, density)  # which was never looked at
    for layer in (raw, window.add_points(np.zeros((0, 2))), normal, copy, raw):
        window.layers.selection.active = layer
        settle(dock, qtbot)
        assert dock.tools.quantity.currentText() == "normalised"
    assert dock.tools.message.text().startswith(f"{raw.name}:")


def test_the_fit_follows_the_chosen_row(window, density, references, qtbot):
    layer = add_stack(window, density)
    workflow = open_dock(window, "XANES workflow")
    dock = open_dock(window, "XANES spectrum")
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)
    qtbot.wait(500)
    for y, x in ((23, 43), (24, 40)):
        double_click(window, layer, y, x)
    dock.tools.table.click()
    dock.tools.fit.click()
    settle(dock, qtbot)
    table = dock.table.table
    fits = {}
    for row, name in enumerate(("pin 1", "pin 2")):
        place = table.visualItemRect(table.item(row, 1)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        settle(dock, qtbot)
        assert f"fit of '{name}'" in dock.tools.message.text()
        assert next(iter(dock.plot.drawn())) == name
        fits[name] = dock.picture.fit.fractions
        shown = table.item(row, 3).text()
        assert shown.startswith(f"{float(fits[name][0]):.3f} ± ")
    assert not np.array_equal(fits["pin 1"], fits["pin 2"])
    kind = QEvent.Type.MouseMove
    for x in (42, 43):
        canvas_mouse(window, kind, layer, 25, x, modifiers=Qt.KeyboardModifier.ShiftModifier)
    settle(dock, qtbot)
    assert f"fit of '{CURSOR}'" in dock.tools.message.text()


def test_a_mean_is_over_the_pixels_that_are_valid_in_all_frames(window, density, qtbot):
    data = density.data.copy()
    data[5:9, :20] = np.nan  # a border that drifts out of view
    data[3] = np.nan  # a frame that was lost
    layer = add_stack(window, nx.EnergyStack(data, density.energy, "optical_density", name="drifting"))
    dock = open_dock(window, "XANES spectrum")
    qtbot.wait(500)
    dock.tools.new_region.click()
    drag_on_canvas(window, layer, (10, 10), (30, 30))
    settle(dock, qtbot)
    regions = window.layers["regions"]
    y, x = shape_pixels(regions, 0, layer, 0)
    inside = data[:, y[y >= 20], x[y >= 20]]
    assert 0 < inside.shape[1] < y.size
    got = dock.plot.drawn()["regions 1"].y
    ok = np.arange(len(got)) != 3
    np.testing.assert_allclose(got[ok], inside.mean(axis=1)[ok], rtol=1e-5)
    assert np.isnan(got[3]) and np.isfinite(got[ok]).all()
    assert "that are valid in all frames" in dock.tools.message.text()
    qtbot.mouseClick(dock.tools.table, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    edge = nx.normalize_edge(inside.mean(axis=1)[ok].astype(float), density.energy[ok])
    assert float(dock.table.table.item(0, 2).text()) == pytest.approx(float(edge.thickness), rel=0.02)


def test_labels_of_a_scan_with_a_long_name_are_told_apart(qtbot):
    key = CurveKey()
    qtbot.addWidget(key)
    curve = Curve(np.arange(3.0), np.arange(3.0))
    key.show_curves({f"clusters (stack_transmission_of_monday) {k}": curve for k in (1, 2)}, "#ffffff")
    shown = key.words.text().split("<br>")
    assert len(shown) == 2 and shown[0] != shown[1]
    assert "monday) 1" in shown[0] and "monday) 2" in shown[1] and "…" in shown[0]
