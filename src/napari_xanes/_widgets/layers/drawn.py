"""What the user drew on a picture, as rows and columns of a stack."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer, Shapes

from napari_xanes._core.base.errors import InputError


def drawn_rectangle(viewer: Any, layer: Layer) -> tuple[int, int, int, int]:
    """Return rows and columns (y0, y1, x0, x1) of a stack around the last shape that was drawn.

    The selected Shapes layer counts, else the topmost.  Raises InputError if there is none or it lies outside.
    """
    drawn = [one for one in viewer.layers if isinstance(one, Shapes) and len(one.data)]
    active = viewer.layers.selection.active
    shapes = next((one for one in drawn if one == active), drawn[-1] if drawn else None)
    if shapes is None:
        raise InputError(
            "there is no drawn rectangle; add a Shapes layer, draw one around a structure, and try again."
        )
    corners = np.array([layer.world_to_data(shapes.data_to_world(v))[-2:] for v in shapes.data[-1]])
    size = np.array(layer.data.shape[-2:])
    (y0, x0), (y1, x1) = (
        np.clip(np.round(edge + 0.5), 0, size).astype(int).tolist()
        for edge in (corners.min(0), corners.max(0))
    )
    if y0 >= y1 or x0 >= x1:
        raise InputError(f"the drawn shape lies outside '{layer.name}'; draw it on the image.")
    return y0, y1, x0, x1
