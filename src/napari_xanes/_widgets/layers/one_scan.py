"""Of several scans one is shown at a time, unless the user shows more; and it is in view."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._widgets.layers.layers import about

SMALL, LARGE = 0.2, 5.0
"""Parts of the canvas, or times the canvas, from which on a scan is not seen well."""
FITTED = 0.95
"""Part of the canvas that a scan takes when it comes into view."""
ALIKE = 0.2
"""Part of its size by which a scan may be larger than another, or away from it, to be looked at as that one was."""


def scan_of(layer: Layer) -> str:
    """Return what tells the scan of a layer from others; empty for a layer that is not ours."""
    said = about(layer)
    return json.dumps([said["name"], said["source"].get("path")]) if "source" in said else ""


def show_one_scan(viewer: Any, layer: Layer) -> None:
    """Hide the layers of other scans when a layer of one comes or is chosen, and bring it into view.

    Where it lies as another did that was seen, the user's view of that stays.
    """
    scan = scan_of(layer)
    if not scan or not layer.visible:
        return
    others = [one for one in viewer.layers if one is not layer and scan_of(one) not in ("", scan)]
    seen = [one for one in others if one.visible]
    for one in seen:
        one.visible = False
    stays = any(_alike(one, layer) for one in seen) if seen else _in_view(viewer, layer)
    if others and viewer.dims.ndisplay == 2 and not stays:
        _fit(viewer, layer)


def show_scan_of(viewer: Any, layer: Layer) -> None:
    """Show the scan of a stack that was chosen in place of another scan: what was seen of it last, else the stack."""
    scan = scan_of(layer)
    visible = [one for one in viewer.layers if one.visible and scan_of(one)]
    if not visible or any(scan_of(one) == scan for one in visible):
        return
    layer.visible = True
    show_one_scan(viewer, layer)


def _alike(one: Layer, other: Layer) -> bool:
    """Whether two layers lie about the same in the plane."""
    here, there = (layer.extent.world[:, -2:] for layer in (one, other))
    return bool(np.abs(here - there).max() < ALIKE * np.ptp(here, axis=0).max())


def _fit(viewer: Any, layer: Layer) -> None:
    """Fit a layer into the canvas, also a map beside a stack, which has an axis more: napari fits no such layer."""
    size, centre = _size_and_centre(layer)
    viewer.scene.camera.center = (0.0, *centre)
    viewer.scene.camera.zoom = float(FITTED * (np.array(viewer.canvas.size, float) / size).min())


def _size_and_centre(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the size and the centre of a layer in the plane."""
    extent = layer.extent.world[:, -2:]
    return extent[1] - extent[0], extent.mean(axis=0)


def _in_view(viewer: Any, layer: Layer) -> bool:
    size, centre = _size_and_centre(layer)
    camera, canvas = viewer.scene.camera, np.array(viewer.canvas.size, float)
    seen = canvas / camera.zoom
    share = (size / seen).max()
    away = np.abs(centre - np.array(camera.center)[-2:]) / seen
    return bool(SMALL < share < LARGE and (away < 0.5).all())
