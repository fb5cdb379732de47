"""Previews: what settings make of what is seen, before a step is run."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Shapes

import napari_xanes as nx
from napari_xanes._widgets.jobs import trial as _preview_job
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.names import PREVIEW


@pytest.fixture
def previewed(qtbot):
    """Tick a panel's preview and wait until it is shown; returns its layer."""

    def tick(panel):
        panel.preview.box.setChecked(True)
        qtbot.waitUntil(lambda: panel.preview.layer() is not None, timeout=20_000)
        settle(qtbot, panel)
        return panel.preview.layer()

    return tick


def settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.preview.waiting(), timeout=20_000)


def box(y0, y1, x0, x1):
    """Return the corners of a rectangle around pixels."""
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]]) - 0.5


def test_normalise_shows_the_edge_step_before_it_is_run(workflow, viewer, density, previewed, run_step):
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    before = [layer.name for layer in viewer.layers]
    layer = previewed(panel)
    assert layer.name == "preview: edge step" or "thickness" in layer.name
    shown = np.array(layer.data)
    assert "Preview of 4608 pixels" in panel.preview.words.text()
    assert "Edge Ni" in panel.preview.words.text()
    assert [one.name for one in viewer.layers if PREVIEW not in one.metadata] == before
    assert not about(layer)
    run_step(panel)
    assert panel.preview.layer() is None, "the result takes the place of the preview"
    name = layer.name.removeprefix("preview: ").replace(" ", "_")
    real = next(one for one in viewer.layers if about(one).get("map") == name)
    np.testing.assert_allclose(shown, real.data, rtol=1e-5)


def test_values_left_automatic_show_what_was_chosen(workflow, viewer, density, previewed):
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    previewed(panel)
    assert "83" in panel.forms["normalize"].editors["e0"].chosen.text()


def test_a_preview_follows_the_form(workflow, viewer, density, previewed, qtbot):
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    layer = previewed(panel)
    before = np.array(layer.data)
    panel.forms["normalize"].editors["post_order"].set_value(0)
    panel.forms["normalize"].changed.emit()
    qtbot.waitUntil(lambda: not np.array_equal(panel.preview.layer().data, before), timeout=20_000)
    assert panel.preview.layer() is layer, "updated in place"


def test_large_pictures_are_thinned_and_lie_where_the_stack_does(
    workflow, viewer, density, previewed, monkeypatch
):
    monkeypatch.setattr(_preview_job, "MOST_PIXELS", 200)
    stack = add_stack(viewer, density.replace(pixel_size_um=0.5))
    layer = previewed(workflow.panels["normalize"])
    step = 5  # 64 x 72 pixels, at most 200
    assert layer.data.shape == (13, 14)
    np.testing.assert_allclose(layer.scale, (2.5, 2.5))
    world = layer.data_to_world((0, 0))
    np.testing.assert_allclose(stack.world_to_data((0, *world))[1:], (step // 2, step // 2))
    assert f"every {step}th pixel" in workflow.panels["normalize"].preview.words.text()


def test_a_drawn_rectangle_is_looked_at_alone_and_followed(workflow, viewer, density, previewed, qtbot):
    stack = add_stack(viewer, density)
    here = {"scale": tuple(stack.scale)[1:], "units": tuple(stack.units)[1:]}
    shapes = viewer.add_layer(Shapes([box(10, 50, 10, 60)], **here))
    viewer.layers.selection.active = shapes
    panel = workflow.panels["normalize"]
    layer = previewed(panel)
    assert layer.data.shape == (40, 50), panel.preview.words.text()
    np.testing.assert_allclose(layer.translate, (0.4, 0.4))
    assert viewer.layers.selection.active is shapes, "so that drawing can go on"
    shapes.data = [box(10, 50, 10, 40)]
    qtbot.waitUntil(lambda: panel.preview.layer().data.shape == (40, 30), timeout=20_000)


def test_a_fit_shows_fractions_of_choice(workflow, viewer, density, references, previewed, run_step):
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    panel = workflow.panels["fit"]
    panel.forms["fit"].editors["references"].set_value(references)
    layer = previewed(panel)
    offered = [panel.preview.what.itemText(i) for i in range(panel.preview.what.count())]
    assert sum("fraction" in name for name in offered) == 2
    assert "fraction" in layer.name
    panel.preview.what.setCurrentText("R-factor")
    panel.preview.what.activated.emit(panel.preview.what.currentIndex())
    assert panel.preview.layer().name == "preview: R-factor"


def test_counts_become_optical_density_frame_by_frame(workflow, viewer, scan, previewed):
    add_stack(viewer, scan)
    layer = previewed(workflow.panels["preprocess"])
    truth = nx.optical_density(nx.flat_field(scan.data[:], scan.flat[:], scan.dark[:]))
    np.testing.assert_array_equal(layer.data, truth)


def test_align_shows_the_frame_on_the_reference(workflow, viewer, density, previewed, qtbot):
    add_stack(viewer, density)
    viewer.dims.set_point(0, 20)
    panel = workflow.panels["align"]
    layer = previewed(panel)
    assert layer.rgb and layer.data.shape == (64, 72, 3)
    assert "Frame 21" in panel.preview.words.text()
    viewer.dims.set_point(0, 40)
    qtbot.waitUntil(lambda: "stays in place" in panel.preview.words.text(), timeout=20_000)
    assert panel.preview.layer() is None
    panel.forms["align"].editors["reference"].set_value(-50)
    said = "-50 (frame no. 50 from the end), the stack has frames 0 to 40 (no. 1 to 41)"
    qtbot.waitUntil(lambda: said in panel.preview.words.text(), timeout=20_000)


def test_what_is_missing_is_said_without_an_alarm(workflow, viewer, density, qtbot, monkeypatch):
    monkeypatch.setattr("napari_xanes._widgets.parts.notices.show_error", pytest.fail)
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    panel.forms["normalize"].editors["pre_edge"].set_value((9000.0, 9010.0))
    panel.preview.box.setChecked(True)
    qtbot.waitUntil(lambda: bool(panel.preview.words.text()), timeout=20_000)
    settle(qtbot, panel)
    assert "9000" in panel.preview.words.text()
    assert panel.preview.layer() is None


def test_unticking_gives_the_layers_back_as_they_were(workflow, viewer, density, previewed, run_step):
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    visible = [layer.visible for layer in viewer.layers]
    panel = workflow.panels["normalize"]
    previewed(panel)
    panel.preview.box.setChecked(False)
    assert [layer.visible for layer in viewer.layers] == visible
    assert not any(PREVIEW in layer.metadata for layer in viewer.layers)


def test_there_is_one_preview_at_a_time(workflow, viewer, density, previewed, qtbot):
    add_stack(viewer, density)
    first = workflow.panels["normalize"]
    previewed(first)
    previewed(workflow.panels["clusters"])
    assert not first.preview.box.isChecked()
    assert sum(PREVIEW in layer.metadata for layer in viewer.layers) == 1
    viewer.layers.remove(workflow.panels["clusters"].preview.layer())
    assert not workflow.panels["clusters"].preview.box.isChecked()


def test_a_stack_that_is_removed_takes_its_preview_along(workflow, viewer, density, previewed, qtbot):
    stack = add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    previewed(panel)
    viewer.layers.remove(stack)
    qtbot.waitUntil(lambda: panel.preview.layer() is None, timeout=20_000)


def test_of_volumes_the_shown_plane_is_tried(workflow, viewer, density, previewed, qtbot):
    planes = np.stack([density.data, 2 * np.asarray(density.data), density.data], axis=1)
    add_stack(viewer, density.replace(data=planes))
    viewer.dims.set_current_step(1, 1)
    panel = workflow.panels["normalize"]
    layer = previewed(panel)
    assert layer.data.shape == (1, 64, 72)
    assert layer.translate[0] == pytest.approx(0.04)
    double = np.nanmedian(layer.data)
    viewer.dims.set_current_step(1, 0)
    qtbot.waitUntil(lambda: panel.preview.layer().translate[0] == 0, timeout=20_000)
    assert np.nanmedian(panel.preview.layer().data) == pytest.approx(double / 2, rel=1e-3)
