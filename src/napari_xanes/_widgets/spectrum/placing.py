"""Where the spectrum dock opens: below the canvas, where a plot has room; napari opens docks at the right."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

HEIGHT = 260
"""px of the dock when it opens."""


def go_below(widget: QWidget) -> None:
    """Move the dock that a widget is in below the canvas, between the docks at the sides."""
    dock = widget.parent()
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parent()
    window = None if dock is None else dock.parent()
    if isinstance(dock, QDockWidget) and isinstance(window, QMainWindow) and not dock.isFloating():
        window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
        window.resizeDocks([dock], [HEIGHT], Qt.Orientation.Vertical)
