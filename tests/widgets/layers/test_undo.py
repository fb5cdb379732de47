"""A step taken back leaves the layers as they were, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers._layer_actions import _duplicate_layer as action_duplicate

from napari_xanes._widgets.layers import undo as _undo
from napari_xanes._widgets.layers.layers import about, add_stack, has_old_result, results_of
from napari_xanes._widgets.layers.session import session_of
from napari_xanes._widgets.window.workflow import XanesWorkflow


@pytest.fixture
def workflow(qtbot, scan):
    viewer = ViewerModel()
    dock = XanesWorkflow(viewer)
    qtbot.addWidget(dock)
    add_stack(viewer, scan)
    yield dock
    dock.close_down()


def state(viewer):
    return [
        (layer.name, layer.visible, np.asarray(layer.data).copy(), dict(about(layer)))
        for layer in viewer.layers
    ]


def assert_same(now, before):
    assert [(name, visible, said) for name, visible, _, said in now] == [
        (name, visible, said) for name, visible, _, said in before
    ]
    for (_, _, data, _), (_, _, expected, _) in zip(now, before, strict=True):
        np.testing.assert_array_equal(data, expected)


def test_steps_are_undone_one_by_one(workflow, run_step):
    viewer, states = workflow.viewer, []
    assert not workflow.undo.isVisibleTo(workflow)
    for key in ("preprocess", "align", "normalize"):
        states.append(state(viewer))
        run_step(workflow.panels[key])
        assert workflow.undo.text() == f"Undo {workflow.panels[key].title.lower()}"
    for before in reversed(states):
        workflow.undo.click()
        assert_same(state(viewer), before)
    assert not workflow.undo.isVisibleTo(workflow)
    run_step(workflow.panels["preprocess"])
    assert len(viewer.layers) == 2


def test_a_step_run_again_is_undone_to_its_first_result(workflow, run_step):
    viewer = workflow.viewer
    for key in ("preprocess", "align", "normalize"):
        run_step(workflow.panels[key])
    before, layer = state(viewer), workflow.panels["normalize"].input_layer()
    first = results_of(layer)["normalize"]
    editor = workflow.panels["normalize"].forms["normalize"].editors["pre_edge"]
    editor.set_value((8230.0, 8280.0))
    run_step(workflow.panels["normalize"])
    changed = [np.asarray(one.data) for one in viewer.layers]
    assert not all(np.array_equal(a, b[2], equal_nan=True) for a, b in zip(changed, before, strict=True))
    workflow.undo.click()
    assert_same(state(viewer), before)
    assert results_of(layer)["normalize"] is first and not has_old_result(layer, "normalize")


def test_the_users_own_layers_are_left_alone(workflow, run_step):
    viewer = workflow.viewer
    run_step(workflow.panels["preprocess"])
    viewer.add_points([[1, 2]], name="mine")
    viewer.layers.remove("ni_simulated optical density")
    workflow.undo.click()
    assert [layer.name for layer in viewer.layers] == ["ni_simulated", "mine"]


def test_what_is_held_to_go_back_is_bounded(workflow, run_step, monkeypatch):
    monkeypatch.setattr(_undo, "SHARE", 0.0)
    run_step(workflow.panels["preprocess"])
    run_step(workflow.panels["align"])
    run_step(workflow.panels["align"])
    run_step(workflow.panels["align"])
    assert len(session_of(workflow.viewer).steps) == 1
    assert _undo.undo(workflow.viewer).title == "align"
    assert _undo.undo(workflow.viewer) is None


def test_what_came_since_is_left_alone(workflow, run_step, density):
    """A scan that was opened meanwhile, and a layer that the user duplicated, were made by no step."""
    viewer = workflow.viewer
    run_step(workflow.panels["preprocess"])
    run_step(workflow.panels["normalize"])
    other = add_stack(viewer, density.replace(name="other"))
    viewer.layers.selection.active = viewer.layers["thickness (ni_simulated)"]
    action_duplicate(viewer.layers)
    workflow.undo.click()
    names = [layer.name for layer in viewer.layers]
    assert other in viewer.layers and "thickness (ni_simulated) copy" in names
    assert "thickness (ni_simulated)" not in names


def test_the_stack_that_was_chosen_before_is_chosen_again(workflow, run_step):
    run_step(workflow.panels["preprocess"])
    run_step(workflow.panels["align"])
    chosen = workflow.chooser.layer()
    run_step(workflow.panels["normalize"])
    assert workflow.chooser.layer() is not chosen
    workflow.undo.click()
    assert workflow.chooser.layer() is chosen


def test_what_was_taken_back_is_done_again_to_the_last_bit(workflow, run_step):
    viewer = workflow.viewer
    run_step(workflow.panels["preprocess"])
    run_step(workflow.panels["align"])
    after = state(viewer)
    assert not workflow.redo.isVisibleTo(workflow)
    workflow.undo.click()
    workflow.undo.click()
    assert workflow.redo.text() == "Redo preprocess"
    workflow.redo.click()
    workflow.redo.click()
    assert_same(state(viewer), after)
    assert not workflow.redo.isVisibleTo(workflow)


def test_a_new_step_takes_the_place_of_what_was_taken_back(workflow, run_step):
    run_step(workflow.panels["preprocess"])
    workflow.undo.click()
    run_step(workflow.panels["preprocess"])
    assert not workflow.redo.isVisibleTo(workflow)


def test_steps_of_a_scan_that_was_removed_go_with_it(workflow, run_step):
    viewer = workflow.viewer
    run_step(workflow.panels["preprocess"])
    viewer.layers.clear()
    assert _undo.last_step(viewer) == ""


@pytest.mark.parametrize("taken_back", [0, 1, 2])
def test_a_scan_that_was_removed_is_not_held_to_go_back_or_forth(workflow, run_step, taken_back):
    """Also where no workflow is open any more that would ask for the last step."""
    viewer = workflow.viewer
    run_step(workflow.panels["preprocess"])
    run_step(workflow.panels["align"])
    for _ in range(taken_back):
        workflow.undo.click()
    workflow.close_down()
    session = session_of(viewer)
    viewer.add_points([[1, 2]], name="mine")
    viewer.layers.remove("mine")
    assert len(session.steps) == 2 - taken_back and len(session.undone) == taken_back
    viewer.layers.clear()
    assert not session.steps and not session.undone
