"""Two maps against each other: pixels outlined in the plot become a mask, and a recipe makes it again."""

from __future__ import annotations

import numpy as np
import pytest
from mouse import move_over
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.names import PREVIEW
from napari_xanes._widgets.scatter.dock import XanesScatter


@pytest.fixture
def dock(viewer, qtbot):
    scatter = XanesScatter(viewer)
    qtbot.addWidget(scatter)
    yield scatter
    scatter.close_down()


def wait(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.waiting(), timeout=10_000)


def data_of(viewer, name):
    return next(one.data for one in viewer.layers if about(one).get("map") == name)


def preview_of(viewer):
    return next((one for one in viewer.layers if PREVIEW in one.metadata), None)


def drag_around(plot, corners):
    """Draw an outline through values of the maps with real mouse events."""
    port, view = plot.viewport(), plot.getPlotItem().vb
    places = [QPointF(plot.mapFromScene(view.mapViewToScene(QPointF(*corner)))) for corner in corners]

    def send(kind, at, button, pressed):
        glob = QPointF(port.mapToGlobal(at.toPoint()))
        QApplication.sendEvent(
            port, QMouseEvent(kind, at, glob, button, pressed, Qt.KeyboardModifier.NoModifier)
        )

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    send(QEvent.Type.MouseButtonPress, places[0], left, left)
    for at in places[1:]:
        send(QEvent.Type.MouseMove, at, none, left)
    send(QEvent.Type.MouseButtonRelease, places[-1], left, none)


def test_what_is_outlined_with_the_mouse_is_shown_and_kept(fitted, viewer, dock, qtbot):
    dock.resize(330, 700)
    dock.show()
    wait(dock, qtbot)
    assert about(dock.across.layer())["map"] == "thickness"
    assert about(dock.up.layer())["kind"] == "fraction"
    x, y = (data_of(viewer, about(combo.layer())["map"]) for combo in (dock.across, dock.up))
    (_, high), (low_y, high_y) = dock.plot.viewRange()
    corners = [(0.6, low_y), (high, low_y), (high, high_y), (0.6, high_y)]
    drag_around(dock.plot, corners)
    wait(dock, qtbot)
    left = dock.outline[:, 0].min()
    assert left == pytest.approx(0.6, abs=0.02)
    expected = (x >= left) & (x < high) & np.isfinite(y) & (y > low_y) & (y < high_y)
    shown = preview_of(viewer)
    assert (shown.data.astype(bool) != expected).sum() <= 3, "but for the very rim"
    assert f"{int(shown.data.sum())} of 4608 pixels" in dock.found.text()
    inside = shown.data.astype(bool)

    dock.keep.click()
    assert preview_of(viewer) is None
    mask = next(one for one in viewer.layers if about(one).get("kind") == "mask")
    np.testing.assert_array_equal(mask.data.astype(bool), inside)
    assert fitted.masks.use.mask_choice.layer() is mask
    fitted.masks.use.apply_mask()
    assert np.isnan(data_of(viewer, "thickness")[~inside]).all()
    fitted.undo_step()
    assert np.isfinite(data_of(viewer, "thickness")[~inside]).any()


def test_a_recipe_makes_the_mask_again(fitted, viewer, dock, density, qtbot, tmp_path):
    wait(dock, qtbot)
    outline = np.array([[0.3, 0.2], [2.0, 0.2], [2.0, 0.7], [0.3, 0.9]])
    dock.select(outline)
    wait(dock, qtbot)
    dock.keep.click()
    mask = next(one for one in viewer.layers if about(one).get("kind") == "mask")
    fitted.results.save_recipe(tmp_path / "recipe.toml")
    again = nx.run_recipe(tmp_path / "recipe.toml", density)
    np.testing.assert_array_equal(again.labels["mask"], mask.data)
    x, y = data_of(viewer, "thickness"), data_of(viewer, about(dock.up.layer())["map"])
    np.testing.assert_array_equal(mask.data.astype(bool), nx.polygon_mask(x, y, outline))


def test_the_pixel_under_the_cursor_is_marked(fitted, viewer, dock, qtbot):
    wait(dock, qtbot)
    layer = dock.across.layer()
    position = (0, *layer.data_to_world((23, 43)))
    move_over(viewer, position)
    wait(dock, qtbot)
    (x,), (y,) = dock.plot.point.getData()
    assert x == pytest.approx(layer.data[23, 43]) and y == pytest.approx(dock.up.layer().data[23, 43])


def test_it_follows_layers_that_come_and_go(viewer, dock, density, references, qtbot, workflow, run_step):
    assert "Needs two maps" in dock.words.text()
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    wait(dock, qtbot)
    assert "pixels" in dock.words.text()
    assert [about(combo.layer())["map"] for combo in (dock.across, dock.up)] == ["thickness", "edge_step"]
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)
    run_step(workflow.panels["fit"])
    wait(dock, qtbot)
    assert about(dock.up.layer())["kind"] == "fraction", "which is looked at rather"
    picked = dock.across.layer()
    dock.up.choose(picked)
    run_step(workflow.panels["fit"])
    wait(dock, qtbot)
    assert dock.up.layer() is picked
    dock.select(np.array([[0.3, -1], [2.0, -1], [2.0, 3.0], [0.3, 3.0]]))
    wait(dock, qtbot)
    assert preview_of(viewer) is not None
    viewer.layers.clear()
    wait(dock, qtbot)
    assert "Needs two maps" in dock.words.text() and not dock.keep.isEnabled()


def test_maps_of_another_scan_are_not_offered(viewer, dock, density, qtbot, workflow, run_step):
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    other = density.replace(data=2 * np.asarray(density.data), name="other", source={"path": "other.h5"})
    workflow.chooser.choose(add_stack(viewer, other))
    run_step(workflow.panels["normalize"])
    maps = [one for one in viewer.layers if about(one).get("map") == "thickness"]
    wait(dock, qtbot)
    for layer in maps:
        dock.across.choose(layer)
        wait(dock, qtbot)
        axes = [dock.plot.getPlotItem().getAxis(side).labelText for side in ("bottom", "left")]
        assert all(f"({about(layer)['name']})" in text for text in axes), "which of the two scans it is"
        offered = [dock.up.itemText(i) for i in range(dock.up.count())]
        assert offered and all(about(layer)["name"] in text for text in offered)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_window_runs_such_a_recipe_whichever_map_is_across(
    fitted, viewer, dock, qtbot, tmp_path, swapped
):
    wait(dock, qtbot)
    thickness, fraction = dock.across.layer(), dock.up.layer()
    outline = np.array([[0.3, 0.2], [2.0, 0.2], [2.0, 0.7], [0.3, 0.9]])
    if swapped:
        dock.across.choose(fraction)
        dock.up.choose(thickness)
        wait(dock, qtbot)
        outline = outline[:, ::-1]
    dock.select(outline)
    wait(dock, qtbot)
    dock.keep.click()
    mask = next(one for one in viewer.layers if about(one).get("kind") == "mask")
    expected = mask.data.copy()
    fitted.results.save_recipe(tmp_path / "recipe.toml")
    viewer.layers.remove(mask)
    fitted.results.run_recipe(tmp_path / "recipe.toml")
    qtbot.waitUntil(lambda: not fitted.results.runner.background.running, timeout=20_000)
    masks = [one for one in viewer.layers if about(one).get("kind") == "mask"]
    assert masks
    np.testing.assert_array_equal(masks[-1].data, expected)


def test_points_that_a_mask_hides_are_not_drawn(fitted, viewer, dock, qtbot):
    wait(dock, qtbot)
    whole = dock.words.text()
    fitted.masks.set_limits(0.3, None)
    fitted.masks.keep_preview()
    fitted.masks.use.apply.click()
    qtbot.waitUntil(lambda: dock.words.text() != whole, timeout=10_000)
    wait(dock, qtbot)
    both = np.isfinite(data_of(viewer, "thickness")) & np.isfinite(data_of(viewer, "fraction_Ni_oxidised"))
    mask = next(one for one in viewer.layers if about(one).get("kind") == "mask").data.astype(bool)
    shown = int(dock.words.text().split()[0])
    beyond = [part for part in dock.words.text().split(", ") if "beyond" in part]
    assert shown + (int(beyond[0].split()[0]) if beyond else 0) == (both & mask).sum()
    fitted.masks.use.remove.click()
    qtbot.waitUntil(lambda: dock.words.text() == whole, timeout=10_000)
