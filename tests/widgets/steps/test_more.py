"""Steps without a panel of their own: the window makes one from what they declare."""

import numpy as np
import pytest
from toy_step import toy_known

from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.steps.more import steps_left
from napari_xanes._widgets.steps.table import OTHER_PANELS, STEP_PANELS
from napari_xanes._widgets.window.workflow import XanesWorkflow


@pytest.fixture
def workflow_with_toy(viewer, qtbot):
    with toy_known():
        dock = XanesWorkflow(viewer)
        qtbot.addWidget(dock)
        yield dock
        dock.close_down()


WITH_PANELS = {
    *("flat_field", "internal_i0", "bad_pixels", "optical_density", "shift_energy", "merge_energies"),
    *("drop_energies", "crop", "bin", "denoise", "align", "normalize", "peak", "edge_position", "white_line"),
    *("cluster", "decompose", "shift_map", "rank", "mask", "fit", "residual", "particles"),
}
"""Steps that have a panel made for them; a new one need not."""


def test_no_step_loses_its_panel():
    assert not WITH_PANELS & set(steps_left((*STEP_PANELS, *OTHER_PANELS)))


def test_a_step_that_no_panel_knows_has_a_form_and_runs(workflow_with_toy, viewer, density, run_step):
    layer = add_stack(viewer, density)
    panel = workflow_with_toy.panels["more"]
    assert workflow_with_toy.sections["more"].button.text().endswith("9  More steps")
    panel.combo.setCurrentIndex(panel.combo.findText("Mean of spectra"))
    assert panel.plan.text().startswith("Take the mean of every spectrum, of 41 frames")
    panel.forms["toy"].editors["factor"].set_value(3.0)
    run_step(panel)
    made = next(one for one in viewer.layers if about(one).get("map") == "toy")
    np.testing.assert_allclose(made.data, 3 * density.data.mean(axis=0), rtol=1e-5)
    assert panel.result.text().startswith("Mean value 0.55")
    assert about(made)["history"][-1]["params"] == {"factor": 3.0}
    assert workflow_with_toy.chooser.layer() is layer
    workflow_with_toy.undo_step()
    assert made not in viewer.layers


def test_it_says_what_comes_first(workflow_with_toy, viewer, scan):
    add_stack(viewer, scan)
    panel = workflow_with_toy.panels["more"]
    panel.choose("toy")
    assert "run 1 Preprocess first" in panel.plan.text()
