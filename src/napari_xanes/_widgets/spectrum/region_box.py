"""Position and size of a drawn region in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_xanes._widgets.parts.number_box import NumberBox
from napari_xanes._widgets.spectrum.regions import find_region

FIELDS = {
    "y": "First row of the region, px.",
    "x": "First column of the region, px.",
    "height": "Rows of the region, px.",
    "width": "Columns of the region, px.",
}
HALF = 0.5
"""Pixel 0 reaches from -0.5 to 0.5."""


class RegionBox(QWidget):
    """Four numbers of a region that is chosen by its name; what is typed moves or stretches it.

    Parameters
    ----------
    viewer : Viewer
    stack_layer : callable
        Returns the stack in whose pixels the numbers are.
    """

    def __init__(self, viewer: Any, stack_layer: Callable[[], Layer | None]) -> None:
        super().__init__()
        self.viewer, self._stack_layer = viewer, stack_layer
        self._name = ""
        self.boxes: dict[str, NumberBox] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for i, (name, tip) in enumerate(FIELDS.items()):
            box = NumberBox()
            box.setDecimals(1)
            box.setRange(-1e5 if i < 2 else 1.0, 1e5)
            box.setKeyboardTracking(False)
            box.setToolTip(f"<p>{tip}</p>")
            box.valueChanged.connect(self._on_typed)
            grid.addWidget(QLabel(name), i // 2, 2 * (i % 2))
            grid.addWidget(box, i // 2, 2 * (i % 2) + 1)
            self.boxes[name] = box
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        self.look_at("")

    def look_at(self, name: str) -> None:
        """Show where the region of a name lies; nothing, if it is no drawn shape."""
        self._name = name
        self.refresh()

    def refresh(self) -> None:
        """Show where the region lies now."""
        found, stack = find_region(self.viewer, self._name), self._stack_layer()
        self.setVisible(found is not None and stack is not None)
        if found is None or stack is None:
            return
        corners = _to_pixels(*found, stack)
        low, high = corners.min(axis=0), corners.max(axis=0)
        for box, value in zip(self.boxes.values(), (*(low + HALF), *(high - low)), strict=True):
            with QSignalBlocker(box):
                box.setValue(value)

    def _on_typed(self, _: float) -> None:
        found, stack = find_region(self.viewer, self._name), self._stack_layer()
        if found is None or stack is None:
            return
        shapes, index = found
        values = np.array([box.value() for box in self.boxes.values()])
        corners = _to_pixels(shapes, index, stack)
        low, size = corners.min(axis=0), np.ptp(corners, axis=0)
        stretch = np.divide(values[2:], size, out=np.ones(2), where=size > 0)
        moved = values[:2] - HALF + (corners - low) * stretch
        data = list(shapes.data)
        data[index] = _from_pixels(moved, shapes, data[index], stack)
        shapes.data = data


def _to_pixels(shapes: Shapes, index: int, stack: Layer) -> NDArray[np.float64]:
    """Return the corners of a shape as (y, x) of a stack's pixels."""
    return np.array([stack.world_to_data(shapes.data_to_world(v))[-2:] for v in shapes.data[index]])


def _from_pixels(
    corners: NDArray[np.float64], shapes: Shapes, before: NDArray[Any], stack: Layer
) -> NDArray[np.float64]:
    """Return corners (y, x) in a stack's pixels as vertices of a shape, whose other coordinates stay."""
    vertices = np.array(before, dtype=np.float64)
    lead = (0,) * (stack.ndim - 2)
    for vertex, corner in zip(vertices, corners, strict=True):
        vertex[-2:] = shapes.world_to_data(stack.data_to_world((*lead, *corner)))[-2:]
    return vertices
