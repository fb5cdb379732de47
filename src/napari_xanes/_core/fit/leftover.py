"""What a fit leaves of pixels spread over the image, kept while the fit runs, for its diagnosis.

Which pixels these are depends on the image's shape alone, and each has its own place: so what is kept does not depend
on the order of the work, nor on whether the data were in memory.  They are kept in short runs along a row, because
only what neighbours have in common is told from noise (see `structure`).
"""

from __future__ import annotations

from functools import cached_property
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.stack import FloatArray

Index = NDArray[np.intp]

MOST_PIXELS = 4_608
"""Pixels that are kept at most."""

RUN = 16
"""Pixels of a run."""

APART = 4
"""Pixels from one of a pair to the other: so far that interpolation gives them no noise in common."""


class PixelNumbers:
    """The numbers 0, 1, 2, ... of the pixels of an image, to be read like an image, without one being made."""

    def reshape(self, *_: int) -> PixelNumbers:
        """Return itself, being flat already."""
        return self

    def __getitem__(self, pixels: slice | Index) -> Index:
        if not isinstance(pixels, slice):
            return pixels
        if pixels.stop is None:  # spectra that are no pixels of an image are not kept
            return np.empty(0, np.intp)
        return np.arange(pixels.start, pixels.stop)


class Leftover:
    """Residuals (e, n) and coefficients (K, n) of every so many runs of pixels; NaN where the fit is invalid.

    Attributes
    ----------
    residuals, coefficients : array (e, n), (K, n)
    errors : array (K + 1, n)
        Standard errors of coefficients that nothing bounds, and of what their sum is held against.
    stride : int
        One of so many runs is kept.
    image_shape : tuple of int
    """

    def __init__(self, image_shape: tuple[int, ...], n_energies: int, n_references: int) -> None:
        runs = -(-prod(image_shape) // RUN)
        self.image_shape, self.stride = image_shape, max(1, -(-runs * RUN // MOST_PIXELS))
        self._width = image_shape[-1] if image_shape else 1
        while self.stride > 1 and gcd(self.stride * RUN, self._width) > RUN:
            self.stride += 1  # otherwise only a few columns would be seen
        count = -(-runs // self.stride) * RUN
        # a spectrum in a row, as few of them are written, and picked out, at once
        self.residuals = np.full((count, n_energies), np.nan, np.float32).T
        self.coefficients = np.full((n_references, count), np.nan, np.float32)
        self.errors = np.full((n_references + 1, count), np.nan, np.float32)
        self.every = PixelNumbers()

    @cached_property
    def numbers(self) -> Index:
        """Return the pixels (n,) that are kept, as indices into the flattened image; the last may lie beyond it."""
        at = np.arange(self.residuals.shape[1])
        return at // RUN * self.stride * RUN + at % RUN

    def pairs(self, good: NDArray[np.bool_]) -> tuple[tuple[Index, Index], ...]:
        """Return pairs of pixels of one row, 1 to `APART` pixels apart, as indices into the pixels kept that are `good`."""
        numbers, place = self.numbers, np.cumsum(good) - 1
        columns = numbers % self._width
        pairs = []
        for apart in range(1, APART + 1):
            there = good[:-apart] & good[apart:] & (numbers[apart:] - numbers[:-apart] == apart)
            if self._width > apart:
                there &= columns[apart:] >= apart
            first = np.flatnonzero(there)
            pairs.append((place[first], place[first + apart]))
        return tuple(pairs)

    def picked(self, numbers: NDArray[Any]) -> Index:
        """Return which of the pixels with these numbers are kept, as indices."""
        if numbers.size and numbers[-1] - numbers[0] == numbers.size - 1:  # a range of the image, most likely
            first, period = int(numbers[0]), RUN * self.stride
            runs = np.arange(first // period * period, int(numbers[-1]) + 1, period)
            at: Index = (runs[:, None] + np.arange(RUN)).ravel() - first
            at = at[(at >= 0) & (at < numbers.size)]
            if (numbers[at] == at + first).all():
                return at
        return np.flatnonzero(numbers // RUN % self.stride == 0)

    def put(
        self, numbers: NDArray[Any], residuals: FloatArray, coefficients: FloatArray, errors: FloatArray
    ) -> None:
        """Keep what was left (e, n), the coefficients (K, n) and their errors (K + 1, n), of pixels that were picked."""
        at = numbers // (RUN * self.stride) * RUN + numbers % RUN
        together = at.size > 0 and at[-1] - at[0] == at.size - 1 and bool((at[1:] > at[:-1]).all())
        places = slice(at[0], at[-1] + 1) if together else at  # a slice is written faster
        for kept, values in zip(self._kept, (residuals, coefficients, errors), strict=True):
            kept[:, places] = values

    def part(self, pixels: slice) -> FloatArray:
        """Return what is kept of a range of pixels, one below the other."""
        return np.concatenate(self._kept)[:, self._within(pixels)]

    def put_part(self, pixels: slice, values: FloatArray) -> None:
        """Keep what `part` returned elsewhere."""
        within, first = self._within(pixels), 0
        for kept in self._kept:
            kept[:, within] = values[first : (first := first + len(kept))]

    @property
    def _kept(self) -> tuple[FloatArray, ...]:
        return self.residuals, self.coefficients, self.errors

    def _within(self, pixels: slice) -> NDArray[np.bool_]:
        numbers = self.numbers
        within: NDArray[np.bool_] = (numbers >= pixels.start) & (numbers < pixels.stop)
        return within
