"""What was done can be changed and run again, and the maps are those of a recipe run from scratch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.data.history import Entry
from napari_xanes._core.recipe.edited import HistorySteps
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.history.dock import XanesHistory
from napari_xanes._widgets.jobs import groups as _recipe_groups
from napari_xanes._widgets.layers.layers import about, add_stack, results_of
from napari_xanes._widgets.layers.undo import last_step, undo

PRE = (8230.0, 8280.0)


@pytest.fixture
def done(workflow, viewer, scan, references, run_step):
    """The workflow after all steps from raw counts to fractions."""
    add_stack(viewer, scan)
    for key in ("preprocess", "align", "normalize"):
        run_step(workflow.panels[key])
    workflow.fit_with(references)
    run_step(workflow.panels["fit"])
    return workflow


@pytest.fixture
def dock(done, viewer, qtbot):
    made = XanesHistory(viewer)
    qtbot.addWidget(made)
    yield made
    made.close_down()


@pytest.fixture
def rerun(dock, qtbot):
    def run():
        with qtbot.waitSignal(dock.runner.background.ended, timeout=60_000):
            dock.runner.run.click()

    return run


def maps(viewer):
    return {about(layer)["map"]: layer for layer in viewer.layers if about(layer).get("map")}


def state(viewer):
    return [
        (one.name, one.visible, np.array(one.data), dict(about(one)), dict(results_of(one)))
        for one in viewer.layers
    ]


def assert_same(now, before):
    assert [one[0] for one in now] == [one[0] for one in before]
    for a, b in zip(now, before, strict=True):
        assert (a[1], a[3]) == (b[1], b[3])
        np.testing.assert_array_equal(a[2], b[2], err_msg=a[0])
        assert a[4].keys() == b[4].keys() and all(a[4][key] is b[4][key] for key in a[4])


def choose(dock, name):
    names = [step.name for step in dock.list.history.steps]
    dock.list.list.setCurrentRow(names.index(name))


def from_scratch(scan, dock, **changes):
    steps = dock.recipe().steps
    given = tuple(
        (name, params.model_copy(update=changes) if name == "normalize" else params) for name, params in steps
    )
    return nx.run_recipe(nx.Recipe(given), scan)


def test_all_steps_are_told(dock):
    steps = dock.list.history.steps
    assert [one.name for one in steps] == ["flat_field", "optical_density", "align", "normalize", "fit"]
    text = dock.list.list.item(3).text()
    assert text.startswith("4  Normalise\n") and "Pre-edge" in text and "Edge Ni K" in text
    assert not dock.discard.isVisibleTo(dock) and dock.list.history.first_change is None


def test_changed_windows_run_from_there_give_the_maps_of_a_recipe(dock, viewer, scan, rerun):
    before, ids = state(viewer), {one.name: about(one)["id"] for one in viewer.layers}
    aligned = viewer.layers["ni_simulated aligned"].data
    choose(dock, "normalize")
    dock.form.editors["pre_edge"].set_value(PRE)
    dock.form.changed.emit()
    assert "changed" in dock.list.list.item(3).text() and dock.runner.run.text() == "Re-run from step 4"
    assert_same(state(viewer), before)  # nothing happens until it is run
    expected = from_scratch(scan, dock)
    rerun()
    shown = maps(viewer)
    for name, layer in shown.items():
        np.testing.assert_array_equal(layer.data, expected.maps[name], err_msg=name)
    assert not np.array_equal(shown["thickness"].data, _named(before, "thickness"), equal_nan=True)
    assert viewer.layers["ni_simulated aligned"].data is aligned
    assert {one.name: about(one)["id"] for one in viewer.layers} == ids  # updated in place
    assert dock.list.history.first_change is None
    assert dock.list.history.steps[3].params.pre_edge == PRE and dock.list.index == 3
    assert last_step(viewer) == "re-run"
    undo(viewer)
    assert_same(state(viewer), before)


def _named(before, name):
    return next(data for _, _, data, said, _ in before if said.get("map") == name)


def test_a_removed_step_is_forgotten_and_can_be_undone(dock, viewer, rerun, done):
    before = state(viewer)
    choose(dock, "fit")
    dock.list.remove.click()
    assert dock.discard.isVisibleTo(dock)
    rerun()
    assert [one.name for one in dock.list.history.steps][-1] == "normalize"
    assert not any(one.visible for name, one in maps(viewer).items() if name.startswith("fraction"))
    undo(viewer)
    done.chooser.refresh()
    assert_same(state(viewer), before)
    assert [one.name for one in dock.list.history.steps][-1] == "fit"


def test_alignment_left_out(dock, viewer, scan, rerun):
    choose(dock, "align")
    dock.list.switch.click()
    assert dock.list.list.item(2).font().strikeOut() and dock.list.switch.text() == "Take in"
    expected = nx.run_recipe(dock.recipe(), scan)
    assert [name for name, _ in dock.recipe().steps] == ["flat_field", "optical_density", "normalize", "fit"]
    rerun()
    names = ["flat_field", "optical_density", "normalize", "fit"]
    assert [one.name for one in dock.list.history.steps] == names and dock.list.history.first_change is None
    chosen = about(dock.chooser.layer())["id"]
    fresh = [one for one in viewer.layers if about(one).get("made_from") == chosen and about(one).get("map")]
    assert len(fresh) >= 2
    for layer in fresh:
        np.testing.assert_array_equal(layer.data, expected.maps[about(layer)["map"]])


def test_cancel_in_the_middle_leaves_layers_as_they_were(dock, viewer, qtbot, monkeypatch):
    before, calls = state(viewer), []
    run = _recipe_groups.run_here

    def stopping(*args, **keywords):
        if calls:  # the first group is done, the second is cancelled
            dock.runner.background.cancel()
        calls.append(1)
        return run(*args, **keywords)

    monkeypatch.setattr(_recipe_groups, "run_here", stopping)
    choose(dock, "align")
    with qtbot.waitSignal(dock.runner.background.cancelled, timeout=60_000):
        dock.runner.run.click()
    assert len(calls) >= 2
    assert_same(state(viewer), before)
    assert "as they were" in dock.note.text() and last_step(viewer) != "re-run"


def test_two_stacks_keep_their_own_histories(dock, viewer, scan, rerun):
    add_stack(viewer, scan.replace(name="second"))
    other = dock.chooser.layer()
    assert other.name == "second" and not dock.list.history.steps and "No step" in dock.note.text()
    assert not dock.runner.run.isEnabled()
    dock.chooser.choose(viewer.layers["ni_simulated normalised"])
    assert len(dock.list.history.steps) == 5
    choose(dock, "normalize")
    dock.form.editors["pre_edge"].set_value(PRE)
    dock.form.changed.emit()
    rerun()
    assert not results_of(other) and other.data is viewer.layers["second"].data
    assert len([one for one in viewer.layers if about(one).get("made_from") == about(other)["id"]]) == 0


def test_a_recipe_is_opened_saved_and_run(dock, viewer, scan, rerun, tmp_path):
    choose(dock, "normalize")
    dock.form.editors["pre_edge"].set_value(PRE)
    dock.form.changed.emit()
    dock.save_recipe(tmp_path / "recipe.toml")
    expected = nx.run_recipe(tmp_path / "recipe.toml", scan)
    dock.discard.click()
    assert dock.list.history.first_change is None
    dock.open_recipe(tmp_path / "recipe.toml")
    assert dock.list.history.first_change == 3
    rerun()
    for name, layer in maps(viewer).items():
        np.testing.assert_array_equal(layer.data, expected.maps[name], err_msg=name)


def test_the_script_makes_the_maps_that_are_shown(dock, viewer, tmp_path):
    dock.python.click()
    dock.script.save_script(tmp_path / "script.py")
    subprocess.run([sys.executable, "-W", "error", "script.py"], check=True, cwd=tmp_path)
    (saved,) = tmp_path.glob("*_maps.h5")
    made = nx.load_result(saved).maps
    for name, layer in maps(viewer).items():
        np.testing.assert_array_equal(made[name], layer.data, err_msg=name)


def test_the_script_is_of_what_is_in_the_list(dock, tmp_path):
    dock.python.click()
    choose(dock, "normalize")
    dock.form.editors["pre_edge"].set_value(PRE)
    dock.form.changed.emit()
    script = dock.script.text.toPlainText()
    assert "8230.0, 8280.0" in script
    dock.script.save_script(tmp_path / "script.py")
    compile((tmp_path / "script.py").read_text(encoding="utf-8"), "script", "exec")


def test_a_painted_mask_is_saved_with_the_recipe_and_not_run_again(
    dock, viewer, scan, done, rerun, monkeypatch, run_step, tmp_path
):
    said = []
    monkeypatch.setattr("napari_xanes._widgets.parts.notices.show_error", said.append)
    painted = np.zeros((64, 72), int)
    painted[10:50, 10:60] = 1
    layer = viewer.add_labels(painted, name="by hand", scale=viewer.layers[0].scale[-2:])
    done.masks.refresh()
    done.masks.use.mask_choice.choose(layer)
    done.masks.use.apply.click()
    run_step(done.panels["fit"])
    names = [one.name for one in dock.list.history.steps]
    assert names == ["flat_field", "optical_density", "align", "normalize", "mask", "fit"]
    assert "painted by hand" in dock.list.list.item(4).text()
    assert "mask" not in [name for name, _ in dock.recipe().steps]  # which a script could not repeat
    for save, folder in ((dock.save_recipe, "history"), (done.results.save_recipe, "results")):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder / "recipe.toml")
        again = nx.run_recipe(tmp_path / folder / "recipe.toml", scan)
        np.testing.assert_array_equal(again.labels["mask"], painted)
        shown = maps(viewer)["fraction_Ni_reduced"].data
        np.testing.assert_array_equal(again.maps["fraction_Ni_reduced"], shown)
    dock.python.click()
    assert "the mask 'by hand', painted by hand" in dock.script.text.toPlainText()
    choose(dock, "normalize")
    dock.form.editors["pre_edge"].set_value(PRE)
    dock.form.changed.emit()
    dock.rerun()
    assert "cannot be repeated" in said[0] and not dock.runner.background.running
    dock.discard.click()
    choose(dock, "fit")
    dock.form.editors["background"].set_value((0,))
    dock.form.changed.emit()
    rerun()  # on the stack that the mask is applied to
    fraction = maps(viewer)["fraction_Ni_reduced"].data
    assert np.isnan(fraction[painted == 0]).all() and np.isfinite(fraction).any()
    assert dock.list.history.steps[-1].params.background == (0,)


def test_a_mask_by_threshold_is_made_again_with_its_map(dock, viewer, scan, done, rerun):
    done.masks.set_limits(0.3, None)
    done.masks.keep_preview()
    dock.refresh()
    assert [one.name for one in dock.list.history.steps].count("mask") == 1
    choose(dock, "mask")
    names = {one.name for one in viewer.layers if about(one)}
    dock.form.editors["above"].set_value(0.6)
    dock.form.changed.emit()
    assert dock.list.history.first_change is not None
    expected = nx.run_recipe(dock.recipe(), scan)
    rerun()
    assert {one.name for one in viewer.layers if about(one)} == names  # updated in place
    mask = next(one for one in viewer.layers if about(one).get("kind") == "mask")
    np.testing.assert_array_equal(mask.data, expected.labels["mask"])
    steps = [one.name for one in dock.list.history.steps]
    assert steps.count("mask") == 1 and steps.count("normalize") == 1


def test_a_stack_that_was_worked_on_before_it_was_opened(viewer, density, qtbot, monkeypatch):
    said = []
    monkeypatch.setattr("napari_xanes._widgets.parts.notices.show_error", said.append)
    history = ({"do": "crop", "params": {"roi": [0, 64, 0, 72]}, "found": {}},)
    add_stack(viewer, density.replace(history=history))
    dock = XanesHistory(viewer)
    qtbot.addWidget(dock)
    dock.list.list.setCurrentRow(0)
    dock.rerun()
    assert "open the raw scan" in said[0]
    dock.close_down()


def test_volumes_are_run_again(viewer, workflow, density, run_step, qtbot):
    volumes = density.replace(data=np.stack([density.data, density.data * 1.1], axis=1))
    add_stack(viewer, volumes)
    run_step(workflow.panels["normalize"])
    dock = XanesHistory(viewer)
    qtbot.addWidget(dock)
    choose(dock, "normalize")
    dock.form.editors["pre_edge"].set_value(PRE)
    dock.form.changed.emit()
    expected = nx.run_recipe(nx.Recipe(dock.recipe().steps), volumes)
    with qtbot.waitSignal(dock.runner.background.ended, timeout=60_000):
        dock.runner.run.click()
    assert maps(viewer)["thickness"].data.ndim == 3
    np.testing.assert_array_equal(maps(viewer)["thickness"].data, expected.maps["thickness"])
    dock.close_down()


def test_layers_renamed_duplicated_and_removed(dock, viewer, rerun):
    stack = viewer.layers["ni_simulated aligned"]
    stack.name = "mine"
    viewer.layers.append(type(stack)(stack.data, metadata=dict(stack.metadata), name="copy"))
    assert len(dock.list.history.steps) == 5
    viewer.layers.remove("ni_simulated optical density")
    choose(dock, "normalize")
    dock.form.editors["pre_edge"].set_value(PRE)
    dock.form.changed.emit()
    rerun()
    assert dock.list.history.steps[-1].name == "fit" and dock.list.history.first_change is None
    viewer.layers.clear()
    assert not dock.list.history.steps and dock.form is None and not dock.runner.run.isEnabled()


def test_a_step_run_in_the_workflow_is_seen(dock, done, run_step):
    done.panels["normalize"].forms["normalize"].editors["pre_edge"].set_value(PRE)
    run_step(done.panels["normalize"])
    normalise = next(one for one in dock.list.history.steps if one.name == "normalize")
    assert normalise.params.pre_edge == PRE


def test_steps_move_only_where_order_allows():
    def entry(name, **params):
        return Entry(name, params)

    history = HistorySteps([entry("flat_field"), entry("optical_density"), entry("bin"), entry("normalize")])
    assert not history.may_move(1, -1) and not history.may_move(0, -1) and not history.may_move(3, 1)
    history.move(2, -1)
    assert [one.name for one in history.steps] == ["flat_field", "bin", "optical_density", "normalize"]
    assert history.first_change == 1
    history.move(2, 1)
    assert [one.name for one in history.steps][2] == "optical_density"


def test_faulty_values_are_told_and_not_run(dock):
    with pytest.raises(nx.InputError, match="Normalise"):
        dock.list.history.edit(3, {"post_order": 9})
    assert dock.list.history.first_change is None


def test_every_step_has_a_form_with_the_values_used(dock):
    for i, step in enumerate(dock.list.history.steps):
        dock.list.list.setCurrentRow(i)
        assert dock.form.cls is STEPS[step.name].params
        for name, value in dock.form.values().items():
            assert value == getattr(step.params, name), f"{step.name}.{name}"
    assert dock.list.history.first_change is None


def test_closing_the_dock_leaves_no_listener(dock, viewer):
    dock.close_down()
    viewer.layers.clear()
    add_stack(viewer, nx.EnergyStack(np.ones((3, 4, 5), np.float32), [8300.0, 8310.0, 8320.0], "counts"))
    assert len(dock.list.history.steps) == 5  # as it was when it was closed
