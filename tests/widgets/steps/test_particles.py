"""Particles and residuals: looked for in what earlier steps found, with their table and plots."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack, results_of
from napari_xanes._widgets.window.workflow import ParticlesDock, ResidualDock


@pytest.fixture
def open_dock(viewer, qtbot):
    opened = []

    def make(cls):
        dock = cls(viewer)
        qtbot.addWidget(dock)
        opened.append(dock)
        return dock.panel

    yield make
    for dock in opened:
        dock.close_down()


def layers_by_map(viewer):
    return {about(one)["map"]: one for one in viewer.layers if about(one).get("map")}


def test_particles_of_the_thickness_are_measured_with_all_maps(fitted, viewer, open_dock, run_step):
    panel = open_dock(ParticlesDock)
    before = {name: layer.unique_id for name, layer in layers_by_map(viewer).items()}
    assert "in the thickness" in panel.plan.text()
    run_step(panel)
    labels = next(one for one in viewer.layers if about(one).get("role") == "particles")
    thickness = layers_by_map(viewer)["thickness"].data
    fraction = layers_by_map(viewer)["fraction_Ni_oxidised"].data
    table = results_of(panel.input_layer())["particles"].tables["particles"]
    assert len(table["label"]) == labels.data.max() > 2
    for row, label in enumerate(table["label"]):
        inside = (labels.data == label) & np.isfinite(fraction)
        expected = np.average(fraction[inside], weights=thickness[inside])
        assert table["fraction_Ni_oxidised"][row] == pytest.approx(expected, rel=1e-4)
    assert {name: layer.unique_id for name, layer in layers_by_map(viewer).items()} == before
    assert panel.table.table.rowCount() == len(table["label"])
    assert "particles of" in panel.result.text() and panel.profile.isVisibleTo(panel)

    seen = viewer.scene.camera.center
    panel.table.table.selectRow(0)
    assert viewer.scene.camera.center == seen, "the whole picture is seen already"
    viewer.scene.camera.zoom *= 40
    panel.table.table.selectRow(1)
    assert labels.selected_label == table["label"][1] and labels.show_selected_label
    centre = [table["centroid_y"][1] * 0.04, table["centroid_x"][1] * 0.04]
    np.testing.assert_allclose(viewer.scene.camera.center[1:], centre, atol=1e-6)


def test_a_mask_made_before_is_where_particles_are(fitted, viewer, open_dock, run_step):
    fitted.masks.refresh()
    fitted.masks.set_limits(0.5, None)
    fitted.masks.keep_preview()
    panel = open_dock(ParticlesDock)
    assert "in the mask" in panel.plan.text()
    panel.forms["particles"].editors["min_pixels"].set_value(1)
    panel.forms["particles"].editors["holes"].set_value(0)
    run_step(panel)
    labels = next(one for one in viewer.layers if about(one).get("role") == "particles")
    np.testing.assert_array_equal(labels.data > 0, layers_by_map(viewer)["thickness"].data >= 0.5)


def test_what_was_found_goes_into_the_result_and_the_recipe(fitted, viewer, open_dock, run_step, tmp_path):
    run_step(open_dock(ParticlesDock))
    fitted.results.save_result(tmp_path / "maps.h5")
    fitted.results.save_recipe(tmp_path / "recipe.toml")
    saved = nx.load_result(tmp_path / "maps.h5")
    assert "particles" in saved.labels and "core_to_rim" in saved.tables
    assert [entry["do"] for entry in saved.history] == ["normalize", "fit", "particles"]
    assert 'do = "particles"' in (tmp_path / "recipe.toml").read_text()


def test_particles_need_maps(workflow, viewer, density, open_dock):
    add_stack(viewer, density)
    panel = open_dock(ParticlesDock)
    assert "run 3 Normalise" in panel.plan.text() and not panel.runner.run.isEnabled()


def test_a_reference_that_is_missing_is_told_and_seen(
    workflow, viewer, density, references, open_dock, run_step
):
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    panel = open_dock(ResidualDock)
    assert "run 4 Fit first" in panel.plan.text() and not panel.runner.run.isEnabled()
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references[:1])
    run_step(workflow.panels["fit"])
    assert not panel.preview.isVisibleTo(panel)
    run_step(panel)
    assert panel.spectra.isVisibleTo(panel) and panel.spectra.getPlotItem().listDataItems()
    assert "residual_1" in layers_by_map(viewer)
    found = results_of(panel.input_layer())["residual"].history[-1]["found"]
    assert found["reference_missing"] and found["message"][1:] in panel.result.text()


def test_what_a_fit_leaves_is_seen_at_a_click(window, density, references, run_step, qtbot):
    """The scan drifts and was not aligned: the note says so, and its button shows the spectrum of it and the map."""
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    add_stack(window, density)
    run_step(workflow.panels["normalize"])
    panel = workflow.panels["fit"]
    panel.forms["fit"].editors["references"].set_value(references)
    run_step(panel)
    assert "frames seem to be displaced" in panel.warned.text()
    section = workflow.sections["fit"]
    assert (
        not section.is_open()
        and section.noted.isVisible()
        and "Show what is left" not in section.noted.text()
    )
    assert section.noted.text().startswith("Note: frames seem to be displaced"), "read without unfolding"
    qtbot.mouseClick(panel.warned.button("Show what is left"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "residual_1" in layers_by_map(window), timeout=30_000)
    _, dock = window.window.add_plugin_dock_widget("napari-xanes", "Fit residual")
    qtbot.waitUntil(lambda: not dock.panel.runner.background.running)
    assert dock.panel.spectra.getPlotItem().listDataItems()


@pytest.mark.parametrize("painted", [False, True])
def test_under_an_applied_mask_the_numbers_are_those_of_the_maps(
    fitted, viewer, open_dock, run_step, painted
):
    thickness = layers_by_map(viewer)["thickness"].data
    if painted:
        drawn = (thickness >= 0.3).astype(int)
        layer = viewer.add_labels(drawn, name="by hand", scale=viewer.layers[0].scale[-2:])
        fitted.masks.use.mask_choice.choose(layer)
        fitted.masks.refresh()
    else:
        fitted.masks.set_limits(0.3, None)
        fitted.masks.keep_preview()
    fitted.masks.use.apply_mask()
    panel = open_dock(ParticlesDock)
    for _ in range(2):  # a second run must not look back at the first
        run_step(panel)
        table = results_of(panel.input_layer())["particles"].tables["particles"]
        labels = next(one for one in viewer.layers if about(one).get("role") == "particles")
        fraction, weight = layers_by_map(viewer)["fraction_Ni_oxidised"].data, thickness
        for row, label in enumerate(table["label"]):
            inside = (labels.data == label) & np.isfinite(fraction)
            expected = np.average(fraction[inside], weights=weight[inside])
            assert table["fraction_Ni_oxidised"][row] == pytest.approx(expected, rel=1e-4)
