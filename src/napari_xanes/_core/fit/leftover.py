"""What a fit leaves of pixels spread over the image, kept while the fit runs, for its diagnosis.

Which pixels these are depends on the image's shape alone, and each has its own place: so what is kept does not depend
on the order of the work, nor on whether the data were in memory.
"""

from __future__ import annotations

from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.stack import FloatArray

MOST_PIXELS = 10_000
"""Pixels that are kept at most."""


class PixelNumbers:
    """The numbers 0, 1, 2, ... of the pixels of an image, to be read like an image, without one being made."""

    def reshape(self, *_: int) -> PixelNumbers:
        """Return itself, being flat already."""
        return self

    def __getitem__(self, pixels: slice | NDArray[np.intp]) -> NDArray[np.intp]:
        if not isinstance(pixels, slice):
            return pixels
        if pixels.stop is None:  # spectra that are no pixels of an image are not kept
            return np.empty(0, np.intp)
        return np.arange(pixels.start, pixels.stop)


class Leftover:
    """Residuals (e, n) and coefficients (K, n) of every so many pixels; NaN where the fit is invalid.

    Attributes
    ----------
    residuals, coefficients : array (e, n), (K, n)
    stride : int
        Pixels from one that is kept to the next.
    image_shape : tuple of int
    """

    def __init__(self, image_shape: tuple[int, ...], n_energies: int, n_references: int) -> None:
        total = prod(image_shape)
        self.image_shape, self.stride = image_shape, max(1, -(-total // MOST_PIXELS))
        while self.stride > 1 and gcd(self.stride, image_shape[-1]) > 1:
            self.stride += 1  # otherwise only a few columns would be seen
        count = -(-total // self.stride)
        self.residuals = np.full((n_energies, count), np.nan, np.float32)
        self.coefficients = np.full((n_references, count), np.nan, np.float32)

        self.every = PixelNumbers()

    @property
    def numbers(self) -> NDArray[np.intp]:
        """Return the pixels (n,) that are kept, as indices into the flattened image."""
        return np.arange(self.residuals.shape[1]) * self.stride

    def picked(self, numbers: NDArray[Any]) -> NDArray[np.intp]:
        """Return which of the pixels with these numbers are kept, as indices."""
        return np.flatnonzero(numbers % self.stride == 0)

    def put(self, numbers: NDArray[Any], residuals: FloatArray, coefficients: FloatArray) -> None:
        """Keep what was left (e, n), and the coefficients (K, n), of pixels that were picked."""
        at = numbers // self.stride
        self.residuals[:, at] = residuals
        self.coefficients[:, at] = coefficients
