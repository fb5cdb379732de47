"""What napari's own actions make of a stack is a stack only if it still is one, and disturbs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import _layer_actions as actions

from napari_xanes._widgets.layers.layers import about, add_stack, stack_layers, stack_of


@pytest.fixture
def layer(workflow, viewer, density):
    made = add_stack(viewer, density)
    viewer.layers.selection = {made}
    return made


def stacks(viewer):
    return [one.name for one in stack_layers(viewer)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_projections_are_no_stacks(layer, viewer, workflow, axis):
    actions._project(viewer.layers, axis=axis, mode="mean")
    assert stacks(viewer) == [layer.name]
    assert about(viewer.layers[-1]) == {}
    assert workflow.chooser.layer() is layer


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
