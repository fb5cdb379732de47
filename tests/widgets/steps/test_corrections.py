"""The dock of corrections: each makes a stack that the next can take, and all are in the recipe."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.steps.corrections import STACK_NAMES
from napari_xanes._widgets.window.workflow import CorrectionsDock, XanesWorkflow


@pytest.fixture
def panel(viewer, density, qtbot):
    add_stack(viewer, density.replace(pixel_size_um=0.5))
    dock = CorrectionsDock(viewer)
    qtbot.addWidget(dock)
    yield dock.panel
    dock.close_down()


@pytest.fixture
def correct(panel, run_step):
    def run(step, **values):
        panel.choose(step)
        for name, value in values.items():
            panel.forms[step].editors[name].set_value(value)
        run_step(panel)
        return panel.chooser.layer()

    return run


def test_planted_pixels_are_found(viewer, density, qtbot, run_step):
    data = np.array(density.data)
    data[:, 10, 10] += 5
    data[:, 40, 60] = -3
    data[7, 30, 30] += 8
    add_stack(viewer, density.replace(data=data))
    dock = CorrectionsDock(viewer)
    qtbot.addWidget(dock)
    run_step(dock.panel)
    layer = dock.chooser.layer()
    assert dock.panel.result.text() == "1 hot and 1 dead pixels, 1 flashes, now invalid."
    for place in ((10, 10), (40, 60)):
        assert np.isnan(layer.data[(slice(None), *place)]).all()
    assert np.isnan(layer.data[7, 30, 30])
    assert np.isnan(layer.data[0]).sum() == 2 and np.isnan(layer.data[7]).sum() == 3
    dock.close_down()


def test_binned_pixels_are_means_and_lie_where_they_were(panel, viewer, density, correct):
    assert "32 x 36" not in panel.plan.text()
    layer = correct("bin", factor=2)
    expected = np.asarray(density.data).reshape(41, 32, 2, 36, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(layer.data, expected, rtol=1e-5)
    assert layer.scale.tolist() == [1, 1, 1] and layer.translate.tolist() == [0, 0.25, 0.25]
    assert layer.name.endswith("binned") and panel.result.text() == "2 px along each axis became one."


def test_one_after_the_other_all_are_in_the_recipe(viewer, density, correct):
    shapes = viewer.add_shapes([[[2, 3], [2, 33], [31, 33], [31, 3]]], scale=(0.5, 0.5))
    shapes.data = [np.array([[1.6, 2.6], [1.6, 32.4], [30.4, 32.4], [30.4, 2.6]])]
    viewer.layers.selection.active = shapes
    first = correct("drop_energies", energies=(float(density.energy[5]),))
    assert np.isnan(first.data[5]).all() and not np.isnan(first.data[6]).all()
    correct("shift_energy", offset=0.5)
    last = correct("bin", factor=3)
    assert [entry["do"] for entry in about(last)["history"]] == ["drop_energies", "shift_energy", "bin"]
    np.testing.assert_allclose(about(last)["energy"], np.asarray(density.energy) + 0.5)
    recipe = Recipe.of(result_of(viewer, last))
    assert [name for name, _ in recipe.steps] == ["drop_energies", "shift_energy", "bin"]
    again = nx.run_recipe(recipe, density)
    assert again.energy[0] == pytest.approx(density.energy[0] + 0.5)


def test_a_region_is_taken_from_a_drawn_rectangle(panel, viewer, density, correct):
    viewer.add_shapes([np.array([[9.6, 19.6], [9.6, 49.4], [39.4, 49.4], [39.4, 19.6]])], scale=(0.5, 0.5))
    panel.choose("crop")
    panel.region.click()
    layer = correct("crop")
    np.testing.assert_array_equal(layer.data, np.asarray(density.data)[:, 10:40, 20:50])
    assert layer.translate.tolist() == [0, 5, 10]


def test_the_workflow_goes_on_with_the_corrected_stack(viewer, density, qtbot, run_step):
    workflow = XanesWorkflow(viewer)
    qtbot.addWidget(workflow)
    add_stack(viewer, density)
    dock = CorrectionsDock(viewer)
    qtbot.addWidget(dock)
    run_step(dock.panel)
    assert dock.panel.result.text() == "No bad pixel found."
    assert workflow.chooser.layer() is dock.chooser.layer()
    assert "without bad pixels" in workflow.panels["align"].plan.text()
    for one in (dock, workflow):
        one.close_down()


def test_the_shown_frame_is_added(panel, viewer, density):
    panel.choose("drop_energies")
    assert "Add shown frame" in panel.plan.text() and not panel.runner.run.isEnabled()
    viewer.dims.set_point(0, 12)
    panel.shown.click()
    assert panel.forms["drop_energies"].editors["energies"].value() == (
        pytest.approx(density.energy[12], abs=1e-3),
    )
    assert panel.runner.run.isEnabled()


def test_counts_with_flats_are_preprocessed_first(viewer, scan, qtbot):
    add_stack(viewer, scan)
    dock = CorrectionsDock(viewer)
    qtbot.addWidget(dock)
    for step in STACK_NAMES:
        dock.panel.choose(step)
        assert "Run 1 Preprocess first" in dock.panel.plan.text()
        assert not dock.panel.runner.run.isEnabled()
    dock.close_down()


def test_what_cannot_be_is_said(panel, shown):
    panel.choose("crop")
    panel.region.click()
    assert "no drawn rectangle" in shown[-1]


def test_a_preview_of_larger_pixels_lies_in_place(panel, viewer, qtbot):
    panel.choose("bin")
    panel.preview.box.setChecked(True)
    qtbot.waitUntil(lambda: panel.preview.layer() is not None, timeout=20_000)
    layer = panel.preview.layer()
    assert layer.data.shape == (41, 32, 36)
    assert layer.scale.tolist() == [1, 1, 1] and layer.translate.tolist() == [0, 0.25, 0.25]
