"""The legend of mixed colours in a panel: a bar for two, a triangle for three, names in their colours for more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QWidget

from napari_xanes._core.draw.legends import color_bar, color_triangle

LINE, SIDE, PAD = 18, 110, 4
BAR = 10
"""Height of the bar for two maps: with their names it is as high as what is left free above the picture."""
BOX = 12


class MixLegend(QWidget):
    """Draws itself anew in the colours of the theme."""

    def __init__(self) -> None:
        super().__init__()
        self.names: tuple[str, ...] = ()
        self.colors: tuple[str, ...] = ()
        self._image: QImage | None = None
        self.setVisible(False)

    def show_mix(self, names: Sequence[str], colors: Sequence[str], *, listed: bool = False) -> None:
        """Show what the colours of a mix mean; of fewer than two, nothing.

        They are only `listed` where a colour in between does not tell a mixture: along a line of sight in 3D the
        colours of what lies in front and behind add up, too.
        """
        self.names, self.colors = tuple(names), tuple(colors)
        drawn = None
        if len(colors) == 2 and not listed:
            drawn = color_bar(colors, length=2 * SIDE, width=BAR)
        elif len(colors) == 3 and not listed:
            drawn = color_triangle(colors, size=SIDE)
        self._image = None if drawn is None else _to_image(drawn)
        rows = {2: BAR + LINE + PAD // 2, 3: round(SIDE * 0.87) + 2 * LINE + 2 * PAD}
        self.setFixedHeight(len(colors) * LINE if drawn is None else rows[len(colors)])
        self.setVisible(len(colors) > 1 or listed)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bar, the triangle or the names."""
        painter = QPainter(self)
        painter.setPen(self.palette().windowText().color())
        if self._image is None:
            self._draw_list(painter)
        elif len(self.colors) == 2:
            self._draw_bar(painter, self._image)
        else:
            self._draw_triangle(painter, self._image)
        painter.end()

    def _draw_bar(self, painter: QPainter, bar: QImage) -> None:
        painter.drawImage(QRectF(0, 0, self.width(), BAR), bar)
        self._ends(painter, 0, self.width(), BAR + PAD / 2)

    def _draw_triangle(self, painter: QPainter, triangle: QImage) -> None:
        left, top = (self.width() - SIDE) / 2, LINE + PAD
        height = SIDE * 0.87
        self._text(painter, QRectF(0, 0, self.width(), LINE), self.names[2], Qt.AlignmentFlag.AlignHCenter)
        painter.drawImage(QRectF(left, top, SIDE, height), triangle)
        outer = min(left, 90.0)
        self._ends(painter, left - outer, SIDE + 2 * outer, top + height + PAD / 2)

    def _ends(self, painter: QPainter, left: float, width: float, top: float) -> None:
        half = width / 2 - PAD
        flag = Qt.AlignmentFlag
        self._text(painter, QRectF(left, top, half, LINE), self.names[0], flag.AlignLeft)
        self._text(painter, QRectF(left + width - half, top, half, LINE), self.names[1], flag.AlignRight)

    def _draw_list(self, painter: QPainter) -> None:
        for i, (name, color) in enumerate(zip(self.names, self.colors, strict=True)):
            painter.fillRect(QRectF(0, i * LINE + (LINE - BOX) / 2, BOX, BOX), QColor(color))
            place = QRectF(BOX + 6, i * LINE, self.width() - BOX - 6, LINE)
            self._text(painter, place, name, Qt.AlignmentFlag.AlignLeft)

    def _text(self, painter: QPainter, place: QRectF, text: str, flag: Any) -> None:
        fits = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(place.width()))
        painter.drawText(place, flag | Qt.AlignmentFlag.AlignVCenter, fits)


def _to_image(rgb: np.ndarray) -> QImage:
    alpha = np.where(np.isnan(rgb[..., :1]), 0, 255)
    rgba = np.ascontiguousarray(np.concatenate([np.nan_to_num(rgb) * 255, alpha], axis=-1).astype(np.uint8))
    rows, columns = rgba.shape[:2]
    return QImage(rgba.tobytes(), columns, rows, 4 * columns, QImage.Format.Format_RGBA8888).copy()
