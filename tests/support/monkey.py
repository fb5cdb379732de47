"""A user without a plan: clicks, types, draws, slides, opens and closes in a real window, at random from a seed."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from mouse import canvas_mouse, double_click, drag_on_canvas
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari.layers import Image, Labels, Shapes
from napari.layers._layer_actions import _duplicate_layer
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QColorDialog,
    QComboBox,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QToolButton,
    QWidget,
)

from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.parts.dock import Dock

DOCKS = (
    *(
        "XANES workflow",
        "XANES spectrum",
        "XANES view",
        "XANES history",
        "Preprocess",
        "Corrections",
        "Align",
    ),
    *(
        "Alignment review",
        "Normalise",
        "Fit",
        "Find references",
        "Maps",
        "Clusters",
        "Masks",
        "XANES scatter",
    ),
    *("Particles", "Fit residual", "XANES batch"),
)
MOST_SCANS, MOST_DOCKS, MOST_LAYERS = 2, 6, 20


class Complaints(logging.Handler):
    """What was written to the log, without what steps find odd about the data."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "pipeline":
            return
        text = self.format(record)
        self.texts.append(f"{text}\n{traceback.format_exc()}" if sys.exc_info()[0] else text)


def without_dialogs(monkeypatch: Any) -> None:
    """Have every dialog that asks for a file, a colour or a word cancelled at once."""
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *a, **k: ("", ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *a, **k: ([], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a, **k: "")
    monkeypatch.setattr(QFileDialog, "exec", lambda *a: 0)
    monkeypatch.setattr(QFileDialog, "exec_", lambda *a: 0, raising=False)
    monkeypatch.setattr(QColorDialog, "getColor", lambda *a, **k: QColor())
    monkeypatch.setattr(QInputDialog, "getText", lambda *a, **k: ("", False))


class Monkey:
    """Acts in a window.

    Parameters
    ----------
    viewer : napari.Viewer
    scan : path
        The scan that it opens.
    references : sequence of path
        The references that it fits with.
    seed : int

    Attributes
    ----------
    done : list of str
        What it did, the last at the end.
    """

    def __init__(self, viewer: Any, scan: Any, references: Any, seed: int) -> None:
        self.viewer, self.scan, self.references = viewer, str(scan), tuple(map(str, references))
        self.rng = np.random.default_rng(seed)
        self.done: list[str] = []
        self.opened = 0
        self._acts: dict[Callable[[], str | None], int] = {
            self.open_scan: 2,
            self.open_dock: 4,
            self.close_dock: 2,
            self.unfold: 6,
            self.run: 14,
            self.cancel: 2,
            self.undo: 4,
            self.redo: 3,
            self.delete: 2,
            self.rename: 1,
            self.duplicate: 1,
            self.select: 4,
            self.hide: 2,
            self.slide: 5,
            self.theme: 1,
            self.turn: 2,
            self.press_key: 4,
            self.paint: 4,
            self.draw: 3,
            self.pin: 3,
            self.hover: 5,
            self.click: 14,
            self.change: 10,
            self.wait: 6,
        }

    def act(self) -> str:
        """Do one thing, and let the window follow for a moment."""
        acts = list(self._acts)
        weights = np.array([self._acts[one] for one in acts], float)
        for _ in range(20):
            act = acts[self.rng.choice(len(acts), p=weights / weights.sum())]
            self.done.append(act.__name__)
            did = act()
            if did is not None:
                self.done[-1] = f"{act.__name__} {did}".strip()
                live(int(self.rng.integers(1, 30)))
                return self.done[-1]
            self.done.pop()
        return "nothing"

    def pick(self, things: Any) -> Any:
        """Return one of some things, or None."""
        things = list(things)
        return things[self.rng.integers(len(things))] if things else None

    # -- files, docks, steps --------------------------------------------------------------------------

    def open_scan(self) -> str | None:
        if self.opened >= MOST_SCANS and any(isinstance(one, Image) for one in self.viewer.layers):
            return None
        self.opened += 1
        self.viewer.open(self.scan, plugin="napari-xanes")
        return ""

    def docks(self) -> list[QWidget]:
        return [one for one in self.viewer.window.dock_widgets.values() if isinstance(one, Dock)]

    def open_dock(self) -> str | None:
        name = "XANES workflow" if workflow_of(self.viewer) is None else self.pick(DOCKS)
        if len(self.docks()) >= MOST_DOCKS:
            return None
        self.viewer.window.add_plugin_dock_widget("napari-xanes", name, tabify=bool(self.rng.integers(2)))
        return name

    def close_dock(self) -> str | None:
        dock = self.pick(self.docks())
        if dock is None:
            return None
        name = type(dock).__name__
        self.viewer.window.remove_dock_widget(dock)
        return name

    def unfold(self) -> str | None:
        workflow = workflow_of(self.viewer)
        if workflow is None:
            return None
        key = self.pick(workflow.sections)
        self._press(workflow.sections[key].button)
        if key == "fit" and self.rng.integers(2):
            workflow.panels["fit"].forms["fit"].editors["references"].set_value(self.references)
        return key

    def run(self) -> str | None:
        return self._press_named(lambda text: text.startswith(("Run", "Find")) and "..." not in text)

    def cancel(self) -> str | None:
        return self._press_named(lambda text: text == "Cancel")

    def undo(self) -> str | None:
        return self._press_named(lambda text: text.startswith("Undo "))

    def redo(self) -> str | None:
        return self._press_named(lambda text: text.startswith("Redo "))

    # -- layers ---------------------------------------------------------------------------------------

    def delete(self) -> str | None:
        layer = self.pick(self.viewer.layers)
        if layer is None:
            return None
        self.viewer.layers.selection = {layer}
        self.viewer.layers.remove_selected()
        return layer.name

    def rename(self) -> str | None:
        layer = self.pick(self.viewer.layers)
        if layer is None:
            return None
        layer.name = f"renamed {self.rng.integers(100)}"
        return layer.name

    def duplicate(self) -> str | None:
        layer = self.pick(self.viewer.layers)
        if layer is None or len(self.viewer.layers) >= MOST_LAYERS:
            return None
        self.viewer.layers.selection = {layer}
        _duplicate_layer(self.viewer.layers)
        return layer.name

    def select(self) -> str | None:
        layer = self.pick(self.viewer.layers)
        if layer is None:
            return None
        self.viewer.layers.selection.active = layer
        return layer.name

    def hide(self) -> str | None:
        layer = self.pick(self.viewer.layers)
        if layer is None:
            return None
        layer.visible = not layer.visible
        return layer.name

    # -- the picture ----------------------------------------------------------------------------------

    def slide(self) -> str | None:
        if self.viewer.dims.ndim < 3:
            return None
        at = int(self.rng.integers(self.viewer.dims.nsteps[0]))
        self.viewer.dims.set_current_step(0, at)
        return str(at)

    def theme(self) -> str:
        self.viewer.theme = "light" if self.viewer.theme == "dark" else "dark"
        return self.viewer.theme

    def turn(self) -> str:
        self.viewer.dims.ndisplay = (
            5 - self.viewer.dims.ndisplay if self.viewer.dims.ndisplay == 3 else self.pick([2, 3])
        )
        return f"{self.viewer.dims.ndisplay}D"

    def press_key(self) -> str:
        key = self.pick("SDGRXZBMNC")
        native = self.viewer.window._qt_viewer.canvas.native
        QTest.keyClick(native, getattr(Qt.Key, f"Key_{key}"), Qt.KeyboardModifier.ShiftModifier)
        return f"Shift+{key}"

    def _place(self) -> tuple[Any, int, int] | None:
        layer = self.pick(one for one in self.viewer.layers if isinstance(one, Image))
        if layer is None or self.viewer.dims.ndisplay == 3:
            return None
        height, width = layer.data.shape[-2:]
        return layer, int(self.rng.integers(height)), int(self.rng.integers(width))

    def paint(self) -> str | None:
        place = self._place()
        if place is None or len(self.viewer.layers) >= MOST_LAYERS:
            return None
        active = self.viewer.layers.selection.active
        if not isinstance(active, Labels):
            self.viewer.layers.selection.active = place[0]
            self.viewer.window._qt_viewer.layerButtons.newLabelsButton.click()
            active = self.viewer.layers.selection.active
        if not isinstance(active, Labels) or not active.visible:
            return None
        active.mode = "paint"
        active.selected_label = int(self.rng.integers(1, 4))
        layer, y, x = place
        drag_on_canvas(self.viewer, layer, (y, x), (y // 2, x // 2))
        active.mode = "pan_zoom"
        return active.name

    def draw(self) -> str | None:
        place = self._place()
        if place is None or len(self.viewer.layers) >= MOST_LAYERS:
            return None
        if not isinstance(self.viewer.layers.selection.active, Shapes):
            self.viewer.layers.selection.active = place[0]
            self.viewer.window._qt_viewer.layerButtons.newShapesButton.click()
        active = self.viewer.layers.selection.active
        if not isinstance(active, Shapes) or not active.visible:
            return None
        active.mode = "add_rectangle"
        layer, y, x = place
        drag_on_canvas(self.viewer, layer, (y, x), (y // 2, x // 2))
        active.mode = "pan_zoom"
        return active.name

    def pin(self) -> str | None:
        place = self._place()
        if place is None:
            return None
        double_click(self.viewer, *place)
        return ""

    def hover(self) -> str | None:
        place = self._place()
        if place is None:
            return None
        kind = double_click.__globals__["QEvent"].Type.MouseMove
        canvas_mouse(self.viewer, kind, *place, modifiers=Qt.KeyboardModifier.ShiftModifier)
        return ""

    # -- anything in the docks ------------------------------------------------------------------------

    def _seen(self, kind: Any) -> list[Any]:
        return [
            one
            for dock in self.docks()
            for one in dock.findChildren(kind)
            if one.isVisible() and one.isEnabled()
        ]

    def _press(self, button: Any) -> None:
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def _press_named(self, wanted: Callable[[str], bool]) -> str | None:
        button = self.pick(one for one in self._seen(QAbstractButton) if wanted(one.text()))
        if button is None:
            return None
        text = button.text()
        self._press(button)
        return text

    def click(self) -> str | None:
        buttons = [
            one
            for one in self._seen(QAbstractButton)
            if not (isinstance(one, QToolButton) and one.menu() is not None)
        ]
        button = self.pick(buttons)
        if button is None:
            return None
        text = button.text() or type(button).__name__
        self._press(button)
        return text

    def change(self) -> str | None:
        kind = self.pick((QCheckBox, QComboBox, QAbstractSpinBox, QLineEdit))
        editor = self.pick(self._seen(kind))
        if editor is None:
            return None
        if kind is QCheckBox:
            self._press(editor)
        elif kind is QLineEdit:
            if editor.isReadOnly():
                return None
            editor.selectAll()
            QTest.keyClicks(editor, self.pick(("7", "0.5", "-3", "8350", "", "abc")))
            QTest.keyClick(editor, Qt.Key.Key_Return)
        else:
            QTest.keyClick(editor, self.pick((Qt.Key.Key_Up, Qt.Key.Key_Down)))
        return kind.__name__

    def wait(self) -> str:
        live(int(self.rng.integers(20, 250)))
        return ""


def live(ms: int) -> None:
    """Let the window work for some time."""
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()


def come_to_rest(viewer: Any, within: int = 30_000) -> None:
    """Cancel what is running, close all docks of this plugin, and remove all layers."""
    docks = [one for one in viewer.window.dock_widgets.values() if isinstance(one, Dock)]
    for dock in docks:
        for button in dock.findChildren(QAbstractButton):
            if button.text() == "Cancel" and button.isEnabled():
                button.click()
    for dock in docks:
        if dock in viewer.window.dock_widgets.values():
            viewer.window.remove_dock_widget(dock)
    from qtpy.QtCore import QThreadPool

    for _ in range(within // 50):
        live(50)
        # docks that were closed stay until their steps have ended
        leaving = any(isinstance(one, Dock) for one in QApplication.allWidgets())
        if not leaving and QThreadPool.globalInstance().activeThreadCount() == 0:
            break
    live(300)
    viewer.layers.clear()
    live(100)
    # napari leaves notes where they are while the window is not the active one
    for note in list(NapariQtNotification._instances):  # noqa: SLF001 - which its close button does one by one
        with suppress(RuntimeError):  # Qt has begun to delete one that is fading
            note.close()
    notification_manager.records.clear()
    for widget in QApplication.topLevelWidgets():
        if type(widget).__name__ == "ShortcutsDialog":
            widget.close()
            widget.deleteLater()
    live(50)
