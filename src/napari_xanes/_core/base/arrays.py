"""Values as arrays in which what is invalid is NaN, and the mean of the valid ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def unmasked(values: Any) -> NDArray[Any]:
    """Return numbers as an array; what numpy masks is NaN, for which whole numbers become float32 or float64."""
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if values.dtype.kind not in "fiub" or not np.ma.getmaskarray(values).any():
        return np.asarray(values.data)
    wide = values.dtype.kind != "f" and values.dtype.itemsize > 2
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64 if wide else np.float32)
    return np.where(np.ma.getmaskarray(values), dtype.type(np.nan), np.asarray(values.data).astype(dtype))


def valid_mean(images: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    """Return the mean of images of one shape, at least one, at each pixel of the finite values; NaN where there are none."""
    total: NDArray[np.float64] | None = None
    for image in images:
        if total is None:
            total, count = np.zeros(image.shape), np.zeros(image.shape, np.uint32)
        valid = np.isfinite(image)
        np.add(total, image, out=total, where=valid)
        count += valid
    assert total is not None
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.divide(total, count, out=total))
