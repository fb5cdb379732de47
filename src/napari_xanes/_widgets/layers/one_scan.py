"""Of several scans one is shown at a time, unless the user shows more; and it is in view."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_xanes._widgets.layers.layers import about

SMALL, LARGE = 0.2, 5.0
"""Parts of the canvas, or times the canvas, from which on a scan is not seen well."""


def scan_of(layer: Layer) -> str:
    """Return what tells the scan of a layer from others; empty for a layer that is not ours."""
    said = about(layer)
    return json.dumps([said["name"], said["source"].get("path")]) if "source" in said else ""


def show_one_scan(viewer: Any, layer: Layer) -> None:
    """Hide the layers of other scans when a layer of one comes or is chosen, and bring it into view."""
    scan = scan_of(layer)
    if not scan or not layer.visible:
        return
    others = [one for one in viewer.layers if one is not layer and scan_of(one) not in ("", scan)]
    for one in others:
        one.visible = False
    if others and not _in_view(viewer, layer):
        viewer.fit_to_view(layers=[layer])


def show_scan_of(viewer: Any, layer: Layer) -> None:
    """Show the scan of a stack that was chosen in place of another scan: what was seen of it last, else the stack."""
    scan = scan_of(layer)
    visible = [one for one in viewer.layers if one.visible and scan_of(one)]
    if not visible or any(scan_of(one) == scan for one in visible):
        return
    layer.visible = True
    show_one_scan(viewer, layer)


def _in_view(viewer: Any, layer: Layer) -> bool:
    if viewer.dims.ndisplay != 2:
        return True
    extent = layer.extent.world[:, -2:]
    size, centre = extent[1] - extent[0], extent.mean(axis=0)
    camera, canvas = viewer.scene.camera, np.array(viewer.canvas.size, float)
    seen = canvas / camera.zoom
    share = (size / seen).max()
    away = np.abs(centre - np.array(camera.center)[-2:]) / seen
    return bool(SMALL < share < LARGE and (away < 0.5).all())
