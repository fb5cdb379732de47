"""The values of a map as a histogram with two limits to drag."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import Signal

from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._widgets.layers.tuples import thinned
from napari_xanes._widgets.parts.plot import SmallPlot

BINS = 120
HEIGHT = 100
COLOR = SAFE_COLORS[1]
SHOWN = (0.1, 99.9)
"""Percentiles between which values are drawn, so that a few odd ones do not squeeze the others."""

Limits = tuple[float | None, float | None]


class LimitsHistogram(SmallPlot):
    """A histogram; a limit at its end is no limit."""

    dragged = Signal()

    def __init__(self, viewer: Any) -> None:
        self._bars = pg.PlotCurveItem([0.0, 1.0], [0.0], stepMode="center", fillLevel=0)
        self.region = pg.LinearRegionItem((0.0, 1.0), brush=(*pg.mkColor(COLOR).getRgb()[:3], 60))
        super().__init__(viewer, "")
        self.setFixedHeight(HEIGHT)
        self.addItem(self._bars)
        self.addItem(self.region)
        self.setMouseEnabled(x=True, y=False)
        self.getPlotItem().hideAxis("left")
        self._ends = (0.0, 1.0)
        self.region.sigRegionChanged.connect(lambda _: self.dragged.emit())

    def follow_theme(self, event: Any = None) -> None:
        """Take the colours of the viewer's theme."""
        super().follow_theme(event)
        theme = get_theme(self._viewer.theme)
        self._bars.setPen(theme.text.as_hex())
        self._bars.setBrush(theme.secondary.as_hex())
        for line in self.region.lines:
            line.setPen(pg.mkPen(COLOR, width=2))
            line.setHoverPen(pg.mkPen(COLOR, width=4))

    def show_values(self, image: NDArray[Any]) -> None:
        """Draw the values of an image; there are no limits then."""
        values = thinned(image)
        values = values[np.isfinite(values)]
        lo, hi = np.percentile(values, SHOWN).tolist() if values.size else (0.0, 1.0)
        hi = hi if hi > lo else lo + 1.0
        counts, edges = np.histogram(values, BINS, (lo, hi))
        self._bars.setData(edges, np.sqrt(counts))  # few pixels in a bin are seen beside many
        self._ends = (lo, hi)
        self.region.setBounds((lo, hi))
        self.set_limits((None, None))
        self.setXRange(lo, hi, padding=0.02)

    def limits(self) -> Limits:
        """Return the lower and the upper limit; None where there is none."""
        lo, hi = self.region.getRegion()
        return (lo if lo > self._ends[0] else None), (hi if hi < self._ends[1] else None)

    def set_limits(self, limits: Limits) -> None:
        """Move the limits without saying so."""
        lo = self._ends[0] if limits[0] is None else limits[0]
        hi = self._ends[1] if limits[1] is None else limits[1]
        self.region.blockSignals(True)
        self.region.setBounds((min(self._ends[0], lo), max(self._ends[1], hi)))
        self.region.setRegion((lo, max(lo, hi)))
        self.region.blockSignals(False)
