"""What people do in the window, from end to end, with truth to hold it against."""

from __future__ import annotations

import gc
import logging

import npe2
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

import napari_xanes as nx
from napari_xanes._widgets._layers import about, add_stack, stack_layers

pytestmark = pytest.mark.viewer

OFTEN = {"XANES spectrum": 50, "Alignment review": 50}


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
    with caplog.at_level(logging.WARNING):
        for name in names:
            dock, _ = open_dock(window, name)
            window.window.remove_dock_widget(dock)
            QApplication.processEvents()
            before = listeners(window)
            for _ in range(OFTEN.get(name, 2)):
                dock, _ = open_dock(window, name)
                window.window.remove_dock_widget(dock)
                QApplication.processEvents()
            gc.collect()
            assert listeners(window) == before, name
    assert len(window.layers) == 1
    assert not caplog.records


def test_layers_removed_while_a_step_runs(window, scan, qtbot, caplog):
    add_stack(window, scan)
    _, workflow = open_dock(window, "XANES workflow")
    open_dock(window, "XANES spectrum")
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
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

    from napari_xanes._core import blocks

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
