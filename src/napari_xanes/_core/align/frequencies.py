"""Spectra of frames of one shape, and the rings of equal spatial frequency in them.

Everything is n-dimensional: images and volumes take the same road.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import local
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_xanes._core.data.stack import Float32

Spectrum = NDArray[np.complex64]
Vector = NDArray[np.float64]

TAPER = 0.25  # part of the length over which a window rises and falls

_SHORT = 8
"""px; an axis of less, as z of a few planes, does not make the rings so wide that they tell nothing."""


class Work(local):
    """Arrays for passing results, of each thread its own: to allocate them anew costs more than the arithmetic."""

    shape: tuple[int, ...] = ()
    image: Float32 | None = None

    def like(self, spectrum: NDArray[Any]) -> Work:
        """Return the arrays in the shape of a spectrum."""
        if self.shape != spectrum.shape:
            self.shape = spectrum.shape
            self.cross, self.turned = (np.empty(self.shape, np.complex64) for _ in range(2))
            self.size, self.square, self.amplitude = (np.empty(self.shape, np.float32) for _ in range(3))
            self.by_ring = np.empty(spectrum.size, np.float32)
        return self

    def padded(self, shape: tuple[int, ...]) -> Float32:
        """Return an array for an image to be transformed."""
        if self.image is None or self.image.shape != shape:
            self.image = np.empty(shape, np.float32)
        return self.image


@dataclass(frozen=True, eq=False)
class Rings:
    """Some rings of spatial frequency, as lines of values one ring after the other: less to calculate with than spectra.

    `at` says where in a half spectrum each value lies, and `count` for how many of the whole one it stands.
    """

    at: NDArray[np.intp]
    count: Float32
    starts: NDArray[np.intp]

    def of(self, spectrum: Spectrum) -> Spectrum:
        """Return the values of a half spectrum."""
        return np.take(spectrum, self.at, mode="clip")

    def sum(self, values: Float32) -> Vector:
        """Return the sum over each ring of the whole spectrum."""
        return np.asarray(np.add.reduceat(values * self.count, self.starts, dtype=np.float64))

    def spread(self, values: Vector) -> Float32:
        """Return a value of each ring for all that lie in it, as often as they stand for others."""
        sizes = np.diff(self.starts, append=self.at.size)
        return np.repeat(values.astype(np.float32), sizes) * self.count


class Frequencies:
    """Transforms frames of one shape; holds what depends on the shape only and can be shared by threads.

    Parameters
    ----------
    shape : sequence of int
        Shape of the frames; they are float32 with mean about 0 and no NaN.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.work = Work()
        self.padded = tuple(scipy.fft.next_fast_len(n, real=True) for n in self.shape)
        self.frequencies = [np.fft.fftfreq(n) for n in self.padded[:-1]] + [np.fft.rfftfreq(self.padded[-1])]
        grid = np.meshgrid(*self.frequencies, indexing="ij", sparse=True)
        self.radius = np.sqrt(sum(f * f for f in grid)).astype(np.float32)
        twice = np.full(len(self.frequencies[-1]), 2, np.float32)  # the half spectrum stands for both halves
        twice[0] = 1
        if self.padded[-1] % 2 == 0:
            twice[-1] = 1
        self.count = np.ascontiguousarray(np.broadcast_to(twice, self.radius.shape))
        width = 1.5 / min([n for n in self.padded if n >= _SHORT] or self.padded)
        self.n_rings = int(0.5 / width) + 1
        self.ring = np.minimum((self.radius / width).astype(np.intp), self.n_rings - 1)
        self._by_ring = np.argsort(self.ring, axis=None, kind="stable")
        self._ring_starts = np.searchsorted(self.ring.ravel()[self._by_ring], np.arange(self.n_rings))
        self._count_by_ring = self.count.ravel()[self._by_ring]
        self.ring_count = self.ring_sum(np.ones_like(self.radius))
        self.ring_radius = self.ring_sum(self.radius) / self.ring_count

    def ring_sum(self, values: NDArray[np.floating[Any]]) -> Vector:
        """Sum `values`, given on the half spectrum, over rings of equal spatial frequency of the whole one."""
        weighted = self.work.like(values).by_ring
        np.take(values, self._by_ring, out=weighted, mode="clip")  # "raise" would need an array in between
        weighted *= self._count_by_ring
        return np.asarray(np.add.reduceat(weighted, self._ring_starts, dtype=np.float64))

    @cached_property
    def gradient_response(self) -> Vector:
        """Return the sum over each ring of the squared response of a numerical gradient, along all axes together."""
        grid = np.meshgrid(*self.frequencies, indexing="ij", sparse=True)
        return self.ring_sum(np.asarray(sum(np.sin(2 * np.pi * f) ** 2 for f in grid), np.float32))

    def rings_below(self, radius: float) -> Rings:
        """Return the rings of frequencies below one, cycles per pixel."""
        rings = int(np.searchsorted(self.ring_radius, radius))
        end = self._ring_starts[rings] if rings < self.n_rings else None
        return Rings(self._by_ring[:end], self._count_by_ring[:end], self._ring_starts[:rings])

    def spectrum(self, image: Float32, taper: float = TAPER) -> Spectrum:
        """Return the half spectrum of an image as large as the frames or smaller, mean off and windowed."""
        padded, inside = self._room(image.shape)
        np.subtract(image, _mean(image), out=inside)
        return self._transformed(padded, inside, taper)

    def slope_spectrum(self, image: Float32, axis: int) -> Spectrum:
        """Return the half spectrum of the gradient of an image along an axis, as `spectrum` does."""
        padded, inside = self._room(image.shape)
        along, out = np.moveaxis(image, axis, 0), np.moveaxis(inside, axis, 0)
        np.subtract(along[2:], along[:-2], out=out[1:-1])
        out[1:-1] *= np.float32(0.5)
        np.subtract(along[1], along[0], out=out[0])
        np.subtract(along[-1], along[-2], out=out[-1])
        inside -= _mean(inside)
        return self._transformed(padded, inside, TAPER)

    def _room(self, shape: tuple[int, ...]) -> tuple[Float32, Float32]:
        """Return an array of zeros to be transformed, and the part of it that an image takes."""
        padded = self.work.padded(self.padded)
        padded.fill(0)
        return padded, padded[tuple(slice(n) for n in shape)]

    def _transformed(self, padded: Float32, inside: Float32, taper: float) -> Spectrum:
        for axis, n in enumerate(inside.shape):
            inside *= tapered(n, taper).reshape([-1 if a == axis else 1 for a in range(inside.ndim)])
        return np.asarray(scipy.fft.rfftn(padded), dtype=np.complex64)

    def phases(self, shift: Vector) -> Spectrum:
        """Return exp(2 pi i f.shift), which takes a displacement by `shift` out of a spectrum."""
        factor = np.ones((1,) * len(self.padded), np.complex64)
        for axis, (f, s) in enumerate(zip(self.frequencies, shift, strict=True)):
            line = np.exp(2j * np.pi * f * s).astype(np.complex64)
            factor = factor * line.reshape([-1 if a == axis else 1 for a in range(len(self.padded))])
        return factor


def _mean(image: Float32) -> np.float32:
    return np.float32(np.add.reduce(image, axis=None) / np.float32(image.size))


@lru_cache(maxsize=4096)
def tapered(n: int, part: float) -> Float32:
    """Return a window of n values, 1 but for cosine flanks over `part` of it in all; not to be written to."""
    window = np.ones(n, np.float32)
    m = int(part * n / 2)
    rise = np.sin(np.pi / 2 * (np.arange(m) + 0.5) / max(m, 1)) ** 2
    window[:m], window[n - m :] = rise, rise[::-1]
    return window
