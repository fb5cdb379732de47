"""Where layers are removed, the context of the canvas is the current one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QWidget

from napari_xanes._widgets.parts import canvas
from napari_xanes._widgets.window.energy_text import show_energy


def test_a_window_that_was_closed_has_none(qapp, monkeypatch):
    gone = QWidget()
    gone.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    monkeypatch.setattr(canvas, "get_current_canvas", lambda: SimpleNamespace(set_current=gone.show))
    canvas.make_canvas_current()


@pytest.mark.viewer
def test_napari_removes_what_draws_a_layer_in_the_context_of_the_canvas(window, qtbot):
    show_energy(window)
    layer = window.add_image(np.zeros((20, 30)))
    qtbot.wait(100)
    window.window._qt_viewer.canvas.native.doneCurrent()
    current = []
    window.layers.events.removed.connect(lambda _: current.append(QOpenGLContext.currentContext()))
    window.layers.remove(layer)
    assert current == [window.window._qt_viewer.canvas.native.context()]
