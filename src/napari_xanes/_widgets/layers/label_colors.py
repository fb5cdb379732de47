"""Colours of labels: the same label has the same colour in every layer, and the first can be told apart by everyone."""

from __future__ import annotations

import colorsys
from typing import Any

from napari.utils.colormaps import DirectLabelColormap

from napari_xanes._core.draw.color import SAFE_COLORS

MOST = 100
"""Labels that have a colour of their own; k-means makes no more."""
GOLDEN = 0.618034
"""Steps of the hue by which neighbours differ most."""


def mask_colors() -> DirectLabelColormap:
    """Return one colour for all that is inside a mask, which is seen on all colormaps of maps."""
    return DirectLabelColormap(color_dict={None: SAFE_COLORS[1], 0: "transparent"})


def label_colors() -> DirectLabelColormap:
    """Return a colour a label, 0 and what has none being transparent."""
    more = [colorsys.hsv_to_rgb(k * GOLDEN % 1, 0.65, 0.85) for k in range(MOST - len(SAFE_COLORS))]
    colors: dict[int | None, Any] = dict(enumerate([*SAFE_COLORS, *more], start=1))
    return DirectLabelColormap(color_dict=colors | {None: "transparent", 0: "transparent"})
