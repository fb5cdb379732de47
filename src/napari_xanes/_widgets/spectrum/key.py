"""Which curve is which: names beside the plot, where they cover nothing."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QBoxLayout, QFrame, QLabel, QScrollArea, QWidget

from napari_xanes._widgets.spectrum.curves import Curve

MARKS = {"line": "━━", "dash": "╍╍", "dot": "┅┅", "points": "••"}
LONGEST, END = 30, 15
"""Letters of a name, and of its end, which tells labels apart and holds a fraction with its sigma; of a longer one the middle is left out. All is the tooltip."""
STEP, WIDEST = 20, 240
"""px by which the width changes, so that the plot stands still while numbers change; and its end."""
NARROW, HIGHEST = 420, 72
"""px of the plot with its key below which the key lies over the plot, and how high it is there at most."""


class CurveKey(QScrollArea):
    """How each curve is drawn, and its name: a line for each, or one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._lying, self._lines = False, list[str]()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.words = QLabel()
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.words.setContentsMargins(6, 6, 0, 0)
        self.setWidget(self.words)
        self.show_curves({}, "#888888")

    def show_curves(self, curves: Mapping[str, Curve], text_color: str) -> None:
        """Name these curves; those without a colour of their own have that of the text."""
        lines = [
            f'<span style="color: {curve.color or text_color}">{MARKS[curve.style]}</span> {escape(_short(name))}'
            for name, curve in curves.items()
        ]
        if lines != self._lines:
            self._lines = lines
            self.words.setToolTip("<p>" + "<br>".join(map(escape, curves)) + "</p>")
            self._write()

    def lie(self, lying: bool) -> None:
        """Write the names one after the other, or one below the other."""
        if lying != self._lying:
            self._lying = lying
            self._write()

    def _write(self) -> None:
        between = " &nbsp; " if self._lying else "<br>"
        lines = [f'<span style="white-space: nowrap">{line}</span>' for line in self._lines]
        self.words.setWordWrap(self._lying)
        self.words.setText(f'<p style="font-size: 8pt">{between.join(lines)}</p>')
        if self._lying:
            self.setMinimumWidth(0)
            self.setMaximumWidth(16777215)
            self.setMaximumHeight(HIGHEST)
            return
        bar = self.verticalScrollBar()
        wanted = self.words.sizeHint().width() + (bar.sizeHint().width() if bar else 0)
        self.setFixedWidth(min(-(-wanted // STEP) * STEP, WIDEST))
        self.setMaximumHeight(16777215)


class PlotWithKey(QWidget):
    """A plot and the key beside it, or over it where there is little room."""

    def __init__(self, plot: QWidget, key: CurveKey) -> None:
        super().__init__()
        self._key = key
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(0)
        self._box.addWidget(plot, 1)
        self._box.addWidget(key)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put the key where there is room for it."""
        lying = self.width() < NARROW
        ways = QBoxLayout.Direction
        self._box.setDirection(ways.BottomToTop if lying else ways.LeftToRight)
        self._key.lie(lying)
        super().resizeEvent(event)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - END - 1]}…{name[-END:]}"
