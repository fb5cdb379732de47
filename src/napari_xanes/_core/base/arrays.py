"""Values as arrays in which what is invalid is NaN, and the mean of the valid ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def unmasked(values: Any) -> NDArray[Any]:
    """Return numbers as an array; what numpy masks is NaN, for which whole numbers become float32 or float64."""
    if isinstance(values, (list, tuple)) and any(isinstance(v, np.ma.MaskedArray) for v in values):
        values = np.ma.array(values)
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if values.dtype.kind not in "fiub" or not np.ma.getmaskarray(values).any():
        return np.asarray(values.data)
    wide = values.dtype.kind != "f" and values.dtype.itemsize > 2
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64 if wide else np.float32)
    return np.where(np.ma.getmaskarray(values), dtype.type(np.nan), np.asarray(values.data).astype(dtype))


def inside_of(regions: Any) -> NDArray[Any]:
    """Return a mask or labels as an array; what numpy masks is outside."""
    if not isinstance(regions, np.ma.MaskedArray):
        return np.asarray(regions)
    return np.where(np.ma.getmaskarray(regions), regions.dtype.type(0), np.asarray(regions.data))


def marks_of(dtype: Any) -> tuple[int, ...]:
    """Return the whole numbers that detectors write where they measured nothing: gaps, dead and saturated pixels.

    They are the largest one of 16 bits or more, also where it was made a real number of 32 bits, and -1 and -2 where
    there is a sign.
    """
    kind = np.dtype(dtype)
    if kind.kind == "f" and kind.itemsize > 2:
        return (2**32 - 1,)
    if kind.kind not in "iu" or kind.itemsize < 2:
        return ()
    largest = int(np.iinfo(kind).max)
    return (largest,) if kind.kind == "u" else (largest, -1, -2)


def not_measured(counts: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where counts are marks of a detector; None if they are nowhere."""
    marks = marks_of(counts.dtype)
    if not marks or not counts.size or (counts.max() < marks[0] and (marks[1:] == () or counts.min() >= 0)):
        return None  # as nearly always, and found without an array of its own
    found: NDArray[np.bool_] = counts >= marks[0]
    for mark in marks[1:]:
        found |= counts == mark
    return found if found.any() else None


def measured(counts: Any) -> NDArray[Any]:
    """Return counts with NaN where nothing was measured: what numpy masks, and the marks of detectors."""
    values = unmasked(counts)
    gaps = not_measured(values)
    if gaps is None:
        return values
    wide = np.float32 if values.dtype in (np.float32, np.uint16, np.int16) else np.float64
    return np.where(gaps, wide(np.nan), values.astype(wide))


def as_float32(values: Any) -> NDArray[np.float32]:
    """Return numbers as float32, masked ones as NaN; those that are too large for it are infinite, which is invalid."""
    with np.errstate(over="ignore"):
        return unmasked(values).astype(np.float32, copy=False)


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


def count_invalid(data: NDArray[Any]) -> int:
    """Return the number of NaN in a map."""
    return int(np.isnan(data).sum())
