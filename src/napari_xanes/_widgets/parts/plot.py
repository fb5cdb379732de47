"""A plot as small as a panel needs, in the colours of napari's theme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtWidgets import QSizePolicy

HEIGHT, AXIS_HEIGHT, TOP = 130, 42, 8  # half a number of the axis stands above its line

TITLED_HEIGHT = 180
"""Of a plot with a title."""
IN_A_LINE = 8
"""Numbers of curves that have room in a line of a title."""


def key_text(colors: Mapping[str, str]) -> str:
    """Return the names of curves, each behind a dash of its colour, for a title: a legend would lie on the curves.

    Words that the names have in common, as "component" of "component 1" and "component 2", are said once.
    """
    names = list(colors)
    heads = {name.rpartition(" ")[0] for name in names}
    head = heads.pop() if len(heads) == 1 and len(names) > 1 else ""
    dashes = [
        f'<span style="color: {color}">━</span>&nbsp;{name.removeprefix(head).strip()}'
        for name, color in colors.items()
    ]
    lines = ["&nbsp; ".join(dashes[k : k + IN_A_LINE]) for k in range(0, len(dashes), IN_A_LINE)]
    return f"{head}&nbsp; {'<br>'.join(lines)}" if head else "<br>".join(lines)


class SmallPlot(pg.PlotWidget):
    """A plot without menus that follows the theme."""

    def __init__(self, viewer: Any, x_label: str) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.getPlotItem().getAxis("left").setWidth(42)
        for side in ("left", "bottom"):
            self.getPlotItem().getAxis(side).enableAutoSIPrefix(False)
        self.getPlotItem().getAxis("bottom").setHeight(AXIS_HEIGHT if x_label else AXIS_HEIGHT // 2)
        self.getPlotItem().layout.setContentsMargins(0, TOP, 4, 4)
        self._viewer, self._x_label = viewer, x_label
        viewer.events.theme.connect(self.follow_theme)
        self.follow_theme()

    def follow_theme(self, event: Any = None) -> None:
        """Take the colours of the viewer's theme."""
        text = self.text_color()
        self.setBackground(get_theme(self._viewer.theme).background.as_hex())
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)
        if self._x_label:
            self.setLabel("bottom", self._x_label, color=text)
        self.show_title(self.getPlotItem().titleLabel.text)

    def text_color(self) -> str:
        """Return the colour of text in the viewer's theme."""
        return str(get_theme(self._viewer.theme).text.as_hex())

    def show_title(self, title: str) -> None:
        """Write a title in the colour of the text; an empty one takes no room."""
        self.setTitle(title or None, size="9pt", color=self.text_color())

    def wheelEvent(self, event: Any) -> None:
        """Let the wheel scroll the panel; dragging with the right button zooms."""
        event.ignore()

    def cleanup(self) -> None:
        """Stop listening to the viewer, and take the plot apart: Python would do it in an order that crashes."""
        self._viewer.events.theme.disconnect(self.follow_theme)
        self.close()
        self.deleteLater()


class SpectraPlot(SmallPlot):
    """Spectra over energy, each in its colour."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer, "energy (eV)")
        self.setFixedHeight(TITLED_HEIGHT)

    def show_spectra(
        self, energy: NDArray[np.float64], spectra: Mapping[str, NDArray[Any]], colors: Mapping[int, Any]
    ) -> None:
        """Draw spectra, named above in their colours; the first has the colour of label 1."""
        self.clear()
        named: dict[str, str] = {}
        for label, (name, spectrum) in enumerate(spectra.items(), start=1):
            color = pg.mkColor([round(255 * part) for part in colors[label]])
            named[name.replace("_", " ")] = color.name()
            self.plot(energy, np.asarray(spectrum), pen=pg.mkPen(color, width=2), name=name, connect="finite")
        self.show_title(key_text(named))
