"""The view of the canvas when a dock takes room from it."""

from __future__ import annotations

from collections.abc import Sequence
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
BAR_PX, BAR_SHARE, BEFORE_PX = 92, 0.15, 6
"""Width that is left free for a colour bar with its numbers, but not more of a narrow canvas, and before the picture."""


def show_all(viewer: Any) -> None:
    """Fit everything into the canvas, below what is written in its corner and beside the colour bar."""
    size = np.array(viewer.canvas.size, float)
    viewer.fit_to_view(margin=float(np.clip((WRITTEN_PX + BELOW_PX) / size[0], 0.05, 0.3)))
    if viewer.dims.ndisplay == 2:
        camera, extent = viewer.scene.camera, viewer.layers.extent.world[:, list(viewer.dims.displayed)]
        long = extent[1] - extent[0]
        bar = min(BAR_PX, BAR_SHARE * size[1])
        camera.zoom = min(camera.zoom, max(1.0, size[1] - bar - BEFORE_PX) / long[1])
        free = np.maximum((size - long * camera.zoom) / 2, 0)
        down, left = np.minimum(np.maximum((WRITTEN_PX, bar) - free, 0), free) / camera.zoom
        depth, y, x = camera.center
        camera.center = depth, y - down, x + left


def bring_into_view(viewer: Any, center: Sequence[float]) -> None:
    """Move the view to a place of the world, unless it is seen already."""
    camera, at = viewer.scene.camera, np.array(center[-2:])
    beyond = np.abs(at - camera.center[-2:]) * camera.zoom > np.array(viewer.canvas.size) / 2 - WRITTEN_PX
    if viewer.dims.ndisplay == 3 or beyond.any():
        camera.center = tuple(np.r_[np.zeros(max(0, 3 - len(center))), center])


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
