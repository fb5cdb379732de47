"""The displacement of two images to about a pixel, however large, from coarse copies of them.

For every displacement the correlation coefficient of the region that both images show is computed, from a
handful of zero-padded Fourier transforms (Padfield 2012, doi:10.1109/TIP.2011.2181402).  So neither the size
of the common region nor what lies outside it counts, as it does in a correlation that wraps round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from napari_xanes._core.data.stack import Float32

_SIDE = {2: 64, 3: 20}  # px of images and of volumes; shorter sides are not binned further
_FARTHEST = 0.5  # of each side
_LEAST_COMMON = 0.25  # of the image
_APART = 2  # px of the coarse copies between two maxima


@dataclass(frozen=True, eq=False)
class Target:
    """Of one image: its spectrum, and for every displacement sum and sum of squares over the common region."""

    spectrum: NDArray[np.complex64]
    total: Float32
    squares: Float32


class OverlapMatcher:
    """Finds displacements of frames of one shape (float32, no NaN); can be shared by threads."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.bins = max(1, min(shape) // _SIDE[len(shape)])
        self.shape = tuple(n // self.bins for n in shape)
        self.padded = tuple(scipy.fft.next_fast_len(ceil((1 + _FARTHEST) * n), real=True) for n in self.shape)
        ones = np.ones(self.shape, np.float32)
        self._ones = scipy.fft.rfftn(ones, self.padded)
        lags = [np.round(scipy.fft.fftfreq(n) * n) for n in self.padded]
        common = [np.maximum(1 - np.abs(s) / n, 0) for s, n in zip(lags, self.shape, strict=True)]
        near = [np.abs(s) <= _FARTHEST * n for s, n in zip(lags, self.shape, strict=True)]
        self._lags = lags
        self._count = np.maximum(_outer(common) * ones.size, 1).astype(np.float32)
        self._allowed = (_outer(near) > 0) & (_outer(common) >= _LEAST_COMMON)

    def prepare(self, image: Float32, *, fixed: bool) -> Target:
        """Return the sums of an image, of the one that is `fixed` or of a moving one."""
        small = _coarse(image, self.bins)
        spectrum = scipy.fft.rfftn(small, self.padded)
        squares = scipy.fft.rfftn(small * small, self.padded)

        def over_common(values: NDArray[np.complex64]) -> Float32:
            pair = self._ones * np.conj(values) if fixed else values * np.conj(self._ones)
            return np.asarray(scipy.fft.irfftn(pair, self.padded), dtype=np.float32)

        return Target(spectrum, over_common(spectrum), over_common(squares))

    def candidates(self, moving: Float32, fixed: Target, count: int) -> Iterator[NDArray[np.float64]]:
        """Yield likely displacements of `moving`, px of the frames, the likeliest first."""
        score = self._coefficients(self.prepare(moving, fixed=False), fixed)
        for _ in range(count):
            peak = np.unravel_index(int(np.argmax(score)), score.shape)
            if not np.isfinite(score[peak]):
                return
            yield np.array([lag[p] for lag, p in zip(self._lags, peak, strict=True)]) * self.bins
            around = [
                np.arange(p - _APART, p + _APART + 1) % n for p, n in zip(peak, score.shape, strict=True)
            ]
            score[np.ix_(*around)] = -np.inf

    def _coefficients(self, moving: Target, fixed: Target) -> Float32:
        """Return the correlation coefficient for every displacement, -inf where it is not allowed."""
        products = scipy.fft.irfftn(moving.spectrum * np.conj(fixed.spectrum), self.padded)
        covariance = products - moving.total * fixed.total / self._count
        spread_moving = moving.squares - moving.total**2 / self._count
        spread_fixed = fixed.squares - fixed.total**2 / self._count
        enough = 0.01 * max(float(moving.squares.max()), 0), 0.01 * max(float(fixed.squares.max()), 0)
        allowed = self._allowed & (spread_moving > enough[0]) & (spread_fixed > enough[1])
        score = np.full(self.padded, -np.inf, np.float32)
        score[allowed] = covariance[allowed] / np.sqrt(spread_moving[allowed] * spread_fixed[allowed])
        return score


def _outer(lines: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    product = np.ones((1,) * len(lines))
    for axis, line in enumerate(lines):
        product = product * line.reshape([-1 if a == axis else 1 for a in range(len(lines))])
    return product


def _coarse(image: Float32, bins: int) -> Float32:
    """Return the image binned, with slow variation such as the beam's taken off."""
    for axis in range(image.ndim):
        n = image.shape[axis] // bins
        lead = (slice(None),) * axis
        parts = (*image.shape[:axis], n, bins, *image.shape[axis + 1 :])
        image = image[(*lead, slice(0, n * bins))].reshape(parts).mean(axis=axis + 1)
    image = image - scipy.ndimage.uniform_filter(image, [max(3, n // 3) for n in image.shape])
    return np.asarray(image - image.mean(), dtype=np.float32)
