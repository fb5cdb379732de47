"""The panels on a viewer without a window: what they take, say, make, refuse and give up."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from napari.settings import get_plugin_settings

import napari_xanes as nx
from napari_xanes._core.base import memory
from napari_xanes._widgets.layers.layers import about, add_stack, put_result, stack_layers, stack_of
from napari_xanes._widgets.layers.settings import PLUGIN
from napari_xanes._widgets.steps import panel as _panel
from napari_xanes._widgets.window.workflow import AlignDock, XanesWorkflow


def maps(viewer, scan_name=None):
    return {
        about(layer)["map"]: layer
        for layer in viewer.layers
        if about(layer).get("map") and scan_name in (None, about(layer)["name"])
    }


def add_references(workflow, references):
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)


def test_with_nothing_open_the_dock_says_how_to_open(workflow):
    assert "File > Open Sample" in workflow.chooser.note.text()
    assert workflow.sections["preprocess"].is_open()
    for panel in workflow.panels.values():
        assert not panel.runner.run.isEnabled()


def test_steps_say_what_they_will_do_or_what_is_missing(workflow, viewer, scan):
    add_stack(viewer, scan)
    plans = {key: panel.plan.text() for key, panel in workflow.panels.items()}
    assert plans["preprocess"] == (
        "Divides 41 frames of 64 x 72 of 'ni_simulated' by 41 flats, darks subtracted from both, and takes -ln."
    )
    for key in ("align", "normalize", "fit"):
        assert "run 1 Preprocess first" in plans[key]
        assert not workflow.panels[key].runner.run.isEnabled()
    assert "41 energies" in workflow.chooser.note.text()


def test_counts_without_flats_are_told_so(workflow, viewer, scan):
    add_stack(viewer, scan.replace(flat=None))
    assert "no flats" in workflow.panels["preprocess"].plan.text()
    assert not workflow.panels["preprocess"].runner.run.isEnabled()


def test_a_stack_of_optical_density_starts_at_align_and_a_normalised_one_at_fit(workflow, viewer, density):
    add_stack(viewer, density)
    assert workflow.sections["align"].is_open()
    assert "absorption already" in workflow.panels["preprocess"].plan.text()
    add_stack(viewer, density.replace(signal="normalized"))
    assert workflow.sections["fit"].is_open()
    assert "Add the spectra" in workflow.panels["fit"].plan.text()


def test_notes_of_the_reader_are_seen(workflow, viewer, scan):
    add_stack(viewer, scan.replace(warnings=("frame 3 is all NaN",)))
    assert "Note: frame 3 is all NaN" in workflow.chooser.note.text()


@pytest.mark.parametrize("key", ["clusters", "normalize"])
def test_a_result_of_a_stack_that_has_changed_meanwhile_is_kept_and_said_to_be_old(
    workflow, viewer, density, run_step, monkeypatch, qtbot, key
):
    """A step runs while the one before it is done anew; what it finds is shown, and is not taken for new."""
    add_stack(viewer, density)
    run_step(workflow.panels["align"])
    panel, go, run_steps = workflow.panels[key], threading.Event(), _panel.run_here
    own = panel.chosen_steps()[-1]

    def slow(stack, steps, **keywords):
        result = run_steps(stack, steps, **keywords)
        assert own not in [name for name, _ in steps] or go.wait(30)
        return result

    monkeypatch.setattr(_panel, "run_here", slow)
    with qtbot.waitSignal(panel.done, timeout=30_000):
        panel.runner.run.click()
        workflow.panels["align"].forms["align"].editors["reference"].set_value(0)
        run_step(workflow.panels["align"])
        go.set()
    made = [layer for layer in viewer.layers if own in [e["do"] for e in about(layer).get("history", ())]]
    assert made and all(about(one)["history"][0]["params"]["reference"] != 0 for one in made)
    workflow.chooser.choose(next(one for one in viewer.layers if about(one).get("role") == "aligned"))
    assert "Out of date: its stack has changed since" in panel.result.text()
    run_step(panel)
    assert "Out of date" not in panel.result.text()
    assert all(about(one)["history"][0]["params"]["reference"] == 0 for one in made)


def test_an_earlier_step_can_be_run_again_from_a_later_stack(workflow, viewer, density, run_step):
    raw = add_stack(viewer, density)
    for key in ("align", "normalize"):
        run_step(workflow.panels[key])
    assert about(workflow.chooser.layer())["signal"] == "normalized"
    assert workflow.panels["align"].input_layer() is raw
    norm = workflow.panels["normalize"]
    assert about(norm.input_layer())["role"] == "aligned"
    before = len(viewer.layers)
    norm.forms["normalize"].editors["slope"].set_value("shared")
    run_step(norm)
    assert len(viewer.layers) == before
    assert about(maps(viewer)["thickness"])["history"][-1]["params"]["slope"] == "shared"


def test_two_scans_side_by_side(workflow, viewer, density, run_step):
    one = add_stack(viewer, density.replace(name="one"))
    two = add_stack(viewer, density.replace(name="two", data=density.data * 2))
    workflow.chooser.choose(one)
    run_step(workflow.panels["normalize"])
    workflow.chooser.choose(two)
    assert workflow.sections["normalize"].headline.text() == ""
    run_step(workflow.panels["normalize"])
    first, second = maps(viewer, "one")["thickness"].data, maps(viewer, "two")["thickness"].data
    np.testing.assert_allclose(second, 2 * first, rtol=1e-4)
    assert {layer.name for layer in stack_layers(viewer)} == {
        "one",
        "two",
        "one normalised",
        "two normalised",
    }


def test_what_automatic_chose_is_shown_and_belongs_to_its_stack(workflow, viewer, density, run_step):
    one = add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    editor = workflow.panels["normalize"].forms["normalize"].editors["e0"]
    assert editor.chosen.text().startswith("83")
    add_stack(viewer, density.replace(name="other"))
    assert editor.chosen.text() == ""
    workflow.chooser.choose(one)
    assert editor.chosen.text().startswith("83")


def test_without_keeping_the_stack_fit_normalises_on_the_way(workflow, viewer, density, references, run_step):
    kept = add_stack(viewer, density.replace(name="kept"))
    add_references(workflow, references)
    workflow.panels["fit"].more.setChecked(True)
    for key in ("normalize", "fit"):
        run_step(workflow.panels[key])
    lean = add_stack(viewer, density.replace(name="lean"))
    workflow.panels["normalize"].keep.setChecked(False)
    run_step(workflow.panels["normalize"])
    assert workflow.chooser.layer() is lean
    assert "normalised on the way" in workflow.panels["fit"].plan.text()
    run_step(workflow.panels["fit"])
    assert set(maps(viewer, "lean")) == set(maps(viewer, "kept"))
    for name, layer in maps(viewer, "lean").items():
        before = maps(viewer, "kept")[name].data
        if name.startswith("sigma_"):  # worked out from the mean spectrum that the history holds
            np.testing.assert_allclose(layer.data, before, rtol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(layer.data, before, err_msg=name)
    assert kept in viewer.layers


def test_optical_density_is_fitted_directly_with_a_background(
    workflow, viewer, density, references, run_step
):
    add_stack(viewer, density)
    add_references(workflow, references)
    panel = workflow.panels["fit"]
    assert "and a line background" in panel.plan.text()
    panel.forms["fit"].editors["background"].set_value(())
    assert "Choose a Background" in panel.plan.text()
    panel.forms["fit"].set_defaults()
    run_step(panel)
    expected = nx.fit_references(
        density.data, density.energy, nx.read_references(*references), background=(0, 1)
    )
    np.testing.assert_array_equal(maps(viewer)["error"].data, expected.error)
    assert "thickness" in maps(viewer)


def test_cancel_leaves_the_layers_and_the_next_run_works(
    workflow, viewer, density, run_step, qtbot, monkeypatch
):
    add_stack(viewer, density)
    panel = workflow.panels["align"]
    started, real = threading.Event(), _panel.run_here

    def slow(stack, steps, *, progress, **kw):
        while True:
            progress(1, 9, "Measuring drift")
            started.set()
            threading.Event().wait(0.005)

    monkeypatch.setattr(_panel, "run_here", slow)
    panel.runner.run.click()
    assert started.wait(10)
    qtbot.waitUntil(lambda: panel.runner.status.text() == "Measuring drift, 1 of 9")
    assert not panel.runner.run.isEnabled() and panel.runner.cancel.isEnabled()
    panel.runner.cancel.click()
    qtbot.waitUntil(lambda: not panel.runner.background.running, timeout=10_000)
    assert panel.result.text() == "Cancelled; the layers are as they were."
    assert [layer.name for layer in viewer.layers] == ["ni_simulated"] and viewer.layers[0].visible
    monkeypatch.setattr(_panel, "run_here", real)
    run_step(panel)
    assert len(viewer.layers) == 2


def test_a_fault_of_the_input_is_one_sentence_and_no_layer(workflow, viewer, density, qtbot, shown):
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    panel.forms["normalize"].editors["pre_edge"].set_value((8000.0, 8010.0))
    with qtbot.waitSignal(panel.runner.background.ended, timeout=10_000):
        panel.runner.run.click()
    assert len(shown) == 1 and "8000" in shown[0]
    assert panel.result.text() == shown[0]
    assert len(viewer.layers) == 1
    assert panel.runner.run.isEnabled()


def test_a_parameter_that_cannot_be_is_refused_before_any_work(workflow, viewer, density, references, shown):
    add_stack(viewer, density)
    add_references(workflow, references)
    workflow.panels["fit"].forms["fit"].editors["exclude"].text.value = "8330-"
    workflow.panels["fit"].runner.run.click()
    assert len(shown) == 1 and shown[0].startswith("Fit: 'exclude")
    assert not workflow.panels["fit"].runner.background.running


def test_what_does_not_fit_is_refused_or_computed_on_demand(
    workflow, viewer, scan, qtbot, shown, monkeypatch, run_step
):
    add_stack(viewer, scan)
    panel, preferences = workflow.panels["preprocess"], get_plugin_settings(PLUGIN)
    with monkeypatch.context() as little:
        little.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
        preferences.memory.stacks = "in memory"
        with qtbot.waitSignal(panel.runner.background.ended, timeout=10_000):
            panel.runner.run.click()
        assert len(shown) == 1 and "0 MiB are free; choose 'automatic'" in shown[0]
        assert len(viewer.layers) == 1
        preferences.memory.stacks = "automatic"
        run_step(panel)
    layer = workflow.chooser.layer()
    assert (
        "computed on demand, as in memory it would take 1 MiB, of 0 MiB that are free" in panel.result.text()
    )
    assert layer.name == "ni_simulated optical density (computed on demand)"
    assert "optical density, computed on demand" in workflow.chooser.note.text()
    computed = np.array(layer.data[:])
    workflow.chooser.choose(viewer.layers[0])
    preferences.memory.stacks = "in memory"
    run_step(panel)
    assert isinstance(layer.data, np.ndarray) and layer.name == "ni_simulated optical density"
    assert "on demand" not in panel.result.text() + workflow.chooser.note.text()
    np.testing.assert_array_equal(layer.data, computed)
    workflow.undo_step()
    assert layer.name.endswith("(computed on demand)")


def test_a_stack_removed_while_its_step_runs(workflow, viewer, density, qtbot, shown, monkeypatch):
    go, real = threading.Event(), _panel.run_here

    def waiting(*args, **kw):
        go.wait(10)
        return real(*args, **kw)

    monkeypatch.setattr(_panel, "run_here", waiting)
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    panel.runner.run.click()
    viewer.layers.clear()
    with qtbot.waitSignal(panel.runner.background.ended, timeout=20_000):
        go.set()
    assert list(viewer.layers) == []
    assert "the stack was removed" in shown[0]


def test_results_of_an_older_stack_are_not_shown_as_current(workflow, viewer, density, references, run_step):
    add_stack(viewer, density)
    add_references(workflow, references)
    for key in ("normalize", "fit"):
        run_step(workflow.panels[key])
    assert workflow.sections["fit"].headline.text() != ""
    workflow.panels["normalize"].forms["normalize"].editors["slope"].set_value("shared")
    run_step(workflow.panels["normalize"])
    assert "out of date" in workflow.sections["fit"].headline.text()
    run_step(workflow.panels["fit"])
    assert "references" in workflow.sections["fit"].headline.text()


def test_the_sample_suggests_its_references_but_the_users_choice_stays(workflow, viewer, density, references):
    suggested = {"fit": {"references": list(references), "significance": 3.0}}
    add_stack(viewer, density.replace(source={**density.source, "suggested": suggested}))
    form = workflow.panels["fit"].forms["fit"]
    assert form.params().references == references and form.params().significance == 3.0
    add_references(workflow, ("/my/own.txt",))
    add_stack(viewer, density.replace(name="other", source={**density.source, "suggested": suggested}))
    assert form.params().references == ("/my/own.txt",)


def test_the_region_comes_from_a_drawn_rectangle(workflow, viewer, density, shown):
    layer = add_stack(viewer, density.replace(pixel_size_um=0.1))
    panel = workflow.panels["align"]
    panel.take_rectangle()
    assert "there is no drawn rectangle" in shown[0]
    shapes = viewer.add_shapes(ndim=2, scale=layer.scale[-2:], units=layer.units[-2:])
    shapes.add_rectangles([[9.6, 4.7], [40.2, 200]])
    panel.take_rectangle()
    assert panel.forms["align"].params().roi == (10, 41, 5, 72)


def test_a_step_as_a_dock_of_its_own(viewer, qtbot, density, run_step):
    dock = AlignDock(viewer)
    qtbot.addWidget(dock)
    add_stack(viewer, density)
    run_step(dock.panel)
    assert [layer.name for layer in viewer.layers] == ["ni_simulated", "ni_simulated aligned"]
    dock.close_down()


def test_closing_leaves_nothing_that_listens(viewer, qtbot, density):
    add_stack(viewer, density)
    first = XanesWorkflow(viewer)
    qtbot.addWidget(first)
    first.close_down()  # the energy on the canvas stays with the viewer

    def listeners():
        events = viewer.layers.events
        return [len(e.callbacks) for e in (events.inserted, events.removed, events.renamed, events.reordered)]

    before = listeners()
    for _ in range(3):
        dock = XanesWorkflow(viewer)
        qtbot.addWidget(dock)
        assert listeners() != before
        dock.close_down()
    assert listeners() == before


def test_history_and_files_of_what_is_chosen(workflow, viewer, density, run_step, tmp_path):
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    assert "1. Normalise" in workflow.results.text.toPlainText()
    workflow.results.save_recipe(tmp_path / "recipe.toml")
    assert nx.Recipe.load(tmp_path / "recipe.toml").steps[0][0] == "normalize"
    workflow.results.save_result(tmp_path / "maps.h5")
    assert {"thickness", "edge_step"} <= set(nx.load_result(tmp_path / "maps.h5").maps)
    workflow.results.export(tmp_path / "out")
    assert (tmp_path / "out" / "thickness.tif").is_file()


def test_saving_before_any_step_is_refused_in_a_sentence(workflow, viewer, density, shown, tmp_path):
    add_stack(viewer, density)
    workflow.results.save_result(tmp_path / "maps.h5")
    assert "no step has been run" in shown[0]
    assert not (tmp_path / "maps.h5").exists()


def test_a_whole_result_put_beside_its_scan_can_be_saved_again(workflow, viewer, density, tmp_path):
    result = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [{"do": "normalize"}]}), density)
    layer = add_stack(viewer, density)
    put_result(viewer, layer, "recipe", result)
    workflow.results.save_result(tmp_path / "maps.h5")
    assert set(nx.load_result(tmp_path / "maps.h5").maps) == set(result.maps)
    assert stack_of(layer).data is density.data


def test_pixels_without_the_element_are_said_to_have_none(fitted, viewer):
    maps = {about(layer)["map"]: layer.data for layer in viewer.layers if about(layer).get("map")}
    step, fraction = maps["edge_step"], maps["fraction_" + next(m for m in maps if "fraction_" in m)[9:]]
    empty, total = int((step <= 0).sum()), step.size
    assert empty > 100
    normalize = fitted.panels["normalize"].result.text()
    assert (
        f"{empty} of {total} pixels ({100 * empty / total:.1f} %) hold no element that stands out"
        in normalize
    )
    without = int(np.isnan(fraction).sum())
    fit = fitted.panels["fit"].result.text()
    assert (
        f"{without} of {total} pixels ({100 * without / total:.1f} %) hold no element that stands out" in fit
    )
    assert "view" not in normalize + fit, "all of this stack is seen"
    assert not any("invalid" in fitted.panels[key].result.text() for key in ("normalize", "fit"))


@pytest.mark.parametrize("normalized", [True, False])
def test_pixels_outside_the_view_are_counted_apart(
    workflow, viewer, density, references, run_step, normalized
):
    """Two columns that alignment has left without data, and what of the rest has no fraction."""
    density.data[3, :, :2] = np.nan
    add_stack(viewer, density)
    add_references(workflow, references)
    if normalized:
        run_step(workflow.panels["normalize"])
    run_step(workflow.panels["fit"])
    made, unseen = maps(viewer), 2 * density.data.shape[1]
    none = int(np.isnan(made["fraction_Ni_oxidised"].data).sum()) - unseen
    told = f"{unseen} ({unseen / 46.08:.1f} %) have no data, as outside the view"
    assert none > 100
    for key in ("normalize", "fit") if normalized else ("fit",):
        empty = int((made["edge_step"].data <= 0).sum()) if key == "normalize" else none
        said = workflow.panels[key].result.text()
        assert (
            f"{empty} of 4608 pixels ({empty / 46.08:.1f} %) hold no element that stands out; {told}" in said
        )


def test_pixels_that_normalise_takes_and_the_fit_has_no_data_of_are_counted_as_such(
    workflow, viewer, density, references, run_step
):
    """Of them a frame between the windows is missing."""
    density.data[20, :, :5] = np.nan
    add_stack(viewer, density)
    add_references(workflow, references)
    for key in ("normalize", "fit"):
        run_step(workflow.panels[key])
    assert "view" not in workflow.panels["normalize"].result.text()
    none = int(np.isnan(maps(viewer)["fraction_Ni_oxidised"].data).sum())
    said = re.search(r"; (\d+) of 4608 .* out; (\d+) \(.*no data", workflow.panels["fit"].result.text())
    empty, unseen = map(int, said.groups())
    assert empty + unseen == none and 50 < unseen < 320, "the others hold no element anyway"


def test_fractions_are_where_there_is_significantly_something(
    workflow, viewer, density, references, run_step
):
    """Of one's own data as of the samples: three sigma, unless another limit is typed."""
    add_stack(viewer, density)
    add_references(workflow, references)
    run_step(workflow.panels["normalize"])
    panel = workflow.panels["fit"]
    run_step(panel)
    fit = about(maps(viewer)["fraction_Ni_oxidised"])["history"][-1]
    assert fit["params"]["significance"] == 3.0 and panel.forms["fit"].values()["significance"] is None
    none = int(np.isnan(maps(viewer)["fraction_Ni_oxidised"].data).sum())
    assert (
        f"{none} of 4608 pixels ({none / 46.08:.1f} %) hold no element that stands out" in panel.result.text()
    )
    panel.forms["fit"].editors["significance"].set_value(0.0)
    run_step(panel)
    assert np.isnan(maps(viewer)["fraction_Ni_oxidised"].data).sum() < 0.9 * none


def test_sigma_of_each_fraction_is_a_click_away(fitted, viewer, qtbot):
    panel = fitted.panels["fit"]
    before = set(maps(viewer))
    panel.sigma.click()
    assert set(maps(viewer)) - before == {"sigma_Ni_oxidised", "sigma_Ni_reduced"}
    panel.more.click()
    assert {"coefficient_Ni_oxidised", "amount_Ni_reduced", "rms"} <= set(maps(viewer))
