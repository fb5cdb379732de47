"""What is loaded is left out when garbage is collected, and no layer with it."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
from napari import Viewer
from napari.components import ViewerModel
from qtpy.QtWidgets import QMainWindow

from napari_xanes._widgets.parts import loaded


def test_nothing_is_left_out_while_another_window_has_layers(qtbot, monkeypatch):
    frozen = []
    monkeypatch.setattr(
        loaded,
        "gc",
        SimpleNamespace(freeze=lambda: frozen.append(gc), unfreeze=frozen.clear),
    )
    monkeypatch.setattr(loaded, "_left_out", False)
    window = QMainWindow()
    qtbot.addWidget(window)
    here, other = ViewerModel(), ViewerModel()
    monkeypatch.setattr(Viewer, "_instances", {here, other})
    other.add_image(np.zeros((4, 5)))
    loaded.leave_out_loaded(here)
    assert not frozen
    other.layers.clear()
    loaded.leave_out_loaded(here)
    assert frozen
