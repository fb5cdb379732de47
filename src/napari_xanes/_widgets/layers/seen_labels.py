"""Labels as they are seen on a stack or map: by their own place and pixel size, and at all energies at once.

napari's button "New labels" makes labels of the size of the whole stack, so that a mask painted on one frame would be
seen on that frame only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray

from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.session import add_layer

NEW_MASK = "painted mask"


def image_shape(layer: Layer) -> tuple[int, ...]:
    """Return the shape of one image of a stack's layer, or of a map."""
    shape = tuple(int(n) for n in layer.data.shape)
    return shape[1:] if about(layer).get("kind") == "stack" else shape


def is_collapsed(labels: Layer, layer: Layer) -> bool:
    """Whether labels have an energy axis, over which they are collapsed on a stack or map."""
    return bool(labels.ndim > len(image_shape(layer)))


def labels_on(labels: Layer, layer: Layer) -> NDArray[Any]:
    """Return which label each pixel of a stack or map lies under, 0 where there is none.

    Parameters
    ----------
    labels : Labels
        Of any place and pixel size; where it has an energy axis, the largest label of all energies counts.
    layer : Layer
        The stack or map.

    Returns
    -------
    array of int
        Of the shape of one image; or of one plane (y, x) where the labels are flat and the images are volumes.
    """
    regions = np.asarray(labels.data)
    while regions.ndim > len(image_shape(layer)):
        regions = regions.max(axis=0)
    shape = image_shape(layer)[-regions.ndim :]
    matrix, offset = _to_labels(labels, layer, regions.ndim)
    if (
        shape == regions.shape
        and np.allclose(matrix, np.eye(len(shape)))
        and np.allclose(offset, 0, atol=0.01)
    ):
        return regions
    if np.allclose(matrix, np.diag(np.diag(matrix))):
        along = [
            np.arange(n) * step + start for n, step, start in zip(shape, np.diag(matrix), offset, strict=True)
        ]
        return _looked_up_along(regions, along)
    pixels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).reshape(len(shape), -1)
    return _looked_up(regions, matrix @ pixels + offset[:, None]).reshape(shape)


def _to_labels(labels: Layer, layer: Layer, ndim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix and offset that turn pixels of a stack or map into those of the labels."""

    def seen(pixel: NDArray[np.float64]) -> NDArray[np.float64]:
        at = np.zeros(layer.ndim)
        at[-ndim:] = pixel
        world = np.asarray(layer.data_to_world(at))
        world = np.concatenate([np.zeros(max(labels.ndim - world.size, 0)), world])
        return np.asarray(labels.world_to_data(world), np.float64)[-ndim:]

    offset = seen(np.zeros(ndim))
    return np.stack([seen(unit) - offset for unit in np.eye(ndim)], axis=1), offset


def _looked_up_along(regions: NDArray[Any], along: list[NDArray[np.float64]]) -> NDArray[Any]:
    """Return labels at positions along each axis, which are those of a grid."""
    found = regions
    for axis, positions in enumerate(along):
        index = np.round(positions).astype(np.intp)
        outside = (index < 0) | (index >= regions.shape[axis])
        found = found.take(index.clip(0, regions.shape[axis] - 1), axis=axis)
        found[(slice(None),) * axis + (outside,)] = 0
    return found


def _looked_up(regions: NDArray[Any], positions: NDArray[np.float64]) -> NDArray[Any]:
    """Return labels (n,) at positions (ndim, n)."""
    index = np.round(positions).astype(np.intp)
    size = np.array(regions.shape)[:, None]
    inside = ((index >= 0) & (index < size)).all(axis=0)
    found = np.zeros(index.shape[1], regions.dtype)
    found[inside] = regions[tuple(index[:, inside])]
    return found


def paint_new_mask(viewer: Any, layer: Layer) -> Layer:
    """Add empty labels that fit the images of a stack, seen at all energies, and make the user ready to paint."""
    skip = layer.ndim - len(image_shape(layer))
    geometry = {
        key: tuple(getattr(layer, key))[skip:] for key in ("scale", "translate", "units", "axis_labels")
    }
    made = add_layer(viewer, Labels(np.zeros(image_shape(layer), np.uint8), name=NEW_MASK, **geometry))
    made.brush_size = max(2, round(min(image_shape(layer)[-2:]) / 20))
    viewer.layers.selection.active = made
    made.mode = "paint"
    return made
