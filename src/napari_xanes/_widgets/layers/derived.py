"""Layers that napari derived from ours, with our metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Labels, Layer

from napari_xanes._widgets.layers.masked import data_of


def is_still(layer: Layer, said: Mapping[str, Any]) -> bool:
    """Whether a layer is still what was written about it.

    napari hands the metadata on to what it derives from a layer: projections and splits have lost the energy, other
    orders of axes have it elsewhere, and images of it that became labels, or the other way round, are something else.
    """
    if isinstance(layer, Labels) != bool(said.get("labels")):
        return False
    if said.get("kind") != "stack":
        return True
    axes = tuple(layer.axis_labels)
    moved = "energy" in axes and axes[0] != "energy"
    return layer.ndim in (3, 4) and data_of(layer).shape[0] == len(said["energy"]) and not moved
