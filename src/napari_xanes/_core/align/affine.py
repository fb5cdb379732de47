"""A frame moved, turned, scaled or sheared back to where the reference shows the sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xanes._core.align.move import Interpolation, grow_valid
from napari_xanes._core.data.stack import Float32

ORDERS: dict[Interpolation, int] = {"linear": 1, "cubic": 3, "lanczos": 5}
"""Order of the spline that stands for each interpolation."""


def transformed_rows(
    read: Callable[[slice], Float32],
    image_shape: tuple[int, ...],
    matrix: NDArray[np.float64],
    rows: slice,
    interpolation: Interpolation,
) -> Float32:
    """Return rows of the image that shows at (y, x) what the frame shows at ``matrix @ (y, x, 1)``.

    NaN where that lies outside the frame or next to an invalid pixel, and everywhere if the matrix is not known.
    """
    start, stop, _ = rows.indices(image_shape[0])
    shape = (max(stop - start, 0), image_shape[1])
    if not np.isfinite(matrix).all():
        return np.full(shape, np.nan, np.float32)
    frame = read(slice(None))
    invalid = ~np.isfinite(frame)
    some_invalid = bool(invalid.any())
    if some_invalid:
        frame = np.where(invalid, np.float32(np.nan), frame)
        grow_valid(frame, 4)
    linear, offset = matrix[:2, :2], matrix[:2, 2] + matrix[:2, 0] * start
    out = np.asarray(
        ndimage.affine_transform(frame, linear, offset, shape, np.float32, ORDERS[interpolation], "nearest")
    )
    y, x = np.mgrid[start:stop, : shape[1]]
    at = [matrix[k, 0] * y + matrix[k, 1] * x + matrix[k, 2] for k in (0, 1)]
    outside = [(a < -1e-6) | (a > n - 1 + 1e-6) for a, n in zip(at, image_shape, strict=True)]
    out[outside[0] | outside[1]] = np.nan
    if some_invalid:
        hit = ndimage.affine_transform(
            invalid.astype(np.float32), linear, offset, shape, order=1, mode="nearest"
        )
        out[hit > 1e-3] = np.nan
    return out
