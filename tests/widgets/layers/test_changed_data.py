"""Data that others put into a stack's layer, or write into them: nothing goes on telling old numbers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes._widgets.layers.layers import about, is_stale, results_of
from napari_xanes._widgets.layers.masks import apply_to_all
from napari_xanes._widgets.spectrum.dock import XanesSpectrum

OLD = "Out of date: its stack has changed since"


def replaced(layer):
    layer.data = layer.data * 2


def written_into(layer):
    layer.data[...] *= 2
    layer.refresh()


changed = pytest.mark.parametrize("change", [replaced, written_into])


@pytest.fixture
def density_layer(normalised, viewer, workflow):
    """The stack that was normalised, shown and chosen again."""
    layer = next(one for one in viewer.layers if about(one).get("signal") == "optical_density")
    workflow.chooser.choose(layer)
    layer.visible = True
    return layer


@changed
def test_what_a_step_found_on_other_data_is_out_of_date_until_it_is_run_again(
    density_layer, normalised, viewer, workflow, run_step, qtbot, change
):
    panel = workflow.panels["normalize"]
    assert OLD not in panel.result.text() and results_of(density_layer)
    change(density_layer)
    qtbot.waitUntil(lambda: OLD in panel.result.text())
    assert is_stale(viewer, normalised) and not results_of(density_layer)
    run_step(panel)
    assert OLD not in panel.result.text() and not is_stale(viewer, normalised)


@changed
def test_curves_are_read_again(density_layer, viewer, qtbot, change):
    dock = XanesSpectrum(viewer)
    qtbot.addWidget(dock)
    viewer.layers.selection.active = density_layer
    dock.pin(density_layer.data_to_world((0, 20, 20)))
    dock.tools.show_quantity("optical density")
    (before,) = dock.model.reading.spectra.values()
    change(density_layer)
    qtbot.waitUntil(
        lambda: np.allclose(
            dock.model.reading.spectra["pin 1"].mean.values, 2 * before.mean.values, equal_nan=True
        )
    )
    dock.close_down()


def test_curves_of_a_hidden_stack_are_read_again_as_soon_as_any_are(density_layer, viewer, qtbot):
    """Of what is written into one napari says nothing."""
    density_layer.visible = False
    dock = XanesSpectrum(viewer)
    qtbot.addWidget(dock)
    viewer.layers.selection.active = density_layer
    dock.pin(density_layer.data_to_world((0, 20, 20)))
    before = dock.model.reading.spectra["pin 1"].mean.values
    written_into(density_layer)
    dock.pin(density_layer.data_to_world((0, 30, 30)))
    after = dock.model.reading.spectra["pin 1"].mean.values
    np.testing.assert_allclose(after, 2 * before)
    dock.close_down()


def test_a_slider_that_is_moved_reads_nothing_again(density_layer, viewer, qtbot, monkeypatch):
    dock = XanesSpectrum(viewer)
    qtbot.addWidget(dock)
    forgotten = []
    monkeypatch.setattr(dock.model.reading, "forget", lambda: forgotten.append(True))
    for step in (3, 7, 8):
        viewer.dims.set_current_step(0, step)
        qtbot.wait(5)
    assert not forgotten
    dock.close_down()


def test_a_mask_that_hides_pixels_changes_no_data(density_layer, workflow, viewer, qtbot):
    where = {key: getattr(density_layer, key)[1:] for key in ("scale", "units", "axis_labels")}
    mask = viewer.add_labels(np.ones(density_layer.data.shape[1:], np.uint8), **where)
    mask.data[:20] = 0
    apply_to_all(viewer, mask, density_layer)
    assert np.isnan(density_layer.data[0, 0, 0])
    qtbot.wait(300)
    assert results_of(density_layer) and OLD not in workflow.panels["normalize"].result.text()


@changed
def test_what_was_found_on_data_that_changed_meanwhile_is_out_of_date(
    density_layer, viewer, workflow, change, qtbot
):
    panel = workflow.panels["normalize"]
    with qtbot.waitSignal(panel.done, timeout=120_000):
        panel.runner.run.click()
        change(density_layer)
    workflow.chooser.choose(density_layer)
    assert not results_of(density_layer)
    assert any(is_stale(viewer, one) for one in viewer.layers)
    qtbot.waitUntil(lambda: OLD in panel.result.text())
