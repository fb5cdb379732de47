"""Real mouse events, sent to the canvas and to plots."""

from __future__ import annotations

from types import SimpleNamespace

from napari.utils.interactions import mouse_double_click_callbacks, mouse_move_callbacks
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication


def canvas_mouse(window, kind, layer, y, x, buttons=None, modifiers=None):
    """Send a real mouse event to the canvas at a pixel of a layer."""
    canvas = window.window._qt_viewer.canvas
    world = layer.data_to_world((0,) * (layer.ndim - 2) + (y, x))[-2:]
    at = canvas.view.scene.transform.map([world[1], world[0], 0, 1])
    place = QPointF(*(float(round(v)) for v in at[:2] / at[3]))
    none = Qt.MouseButton.NoButton
    button = Qt.MouseButton.LeftButton if kind != kind.MouseMove else none
    pressed = Qt.MouseButton.LeftButton if buttons else none
    glob = QPointF(canvas.native.mapToGlobal(place.toPoint()))
    event = QMouseEvent(kind, place, glob, button, pressed, modifiers or Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas.native, event)
    QApplication.processEvents()


def move_over(viewer, position, *modifiers):
    """Have a viewer without a window tell its listeners that the cursor moved to a place of the world."""
    mouse_move_callbacks(viewer, SimpleNamespace(position=position, modifiers=modifiers, is_dragging=False))


def double_click_at(viewer, position):
    """Have a viewer without a window tell its listeners of a double click at a place of the world."""
    mouse_double_click_callbacks(viewer, SimpleNamespace(position=position, modifiers=()))


def drag_line(plot, line, pixels, qtbot):
    """Drag an upright line of a plot by some pixels of the screen."""
    before, port, view = line.value(), plot.viewport(), plot.getPlotItem().vb
    qtbot.wait(300)  # curves that were just added change the range
    (_, _), (lo, hi) = view.viewRange()
    start = plot.mapFromScene(view.mapViewToScene(QPointF(before, (lo + hi) / 2)))
    place = [QPoint(start.x() + pixels * k // 11, start.y()) for k in range(12)]

    def send(kind, at, button=Qt.MouseButton.NoButton, pressed=Qt.MouseButton.LeftButton):
        where = QPointF(at), QPointF(port.mapToGlobal(at))
        event = QMouseEvent(kind, *where, button, pressed, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(port, event)
        qtbot.wait(30)  # of quicker moves the plot takes but one

    send(QEvent.Type.MouseMove, place[1], pressed=Qt.MouseButton.NoButton)
    send(QEvent.Type.MouseMove, place[0], pressed=Qt.MouseButton.NoButton)
    send(QEvent.Type.MouseButtonPress, place[0], Qt.MouseButton.LeftButton)
    for at in place[1:]:
        send(QEvent.Type.MouseMove, at)
    send(QEvent.Type.MouseButtonRelease, place[-1], Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton)
    assert (line.value() - before) * pixels > 0, "the line went with the mouse"


def drag_on_canvas(window, layer, start, end, steps=4):
    """Press at one pixel (y, x) of a layer, move to another, and release."""
    kind = QEvent.Type
    canvas_mouse(window, kind.MouseMove, layer, *start)
    canvas_mouse(window, kind.MouseButtonPress, layer, *start, buttons=True)
    for k in range(1, steps + 1):
        at = (a + (b - a) * k / steps for a, b in zip(start, end, strict=True))
        canvas_mouse(window, kind.MouseMove, layer, *at, buttons=True)
    canvas_mouse(window, kind.MouseButtonRelease, layer, *end)


def double_click(window, layer, y, x):
    """Double-click on a pixel of a layer."""
    kind = QEvent.Type
    for one in (kind.MouseButtonPress, kind.MouseButtonRelease, kind.MouseButtonDblClick):
        canvas_mouse(window, one, layer, y, x, buttons=one != kind.MouseButtonRelease)
    canvas_mouse(window, kind.MouseButtonRelease, layer, y, x)
