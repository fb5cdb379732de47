"""A choice in a narrow dock: what does not fit is left out in the middle, and all of it is the tooltip."""

from __future__ import annotations

from html import escape
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QHelpEvent
from qtpy.QtWidgets import (
    QComboBox,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
)

ENDS = 2
"""px that the style keeps free beside the text."""


class ElidingCombo(QComboBox):
    """A combo box that is as narrow as it has to be; its list is as wide as its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def shown_text(self) -> str:
        """Return the text as it is drawn."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return self._elided(option)

    def _elided(self, option: QStyleOptionComboBox) -> str:
        part, style = QStyle.SubControl.SC_ComboBoxEditField, self.style()
        text = str((self.currentText() if self.currentIndex() >= 0 else self.placeholderText()) or "")
        if style is None:
            return text
        room = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self).width() - ENDS
        return str(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, room))

    def paintEvent(self, event: Any) -> None:
        """Draw the text with dots where it is too long."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self._elided(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def event(self, event: QEvent | None) -> bool:
        """Tell the whole text, above what the choice is for."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            whole = self.currentText() or self.placeholderText()
            if self.shown_text() != whole:
                QToolTip.showText(event.globalPos(), f"<p>{escape(whole)}</p>{self.toolTip()}", self)
                return True
        return super().event(event)

    def showPopup(self) -> None:
        """Show the list, wide enough for its texts."""
        view = self.view()
        if view is not None:
            view.setMinimumWidth(max(self.width(), view.sizeHintForColumn(0) + 24))
        super().showPopup()
