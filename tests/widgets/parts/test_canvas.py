"""Where layers are removed, the context of the canvas is the current one."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QWidget

from napari_xanes._widgets.parts.canvas import make_canvas_current
from napari_xanes._widgets.window.energy_text import show_energy


def test_a_window_that_was_closed_has_none(qapp):
    gone = QWidget()
    gone.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    viewer = Mock()
    viewer.window._qt_viewer.canvas.view.canvas.set_current.side_effect = gone.show
    make_canvas_current(viewer)
    viewer.window._qt_viewer.canvas.view.canvas.set_current.assert_called_once()


@pytest.mark.viewer
def test_napari_removes_what_draws_a_layer_in_the_context_of_its_own_canvas(
    window, make_napari_viewer, qtbot
):
    show_energy(window)
    layer = window.add_image(np.zeros((20, 30)))
    qtbot.wait(100)
    own, other = (one.window._qt_viewer.canvas for one in (window, make_napari_viewer(show=True)))
    other.view.canvas.set_current()  # as where it was drawn last
    current = []
    window.layers.events.removed.connect(lambda _: current.append(QOpenGLContext.currentContext()))
    window.layers.remove(layer)
    assert current == [own.native.context()]
    assert own.native.context() not in (None, other.native.context())
