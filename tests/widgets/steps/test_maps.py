"""The panel of maps without references: the numbers of the functions, in layers, and in words."""

from __future__ import annotations

import numpy as np
import pytest
from same_maps import assert_same

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.together import result_of


def layers(viewer):
    return {about(layer)["map"]: layer for layer in viewer.layers if about(layer).get("map")}


@pytest.fixture
def panel(workflow):
    return workflow.panels["maps"]


def set_window(panel, name, window):
    panel.forms[name].editors["window"].set_value(window)


def test_the_peak_is_looked_for_after_the_edge_that_was_found(panel, viewer, normalised, run_step):
    e0 = about(normalised)["history"][-1]["params"]["e0"]
    lo, hi = panel.forms["peak"].editors["window"].value()
    assert lo == pytest.approx(e0 - 5, abs=1) and hi == pytest.approx(e0 + 30, abs=1)
    panel.forms["element"].editors["significance"].set_value(0.0)
    run_step(panel)
    expected = nx.peak_map(normalised.data, np.array(about(normalised)["energy"]), (lo, hi))
    shown = layers(viewer)
    np.testing.assert_array_equal(shown["peak_energy"].data, expected.energy)
    np.testing.assert_array_equal(shown["peak_height"].data, expected.height)
    np.testing.assert_array_equal(shown["peak_at_boundary"].data == 1, expected.at_boundary)
    assert shown["peak_energy"].visible and shown["peak_energy"].axis_labels == ("y", "x")
    inside = expected.energy[~expected.at_boundary & np.isfinite(expected.energy)]
    assert f"Peak at {np.median(inside):.1f} eV median" in panel.result.text()
    assert f"{expected.at_boundary.sum()} pixels at the window's edge" in panel.result.text()


def test_peaks_lie_between_those_of_the_compounds(panel, viewer, normalised, references, run_step, scan_file):
    run_step(panel)
    peaks = [
        float(nx.peak_map(one.mu, one.energy, (8335.0, 8365.0)).energy)
        for one in nx.read_references(*references)
    ]
    thick = layers(viewer)["thickness"].data > 0.5
    found = layers(viewer)["peak_energy"].data[thick]
    assert thick.sum() > 100
    assert min(peaks) - 1 < np.nanmedian(found) < max(peaks) + 1


def test_edge_white_line_and_shift_are_those_of_the_functions(
    panel, viewer, normalised, references, run_step
):
    mu, energy = normalised.data, np.array(about(normalised)["energy"])
    panel.forms["element"].editors["significance"].set_value(0.0)
    panel.choose("edge_position")
    run_step(panel)
    panel.choose("white_line")
    set_window(panel, "white_line", (8338.0, 8362.0))
    run_step(panel)
    panel.choose("shift_map")
    assert "Add the spectra" in panel.plan.text() and not panel.runner.run.isEnabled()
    panel.forms["shift_map"].editors["references"].set_value(references)
    run_step(panel)
    shown = layers(viewer)
    edge, line = nx.edge_map(mu, energy), nx.white_line_map(mu, energy, (8338.0, 8362.0))
    shift = nx.energy_shift_map(mu, energy, nx.read_references(*references))
    np.testing.assert_array_equal(shown["edge_energy"].data, edge.energy)
    np.testing.assert_array_equal(shown["white_line_area"].data, line.area)
    np.testing.assert_array_equal(shown["white_line_centroid"].data, line.centroid)
    np.testing.assert_array_equal(shown["energy_shift"].data, shift.shift)
    thick = shown["thickness"].data > 0.5
    assert abs(np.nanmedian(shift.shift[thick])) < 0.3  # the simulated energy axis is not shifted
    assert panel.result.text().startswith("Shift ")


def test_what_each_map_found_is_kept_and_shown_again(panel, normalised, run_step, workflow):
    run_step(panel)
    said = panel.result.text()
    panel.choose("edge_position")
    assert panel.result.text() == "" and workflow.sections["maps"].headline.text() == ""
    run_step(panel)
    assert panel.result.text().startswith("Edge at")
    panel.choose("peak")
    assert panel.result.text() == said
    assert workflow.sections["maps"].headline.text().startswith("peak at")


def test_it_says_what_is_missing(panel, viewer, scan, density):
    add_stack(viewer, scan)
    assert "run 1 Preprocess first" in panel.plan.text()
    add_stack(viewer, density)
    panel.choose("white_line")
    assert "run 3 Normalise first" in panel.plan.text()
    panel.choose("edge_position")
    assert "run 3 Normalise first" in panel.plan.text()
    panel.forms["edge_position"].editors["method"].set_value("derivative")
    assert "at which energy the edge" in panel.plan.text() and panel.runner.run.isEnabled()
    panel.choose("peak")
    assert "Give the window" in panel.plan.text() and not panel.runner.run.isEnabled()


def test_without_a_normalised_layer_it_is_normalised_on_the_way(
    panel, workflow, viewer, density, normalised, run_step
):
    panel.choose("edge_position")
    run_step(panel)
    kept = layers(viewer)["edge_energy"].data.copy()
    viewer.layers.clear()
    add_stack(viewer, density)
    workflow.panels["normalize"].keep.setChecked(False)
    run_step(workflow.panels["normalize"])
    assert "normalised on the way" in panel.plan.text()
    run_step(panel)
    np.testing.assert_array_equal(layers(viewer)["edge_energy"].data, kept)


def test_the_history_of_all_maps_makes_them_again(
    panel, workflow, viewer, density, normalised, references, run_step
):
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)
    workflow.panels["fit"].more.setChecked(True)
    run_step(workflow.panels["fit"])
    run_step(panel)
    panel.choose("white_line")
    run_step(panel)
    recipe = nx.Recipe.of(result_of(viewer, normalised))
    assert {name for name, _ in recipe.steps} == {"normalize", "element", "fit", "peak", "white_line"}
    again = nx.run_recipe(recipe, density)
    for name, layer in layers(viewer).items():
        assert_same(layer.data, again.maps[name], name)


def test_a_recipe_fills_the_panel_and_its_maps_are_kept_one_by_one(panel, workflow, viewer, density, qtbot):
    add_stack(viewer, density)
    table = {
        "schema": 1,
        "step": [
            {"do": "normalize"},
            {"do": "peak", "window": [8338.0, 8362.0]},
            {"do": "edge_position"},
        ],
    }
    with qtbot.waitSignal(workflow.results.done, timeout=30_000):
        workflow.results.run_recipe(nx.Recipe.from_dict(table))
    assert panel.forms["peak"].params().window == (8338.0, 8362.0)
    assert panel.result.text().startswith("Peak at")
    panel.choose("edge_position")
    assert panel.result.text().startswith("Edge at")


def test_a_recipe_with_steps_that_have_no_panel_runs_too(workflow, viewer, density, qtbot):
    add_stack(viewer, density)
    table = {
        "schema": 1,
        "step": [{"do": "normalize"}, {"do": "mask", "otsu": True}, {"do": "edge_position"}],
    }
    with qtbot.waitSignal(workflow.results.done, timeout=30_000):
        workflow.results.run_recipe(nx.Recipe.from_dict(table))
    expected = nx.run_recipe(nx.Recipe.from_dict(table), density)
    np.testing.assert_array_equal(layers(viewer)["edge_energy"].data, expected.maps["edge_energy"])
    (mask,) = [layer for layer in viewer.layers if about(layer).get("labels")]
    np.testing.assert_array_equal(mask.data, expected.labels["mask"])
