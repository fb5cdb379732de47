"""A map followed from the rim of particles to their core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from napari_xanes._core.data.kinds import title_of
from napari_xanes._widgets.parts.plot import TITLED_HEIGHT, SmallPlot

BLUE = "#0072b2"


class ProfilePlot(SmallPlot):
    """Mean of the pixels of all whole particles over their depth, with the spread between pixels."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer, "depth (0: rim, 1: core)")
        self.setFixedHeight(TITLED_HEIGHT)
        self.setToolTip(
            "<p>Mean over all particles that lie wholly in the picture; bars: spread between pixels.</p>"
        )

    def show_profile(self, table: Mapping[str, NDArray[Any]], name: str) -> None:
        """Draw the pooled rows of the table `core_to_rim`, of the map `name`."""
        self.clear()
        pooled = table["label"] == 0
        middle = (table["from"][pooled] + table["to"][pooled]) / 2
        mean, spread = table[name][pooled], table[f"{name}_std"][pooled]
        known = np.isfinite(mean)
        self.show_title(title_of(name))
        bars = pg.ErrorBarItem(
            x=middle[known], y=mean[known], height=2 * np.nan_to_num(spread[known]), beam=0.02, pen=BLUE
        )
        self.addItem(bars)
        self.plot(
            middle[known],
            mean[known],
            pen=pg.mkPen(BLUE, width=2),
            symbol="o",
            symbolSize=5,
            symbolBrush=BLUE,
        )
