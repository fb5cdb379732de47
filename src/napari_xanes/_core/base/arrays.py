"""The mean of images, of their valid pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
