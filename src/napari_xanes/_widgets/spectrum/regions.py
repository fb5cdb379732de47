"""Regions that are drawn: a Shapes layer that fits the stack, and what each shape is called."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer, Shapes

from napari_xanes._widgets.layers.session import add_layer
from napari_xanes._widgets.parts.portions import breathe
from napari_xanes._widgets.spectrum.colors import next_spot_color

REGIONS = "regions"


def region_name(shapes: Shapes, index: int) -> str:
    """Return what a shape is called among the curves."""
    return f"{shapes.name} {index + 1}"


def find_region(viewer: Any, name: str) -> tuple[Shapes, int] | None:
    """Return the layer and the number of the shape that is called so."""
    for layer in viewer.layers:
        if isinstance(layer, Shapes):
            for index in range(len(layer.data)):
                if region_name(layer, index) == name:
                    return layer, index
    return None


def draw_region(viewer: Any, layer: Layer) -> Shapes:
    """Make the user ready to draw a rectangle on a stack; each new one has a colour of its own."""
    regions = next((one for one in viewer.layers if isinstance(one, Shapes) and one.name == REGIONS), None)
    if regions is None:
        geometry = {key: tuple(np.array(getattr(layer, key))[-2:]) for key in ("scale", "translate")}
        units = tuple(layer.units)[-2:]
        made = Shapes(ndim=2, name=REGIONS, face_color="transparent", units=units, visible=False, **geometry)
        breathe()
        regions = add_layer(viewer, made)
        regions.visible = True
    viewer.layers.selection.active = regions
    regions.selected_data = set()  # whose colour would be changed, too
    regions.current_edge_color = next_spot_color(viewer)
    regions.mode = "add_rectangle"
    return regions
