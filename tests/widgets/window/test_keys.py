"""The keys of the workflow: none is taken from napari, each does what its line says, and they go with the workflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes, Vectors
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_xanes._widgets.layers.layers import about, add_stack, lineage
from napari_xanes._widgets.spectrum.colors import PINS
from napari_xanes._widgets.spectrum.dock import XanesSpectrum
from napari_xanes._widgets.view.layers import scan_maps
from napari_xanes._widgets.window.keys import SHORTCUTS, ShortcutsDialog, as_markdown
from napari_xanes._widgets.window.workflow import XanesWorkflow

OURS = [coerce_keybinding(one.key) for one in SHORTCUTS if one.action is not None]


def press(viewer, key):
    viewer.keymap[coerce_keybinding(key)](viewer)


def test_no_key_is_napari_s_or_given_twice():
    theirs = {coerce_keybinding(key) for keys in default_shortcuts.values() for key in keys}
    for kind in (Image, Labels, Points, Shapes, Vectors):
        theirs |= set(kind.class_keymap)
    assert coerce_keybinding("Shift+V") in theirs  # the comparison can find one
    assert not theirs & set(OURS)
    assert len(set(OURS)) == len(OURS) == 10


def test_no_key_is_that_of_a_menu(window):
    from napari._app_model import get_app_model

    menus = {str(one.keybinding) for one in get_app_model().keybindings}
    assert menus
    assert not menus & {str(key) for key in OURS}


def test_keys_come_and_go_with_the_workflow(viewer, qtbot):
    first, second = XanesWorkflow(viewer), XanesWorkflow(viewer)
    for dock in (first, second):
        qtbot.addWidget(dock)
    first.close_down()
    assert set(OURS) <= set(viewer.keymap)
    second.close_down()
    assert not set(OURS) & set(viewer.keymap)


def test_a_key_of_the_user_stays_the_users(viewer, qtbot):
    pressed = []
    viewer.bind_key("Shift+R", pressed.append)
    dock = XanesWorkflow(viewer)
    qtbot.addWidget(dock)
    press(viewer, "Shift+R")
    dock.close_down()
    press(viewer, "Shift+R")
    assert len(pressed) == 2


def test_run_then_undo(viewer, workflow, density, qtbot):
    add_stack(viewer, density)
    workflow.open_step("normalize")
    with qtbot.waitSignal(workflow.panels["normalize"].done, timeout=30_000):
        press(viewer, "Shift+R")
    qtbot.waitUntil(lambda: not workflow.panels["normalize"].runner.background.running)
    assert len(viewer.layers) > 1
    press(viewer, "Shift+Z")
    assert len(viewer.layers) == 1


def test_cancel(viewer, workflow, density, qtbot):
    add_stack(viewer, density)
    workflow.open_step("align")
    background = workflow.panels["align"].runner.background
    press(viewer, "Shift+R")
    with qtbot.waitSignal(background.cancelled, timeout=30_000):
        press(viewer, "Shift+X")
    qtbot.waitUntil(lambda: not background.running)
    assert len(viewer.layers) == 1


def test_before_and_after(viewer, workflow, normalised):
    after, before = lineage(viewer, normalised)[:2]
    after.visible = True
    press(viewer, "Shift+B")
    assert (before.visible, after.visible) == (True, False)
    press(viewer, "Shift+B")
    assert (before.visible, after.visible) == (False, True)


def test_every_map_is_shown_in_turn_and_alone(viewer, workflow, normalised):
    maps = scan_maps(viewer, normalised)
    seen = []
    for _ in maps:
        press(viewer, "Shift+N")
        seen += [one.name for one in viewer.layers if one.visible and about(one)]
    assert sorted(seen) == sorted(one.name for one in maps)
    assert len(maps) > 1


def test_masks_are_hidden_and_shown(viewer, workflow, density):
    add_stack(viewer, density)
    mask = viewer.add_labels(np.ones((64, 72), np.uint8))
    press(viewer, "Shift+M")
    assert not mask.visible
    press(viewer, "Shift+M")
    assert mask.visible


def test_a_region_lies_on_the_stack_and_is_made_once(viewer, workflow, density):
    layer = add_stack(viewer, density)
    for _ in range(2):
        press(viewer, "Shift+G")
    (regions,) = [one for one in viewer.layers if isinstance(one, Shapes)]
    np.testing.assert_allclose(regions.scale, layer.scale[-2:])
    assert regions.units == layer.units[-2:]
    assert regions.mode == "add_rectangle"
    assert viewer.layers.selection.active is regions


@pytest.mark.parametrize("key", ["Shift+R", "Shift+X", "Shift+Z", "Shift+B", "Shift+M", "Shift+N", "Shift+G"])
def test_without_a_scan_nothing_happens(viewer, workflow, key):
    press(viewer, key)
    assert len(viewer.layers) == 0


def is_open(window, kind):
    return any(isinstance(one, kind) for one in window.window.dock_widgets.values())


def test_the_keyboard_reaches_the_actions(window, density, qtbot):
    stack = add_stack(window, density)
    dock, _ = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    mask = window.add_labels(np.ones((64, 72), np.uint8))
    canvas = window.window._qt_viewer.canvas.native
    shift = Qt.KeyboardModifier.ShiftModifier
    for active in (mask, stack):  # a layer's own keys come first
        window.layers.selection.active = active
        shown = mask.visible
        qtbot.keyClick(canvas, Qt.Key.Key_M, shift)
        assert mask.visible != shown
    qtbot.keyClick(canvas, Qt.Key.Key_S, shift)
    assert is_open(window, XanesSpectrum)
    window.window.remove_dock_widget(dock)
    shown = mask.visible
    qtbot.keyClick(canvas, Qt.Key.Key_M, shift)
    assert mask.visible == shown


def test_spectrum_opens_pins_and_closes(window, density):
    add_stack(window, density)
    dock, _ = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    press(window, "Shift+S")
    assert is_open(window, XanesSpectrum)
    scale = window.layers[0].scale
    window.cursor.position = (0, 20 * scale[1], 30 * scale[2])
    press(window, "Shift+D")
    np.testing.assert_allclose(window.layers[PINS].data, [[20, 30]])
    press(window, "Shift+S")
    assert not is_open(window, XanesSpectrum)
    press(window, "Shift+C")
    press(window, "Shift+C")
    assert sum("XANES view" in name for name in window.window.dock_widgets) == 1
    window.window.remove_dock_widget(dock)


def test_the_dialog_lists_every_key(workflow):
    texts = [label.text() for label in ShortcutsDialog(workflow).findChildren(QLabel)]
    for one in SHORTCUTS:
        assert one.key in texts
        assert one.text in texts


def test_the_page_is_that_of_the_table():
    page = Path(__file__).parents[3] / "docs" / "shortcuts.md"
    assert as_markdown() in page.read_text(encoding="utf-8")
