"""The plot of the spectrum dock: curves by name, the energy, the windows and the edge to drag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSizePolicy

from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._widgets.spectrum.curves import WINDOW_COLORS, Curve

Window = tuple[float, float]

ROUNDED = 0.006
"""eV; forms have two decimals, so a window that is dragged need not be moved by less."""
STYLES = {
    "line": Qt.PenStyle.SolidLine,
    "dash": Qt.PenStyle.DashLine,
    "dot": Qt.PenStyle.DotLine,
}


class SpectrumPlot(pg.PlotWidget):
    """Curves over energy.

    Signals
    -------
    energy_dragged(eV)
        The line of the current energy was dragged.
    window_dragged(name, lo, hi)
        A window, "pre_edge" or "post_edge", was dragged.
    e0_dragged(eV)
        The edge energy was dragged.
    excluded_dragged(number, lo, hi)
        One of the windows that a fit leaves out was dragged.
    theme_followed()
        The colours are those of another theme now.
    """

    energy_dragged = Signal(float)
    window_dragged = Signal(str, float, float)
    e0_dragged = Signal(float)
    excluded_dragged = Signal(int, float, float)
    theme_followed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.hideButtons()
        for side in ("left", "bottom"):
            self.getPlotItem().getAxis(side).enableAutoSIPrefix(False)
        self.getPlotItem().getAxis("bottom").setHeight(40)
        self.getPlotItem().layout.setContentsMargins(0, 2, 4, 6)  # else the name of the axis is cut
        self.getPlotItem().getAxis("left").setWidth(64)
        self.curves: dict[str, pg.PlotDataItem] = {}
        self._drawn: dict[str, Curve] = {}
        self._labels = ("", "")
        self.energy_line = pg.InfiniteLine(angle=90, movable=True)
        self.e0_line = pg.InfiniteLine(
            angle=90, movable=True, label="e0", labelOpts={"position": 0.95, "color": SAFE_COLORS[3]}
        )
        self.e0_line.setPen(pg.mkPen(SAFE_COLORS[3], width=1.5, style=Qt.PenStyle.DashLine))
        self.windows = {
            name: pg.LinearRegionItem(brush=_faint(color), hoverBrush=_faint(color, 90))
            for name, color in WINDOW_COLORS.items()
        }
        for name, region in self.windows.items():
            region.setZValue(-10)
            for edge in region.lines:
                edge.setPen(pg.mkPen(WINDOW_COLORS[name], width=1.5))
            region.sigRegionChanged.connect(lambda _, name=name: self._on_window(name))
        self.excluded: list[pg.LinearRegionItem] = []
        for item in (self.energy_line, self.e0_line, *self.windows.values()):
            self.addItem(item, ignoreBounds=True)
        self.energy_line.sigDragged.connect(lambda line: self.energy_dragged.emit(line.value()))
        self.e0_line.sigDragged.connect(lambda line: self.e0_dragged.emit(line.value()))
        viewer.events.theme.connect(self.follow_theme)
        self.follow_theme()

    def follow_theme(self, event: Any = None) -> None:
        """Take the colours of the viewer's theme."""
        theme = get_theme(self._viewer.theme)
        self._text: str = theme.text.as_hex()
        self.setBackground(theme.background.as_hex())
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(self._text)
            axis.setTextPen(self._text)
        self.energy_line.setPen(pg.mkPen(self._text, width=1))
        self.energy_line.setHoverPen(pg.mkPen(SAFE_COLORS[0], width=3))
        drawn, self._drawn = self._drawn, {}
        self.draw(drawn)
        self.theme_followed.emit()

    def draw(self, curves: Mapping[str, Curve]) -> None:
        """Draw these curves and no others; those that are there already only get new values."""
        for name in [name for name in self.curves if name not in curves]:
            self.removeItem(self.curves.pop(name))
        for name, curve in curves.items():
            item = self.curves.get(name)
            if item is None:
                item = self.curves[name] = self.plot(name=name)
            if item.name() != name or not _same_look(self._drawn.get(name), curve):
                self._dress(item, curve)
            item.setData(curve.x, curve.y, connect="finite")
        self._drawn = dict(curves)

    def _dress(self, item: pg.PlotDataItem, curve: Curve) -> None:
        color = curve.color or self._text
        if curve.style == "points":
            item.setPen(None)
            item.setSymbol("o")
            item.setSymbolSize(5)
            item.setSymbolPen(pg.mkPen(self._text, width=0.5))  # else yellow is lost on a light ground
            item.setSymbolBrush(color)
        else:
            item.setSymbol(None)
            item.setPen(pg.mkPen(color, width=curve.width, style=STYLES[curve.style]))

    @property
    def text_color(self) -> str:
        """Colour of the text, and of curves that have none of their own."""
        return self._text

    def drawn(self) -> dict[str, Curve]:
        """Return the curves as they are drawn."""
        return dict(self._drawn)

    def set_labels(self, left: str) -> None:
        """Name the axes; only if the names are new, as that lays out the plot."""
        if (left, self._text) == self._labels:
            return
        self._labels = (left, self._text)
        self.setLabel("left", left, color=self._text)
        self.setLabel("bottom", "energy (eV)", color=self._text)

    def show_energy(self, energy: float | None) -> None:
        """Put the line where the slider is."""
        self.energy_line.setVisible(energy is not None)
        if energy is not None:
            self.energy_line.setValue(energy)

    def show_windows(self, windows: Mapping[str, Window] | None, e0: float | None) -> None:
        """Put the windows and the edge where they are, or hide them."""
        for name, region in self.windows.items():
            region.setVisible(windows is not None)
            if windows is not None and tuple(region.getRegion()) != tuple(windows[name]):
                region.blockSignals(True)
                region.setRegion(windows[name])
                region.blockSignals(False)
        self.e0_line.setVisible(e0 is not None)
        if e0 is not None:
            self.e0_line.setValue(e0)

    def show_excluded(self, windows: list[Window]) -> None:
        """Shade what a fit leaves out."""
        if len(windows) != len(self.excluded):
            for region in self.excluded:
                self.removeItem(region)
            brush = {"brush": _faint(SAFE_COLORS[3], 40), "hoverBrush": _faint(SAFE_COLORS[3], 80)}
            self.excluded = [pg.LinearRegionItem(window, **brush) for window in windows]
            for number, region in enumerate(self.excluded):
                region.setZValue(-5)  # over the windows, so that it can be got hold of inside them
                region.sigRegionChanged.connect(lambda _, number=number: self._on_excluded(number))
                self.addItem(region, ignoreBounds=True)
        for region, window in zip(self.excluded, windows, strict=True):
            if np.abs(np.subtract(region.getRegion(), window)).max() > ROUNDED:
                region.blockSignals(True)
                region.setRegion(window)
                region.blockSignals(False)

    def _on_excluded(self, number: int) -> None:
        lo, hi = self.excluded[number].getRegion()
        self.excluded_dragged.emit(number, float(lo), float(hi))

    def _on_window(self, name: str) -> None:
        lo, hi = self.windows[name].getRegion()
        self.window_dragged.emit(name, float(lo), float(hi))

    def cleanup(self) -> None:
        """Stop listening to the viewer, and take the plot apart: Python would do it in an order that crashes."""
        self._viewer.events.theme.disconnect(self.follow_theme)
        self.close()
        self.deleteLater()


def _faint(color: str, alpha: int = 45) -> Any:
    return pg.mkBrush(*pg.mkColor(color).getRgb()[:3], alpha)


def _same_look(a: Curve | None, b: Curve) -> bool:
    return a is not None and (a.color, a.style, a.width) == (b.color, b.style, b.width)
