"""Where the spectrum dock opens: below the canvas, where a plot has room; napari opens docks at the right."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow

HEIGHT = 260
"""px of the dock when it opens."""


def go_below(window: QMainWindow, dock: QDockWidget) -> None:
    """Move a dock below the canvas, between the docks at the sides."""
    window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
    window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
    window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    window.resizeDocks([dock], [HEIGHT], Qt.Orientation.Vertical)
