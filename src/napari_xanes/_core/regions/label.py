"""A mask parted into particles: where one that touches another ends.

What is measured of the particles is in `particle_table` and `core_to_rim`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_xanes._core.base.arrays import inside_of, unmasked
from napari_xanes._core.base.door import public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.regions.masks import as_mask

Labels = NDArray[np.int32]

RIPPLE = 1.0
"""px; how much deeper than the neck between them two centres must lie: the outline in pixels feigns less."""


@public
def label_particles(
    mask: ArrayLike, *, min_distance: float = 5, min_pixels: int = 20, image: ArrayLike | None = None
) -> Labels:
    """Part a mask into particles, those that touch at their necks.

    The centres of particles are where the distance to the rim is greatest; from them a watershed grows until it meets
    that of another.

    Parameters
    ----------
    mask : array of bool or int (Y, X) or (Z, Y, X)
        Inside where not 0; diagonal neighbours touch.  The border of the image is no rim.
    min_distance : float
        Centres nearer to each other than this many px belong to one particle; greater for rough outlines.
    min_pixels : int
        Particles of fewer pixels are left out, that is 0.
    image : array, shape of `mask`, optional
        Touching particles end where this is lowest between their centres, such as a thickness or a brightness, rather
        than at the neck of the mask.  What is not finite counts as lowest.

    Returns
    -------
    array of int32, shape of `mask`
        0 outside, 1 for the largest particle, 2 for the next, and so on.

    Raises
    ------
    InputError
        If the mask is no image or volume, `image` is of another shape, or a limit is negative or NaN.

    References
    ----------
    S. Beucher and F. Meyer, in Mathematical Morphology in Image Processing (Dekker, 1993), p. 433; centres: P. Soille,
    Morphological Image Analysis (2004), ch. 6, doi:10.1007/978-3-662-05088-0.

    Examples
    --------
    >>> import numpy as np
    >>> label_particles(np.array([[True, True, False, True]]), min_pixels=1).tolist()
    [[1, 1, 0, 2]]
    """
    from skimage.segmentation import watershed

    inside = as_mask(mask)
    if inside.ndim not in (2, 3):
        raise InputError(
            f"the mask has shape {inside.shape}, expected an image (Y, X) or a volume (Z, Y, X)."
        )
    for name, value in (("min_distance", min_distance), ("min_pixels", min_pixels)):
        if not value >= 0:
            raise InputError(f"{name} is {value}, expected 0 or more pixels.")
    heights = None if image is None else _heights(image, inside)
    if not inside.any():
        return np.zeros(inside.shape, np.int32)
    if inside.all():
        return np.full(inside.shape, int(inside.size >= min_pixels), np.int32)
    distance = np.where(inside, ndimage.distance_transform_edt(inside), -RIPPLE)
    centers = _centers(distance, inside, min_distance)
    ground = distance if heights is None else heights
    grown = watershed(-ground, centers, mask=inside, connectivity=inside.ndim)
    return _by_size(grown, min_pixels)


def _heights(image: ArrayLike, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    values = check_image(image, inside.shape, "the image")
    finite = np.isfinite(values)
    lowest = values.min(where=finite, initial=np.inf)
    return np.where(finite, values, lowest if finite.any() else 0.0)


def _centers(
    distance: NDArray[np.float64], inside: NDArray[np.bool_], min_distance: float
) -> NDArray[np.int32]:
    """Return a label for each centre; maxima nearer than `min_distance` inside the mask have the same."""
    from skimage.morphology import local_maxima, reconstruction

    everywhere = ndimage.generate_binary_structure(inside.ndim, inside.ndim)
    flat = reconstruction(distance - RIPPLE, distance)
    maxima = local_maxima(flat) & inside
    plateaus, count = ndimage.label(maxima, everywhere)
    tops = np.r_[np.inf, ndimage.maximum(distance, plateaus, np.arange(1, count + 1))]
    near = ndimage.distance_transform_edt(distance < tops[plateaus]) < (min_distance - 1) / 2
    groups, _ = ndimage.label((near | maxima) & inside, everywhere, output=np.int32)
    return np.where(maxima, groups, np.int32(0))


def check_image(image: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Return a map as float64, or say what is wrong with it beside labels of a shape."""
    values = unmasked(image)
    if values.dtype.kind not in "fiub" or values.shape != shape:
        raise InputError(
            f"{name} has shape {values.shape} and type {values.dtype}, expected real numbers of the particles' shape {shape}."
        )
    return values.astype(np.float64, copy=False)


def check_labels(labels: ArrayLike) -> NDArray[np.integer[Any]]:
    """Return labels of particles (Y, X) or (Z, Y, X), a mask being one particle, or say what is wrong with them."""
    array = inside_of(labels)
    if array.dtype.kind not in "iub" or array.ndim not in (2, 3):
        raise InputError(
            f"the labels have shape {array.shape} and type {array.dtype}, expected whole numbers (Y, X) or (Z, Y, X)."
        )
    if array.dtype == bool:
        return array.astype(np.uint8)
    if (lowest := array.min(initial=0)) < 0:
        raise InputError(f"the labels hold {lowest}, expected 0 outside and positive numbers for particles.")
    return array


def check_pixel_size(pixel_size_um: float | None) -> None:
    """Refuse a size of pixels that is not positive."""
    if pixel_size_um is not None and not 0 < pixel_size_um < np.inf:
        raise InputError(f"pixel_size_um is {pixel_size_um}, expected a positive number of micrometres.")


def _by_size(labels: NDArray[np.int32], min_pixels: int) -> Labels:
    """Give labels new numbers, the largest 1, without those of fewer pixels than wanted."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] >= max(min_pixels, 1)]
    number = np.zeros(sizes.size, np.int32)
    number[order] = np.arange(1, order.size + 1)
    return number[labels]
