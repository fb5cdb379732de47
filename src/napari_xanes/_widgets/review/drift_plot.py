"""The drift of all frames over energy; a frame is chosen by a click."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Signal

from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._widgets.parts.plot import SmallPlot, key_text

AXES = ("z", "y", "x")
LEFT_OUT, TO_CHECK, CHANGED = "#888888", SAFE_COLORS[3], SAFE_COLORS[2]
SYMBOL = 7


class DriftPlot(SmallPlot):
    """Displacements along each axis, with what is to be checked, changed, left out and chosen marked."""

    chosen = Signal(int)

    def __init__(self, viewer: Any) -> None:
        self._line = pg.InfiniteLine(angle=90)
        super().__init__(viewer, "energy (eV)")
        self.setFixedHeight(220)
        self._energy = np.empty(0)
        self.scene().sigMouseClicked.connect(self._on_click)

    def follow_theme(self, event: Any = None) -> None:
        """Take the colours of the viewer's theme; the chosen frame is marked in that of the text, as no curve is."""
        super().follow_theme(event)
        self._line.setPen(pg.mkPen(self.text_color(), width=1.5))
        self.setLabel("left", "drift (px)", color=self.text_color())

    def show_drift(
        self,
        energy: NDArray[np.float64],
        shifts: NDArray[np.float64],
        marks: dict[str, NDArray[np.bool_]],
        index: int,
    ) -> None:
        """Draw shifts (E, n) in px; `marks` says which frames are "to check", "changed" and "excluded"."""
        self.clear()
        self._energy = energy
        names = AXES[-shifts.shape[1] :]
        colors = dict(zip(names, (SAFE_COLORS[1], SAFE_COLORS[0], SAFE_COLORS[4]), strict=False))
        for axis, color in enumerate(colors.values()):
            brushes = [
                pg.mkBrush(CHANGED if changed else TO_CHECK if check else color)
                for changed, check in zip(marks["changed"], marks["to check"], strict=True)
            ]
            shown = np.where(marks["excluded"], np.nan, shifts[:, axis])
            pen = pg.mkPen(color, width=1.5)
            self.plot(
                energy,
                shown,
                pen=pen,
                connect="finite",
                symbol="o",
                symbolSize=SYMBOL,
                symbolBrush=brushes,
                symbolPen=None,
            )
        colors |= {
            name: color for name, color in (("to check", TO_CHECK), ("changed", CHANGED)) if marks[name].any()
        }
        out = marks["excluded"]
        if out.any():
            self.plot(
                energy[out],
                np.zeros(out.sum()),
                pen=None,
                symbol="x",
                symbolSize=9,
                symbolPen=LEFT_OUT,
            )
            colors["left out (x)"] = LEFT_OUT
        self.show_title(key_text(colors))
        self.addItem(self._line)
        self.mark(index)

    def mark(self, index: int) -> None:
        """Show which frame is looked at."""
        if 0 <= index < self._energy.size:
            self._line.setValue(float(self._energy[index]))

    def _on_click(self, event: Any) -> None:
        if self._energy.size and self.sceneBoundingRect().contains(event.scenePos()):
            at = self.getPlotItem().vb.mapSceneToView(event.scenePos()).x()
            self.chosen.emit(int(np.argmin(np.abs(self._energy - at))))
