"""Steps taken back and done again with the mouse, while scans, results and copies came that no step made."""

from __future__ import annotations

import numpy as np
import pytest
from napari._app_model import get_app_model
from qtpy.QtCore import Qt

import napari_xanes as nx

pytestmark = pytest.mark.viewer


@pytest.fixture
def other_files(scan_file, tmp_path):
    """A scan of its own, and a result of another."""
    other = tmp_path / "other.h5"
    other.write_bytes(scan_file.read_bytes())
    steps = [{"do": do} for do in ("flat_field", "optical_density", "normalize")]
    result = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": steps}), scan_file)
    nx.save_result(result, tmp_path / "result.h5")
    return other, tmp_path / "result.h5"


def test_undo_and_redo_touch_what_their_step_made_and_nothing_else(window, scan_file, other_files, qtbot):
    def click(button):
        qtbot.wait(50)  # until a section that was just unfolded is laid out
        assert button.isVisible() and button.isEnabled()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def run(key):
        panel = workflow.panels[key]
        if not workflow.sections[key].is_open():
            click(workflow.sections[key].button)
        with qtbot.waitSignal(panel.done, timeout=60_000):
            click(panel.runner.run)
        qtbot.waitUntil(lambda: not panel.runner.background.running)

    window.open(str(scan_file), plugin="napari-xanes")
    (scan,) = window.layers
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    for key in ("preprocess", "align"):
        run(key)
    aligned, before = workflow.chooser.layer(), list(window.layers)
    run("normalize")
    made = {one.name: np.array(one.data) for one in window.layers if one not in before}
    assert len(made) == 3 and workflow.chooser.layer().name in made

    window.layers.selection.active = window.layers[f"thickness ({scan.name})"]
    get_app_model().commands.execute_command("napari.layer.duplicate").result()
    other, result = other_files
    window.open(str(other), plugin="napari-xanes")
    window.open(str(result), plugin="napari-xanes")
    came = [one for one in window.layers if one not in before and one.name not in made]
    assert len(came) > 4 and f"thickness ({scan.name}) copy" in [one.name for one in came]

    click(workflow.undo)
    assert list(window.layers) == [one for one in window.layers if one in (*before, *came)]
    assert len(window.layers) == len(before) + len(came)
    assert workflow.chooser.layer() is aligned, "what was chosen before the step"
    click(workflow.redo)
    again = {one.name: one.data for one in window.layers if one not in (*before, *came)}
    assert list(again) == list(made)
    for name, data in made.items():
        np.testing.assert_array_equal(again[name], data, err_msg=name)

    window.layers.selection = set(window.layers) - set(came)
    click(window.window._qt_viewer.layerButtons.deleteButton)
    qtbot.waitUntil(lambda: not workflow.undo.isVisible() and not workflow.redo.isVisible())
    assert set(came) <= set(window.layers)
