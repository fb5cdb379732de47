"""A scatter plot of two maps as a picture of how many pixels lie where, with an outline drawn by the mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt, Signal

from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._core.draw.density import MapDensity
from napari_xanes._widgets.parts.plot import SmallPlot

HEIGHT = 300
LASSO, POINT = SAFE_COLORS[0], SAFE_COLORS[2]
LEAST_PX = 3.0
"""Steps of the mouse shorter than this add no corner."""
SMOOTHED_PX = 1.0
"""How far the outline may lie from the way of the mouse."""
FEWEST = 3


class ScatterPlot(SmallPlot):
    """Draws counts as colours; the left button draws an outline, the right one zooms.

    Signals
    -------
    outlined(corners)
        An outline was closed: array (n, 2) of values of the first and the second map.
    """

    outlined = Signal(object)

    def __init__(self, viewer: Any) -> None:
        self._image = pg.ImageItem()
        self._lasso = pg.PlotCurveItem(pen=pg.mkPen(LASSO, width=2))
        self.point = pg.ScatterPlotItem(size=11, symbol="o", pen=pg.mkPen(POINT, width=2), brush=None)
        self._path: list[QPointF] | None = None
        self._labels = "", ""
        super().__init__(viewer, "")
        self.setFixedHeight(HEIGHT)
        self.getPlotItem().getAxis("bottom").setHeight(42)
        self.getPlotItem().getAxis("left").setWidth(58)
        self._image.setColorMap(pg.colormap.get("viridis"))
        for item in (self._image, self._lasso, self.point):
            self.addItem(item)

    def follow_theme(self, event: Any = None) -> None:
        """Take the colours of the viewer's theme."""
        super().follow_theme(event)
        self.name_axes(*self._labels)

    def name_axes(self, x: str, y: str) -> None:
        """Name the maps."""
        self._labels = x, y
        color = self.getPlotItem().getAxis("left").textPen().color().name()
        self.setLabel("bottom", x, color=color)
        self.setLabel("left", y, color=color)

    def show_density(self, density: MapDensity) -> None:
        """Draw how many pixels have which values; few are seen beside many."""
        logs = np.log1p(density.counts.astype(np.float64))
        self._image.setImage(np.where(density.counts > 0, logs, np.nan), levels=(0.0, max(logs.max(), 1.0)))
        (x0, x1), (y0, y1) = density.x, density.y
        self._image.setRect(QRectF(x0, y0, x1 - x0, y1 - y0))
        self.setRange(xRange=density.x, yRange=density.y, padding=0)

    def clear_density(self) -> None:
        """Show nothing."""
        self._image.clear()
        self.mark(None)
        self.show_outline(None)

    def show_outline(self, corners: NDArray[np.float64] | None) -> None:
        """Draw a closed outline, or none."""
        closed = np.empty((0, 2)) if corners is None else np.vstack([corners, corners[:1]])
        self._lasso.setData(closed[:, 0], closed[:, 1])

    def mark(self, values: tuple[float, float] | None) -> None:
        """Show where the pixel under the cursor lies."""
        shown = values is not None and np.isfinite(values).all()
        self.point.setData(*([[v] for v in values] if shown and values else [[], []]))

    # -- drawing --------------------------------------------------------------------------------------

    def mousePressEvent(self, event: Any) -> None:
        """Begin an outline."""
        if event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        self._path = [event.position()]
        self.show_outline(None)
        event.accept()

    def mouseMoveEvent(self, event: Any) -> None:
        """Add a corner."""
        if self._path is None:
            super().mouseMoveEvent(event)
            return
        moved = event.position() - self._path[-1]
        if moved.manhattanLength() >= LEAST_PX:
            self._path.append(event.position())
            corners = self._corners()
            self._lasso.setData(corners[:, 0], corners[:, 1])
        event.accept()

    def mouseReleaseEvent(self, event: Any) -> None:
        """Close the outline; a click alone takes it away."""
        if self._path is None:
            super().mouseReleaseEvent(event)
            return
        from skimage.measure import approximate_polygon  # long to load

        at = np.array([(point.x(), point.y()) for point in self._path])
        simpler = approximate_polygon(at, SMOOTHED_PX)  # few corners, for the recipe
        self._path = [QPointF(*point) for point in simpler]
        corners = self._corners()
        self._path = None
        self.show_outline(corners if len(corners) >= FEWEST else None)
        self.outlined.emit(corners if len(corners) >= FEWEST else None)
        event.accept()

    def _corners(self) -> NDArray[np.float64]:
        """Return the path of the mouse in values of the maps."""
        view = self.getPlotItem().vb
        points = [view.mapSceneToView(self.mapToScene(at.toPoint())) for at in self._path or ()]
        return np.array([(p.x(), p.y()) for p in points]).reshape(-1, 2)
