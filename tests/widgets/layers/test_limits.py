"""Limits of colours: those of the sample, not of the empty pixels around it, and the user's where there are any."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_xanes._core.draw.limits import color_limits
from napari_xanes._widgets.layers.layers import about, add_stack, stack_of
from napari_xanes._widgets.layers.undo import redo, undo


def maps(viewer):
    return {about(layer)["map"]: layer for layer in viewer.layers if about(layer).get("map")}


def lies_in(layer, sample):
    """Share of the sample's pixels that lie within the limits, and share of the limits that they fill."""
    low, high = layer.contrast_limits
    values = layer.data[..., sample]
    values = values[np.isfinite(values)]
    inside = np.mean((values >= low) & (values <= high))
    a, b = np.percentile(values, (5, 95))
    return inside, (b - a) / (high - low)


@pytest.fixture
def sample(density):
    """Where the element is: the true jump of the spectra is far above their noise."""
    return density.data[-5:].mean(0) - density.data[:5].mean(0) > 0.15


def test_maps_and_normalised_stacks_show_the_sample(fitted, viewer, sample):
    shown = maps(viewer)
    told = np.isfinite(next(layer.data for name, layer in shown.items() if name.startswith("fraction_")))
    assert told[sample].mean() > 0.6
    for name in ("error", "r_factor"):  # of where there is enough of the element for fractions
        inside, filled = lies_in(shown[name], sample & told)
        assert inside > 0.9 and filled > 0.05, f"{name}: {shown[name].contrast_limits}"
    normalised = next(one for one in viewer.layers if about(one).get("role") == "normalised")
    inside, filled = lies_in(normalised, sample)
    assert inside > 0.95 and filled > 0.3, normalised.contrast_limits


@pytest.mark.parametrize("normalise_first", [True, False])
def test_maps_of_peaks_show_the_sample(workflow, viewer, density, sample, run_step, normalise_first):
    add_stack(viewer, density)
    if normalise_first:
        run_step(workflow.panels["normalize"])
    panel = workflow.panels["maps"]
    panel.forms["peak"].editors["window"].set_value((8335.0, 8365.0))
    run_step(panel)
    inside, filled = lies_in(maps(viewer)["peak_energy"], sample)
    assert inside > 0.9 and filled > 0.2


def test_a_few_pixels_do_not_hide_the_rest():
    """A few that took another peak, and errors that span decades."""
    energies = np.r_[np.linspace(707.5, 709.5, 985), np.full(15, 721.0)]
    low, high = color_limits(energies, "narrow")
    assert 707.4 < low < 707.7 and 709.3 < high < 709.6
    errors = 10 ** np.random.default_rng(0).normal(-2, 0.7, 5000)
    low, high = color_limits(errors, "decades")
    shown = (errors - low) / (high - low)
    assert 0.08 < np.median(shown) < 0.12 and (shown > 1).mean() < 0.1


def test_running_again_renews_limits_unless_the_user_set_them(workflow, viewer, density, run_step):
    raw = add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    run_step(panel)
    thickness, step = maps(viewer)["thickness"], maps(viewer)["edge_step"]
    before = tuple(thickness.contrast_limits)
    step.contrast_limits = (0.1, 0.2)
    raw.data = raw.data * 3
    workflow.chooser.choose(raw)
    run_step(panel)
    after = tuple(thickness.contrast_limits)
    assert after[1] == pytest.approx(3 * before[1], rel=0.05)
    assert tuple(thickness.contrast_limits_range) == after, "the slider spans what is there"
    assert tuple(step.contrast_limits) == (0.1, 0.2)
    undo(viewer)
    assert tuple(thickness.contrast_limits) == pytest.approx(before)
    assert tuple(step.contrast_limits) == (0.1, 0.2)
    redo(viewer)
    assert tuple(thickness.contrast_limits) == pytest.approx(after)


def test_running_again_leaves_the_map_that_is_looked_at(workflow, viewer, density, run_step):
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    run_step(panel)
    seen = [one.name for one in viewer.layers if one.visible]
    assert seen == [maps(viewer)["thickness"].name]
    run_step(panel)
    assert [one.name for one in viewer.layers if one.visible] == seen
    for layer in viewer.layers:
        layer.visible = False
    run_step(panel)
    assert any(one.visible for one in viewer.layers), "the result is shown"


def test_a_step_that_is_tried_again_and_again_stays_open(workflow, viewer, density, run_step, qtbot):
    """The step that comes next is unfolded when a step has run for the first time on a stack."""
    add_stack(viewer, density)
    workflow.show()
    panel, section = workflow.panels["normalize"], workflow.sections["normalize"]
    qtbot.mouseClick(section.button, Qt.MouseButton.LeftButton)
    run_step(panel)
    assert workflow.sections["fit"].is_open() and not section.is_open()
    qtbot.mouseClick(section.button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.forms["normalize"].editors["post_edge"].auto, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.done, timeout=60_000):
        qtbot.mouseClick(panel.runner.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.runner.background.running)
    assert section.is_open() and panel.result.isVisible() and "Ni K" in panel.result.text()
    workflow.undo.click()
    workflow.undo.click()
    run_step(panel)
    assert not section.is_open(), "what was taken back counts no more"


def test_limits_of_a_stack_without_an_edge_are_those_of_all_pixels(viewer, scan):
    layer = add_stack(viewer, scan)
    low, high = layer.contrast_limits
    values = stack_of(layer).data[:]
    assert low >= values.min() and high <= values.max() and high > low


def test_maps_of_a_masked_stack_have_limits_of_the_sample(workflow, viewer, density, sample, run_step):
    """What is seen through a mask is no array, but has frames as one."""
    layer = add_stack(viewer, density)
    mask = viewer.add_labels(sample.astype(np.uint8), scale=layer.scale[1:], units=layer.units[1:])
    workflow.chooser.choose(layer)
    workflow.masks.use.mask_choice.choose(mask)
    workflow.masks.use.apply_mask()
    panel = workflow.panels["maps"]
    panel.forms["peak"].editors["window"].set_value((8335.0, 8365.0))
    run_step(panel)
    peak = maps(viewer)["peak_energy"]
    assert np.isnan(peak.data[~sample]).all()
    inside, _ = lies_in(peak, sample)
    assert inside > 0.9
