"""What napari's own actions make of a stack is a stack only if it still is one, and disturbs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import _layer_actions as actions

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack, put_result, stack_layers, stack_of
from napari_xanes._widgets.view.dock import XanesView


@pytest.fixture
def layer(workflow, viewer, density):
    made = add_stack(viewer, density)
    viewer.layers.selection = {made}
    return made


def stacks(viewer):
    return [one.name for one in stack_layers(viewer)]


def by_kind(viewer, kind):
    return next(one for one in viewer.layers if about(one).get("kind") == kind)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_projections_are_no_stacks(layer, viewer, workflow, axis):
    actions._project(viewer.layers, axis=axis, mode="mean")
    assert stacks(viewer) == [layer.name]
    assert about(viewer.layers[-1]) == {}
    assert workflow.chooser.layer() is layer


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_projections_of_volumes_are_no_stacks_however_many_planes_there_are(viewer, axis):
    energy = np.linspace(8300, 8400, 6)
    volumes = nx.EnergyStack(np.ones((6, 6, 8, 9), np.float32), energy, "optical_density")
    viewer.layers.selection.active = layer = add_stack(viewer, volumes)
    actions._project(viewer.layers, axis=axis, mode="max")
    assert len(viewer.layers) == 2 and stacks(viewer) == [layer.name]


@pytest.mark.parametrize("mode", ["max", "mean"])
def test_a_projection_of_a_volumes_map_is_left_alone(viewer, mode):
    energy, thick = np.linspace(8300, 8400, 6), np.ones((3, 8, 9), np.float32)
    layer = add_stack(viewer, nx.EnergyStack(np.ones((6, 3, 8, 9), np.float32), energy, "optical_density"))
    info = {"thickness": {"kind": "thickness", "unit": "um", "reference": None}}
    put_result(
        viewer,
        layer,
        "normalize",
        nx.Result({"thickness": thick}, info, energy=energy, history=(), source={}),
    )
    viewer.layers.selection.active = volume = by_kind(viewer, "thickness")
    actions._project(viewer.layers, axis=0, mode=mode)
    (projection,) = (one for one in viewer.layers if one not in (layer, volume))
    viewer.layers.move(viewer.layers.index(projection), 0)
    put_result(
        viewer,
        layer,
        "normalize",
        nx.Result({"thickness": 2 * thick}, info, energy=energy, history=(), source={}),
    )
    assert about(projection) == {} and projection.data.shape == (8, 9)
    assert volume.data.shape == (3, 8, 9) and volume.data.min() == 2


def test_the_frames_of_a_stack_that_was_split_are_no_stacks(layer, viewer, workflow):
    layer.data = layer.data[:6]  # napari makes a layer of each
    actions._split_stack(viewer.layers, axis=0)
    assert len(viewer.layers) == 6 and stacks(viewer) == []
    assert workflow.chooser.layer() is None


@pytest.mark.filterwarnings("ignore:projection mode")  # napari's own
def test_a_stack_that_became_labels_is_no_stack(layer, viewer, workflow):
    actions._convert_to_labels(viewer.layers)
    assert stacks(viewer) == [layer.name]
    assert workflow.chooser.layer() is layer


@pytest.mark.filterwarnings("ignore:projection mode")  # napari's own
def test_what_was_cut_to_whole_numbers_on_the_way_over_labels_is_not_what_it_was(fitted, viewer):
    stack, thickness = (by_kind(viewer, kind) for kind in ("stack", "thickness"))
    viewer.layers.selection = {stack, thickness}
    actions._convert_to_labels(viewer.layers)
    viewer.layers.selection = new = {one for one in viewer.layers if one.name.endswith(" [1]")}
    assert len(new) == 2 and not any(about(one) for one in new)
    actions._convert_to_image(viewer.layers)
    assert [about(one) for one in viewer.layers if one.name.endswith(" [1]")] == [{}, {}]


def test_counts_of_whole_numbers_stay_a_stack(workflow, viewer, scan):
    counts = add_stack(viewer, scan.replace(data=scan.data[:].astype(int)))
    assert stacks(viewer) == [counts.name]


def test_frames_that_were_merged_are_no_stack_as_nobody_knows_their_order(layer, viewer, workflow):
    said, layer.data = layer.metadata["xanes"], layer.data[:6]
    layer.metadata = {"xanes": {**said, "energy": said["energy"][:6]}}
    assert stacks(viewer) == [layer.name]
    actions._split_stack(viewer.layers, axis=0)
    viewer.layers.move(0, 6)
    viewer.layers.select_all()
    actions._merge_stack(viewer.layers)
    assert viewer.layers[0].data.shape[0] == 6 and stacks(viewer) == []


def test_maps_that_were_merged_are_no_map(fitted, viewer):
    maps = [by_kind(viewer, kind) for kind in ("edge_step", "thickness", "error")]
    viewer.layers.selection = set(maps)
    actions._duplicate_layer(viewer.layers)
    copies = [one for one in viewer.layers if one.name.endswith(" copy")]
    assert len(copies) == 3 and all(about(one).get("map") for one in copies)
    viewer.layers.selection = set(copies)
    actions._merge_stack(viewer.layers)
    assert viewer.layers[-1].data.shape[0] == 3 and about(viewer.layers[-1]) == {}
    for one, color in zip(maps, ("red", "green", "blue"), strict=True):
        one.colormap = color
    viewer.layers.selection = set(maps)
    actions._merge_stack(viewer.layers, rgb=True)
    assert viewer.layers[-1].rgb and about(viewer.layers[-1]) == {}


def test_a_mix_whose_colours_were_split_is_made_anew(fitted, viewer, qtbot):
    dock = XanesView(viewer)
    qtbot.addWidget(dock)
    dock.mix.start.click()
    qtbot.waitUntil(lambda: any(about(one).get("mix") for one in viewer.layers))
    (mix,) = (one for one in viewer.layers if about(one).get("mix"))
    viewer.layers.selection.active = mix
    actions._split_rgb(viewer.layers)
    assert not any(about(one).get("mix") for one in viewer.layers)
    dock.mix.start.click()
    qtbot.waitUntil(lambda: any(about(one).get("mix") for one in viewer.layers))
    assert [one.data.ndim for one in viewer.layers if about(one).get("mix")] == [3]
    dock.close_down()


def test_a_duplicate_is_a_stack_of_its_own(layer, viewer):
    actions._duplicate_layer(viewer.layers)
    assert stacks(viewer) == [layer.name, f"{layer.name} copy"]
    one, other = viewer.layers
    assert about(one)["id"] != about(other)["id"]
    np.testing.assert_array_equal(stack_of(one).data, stack_of(other).data)


def test_a_crop_in_the_plane_is_a_stack_and_one_in_energy_is_none(layer, viewer, workflow):
    layer.data = layer.data[:, 5:30, 10:40]
    assert stacks(viewer) == [layer.name] and stack_of(layer).image_shape == (25, 30)
    layer.data = layer.data[3:20]
    workflow.chooser.refresh()
    assert stacks(viewer) == [] and workflow.chooser.layer() is None


def test_transposed_axes_are_no_stack(layer, viewer, density):
    data, state, kind = layer.as_layer_data_tuple()
    axes = (1, 2, 0)
    state = {key: state[key] for key in ("name", "metadata")}
    state["axis_labels"] = tuple(layer.axis_labels[i] for i in axes)
    viewer.add_layer(type(layer).create(np.transpose(np.asarray(data), axes), state, kind))
    assert stacks(viewer) == [layer.name]


@pytest.mark.parametrize("removed", [True, False])
def test_a_duplicate_that_was_kept_to_be_compared_is_not_renewed(
    normalised, viewer, workflow, run_step, removed
):
    thickness = by_kind(viewer, "thickness")
    viewer.layers.selection = {thickness}
    actions._duplicate_layer(viewer.layers)
    copy = viewer.layers[f"{thickness.name} copy"]
    viewer.layers.move(viewer.layers.index(copy), 0)  # it would be found first
    kept = copy.data.copy()
    if removed:
        viewer.layers.remove(thickness)
    panel = workflow.panels["normalize"]
    panel.forms["normalize"].editors["post_edge"].set_value((8400.0, 8450.0))
    run_step(panel)
    np.testing.assert_array_equal(copy.data, kept)
    made = [one for one in viewer.layers if about(one).get("kind") == "thickness" and one is not copy]
    assert len(made) == 1 and not np.array_equal(made[0].data, kept, equal_nan=True)
