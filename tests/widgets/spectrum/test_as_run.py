"""The dock's curve is what Run makes of the same pixels, whatever is set in the forms of Normalise and Fit."""

from __future__ import annotations

import numpy as np
import pytest
from mouse import move_over
from other_values import other_values

import napari_xanes as nx
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.fit.params import FitParams
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.layers.layers import add_stack, stack_of
from napari_xanes._widgets.spectrum.dock import XanesSpectrum
from napari_xanes._widgets.spectrum.reading import CURSOR

PIXELS = [(23, 43), (10, 12), (30, 33)]


@pytest.fixture
def dock(workflow, viewer, density, qtbot):
    """The spectrum beside the workflow, with a stack of optical density."""
    add_stack(viewer, density)
    spectrum = XanesSpectrum(viewer)
    qtbot.addWidget(spectrum)
    yield spectrum
    spectrum.close_down()


def hover(dock, qtbot, y, x):
    layer = dock.stack_layer()
    move_over(dock.viewer, layer.data_to_world((0, y, x)), "Shift")
    qtbot.waitUntil(lambda: not dock.waiting())


def each_setting(form, given):
    """Set a form to every other value of each of its parameters in turn."""
    start = form.values()
    for name, values in other_values(form.cls, given):
        form.fill({**start, **values})
        yield f"{name}: {values[name]}"
    form.fill(start)


def run_as_panel(panel):
    layer = panel.input_layer()
    return run_steps(stack_of(layer), panel.steps(layer), keep_stack=True, in_memory=True)


def test_every_parameter_of_normalise_moves_the_curve_as_run_does(dock, workflow, qtbot):
    panel = workflow.panels["normalize"]
    dock.tools.quantity.setCurrentText("normalised")
    usual = run_as_panel(panel)
    settings = 0
    for said in each_setting(panel.forms["normalize"], {"e0": 8334.5}):
        run = run_as_panel(panel)
        chosen_alike = run.history[-1].params == usual.history[-1].params  # the value is that of "automatic"
        alike = np.array_equal(run.stack.data, usual.stack.data, equal_nan=True) and set(run.maps) == set(
            usual.maps
        )
        assert alike == chosen_alike, said
        for y, x in PIXELS:
            hover(dock, qtbot, y, x)
            want = run.stack.data[:, y, x]
            np.testing.assert_allclose(
                dock.plot.drawn()[CURSOR].y, want, atol=2e-4 * np.nanmax([1, *np.abs(want)]), err_msg=said
            )
        chosen = run.history[-1]["params"]
        assert dock.plot.e0_line.value() == pytest.approx(chosen["e0"]), said
        for name in ("pre_edge", "post_edge"):
            assert dock.plot.windows[name].getRegion() == pytest.approx(tuple(chosen[name])), said
        settings += 1
    assert settings >= len(NormalizeParams.model_fields)


@pytest.mark.parametrize("direct", [False, True], ids=["normalised", "optical density"])
def test_every_parameter_of_fit_moves_the_fit_as_run_does(
    dock, workflow, references, run_step, qtbot, direct
):
    run_step(workflow.panels["normalize"])
    panel = workflow.panels["fit"]
    form = panel.forms["fit"]
    form.editors["references"].set_value(references)
    if direct:
        form.editors["background"].set_value((0, 1))
        workflow.chooser.choose(workflow.viewer.layers[0])
        workflow.viewer.layers.selection.active = workflow.viewer.layers[0]
        panel.what.setCurrentIndex(1)
    else:
        assert workflow.chooser.layer().name.endswith("normalised")
    dock.tools.fit.setChecked(True)
    names = [one.name for one in nx.read_references(*references)]
    settings = 0
    for said in each_setting(form, {"references": references[::-1], "names": names[1:]}):
        settings += 1
        try:
            run = run_as_panel(panel)
        except nx.InputError as error:
            hover(dock, qtbot, *PIXELS[0])
            assert dock.picture.fit is None
            assert dock.tools.message.text()[-60:] == str(error)[-60:], said  # noqa: PT017 - as the run says
            continue
        for y, x in PIXELS:
            hover(dock, qtbot, y, x)
            fit = dock.picture.fit
            if np.isnan(run.maps["error"][y, x]):
                assert fit is None, said
                continue
            assert fit is not None, (said, dock.tools.message.text())
            for k, name in enumerate(fit.names):
                got, want = fit.fractions[k], run.maps[f"fraction_{name}"][y, x]
                assert got == pytest.approx(want, abs=1e-3, nan_ok=True), said
            left = dock.plot.drawn()["residual"].y
            assert (left**2).sum() == pytest.approx(run.maps["error"][y, x], rel=0.01), said
    assert settings >= len(FitParams.model_fields)


def test_what_the_form_forbids_is_said_and_nothing_else_is_fitted(dock, workflow, fitted, references, qtbot):
    form = workflow.panels["fit"].forms["fit"]
    dock.tools.fit.setChecked(True)
    hover(dock, qtbot, *PIXELS[0])
    assert dock.picture.fit is not None
    form.editors["reference_shifts"].set_value((0.1,))
    hover(dock, qtbot, *PIXELS[0])
    assert dock.picture.fit is None and "reference_shifts" in dock.tools.message.text()
    form.editors["reference_shifts"].set_value(())
    form.editors["references"].set_value(())
    hover(dock, qtbot, *PIXELS[0])
    assert dock.picture.fit is None, "the fit that was run before is not what the form says"
    assert "4 Fit" in dock.tools.message.text()


def test_a_fit_by_another_normalisation_than_run_takes_is_said(dock, workflow, references, run_step, qtbot):
    panel = workflow.panels["normalize"]
    run_step(panel)
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)
    dock.tools.fit.setChecked(True)
    qtbot.waitUntil(lambda: "residual" in dock.picture.message)
    assert "Run of Fit" not in dock.picture.message
    panel.forms["normalize"].editors["divide_by"].set_value("step")
    qtbot.waitUntil(lambda: "Run of Fit goes by the one that was run" in dock.picture.message)
    assert "(Divide by)" in dock.picture.message
    run_step(panel)
    qtbot.waitUntil(lambda: "Run of Fit" not in dock.picture.message)
