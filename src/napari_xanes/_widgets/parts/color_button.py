"""A button that shows a colour and offers others."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QColorDialog, QMenu, QToolButton

from napari_xanes._core.draw.color import COLOR_NAMES

SIDE = 22


class ColorButton(QToolButton):
    """Opens a menu of the colours that colour-blind people can tell apart, and of any other."""

    changed = Signal()

    def __init__(self, color: str) -> None:
        super().__init__()
        self.setFixedSize(SIDE, SIDE)
        self.setToolTip("<p>Its colour; those of the menu can be told apart by colour-blind people, too.</p>")
        menu = QMenu(self)
        for code, name in COLOR_NAMES.items():
            patch = QPixmap(SIDE, SIDE)
            patch.fill(QColor(code))
            menu.addAction(QIcon(patch), name, partial(self._choose, code))
        menu.addSeparator()
        menu.addAction("other...", self._ask)
        self.setMenu(menu)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.set_color(color)

    def color(self) -> str:
        """Return the colour as a hexadecimal code."""
        return self._color

    def set_color(self, color: str) -> None:
        """Show a colour and say so."""
        self._color = QColor(color).name()
        self.setStyleSheet(
            f"QToolButton {{background-color: {self._color}; border: none; border-radius: 3px;}}"
            "QToolButton::menu-indicator {image: none;}"
        )
        self.changed.emit()

    def _choose(self, code: str, _: bool = False) -> None:
        self.set_color(code)

    def _ask(self) -> None:
        chosen = QColorDialog.getColor(QColor(self._color), self, "Colour of the map")
        if chosen.isValid():
            self.set_color(chosen.name())
