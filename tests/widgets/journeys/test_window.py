"""What people do in the window, from end to end, with truth to hold it against."""

from __future__ import annotations

import gc
import logging
from weakref import ref

import npe2
import numpy as np
import pytest
from mouse import canvas_mouse, drag_line
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack, stack_layers

pytestmark = pytest.mark.viewer

OFTEN = 1


def open_dock(window, name):
    dock, widget = window.window.add_plugin_dock_widget("napari-xanes", name)
    QApplication.processEvents()
    return dock, widget


def listeners(window):
    layer = window.layers[0]
    emitters = [
        *(window.layers.events.inserted, window.layers.events.removed, window.layers.selection.events.active),
        *(window.dims.events.current_step, window.events.theme, layer.events.data, layer.events.visible),
    ]
    return [len(e.callbacks) for e in emitters], len(window.mouse_move_callbacks)


def test_docks_open_and_close_again_and_again(window, scan, caplog):
    """Nothing is left behind, listens on, or says anything."""
    add_stack(window, scan)
    names = [
        one.display_name
        for one in npe2.PluginManager.instance().get_manifest("napari-xanes").contributions.widgets
    ]
    opened = {name: [] for name in names}
    with caplog.at_level(logging.WARNING):
        for again in range(1 + OFTEN):
            for name in names:
                dock, widget = open_dock(window, name)
                window.window.remove_dock_widget(dock)
                QApplication.processEvents()
                opened[name].append(ref(widget))
                del dock, widget
            if not again:
                before = listeners(window)
        gc.collect()
        assert listeners(window) == before
        alive = {name: sum(one() is not None for one in some) for name, some in opened.items()}
        assert max(alive.values()) <= 1, f"docks stay in memory: {alive}"
    assert len(window.layers) == 1
    assert not caplog.records


def test_layers_removed_while_a_step_runs(window, scan, qtbot, caplog):
    add_stack(window, scan)
    _, workflow = open_dock(window, "XANES workflow")
    open_dock(window, "XANES spectrum")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            workflow.panels["preprocess"].runner.run.click()
            qtbot.wait(20)
            window.layers.clear()
            qtbot.waitUntil(
                lambda: not workflow.panels["preprocess"].runner.background.running, timeout=20_000
            )
            qtbot.wait(150)
            assert not len(window.layers)
            add_stack(window, scan)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("key", ["align", "fit"])
def test_cancel_in_the_middle_leaves_everything_as_it_was(
    window, scan, references, run_step, qtbot, monkeypatch, key
):
    """The step is held until Cancel was pressed, so that it is surely in the middle."""
    import threading

    from napari_xanes._core.engine import blocks

    add_stack(window, scan)
    _, workflow = open_dock(window, "XANES workflow")
    workflow.panels["fit"].forms["fit"].editors["references"].add(references)
    before_steps = {"align": ("preprocess",), "fit": ("preprocess", "align", "normalize")}[key]
    for step in before_steps:
        run_step(workflow.panels[step])
    shown = {layer.name: np.asarray(layer.data).copy() for layer in window.layers}
    panel, reached, pressed = workflow.panels[key], threading.Event(), threading.Event()
    run = blocks.run

    def held(work, items, **more):
        reached.set()
        pressed.wait(10)
        return run(work, items, **more)

    with monkeypatch.context() as patched:
        patched.setattr(blocks, "run", held)
        panel.runner.run.click()
        qtbot.waitUntil(reached.is_set, timeout=10_000)
        panel.runner.cancel.click()
        pressed.set()
        qtbot.waitUntil(lambda: not panel.runner.background.running, timeout=20_000)
    assert "Cancelled" in panel.result.text()
    assert {layer.name for layer in window.layers} == set(shown)
    for name, data in shown.items():
        np.testing.assert_array_equal(np.asarray(window.layers[name].data), data)
    run_step(panel)
    assert len(window.layers) > len(shown)


def test_two_stacks_at_once(window, tmp_path, run_step):
    """Results go to the scan that was chosen, whichever is looked at."""
    for seed in (1, 2):
        simulation = nx.simulate((48, 56), n_energies=31, max_drift=0, seed=seed)
        add_stack(window, simulation.stack.replace(name=f"scan {seed}"))
    _, workflow = open_dock(window, "XANES workflow")
    chooser = workflow.chooser
    results = {}
    for seed in (1, 2):
        layer = next(one for one in stack_layers(window) if one.name == f"scan {seed}")
        chooser.choose(layer)
        window.layers.selection.active = window.layers["scan 1"]
        run_step(workflow.panels["preprocess"])
        stack = nx.simulate((48, 56), n_energies=31, max_drift=0, seed=seed).stack
        results[seed] = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    for seed, expected in results.items():
        made = [
            one
            for one in stack_layers(window)
            if about(one).get("made_from") == about(window.layers[f"scan {seed}"])["id"]
        ]
        assert [one.name for one in made] == [f"scan {seed} optical density"]
        np.testing.assert_array_equal(made[0].data, expected)


def data_of(window):
    return {
        layer.name: np.array(layer.data) for layer in window.layers if about(layer) and layer.name != "Labels"
    }


def assert_data(window, expected):
    now = data_of(window)
    assert list(now) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(now[name], values, err_msg=name)


def test_threshold_combine_apply_and_undo(window, density, run_step, qtbot):
    """Limits dragged in the histogram, a label painted on the canvas, both combined, applied, and all taken back."""

    def press(button):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    stack = add_stack(window, density)
    _, workflow = open_dock(window, "XANES workflow")
    run_step(workflow.panels["normalize"])
    thickness = next(layer for layer in window.layers if about(layer).get("map") == "thickness")
    before = data_of(window)
    workflow.open_step("masks")
    masks = workflow.masks
    drag_line(masks.histogram, masks.histogram.region.lines[0], 60, qtbot)
    limit = float(masks.above.text())
    assert 0 < limit < np.nanmax(thickness.data)
    press(masks.keep)
    mask = next(layer for layer in window.layers if about(layer).get("labels") == "mask")
    np.testing.assert_array_equal(mask.data, thickness.data >= limit)
    kept = data_of(window)

    painted = window.add_labels(
        np.zeros(thickness.data.shape, np.uint8),
        name="Labels",
        scale=tuple(stack.scale)[-2:],
        units=tuple(stack.units)[-2:],
    )
    painted.mode, painted.brush_size = "paint", 25
    y, x = (int(v) for v in np.argwhere(mask.data)[mask.data.sum() // 2])
    canvas_mouse(window, QEvent.Type.MouseButtonPress, stack, y, x, buttons=True)
    canvas_mouse(window, QEvent.Type.MouseMove, stack, y, x + 3, buttons=True)
    canvas_mouse(window, QEvent.Type.MouseButtonRelease, stack, y, x + 3)
    assert (painted.data > 0).sum() > 300
    masks.how.setCurrentIndex(masks.how.findData("and"))
    masks.other.choose(painted)
    press(masks.keep)
    inside = (thickness.data >= limit) & (painted.data > 0)
    np.testing.assert_array_equal(mask.data, inside)
    assert 0 < inside.sum() < (thickness.data >= limit).sum()
    combined = data_of(window)

    press(masks.use.apply)
    for name, values in before.items():
        now = np.array(window.layers[name].data)
        np.testing.assert_array_equal(now, np.where(inside, values, np.nan))
    assert workflow.undo.text() == "Undo apply mask"
    press(workflow.undo)
    assert_data(window, combined)
    press(workflow.undo)
    assert_data(window, kept)
    press(workflow.undo)
    assert_data(window, before)
