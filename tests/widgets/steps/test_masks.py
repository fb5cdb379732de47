"""The panel of masks: what lies between limits, and layers that are masked and given back to the last bit."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from napari.layers import Labels, Layer
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt

import napari_xanes as nx
from napari_xanes._core.regions import masks
from napari_xanes._widgets.layers.layers import (
    about,
    add_stack,
    find,
    history_of,
    kept_result,
    lineage,
    put_result,
    results_of,
    stack_of,
)
from napari_xanes._widgets.layers.masked import MASKED, MaskedStack
from napari_xanes._widgets.layers.masks import PREVIEW_NAME, apply_to_all
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.layers.tuples import labels_tuple
from napari_xanes._widgets.view.dock import XanesView
from napari_xanes._widgets.window.workflow import MaskDock


@pytest.fixture
def panel(workflow):
    return workflow.masks


def layer_of(viewer, name):
    return next(one for one in viewer.layers if name in (about(one).get("map"), about(one).get("labels")))


def preview(viewer):
    return next((one for one in viewer.layers if one.name == PREVIEW_NAME), None)


def make_mask(panel, above, below=None):
    panel.set_limits(above, below)
    panel.keep_preview()


def test_without_maps_it_says_what_to_run(panel, viewer, density):
    assert "run 3 Normalise first" in panel.found.text() and not panel.keep.isEnabled()
    add_stack(viewer, density)
    assert not panel.keep.isEnabled() and not panel.use.apply.isEnabled()
    panel.preview()
    assert preview(viewer) is None


def test_otsu_and_the_shape_of_the_mask_are_previewed(panel, viewer, normalised, qtbot):
    thickness = layer_of(viewer, "thickness")
    assert panel.map.layer() == thickness
    panel.otsu.click()
    qtbot.waitUntil(lambda: preview(viewer) is not None)
    limit = masks.otsu_threshold(thickness.data)
    assert float(panel.above.text()) == pytest.approx(limit, rel=1e-4)
    expected = thickness.data >= float(panel.above.text())
    np.testing.assert_array_equal(preview(viewer).data, expected)
    assert f"{expected.sum()} of {expected.size} pixels inside" in panel.found.text()
    panel.editors["erode"].set_value(2)
    panel.editors["remove_small"].set_value(30)
    expected = masks.remove_small(masks.erode(expected, 2), 30)
    qtbot.waitUntil(lambda: np.array_equal(preview(viewer).data, expected))
    assert preview(viewer).scale == pytest.approx(thickness.scale)


def test_a_map_that_changes_while_its_preview_is_put_in_begins_anew(panel, viewer, normalised, qtbot):
    thickness, put_in = layer_of(viewer, "thickness"), []

    def change(event):
        put_in.append(event.value.name)
        thickness.data = thickness.data + 1
        panel.refresh()

    viewer.layers.events.inserted.connect(change)
    panel.otsu.click()
    qtbot.waitUntil(lambda: put_in == [PREVIEW_NAME] and panel.found.text().startswith("Drag"))
    assert preview(viewer) is None


def test_the_preview_becomes_the_mask(panel, workflow, viewer, normalised, qtbot):
    """Its layer is not removed to be added again, which would take napari long; Undo and Redo know it as made by the step."""
    panel.otsu.click()
    qtbot.waitUntil(lambda: preview(viewer) is not None)
    shown, removed = preview(viewer), []
    viewer.layers.events.removed.connect(lambda event: removed.append(event.value))
    panel.keep.click()
    assert preview(viewer) is None and layer_of(viewer, "mask") is shown and not removed
    assert shown is viewer.layers[-1] is viewer.layers.selection.active
    assert shown.name == f"mask ({about(shown)['name']})"
    parent = find(viewer, about(shown)["made_from"])
    np.testing.assert_array_equal(shown.data, results_of(parent)["mask"].labels["mask"])
    workflow.undo.click()
    assert shown not in viewer.layers and "mask" not in results_of(parent)
    workflow.redo.click()
    assert layer_of(viewer, "mask") is shown
    panel.set_limits(0.1, None)
    qtbot.waitUntil(lambda: preview(viewer) is not None)
    panel.keep.click()
    assert preview(viewer) is None and layer_of(viewer, "mask") is shown, (
        "the mask that is there is made anew"
    )


def test_limits_are_dragged_in_the_histogram(panel, viewer, normalised, qtbot):
    panel.histogram.region.setRegion((0.2, 0.6))
    qtbot.waitUntil(lambda: preview(viewer) is not None)
    assert float(panel.above.text()) == pytest.approx(0.2) and float(panel.below.text()) == pytest.approx(0.6)
    data = layer_of(viewer, "thickness").data
    np.testing.assert_array_equal(preview(viewer).data, (data >= 0.2) & (data <= 0.6))
    panel.above.setText("0.3")
    panel.above.editingFinished.emit()
    assert panel.histogram.limits()[0] == pytest.approx(0.3)


def test_without_limits_it_says_how_to_set_them(panel, viewer, normalised, qtbot, shown):
    qtbot.keyClicks(panel.above, "0.3")
    qtbot.keyClick(panel.above, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: preview(viewer) is not None)
    panel.above.selectAll()
    qtbot.keyClick(panel.above, Qt.Key.Key_Delete)
    qtbot.keyClick(panel.above, Qt.Key.Key_Return)
    how = "Drag the limits in the histogram, type them, or press Otsu."
    qtbot.waitUntil(lambda: preview(viewer) is None and panel.found.text() == how)
    qtbot.mouseClick(panel.keep, Qt.MouseButton.LeftButton)
    assert len(shown) == 1 and how in shown[0]


def test_a_mask_that_is_kept_is_a_result(panel, workflow, viewer, normalised, tmp_path):
    make_mask(panel, 0.3)
    mask = layer_of(viewer, "mask")
    thickness = layer_of(viewer, "thickness")
    assert isinstance(mask, Labels) and about(mask)["kind"] == "mask" and preview(viewer) is None
    np.testing.assert_array_equal(mask.data, thickness.data >= 0.3)
    assert about(mask)["history"][-1]["params"]["above"] == 0.3
    workflow.results.save_result(tmp_path / "maps.h5")
    np.testing.assert_array_equal(nx.load_result(tmp_path / "maps.h5").labels["mask"], mask.data)
    make_mask(panel, 0.5)
    assert [one for one in viewer.layers if about(one).get("labels")] == [mask]
    np.testing.assert_array_equal(mask.data, thickness.data >= 0.5)


@pytest.mark.parametrize("how", ["and", "or", "minus"])
def test_it_is_combined_with_painted_labels(panel, viewer, normalised, how):
    painted = viewer.add_labels(np.zeros((64, 72), int), name="painted", scale=normalised.scale[-2:])
    painted.data[10:40, 20:50] = 7
    panel.how.setCurrentIndex(panel.how.findData(how))
    make_mask(panel, 0.3)
    thick, drawn = layer_of(viewer, "thickness").data >= 0.3, painted.data == 7
    expected = {"and": thick & drawn, "or": thick | drawn, "minus": drawn & ~thick}[how]
    np.testing.assert_array_equal(layer_of(viewer, "mask").data, expected)
    assert about(layer_of(viewer, "mask"))["history"][-1]["found"]["combined_with"] == "painted"


def test_what_is_no_mask_is_offered_last_and_not_taken_unasked(panel, viewer, normalised):
    known = kept_result(lineage(viewer, normalised)[1], "normalize")
    best = replace(known, labels={"combination": np.ones((64, 72), np.uint8)})
    viewer.add_layer(Layer.create(*labels_tuple("combination", best)))
    assert panel.use.mask_choice.count() == 1 and panel.use.mask_choice.layer() is None
    assert not panel.use.apply.isEnabled()
    make_mask(panel, 0.3)
    viewer.layers.move(viewer.layers.index(layer_of(viewer, "mask")), 0)
    assert panel.use.mask_choice.layer() == layer_of(viewer, "mask")
    assert panel.use.apply.isEnabled() and "combination" in panel.other.itemText(1)


def test_limits_that_cannot_be_are_said_and_make_no_mask(panel, viewer, normalised, shown):
    make_mask(panel, 0.5, 0.2)
    assert len(shown) == 1 and "greater than below" in shown[0]
    panel.preview()
    assert preview(viewer) is None and "greater than below" in panel.found.text()


def test_masks_are_taken_off_to_the_last_bit_after_two_and_with_layers_gone(panel, viewer, normalised):
    before = {layer.name: layer.data for layer in viewer.layers}
    copies = {name: data.copy() for name, data in before.items()}
    make_mask(panel, 0.3)
    panel.use.apply.click()
    assert panel.use.result.text() == "Applied to 4 layers."
    first = layer_of(viewer, "mask").data.astype(bool)
    edge_step = layer_of(viewer, "edge_step")
    np.testing.assert_array_equal(edge_step.data, np.where(first, copies[edge_step.name], np.nan))
    make_mask(panel, 0.1, 0.4)
    panel.use.apply.click()
    second = layer_of(viewer, "mask").data.astype(bool)
    assert (second & ~first).any() and (first & ~second).any()
    np.testing.assert_array_equal(edge_step.data, np.where(second, copies[edge_step.name], np.nan))
    np.testing.assert_array_equal(
        np.asarray(normalised.data), np.where(second, copies[normalised.name], np.nan)
    )
    viewer.layers.remove(layer_of(viewer, "thickness"))
    panel.use.remove.click()
    assert panel.use.result.text().startswith("3 layers restored")
    for layer in viewer.layers:
        if layer.name in before:
            assert layer.data is before[layer.name]
            np.testing.assert_array_equal(layer.data, copies[layer.name])
        assert MASKED not in layer.metadata
    panel.use.remove.click()
    assert panel.use.result.text() == "No mask is applied."


def test_masks_come_off_in_a_dock_that_was_given_a_proxy_of_the_viewer(viewer, normalised, qtbot):
    stack, thickness = normalised.data, layer_of(viewer, "thickness")
    map_before = thickness.data
    dock = MaskDock(PublicOnlyProxy(viewer))
    qtbot.addWidget(dock)
    for limit in (0.3, 0.5):
        make_mask(dock.panel, limit)
        dock.panel.use.apply.click()
        np.testing.assert_array_equal(
            np.asarray(normalised.data), np.where(map_before >= limit, stack, np.nan)
        )
    assert stack_of(PublicOnlyProxy(viewer).layers[normalised.name]).history[-1]["do"] == "mask"
    dock.panel.use.remove.click()
    assert normalised.data is stack and thickness.data is map_before
    dock.close_down()


def test_a_mask_is_applied_beside_a_colour_mix(panel, viewer, normalised, qtbot):
    view = XanesView(viewer)
    qtbot.addWidget(view)
    view.mix.start.click()
    mix = next(one for one in viewer.layers if one.name.endswith("colour mix"))
    make_mask(panel, 0.3)
    qtbot.mouseClick(panel.use.apply, Qt.MouseButton.LeftButton)
    assert panel.use.result.text() == "Applied to 4 layers."
    inside = layer_of(viewer, "mask").data.astype(bool)
    qtbot.waitUntil(lambda: not mix.data[~inside][:, 3].any())
    view.close_down()


def test_clusters_outside_become_background(panel, workflow, viewer, normalised, run_step):
    run_step(workflow.panels["clusters"])
    clusters = layer_of(viewer, "clusters")
    whole = clusters.data
    make_mask(panel, 0.3)
    panel.use.apply.click()
    inside = layer_of(viewer, "mask").data.astype(bool)
    np.testing.assert_array_equal(clusters.data, np.where(inside, whole, 0))
    panel.use.remove.click()
    assert clusters.data is whole


def test_stacks_in_files_are_masked_without_being_read(viewer, tmp_path):
    data = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["counts"] = (1000 * data).astype(np.uint16)
    with h5py.File(tmp_path / "scan.h5") as file:
        stack = nx.EnergyStack(file["counts"], np.linspace(8300, 8400, 5), "counts", name="lazy")
        layer = add_stack(viewer, stack)
        painted = viewer.add_labels(np.eye(6, 7, dtype=int))
        assert apply_to_all(viewer, painted, layer).layers == 1
        assert isinstance(layer.data, MaskedStack)
        frame = stack_of(layer).read(2, slice(1, 4))
        expected = np.where(np.eye(6, 7) > 0, file["counts"][2], np.nan)[1:4]
        np.testing.assert_array_equal(frame, expected)
        assert frame.dtype == np.float32
        viewer.layers.clear()


def test_layers_from_before_the_alignment_are_left_alone(panel, workflow, viewer, density, run_step):
    add_stack(viewer, density)
    for key in ("align", "normalize"):
        run_step(workflow.panels[key])
    make_mask(panel, 0.3)
    panel.use.apply.click()
    assert panel.use.result.text().startswith("Applied to 4 layers. 1 layer unchanged")
    raw = next(one for one in viewer.layers if one.name == "ni_simulated")
    assert MASKED not in raw.metadata and isinstance(raw.data, np.ndarray)


def test_another_scan_is_left_alone(panel, workflow, viewer, normalised, density):
    other = add_stack(viewer, density.replace(name="other", source={"path": "/other.h5"}))
    make_mask(panel, 0.3)
    panel.use.apply.click()
    assert MASKED in normalised.metadata and MASKED not in other.metadata


def test_steps_on_a_masked_stack_say_so_and_can_be_run_again(
    panel, workflow, viewer, density, normalised, run_step
):
    make_mask(panel, 0.3)
    panel.use.apply.click()
    workflow.chooser.choose(normalised)
    assert "masked" in workflow.panels["maps"].plan.text()
    workflow.panels["maps"].choose("edge_position")
    run_step(workflow.panels["maps"])
    result = results_of(normalised)["edge_position"]
    inside = layer_of(viewer, "mask").data.astype(bool)
    edge = result.maps["edge_energy"]
    assert np.isnan(edge[~inside]).all() and np.isfinite(edge[inside]).mean() > 0.8
    assert [entry["do"] for entry in result.history] == [*("normalize", "mask", "element", "edge_position")]
    again = nx.run_recipe(nx.Recipe.of(result_of(viewer, normalised)), density)
    np.testing.assert_array_equal(again.maps["edge_energy"], edge)
    panel.use.remove.click()
    assert "1 layer computed under a mask" in panel.use.result.text()
    assert stack_of(normalised).history == history_of(normalised)


def test_a_step_run_again_under_a_mask_is_not_undone_by_taking_it_off(panel, viewer, normalised):
    make_mask(panel, 0.3)
    panel.use.apply.click()
    parent = next(one for one in viewer.layers if one.name == "ni_simulated")
    result = results_of(parent)["normalize"]
    new = np.full_like(result.maps["thickness"], 2.0)
    maps = {**result.maps, "thickness": new}
    put_result(viewer, parent, "normalize", nx.Result(**{**vars(result), "maps": maps}))
    panel.use.remove.click()
    np.testing.assert_array_equal(layer_of(viewer, "thickness").data, new)


def test_the_preview_goes_with_the_panel(viewer, normalised, qtbot):
    dock = MaskDock(viewer)
    qtbot.addWidget(dock)
    dock.panel.find_limit()
    qtbot.waitUntil(lambda: preview(viewer) is not None)
    dock.close_down()
    assert preview(viewer) is None


def test_masks_that_cannot_be_applied_are_refused(panel, viewer, normalised, shown):
    empty = viewer.add_labels(np.zeros((64, 72), int), name="empty")
    panel.use.apply.click()
    assert "the mask 'empty' is empty" in shown[0]
    viewer.layers.remove(empty)
    viewer.add_labels(np.ones((5, 6), int), name="elsewhere", translate=(1000, 1000))
    panel.use.apply.click()
    assert "'elsewhere' of shape (5, 6) lies over no layer" in shown[1]
    assert all(MASKED not in layer.metadata for layer in viewer.layers)


def test_a_part_of_a_masked_stack_is_the_same_part_of_its_copy():
    rng = np.random.default_rng(1)
    data, inside = rng.random((4, 5, 6, 7)).astype(np.float32), rng.random((5, 6, 7)) > 0.5
    masked, whole = MaskedStack(data, inside), np.where(inside, data, np.nan)
    image = rng.random((5, 6, 7)) > 0.7
    keys = [
        *(0, slice(1, 3), (slice(None), 2), (1, slice(2, 4), 3), (..., 4), (1, ..., slice(0, 2)), ...),
        *((slice(None), 1, 2, 3), (2, 1, 2, 3), (slice(None), image), (slice(None), [0, 1], [2, 3], [4, 5])),
    ]
    for key in keys:
        np.testing.assert_array_equal(masked[key], whole[key], err_msg=str(key))
    np.testing.assert_array_equal(np.asarray(masked), whole)
    assert masked[0].dtype == np.float32 and np.isfinite(data).all()
