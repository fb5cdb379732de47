"""One colour for each pin and drawn region, its marker and its curve, no two alike as long as there are others.

Labels have the colours that they are seen in; pins and regions yield to them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Layer, Points, Shapes

from napari_xanes._core.draw.color import SAFE_COLORS

PINS = "spectrum pins"

SPOT_COLORS = (*SAFE_COLORS[:5], "#A0D800", "#8C50E6", "#7A6A00")
"""The first five can be told apart by everyone; then lime, violet and olive, which differ most from these."""

OF_NAPARI = "#777777"
"""The colour that napari gives to edges where nobody has chosen one."""


def hex_color(color: Any) -> str:
    """Return a colour of napari (red, green, blue, opacity) as hexadecimal code."""
    return "#" + "".join(f"{round(255 * float(part)):02X}" for part in color[:3])


def spot_colors(layer: Layer) -> list[str]:
    """Return the colours of the pins or shapes of a layer; none for other layers."""
    if isinstance(layer, Shapes):
        return [hex_color(color) for color in layer.edge_color]
    if isinstance(layer, Points) and layer.name == PINS:
        return [hex_color(color) for color in layer.face_color]
    return []


def next_color(used: list[str]) -> str:
    """Return the first colour that is used least."""
    return min(SPOT_COLORS, key=used.count)


def next_spot_color(viewer: Any) -> str:
    """Return a colour for one more pin or region."""
    return next_color([color for layer in viewer.layers for color in spot_colors(layer)])


class SpotColors:
    """Gives pins and shapes that are new a colour of their own, whoever drew them."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._known: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
        self._labels: set[str] = set()

    def give(self, labels: Collection[str]) -> bool:
        """Colour what is new and looks like another, or has a colour that nobody has chosen; returns whether anything is.

        What looks like `labels`, colours of labels that are shown, is coloured anew when these are new, if there is a
        colour left.
        """
        come, self._labels = set(labels) - self._labels, set(labels)
        changed = False
        for layer in _spot_layers(self._viewer):
            colors = spot_colors(layer)
            first = min(self._known.get(layer, 0), len(colors))
            self._known[layer] = len(colors)
            others = [c for one in _spot_layers(self._viewer) if one is not layer for c in spot_colors(one)]
            others += labels
            fresh = list(colors)
            for k, color in enumerate(colors):
                used = others + fresh[:k]
                if k >= first:
                    anew = color == OF_NAPARI or color in used
                else:
                    anew = color in come and bool(set(SPOT_COLORS) - {*used, *fresh})
                if anew:
                    fresh[k] = next_color([*used, *fresh[k + 1 : first]])
            if fresh != colors:
                _set_colors(layer, fresh)
                changed = True
        return changed


def _spot_layers(viewer: Any) -> Iterator[Layer]:
    for layer in viewer.layers:
        if isinstance(layer, Shapes) or (isinstance(layer, Points) and layer.name == PINS):
            yield layer


def _set_colors(layer: Layer, colors: list[str]) -> None:
    """Colour each pin or shape; what is drawn next is another matter."""
    if isinstance(layer, Shapes):
        opacity = layer.edge_color[:, 3:]
        layer.edge_color = np.concatenate([_parts(colors), opacity], axis=1)
    else:
        layer.face_color = np.concatenate([_parts(colors), layer.face_color[:, 3:]], axis=1)


def _parts(colors: list[str]) -> Any:
    return np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in colors])
