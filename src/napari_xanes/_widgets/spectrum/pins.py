"""Pixels that were pinned: points of a layer of their own, so that they can be moved and removed like any point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Layer, Points

from napari_xanes._widgets.layers.session import add_layer
from napari_xanes._widgets.spectrum.colors import PINS, next_spot_color


def pins_of(viewer: Any) -> Points | None:
    """Return the layer of pins, if there is one."""
    return next((one for one in viewer.layers if one.name == PINS and isinstance(one, Points)), None)


def add_pin(viewer: Any, layer: Layer, position: Sequence[float]) -> None:
    """Pin the place of a stack at a position of the world."""
    pins = pins_of(viewer)
    if pins is None:
        active = viewer.layers.selection.active
        geometry = {key: tuple(getattr(layer, key))[-2:] for key in ("scale", "translate", "units")}
        pins = add_layer(viewer, Points(ndim=2, name=PINS, size=6, **geometry))
        viewer.layers.selection.active = active
    pins.selected_data = set()  # whose colour would be changed, too
    pins.current_face_color = next_spot_color(viewer)
    pins.add(pins.world_to_data(np.array(position)[-2:]))


def remove_pins(viewer: Any) -> None:
    """Take all pins away."""
    pins = pins_of(viewer)
    if pins is not None:
        viewer.layers.remove(pins)
