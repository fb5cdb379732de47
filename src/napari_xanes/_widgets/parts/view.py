"""The view of the canvas when a dock takes room from it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

SETTLED_MS = 150
"""ms until the canvas has the size that the dock leaves it."""
ROOM = 1.02
"""How much of the canvas a view may go beyond and still be one of everything, for rounding."""

WRITTEN_PX, BELOW_PX = 36, 6
"""Height that is left free for what is written in the upper corner of the canvas, and below the picture."""


def show_all(viewer: Any) -> None:
    """Fit everything into the canvas, below what is written in its corner."""
    height = viewer.canvas.size[0]
    viewer.fit_to_view(margin=float(np.clip((WRITTEN_PX + BELOW_PX) / height, 0.05, 0.3)))
    if viewer.dims.ndisplay == 2:
        camera, rows = viewer.scene.camera, viewer.layers.extent.world[:, viewer.dims.displayed[0]]
        free = (height - (rows[1] - rows[0]) * camera.zoom) / 2
        down = min(max(0.0, WRITTEN_PX - free), max(0.0, free)) / camera.zoom
        depth, y, x = camera.center
        camera.center = depth, y - down, x


class View:
    """What was seen before a dock took room from the canvas.

    Whoever saw everything sees everything again in the smaller canvas; whoever looked at a part keeps it.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._whole = bool(viewer.layers) and viewer.dims.ndisplay == 2 and _sees_all(viewer)

    def fit_soon(self) -> None:
        """Fit everything into the canvas as soon as it has its new size, if everything was seen."""
        if self._whole:
            QTimer.singleShot(SETTLED_MS, partial(View._fit, self))  # which holds this object

    def _fit(self) -> None:
        if self._viewer.layers and self._viewer.dims.ndisplay == 2:
            show_all(self._viewer)


def _sees_all(viewer: Any) -> bool:
    extent = viewer.layers.extent.world[:, list(viewer.dims.displayed)]
    size = (extent[1] - extent[0]) * viewer.scene.camera.zoom
    return all(length <= ROOM * room for length, room in zip(size, viewer.canvas.size, strict=True))
