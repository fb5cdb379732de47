"""Pins, regions and labels made with the mouse and napari's own buttons: their colours, pixels and spectra."""

from __future__ import annotations

import numpy as np
import pytest
from mouse import canvas_mouse, double_click, drag_on_canvas
from napari.layers import Labels, Shapes
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_xanes._widgets.layers.label_colors import label_colors
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.masks import MASKED
from napari_xanes._widgets.layers.seen_labels import labels_on
from napari_xanes._widgets.spectrum.colors import PINS, SPOT_COLORS, hex_color
from napari_xanes._widgets.spectrum.spots import every_spot

pytestmark = pytest.mark.viewer


@pytest.fixture
def stack(window, density):
    """The layer of a stack of optical density."""
    return add_stack(window, density)


@pytest.fixture
def dock(window, stack, qtbot):
    """The spectrum, opened as from the menu."""
    _, spectrum = window.window.add_plugin_dock_widget("napari-xanes", "XANES spectrum")
    qtbot.wait(300)
    return spectrum


@pytest.fixture
def workflow(window, stack):
    """The workflow, opened as from the menu."""
    return window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")[1]


def settle(dock, qtbot):
    qtbot.wait(30)
    qtbot.waitUntil(lambda: not dock.waiting(), timeout=3000)


def button(window, name):
    return getattr(window.window._qt_viewer.layerButtons, name)


def rgb(color):
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def unlike(a, b):
    """Return how different two colours are to the eye; one is a step that is just seen."""
    return float(deltaE_ciede2000(rgb2lab(rgb(a)), rgb2lab(rgb(b))))


def test_the_colours_differ_from_one_another_and_from_both_themes():
    colors = [*SPOT_COLORS, "#23242B", "#EBE7E6", "#000000"]
    assert len(SPOT_COLORS) == 8
    for k, color in enumerate(SPOT_COLORS):
        for other in colors[k + 1 :]:
            assert unlike(color, other) > 20, (color, other)


def test_marker_region_and_curve_are_of_one_colour(window, stack, dock, qtbot):
    for y, x in ((10, 10), (10, 30), (10, 50)):
        double_click(window, stack, y, x)
    for x in (5, 25):
        dock.tools.new_region.click()
        drag_on_canvas(window, stack, (25, x), (33, x + 10))
    window.layers.selection.active = stack
    button(window, "newShapesButton").click()
    drawn = window.layers.selection.active
    assert isinstance(drawn, Shapes)
    drawn.mode = "add_rectangle"
    drag_on_canvas(window, stack, (40, 5), (48, 15))
    settle(dock, qtbot)
    drag_on_canvas(window, stack, (40, 25), (48, 35))
    drawn.mode = "add_ellipse"
    drag_on_canvas(window, stack, (40, 45), (48, 55))
    settle(dock, qtbot)
    regions, pins = window.layers["regions"], window.layers[PINS]
    expected = {f"pin {k + 1}": hex_color(c) for k, c in enumerate(pins.face_color)}
    for layer in (regions, drawn):
        expected |= {f"{layer.name} {k + 1}": hex_color(c) for k, c in enumerate(layer.edge_color)}
    assert len(expected) == 8
    assert {name: dock.plot.drawn()[name].color for name in expected} == expected
    assert set(expected.values()) == set(SPOT_COLORS)

    drawn.selected_data = {0}
    drawn.current_edge_color = "white"  # as with napari's own control
    settle(dock, qtbot)
    assert dock.plot.drawn()[f"{drawn.name} 1"].color == "#FFFFFF"
    assert hex_color(drawn.edge_color[1]) == expected[f"{drawn.name} 2"]


def test_no_pin_or_region_looks_like_a_label(window, stack, dock, qtbot):
    """Neither where labels are there before, nor where they come after."""
    double_click(window, stack, 10, 10)
    dock.tools.new_region.click()
    drag_on_canvas(window, stack, (25, 5), (33, 15))
    settle(dock, qtbot)
    drawn = dock.plot.drawn()
    assert [drawn[name].color for name in ("pin 1", "regions 1")] == list(SPOT_COLORS[:2])
    parts = np.zeros((64, 72), np.uint8)
    for label in range(1, 5):
        parts[40:50, 10 * label : 10 * label + 8] = label
    window.add_labels(parts, name="parts", scale=stack.scale[-2:], colormap=label_colors())
    settle(dock, qtbot)
    double_click(window, stack, 10, 30)
    settle(dock, qtbot)
    colors = {name: one.color for name, one in dock.plot.drawn().items() if "line" not in name}
    assert len(colors) == 7 and len(set(colors.values())) == 7
    pins, regions = window.layers[PINS].face_color, window.layers["regions"].edge_color
    seen = {f"pin {k + 1}": hex_color(c) for k, c in enumerate(pins)} | {"regions 1": hex_color(regions[0])}
    assert {name: colors[name] for name in seen} == seen
    for k in range(1, 5):
        assert colors[f"parts {k}"] == hex_color(window.layers["parts"].get_color(k))


def test_labels_of_naparis_own_button_are_one_mask_at_all_energies(
    window, stack, dock, workflow, density, qtbot
):
    window.layers.selection.active = stack
    window.dims.set_current_step(0, 20)
    button(window, "newLabelsButton").click()
    labels = window.layers.selection.active
    assert isinstance(labels, Labels) and labels.data.shape == density.data.shape
    labels.mode, labels.brush_size = "paint", 7
    drag_on_canvas(window, stack, (20, 20), (20, 35))
    window.dims.set_current_step(0, 30)
    drag_on_canvas(window, stack, (40, 20), (40, 35))
    settle(dock, qtbot)
    inside = labels.data.any(axis=0)
    assert inside[20, 28] and inside[40, 28] and not labels.data[5].any()
    (name,) = [one for one in dock.plot.drawn() if one.startswith(labels.name)]
    expected = density.data[:, inside].mean(axis=1)
    np.testing.assert_allclose(dock.plot.drawn()[name].y, expected, rtol=1e-5)
    assert "painted at one energy, used at all" in dock.tools.message.text()
    workflow.masks.refresh()
    workflow.masks.use.apply.click()
    assert "counts at all" in workflow.masks.use.result.text()
    np.testing.assert_array_equal(np.isfinite(np.asarray(stack.data[7])), inside)
    assert MASKED in stack.metadata


def test_a_new_mask_is_painted_with_one_button(window, stack, dock, workflow, density, qtbot):
    use = workflow.masks.use
    use.refresh()
    use.paint.click()
    mask = window.layers.selection.active
    assert mask.data.shape == density.data.shape[1:] and tuple(mask.scale) == tuple(stack.scale[1:])
    drag_on_canvas(window, stack, (30, 20), (30, 40))
    settle(dock, qtbot)
    assert mask.data[30, 30] == 1
    expected = density.data[:, mask.data == 1].mean(axis=1)
    np.testing.assert_allclose(dock.plot.drawn()[f"{mask.name} 1"].y, expected, rtol=1e-5)
    use.apply.click()
    assert "Applied to 1 layer" in use.result.text()


def test_labels_are_read_where_they_are_seen(
    window, stack, dock, workflow, density, references, run_step, qtbot
):
    y, x = stack.scale[-2:]
    labels = window.add_labels(
        np.zeros((20, 20), np.uint8),
        name="coarse",
        scale=(2 * y, 2 * x),
        translate=(20.5 * y, 30.5 * x),
        units=tuple(stack.units)[-2:],
    )
    labels.data[5, 3] = 1  # pixels 30 and 31 of the stack's rows, 36 and 37 of its columns
    labels.refresh()
    settle(dock, qtbot)
    expected = density.data[:, 30:32, 36:38].mean(axis=(1, 2))
    np.testing.assert_allclose(dock.plot.drawn()["coarse 1"].y, expected, rtol=1e-5)

    qtbot.mouseClick(workflow.sections["masks"].button, Qt.MouseButton.LeftButton)
    qtbot.wait(100)
    qtbot.mouseClick(workflow.masks.use.apply, Qt.MouseButton.LeftButton)
    seen = np.zeros((64, 72), bool)
    seen[30:32, 36:38] = True
    np.testing.assert_array_equal(np.isfinite(np.asarray(stack.data[7])), seen)
    fit = workflow.panels["fit"]
    fit.forms["fit"].editors["references"].set_value(references)
    workflow.chooser.choose(stack)
    run_step(fit)
    error = next(one.data for one in window.layers if about(one).get("map") == "error")
    assert np.isfinite(error[seen]).any() and np.isnan(error[~seen]).all()

    turned = window.add_labels(np.zeros((64, 72), np.uint8), name="turned", rotate=90, scale=(y, x))
    turned.data[10, 20] = 3
    row, column = np.round(stack.world_to_data((0, *turned.data_to_world((10, 20))))[1:]).astype(int)
    assert not (0 <= row < 64 and 0 <= column < 72) or labels_on(turned, stack)[row, column] == 3
    assert labels_on(turned, stack).sum() in (0, 3)


def test_undone_and_redone_painting_is_followed(window, stack, dock, density, qtbot):
    dock.tools.table.setChecked(True)
    labels = window.add_labels(np.zeros((64, 72), np.uint8), scale=stack.scale[-2:], units=stack.units[-2:])
    labels.mode, labels.brush_size = "paint", 5
    drag_on_canvas(window, stack, (20, 20), (20, 30))
    settle(dock, qtbot)
    first = dock.plot.drawn()["Labels 1"].y.copy()
    size = dock.table.table.item(0, 1).text()
    drag_on_canvas(window, stack, (45, 20), (45, 30))
    settle(dock, qtbot)
    second = dock.plot.drawn()["Labels 1"].y.copy()
    assert not np.array_equal(first, second) and dock.table.table.item(0, 1).text() != size
    native = window.window._qt_viewer.canvas.native
    window.window._qt_window.activateWindow()
    native.setFocus()
    for keys, curve in (("undo", first), ("redo", second)):
        modifier = Qt.KeyboardModifier.ControlModifier
        if keys == "redo":
            modifier |= Qt.KeyboardModifier.ShiftModifier
        QTest.keyClick(native, Qt.Key.Key_Z, modifier)
        settle(dock, qtbot)
        np.testing.assert_array_equal(dock.plot.drawn()["Labels 1"].y, curve, err_msg=keys)
        assert f"{int(dock.table.table.item(0, 1).text())} px" in dock.tools.message.text()
    canvas_mouse(window, QEvent.Type.MouseMove, stack, 50, 50)


def test_labels_are_named_without_their_scan_unless_two_are_called_the_same(viewer, density):
    stack = add_stack(viewer, density)
    for scan in ("a", "b"):
        data = np.zeros(density.image_shape, np.uint8)
        data[:4, :4] = 1
        viewer.add_labels(data, name=f"clusters ({scan})", metadata={"xanes": {"name": scan, "labels": True}})
    spots = [spot.name for spot in every_spot(viewer, stack, 0)]
    assert spots == ["clusters (a) 1", "clusters (b) 1"]
    viewer.layers["clusters (b)"].visible = False
    assert [spot.name for spot in every_spot(viewer, stack, 0)] == ["clusters 1"]
