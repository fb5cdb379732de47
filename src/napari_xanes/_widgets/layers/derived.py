"""Layers that napari derived from ours, with our metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_xanes._widgets.layers.masked import data_of


def is_still(layer: Layer, said: Mapping[str, Any]) -> bool:
    """Whether a layer is still what was written about it.

    napari hands the metadata on to what it derives from a layer: projections and splits have lost an axis, other orders
    of axes have the energy elsewhere, and images of it that became labels, or the other way round, are something else.
    So are pictures in colours made of maps, the colours of a mix one by one, and what was merged, in whatever order.
    """
    if isinstance(layer, Labels) != bool(said.get("labels")):
        return False
    if isinstance(layer, Image) and "mix" in said:
        return bool(layer.rgb == (layer.ndim == 2))
    stack = said.get("kind") == "stack"
    if isinstance(layer, Image) and (stack or said.get("map")) and _is_another(layer):
        return False
    if not stack:
        return bool(layer.ndim == said.get("ndim", layer.ndim))
    written = getattr(layer.metadata.get("xanes_stack"), "data", None)
    whole = layer.ndim in (3, 4) if written is None else layer.ndim == written.ndim
    moved = layer.axis_labels[0] in ("z", "y", "x")
    return whole and data_of(layer).shape[0] == len(said["energy"]) and not moved


def is_copy(layer: Layer) -> bool:
    """Whether it is the duplicate of another layer, by which users keep what a step would renew."""
    return layer.source.parent is not None


def _is_another(layer: Image) -> bool:
    """Whether an image is in colours, has an axis that napari added, or was cut to whole numbers, as labels are."""
    written = getattr(layer.metadata.get("xanes_stack"), "data", None)
    were_whole = written is not None and np.dtype(written.dtype).kind in "iu"
    cut = np.dtype(data_of(layer).dtype) == int and not were_whole
    return bool(layer.rgb) or layer.axis_labels[0] == str(-layer.ndim) or cut
