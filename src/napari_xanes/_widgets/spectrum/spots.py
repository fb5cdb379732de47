"""Which pixels a spectrum is of: the one under the cursor, those of a drawn shape, those of a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from napari.layers import Labels, Layer, Points, Shapes
from numpy.typing import NDArray
from skimage.draw import line, polygon

from napari_xanes._core.engine.sampling import sampled_pixels
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.seen_labels import is_collapsed, labels_on
from napari_xanes._widgets.spectrum.colors import PINS, hex_color, spot_colors
from napari_xanes._widgets.spectrum.regions import region_name

Pixels = tuple[NDArray[np.intp], ...]
"""Indices along each axis of an image, (y, x) or (z, y, x)."""

MOST_PIXELS = 20_000
"""Of larger regions, as many pixels spread over them are looked at."""

MOST_CURVES = 12
"""Labels of one layer that are drawn, the largest."""

CORNERS = 64
"""Of the polygon that stands for an ellipse."""


@dataclass(frozen=True, eq=False)
class Spot:
    """What a spectrum is of: its name, pixels and colour, whether it is a label, and painted at single energies."""

    name: str
    pixels: Pixels
    color: str | None
    label: bool = False
    collapsed: bool = False


def every_spot(viewer: Any, layer: Layer, plane: int) -> Iterator[Spot]:
    """Yield every pin, and every shape and label that is shown.

    Parameters
    ----------
    layer : Layer
        The stack whose pixels are wanted.
    plane : int
        Plane of a volume in which flat shapes and labels lie.
    """
    names = _names([one for one in viewer.layers if isinstance(one, Labels) and one.visible])
    for other in viewer.layers:
        if other.name == PINS and isinstance(other, Points):
            for k, (point, color) in enumerate(zip(other.data, spot_colors(other), strict=True)):
                pixels = pixel_at(layer, np.pad(other.data_to_world(point), (layer.ndim - other.ndim, 0)))
                if pixels is not None:
                    yield Spot(f"pin {k + 1}", pixels, color)
        elif isinstance(other, Shapes) and other.visible:
            for k, color in enumerate(spot_colors(other)):
                pixels = shape_pixels(other, k, layer, plane)
                if pixels is not None:
                    yield Spot(region_name(other, k), pixels, color)
        elif isinstance(other, Labels) and other.visible:
            collapsed = is_collapsed(other, layer)
            for label, pixels in _shown_labels(other, layer, plane):
                color = other.get_color(label)
                shown = None if color is None else hex_color(color)
                yield Spot(f"{names[other]} {label}", pixels, shown, True, collapsed)


def _names(layers: Iterable[Layer]) -> dict[Layer, str]:
    """Return what layers are called, without their scan where no two are then called the same."""
    short = {one: one.name.removesuffix(f" ({about(one).get('name')})") for one in layers}
    alike = Counter(short.values())
    return {one: name if alike[name] == 1 else one.name for one, name in short.items()}


def _shown_labels(labels: Labels, layer: Layer, plane: int) -> list[tuple[int, Pixels]]:
    """Return the largest labels, in their order; the selected one alone where only that is shown."""
    found = list(label_pixels(labels, layer, plane))
    if labels.show_selected_label:
        found = [one for one in found if one[0] == labels.selected_label]
    found.sort(key=lambda one: -one[1][0].size)
    return sorted(found[:MOST_CURVES], key=lambda one: one[0])


def pixel_at(layer: Layer, position: Any) -> Pixels | None:
    """Return the pixel of a stack at a position of the world, None outside."""
    at = np.round(layer.world_to_data(position)).astype(int)[1:]
    size = layer.data.shape[1:]
    if at.size != len(size) or not all(0 <= i < n for i, n in zip(at, size, strict=True)):
        return None
    return tuple(np.array([i]) for i in at)


def spread(image_shape: tuple[int, ...], most: int = 2000) -> Pixels:
    """Return some pixels spread over an image."""
    pixels = sampled_pixels(image_shape)
    chosen = pixels[:: max(1, pixels.size // most)]
    return tuple(np.asarray(axis) for axis in np.unravel_index(chosen, image_shape))


def shape_pixels(shapes: Shapes, index: int, layer: Layer, plane: int) -> Pixels | None:
    """Return the pixels of a stack inside a shape (on a line or path), in one plane of a volume; None if there are none."""
    corners = np.array([layer.world_to_data(shapes.data_to_world(v))[-2:] for v in shapes.data[index]])
    kind, size = shapes.shape_type[index], layer.data.shape[-2:]
    if kind == "ellipse":
        corners = _ellipse(corners)
    if kind in ("line", "path"):
        ends = np.round(corners).astype(int)
        parts = [line(*a, *b) for a, b in pairwise(ends)]
        y, x = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
        y, x = y[inside], x[inside]
    else:
        y, x = polygon(corners[:, 0], corners[:, 1], size)
    if not y.size:
        return None
    return _in_plane((y, x), layer, plane)


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points of the ellipse inside a box of four corners."""
    center = corners.mean(axis=0)
    half = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)[:, None]
    points: NDArray[np.float64] = center + np.cos(angle) * half[0] + np.sin(angle) * half[1]
    return points


def label_pixels(labels: Labels, layer: Layer, plane: int) -> Iterator[tuple[int, Pixels]]:
    """Yield the labels above 0 and the pixels of a stack that are seen under them."""
    regions = labels_on(labels, layer)
    flat = regions.ravel()
    inside = np.flatnonzero(flat)
    if not inside.size:
        return
    found = flat[inside]
    order = np.argsort(found, kind="stable")
    found, inside = found[order], inside[order]
    starts = np.flatnonzero(np.diff(found, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], found.size], strict=True):
        at = np.unravel_index(inside[start:stop], regions.shape)
        yield int(found[start]), _in_plane(tuple(np.asarray(axis) for axis in at), layer, plane)


def _in_plane(pixels: Pixels, layer: Layer, plane: int) -> Pixels:
    """Return pixels (y, x) as those of one plane where the stack is of volumes."""
    if len(pixels) < layer.data.ndim - 1:
        return (np.full(pixels[0].size, plane), *pixels)
    return pixels


def thinned(pixels: Pixels, most: int = MOST_PIXELS) -> Pixels:
    """Return at most so many of the pixels, spread evenly."""
    step = -(-pixels[0].size // most)
    return tuple(axis[::step] for axis in pixels)
