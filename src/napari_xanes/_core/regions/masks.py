"""Which pixels belong: limits on a map, Otsu's choice of a limit, and what can be done with masks.

A mask is a bool image.  What is not a number is never inside.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_xanes._core.base.arrays import inside_of, unmasked
from napari_xanes._core.base.checks import check_choice
from napari_xanes._core.base.door import Boundless, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.as_dask import computed

How = Literal["and", "or", "minus"]
AT_ONCE = 50_000
"""Points looked at in one go, during which nothing else in Python runs."""


@public
def threshold_mask(
    image: ArrayLike, *, above: Boundless | None = None, below: Boundless | None = None
) -> NDArray[np.bool_]:
    """Return where an image lies between two limits.

    Parameters
    ----------
    image : array
        Any shape; a map such as the thickness.
    above, below : float, optional
        Lowest and highest value that is inside, themselves included; one of them may be left out.

    Returns
    -------
    array of bool
        Shape of `image`; False where it is NaN.

    Raises
    ------
    InputError
        If no limit is given, a limit is not a number, or `above` is greater than `below`.

    Examples
    --------
    >>> import numpy as np
    >>> threshold_mask(np.array([[0.1, 0.4], [0.6, np.nan]]), above=0.3)
    array([[False,  True],
           [ True, False]])
    """
    values = _real(image)
    if above is None and below is None:
        raise InputError("threshold_mask got no limit; give above, below or both.")
    for name, limit in (("above", above), ("below", below)):
        if limit is not None and np.isnan(limit):
            raise InputError(f"{name} is NaN, expected a number.")
    if above is not None and below is not None and above > below:
        raise InputError(f"above ({above:g}) is greater than below ({below:g}), so no value can be inside.")
    inside: NDArray[np.bool_] = ~np.isnan(values)
    if above is not None:
        inside &= values >= _as_limit(above, values)
    if below is not None:
        inside &= values <= _as_limit(below, values)
    return inside


def _as_limit(limit: float, values: NDArray[Any]) -> float | np.float64:
    """Return a limit as it compares with the values: in double precision where single has no such number."""
    return (
        np.float64(limit)
        if values.dtype.kind == "f" and abs(limit) > float(np.finfo(values.dtype).max)
        else limit
    )


@public
def polygon_mask(x: ArrayLike, y: ArrayLike, corners: ArrayLike) -> NDArray[np.bool_]:
    """Return where the values of two images are inside an outline drawn in their scatter plot.

    Parameters
    ----------
    x, y : array
        Two maps of one shape, such as thickness and a fraction.
    corners : array (n, 2)
        Corners (value of `x`, value of `y`) of the outline, three or more; the last is joined to the first.  Where the
        outline crosses itself, what it encloses twice is outside.

    Returns
    -------
    array of bool
        Shape of `x`; False where either image is NaN.

    Raises
    ------
    InputError
        If the shapes differ, or there are no three corners of two finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> nickel, oxidation = np.array([[0.2, 0.5]]), np.array([[0.2, 0.9]])
    >>> polygon_mask(nickel, oxidation, [(0, 0), (0.4, 0), (0.4, 0.4), (0, 0.4)])
    array([[ True, False]])
    """
    from matplotlib.path import Path

    first, second = _real(x), _real(y)
    if first.shape != second.shape:
        raise InputError(f"the images have shapes {first.shape} and {second.shape}; they must be the same.")
    outline = np.asarray(corners, dtype=np.float64)
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 3 or not np.isfinite(outline).all():
        raise InputError(
            f"the outline has shape {outline.shape}, expected three or more corners of two finite numbers."
        )
    (left, low), (right, high) = outline.min(axis=0), outline.max(axis=0)
    inside: NDArray[np.bool_] = (first >= left) & (first <= right) & (second >= low) & (second <= high)
    points, path = np.column_stack([first[inside], second[inside]]), Path(outline, closed=False)
    parts = [path.contains_points(points[i : i + AT_ONCE]) for i in range(0, len(points), AT_ONCE)]
    inside[inside] = np.concatenate(parts) if parts else False
    return inside


@public
def otsu_threshold(image: ArrayLike) -> float:
    """Return the value that best parts an image into two classes, by Otsu's method.

    Parameters
    ----------
    image : array
        Any shape; values that are not finite are left out.

    Returns
    -------
    float
        The threshold in units of the image; ``threshold_mask(image, above=...)`` makes the mask.

    Raises
    ------
    InputError
        If there is no finite value, or all are the same.

    References
    ----------
    N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979), doi:10.1109/TSMC.1979.4310076.
    """
    from skimage.filters import threshold_otsu

    values = _real(image)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise InputError("the image has no finite value, so no threshold can be found; choose another image.")
    if finite.min() == finite.max():
        raise InputError(
            f"every valid pixel of the image is {finite[0]:g}, so no threshold parts them; choose another image."
        )
    return float(threshold_otsu(finite))


def _real(image: ArrayLike) -> NDArray[Any]:
    values = unmasked(image)
    if values.dtype.kind not in "fiub":
        raise InputError(f"the image has type {values.dtype}, expected real numbers.")
    return values.astype(np.uint8) if values.dtype == bool else values


@public
def combine_masks(first: ArrayLike, second: ArrayLike, how: How = "and") -> NDArray[np.bool_]:
    """Return two masks as one.

    Parameters
    ----------
    first, second : array of bool or int
        Of one shape; labels count as inside where they are not 0.
    how : {"and", "or", "minus"}
        Inside both, inside either, or inside the first but not the second.

    Returns
    -------
    array of bool

    Raises
    ------
    InputError
        If the shapes differ or `how` is unknown.
    """
    a, b = as_mask(first), as_mask(second)
    if a.shape != b.shape:
        raise InputError(f"the masks have shapes {a.shape} and {b.shape}; they must be the same.")
    check_choice("how", how, How)
    return a & b if how == "and" else a | b if how == "or" else a & ~b


@public
def fill_holes(mask: ArrayLike) -> NDArray[np.bool_]:
    """Return a mask without holes: what is outside but cut off from the border becomes inside."""
    return np.asarray(ndimage.binary_fill_holes(as_mask(mask)), dtype=bool)


@public
def erode(mask: ArrayLike, pixels: int = 1) -> NDArray[np.bool_]:
    """Return a mask without the pixels within `pixels` of its rim; the image's border is no rim."""
    return _far_from(~as_mask(mask), pixels, "erode")


@public
def dilate(mask: ArrayLike, pixels: int = 1) -> NDArray[np.bool_]:
    """Return a mask with all pixels within `pixels` of it."""
    return ~_far_from(as_mask(mask), pixels, "dilate")


@public
def remove_small(mask: ArrayLike, n_pixels: int) -> NDArray[np.bool_]:
    """Return a mask without its connected parts of fewer than `n_pixels`; diagonal neighbours are connected."""
    inside = as_mask(mask)
    labels, count = ndimage.label(inside, ndimage.generate_binary_structure(inside.ndim, inside.ndim))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    large = sizes >= n_pixels
    large[0] = False
    return np.asarray(large[labels], dtype=bool)


@public
def apply_mask(data: StackLike, mask: ArrayLike) -> NDArray[np.floating[Any]]:
    """Return a copy of a map, or of a stack with energy first, that is NaN outside a mask.

    Where `data` is a dask array, or of zarr, h5py, a memory map, so is the copy, computed where it is looked at.

    Raises
    ------
    InputError
        If the mask is of another shape than the images.
    """
    values, inside = data if isinstance(data, Unread) else _real(data), as_mask(mask)
    if values.shape[values.ndim - inside.ndim :] != inside.shape:
        raise InputError(
            f"the mask has shape {inside.shape}, the data {values.shape}; images and mask must match."
        )
    kind = values.dtype if values.dtype.kind == "f" else np.float32
    if isinstance(values, Unread):
        leading = values.ndim - inside.ndim

        def only_inside(frames: Any, index: int, rows: slice) -> NDArray[Any]:
            part = np.array(frames[index, rows])
            within = inside[(index, rows)[leading:]]  # of rows, where they are of one image
            part[..., ~within] = np.nan
            return part

        return computed(only_inside, values.astype(kind), dtype=kind)
    masked = values.astype(kind)
    masked[..., ~inside] = np.nan
    return masked


def as_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    """Return labels or a mask as bool."""
    array = inside_of(mask)
    if array.dtype.kind not in "iub":
        raise InputError(
            f"the mask has type {array.dtype}, expected bool or whole numbers; use threshold_mask."
        )
    inside: NDArray[np.bool_] = array != 0
    return inside


def _far_from(mask: NDArray[np.bool_], pixels: int, name: str) -> NDArray[np.bool_]:
    if pixels < 0:
        raise InputError(f"{name} takes 0 or more pixels, not {pixels}.")
    if not mask.any():
        return np.ones_like(mask)
    far: NDArray[np.bool_] = ndimage.distance_transform_edt(~mask) > pixels
    return far
