"""The view of the canvas when a dock takes room from it."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QTimer

SETTLED_MS = 150
"""ms until the canvas has the size that the dock leaves it."""
ROOM = 1.02
"""How much of the canvas a view may go beyond and still be one of everything, for rounding."""


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
            self._viewer.fit_to_view()


def _sees_all(viewer: Any) -> bool:
    extent = viewer.layers.extent.world[:, list(viewer.dims.displayed)]
    size = (extent[1] - extent[0]) * viewer.scene.camera.zoom
    return all(length <= ROOM * room for length, room in zip(size, viewer.canvas.size, strict=True))
