"""Layers that the user links share how they look; each stays what it is."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import _layer_actions as actions

from napari_xanes._widgets.layers.layers import about


def by_kind(viewer, *kinds):
    found = {about(one).get("kind"): one for one in viewer.layers}
    return [found[kind] for kind in kinds]


@pytest.fixture
def linked(normalised, viewer):
    """A stack, two of its maps and a picture of someone else, linked as napari's own command does."""
    layers = [*by_kind(viewer, "stack", "thickness", "edge_step"), viewer.add_image(np.zeros((4, 5)))]
    viewer.layers.selection = set(layers)
    actions._link_selected_layers(viewer.layers)
    return layers


def test_a_step_that_is_run_again_renews_its_maps_also_where_they_are_linked(
    linked, workflow, viewer, run_step
):
    _, thickness, edge_step, other = linked
    names, places = [one.name for one in viewer.layers], [tuple(one.scale) for one in linked]
    run_step(workflow.panels["normalize"])
    assert [one.name for one in viewer.layers] == names
    assert [about(one)["kind"] for one in (thickness, edge_step)] == ["thickness", "edge_step"]
    assert other.metadata == {} and [tuple(one.scale) for one in linked] == places


def test_how_they_look_goes_on_being_shared(linked):
    _, thickness, edge_step, other = linked
    thickness.contrast_limits = (0.25, 0.75)
    assert edge_step.contrast_limits == other.contrast_limits == [0.25, 0.75]
