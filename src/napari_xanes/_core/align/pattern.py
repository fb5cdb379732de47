"""The part of the frames that does not move with the sample: dirt and bad flats.

Such a pattern pulls every measured displacement towards zero.  Where the sample has moved by various
amounts the two can be told apart: at each spatial frequency frame i is ``gain_i S exp(-2 pi i f.d_i) + P``,
with two unknowns S (sample) and P (pattern) for all frames, solved by least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.frequencies import TAPER, Spectrum, Vector, tapered
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

GROUP = 8
"""Frames that are summed by one thread."""

_LOW = 0.05  # cycles per pixel; below it the contrast of the sample is told
_PRESENT = 1.4  # ratio of the pattern's power to its error at fine scales, from which on it is believed
_BELIEVED = 2.0  # the same for one ring of spatial frequency
_FINE = (0.15, 0.4)  # cycles per pixel; what chemistry changes in the sample is coarser


def static_pattern(
    matcher: Matcher,
    frames: Sequence[Float32],
    shifts: NDArray[np.float64],
    used: NDArray[np.bool_],
    workers: int | None = None,
) -> Float32 | None:
    """Return the image common to the frames as they lie on the detector, or None if there is none to speak of.

    Parameters
    ----------
    matcher : Matcher
    frames : sequence of array
        Mean about 0, no NaN.
    shifts : array (E, n)
        Displacements as far as they are known, px.
    used : array of bool (E,)
        Frames to take.
    workers : int, optional
        Number of threads; they do not change the result.
    """
    indices = np.flatnonzero(used)
    if len(indices) < 5:
        return None
    gains = _gains([frames[i] for i in indices.tolist()], shifts[indices])
    if not (gains @ gains > 0):
        return None
    sums = _sum_spectra(matcher, frames, shifts, indices, gains, workers)
    n, power = len(indices), np.float32(gains @ gains)
    apart = 1 - np.abs(sums.turning) ** 2 / (
        power * n
    )  # 0: sample and pattern look alike; 1: they are distinct
    known = np.clip(apart / 0.3, 0, 1) ** 2
    pattern = (
        (sums.still - np.conj(sums.turning) * sums.moving / power) / (n * np.maximum(apart, 0.05)) * known
    )
    sample = (sums.moving - sums.turning * pattern) / power
    error = sums.misfit(sample, pattern, float(power), n) / (n - 2)
    return _believed(matcher, pattern, error * known**2 / (n * np.maximum(apart, 0.05)))


@dataclass(eq=False)
class _Sums:
    """Sums over frames of gain x phase, gain x spectrum x phase, spectrum, and |spectrum|^2."""

    turning: Spectrum
    moving: Spectrum
    still: Spectrum
    power: Float32

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> _Sums:
        turning, moving, still = (np.zeros(shape, np.complex64) for _ in range(3))
        return cls(turning, moving, still, np.zeros(shape, np.float32))

    def add(self, spectrum: Spectrum, turned: Spectrum) -> None:
        """Add a frame, given its spectrum and gain x phase."""
        self.turning += turned
        self.still += spectrum
        self.power += spectrum.real**2 + spectrum.imag**2
        turned *= spectrum
        self.moving += turned

    def merge(self, other: _Sums) -> None:
        """Add the sums of other frames."""
        for name in ("turning", "moving", "still", "power"):
            total = getattr(self, name)
            total += getattr(other, name)

    def misfit(self, sample: Spectrum, pattern: Spectrum, power: float, n: int) -> Float32:
        """Return the sum over frames of |frame - gain x sample x conj(phase) - pattern|^2 at each frequency."""
        shared = np.conj(sample) * self.moving + np.conj(pattern) * self.still
        cross = sample * np.conj(pattern) * np.conj(self.turning)
        own = np.float32(power) * np.abs(sample) ** 2 + np.float32(n) * np.abs(pattern) ** 2 + 2 * cross.real
        return np.asarray(np.maximum(self.power - 2 * shared.real + own, 0), dtype=np.float32)


def _sum_spectra(
    matcher: Matcher,
    frames: Sequence[Float32],
    shifts: NDArray[np.float64],
    indices: NDArray[np.intp],
    gains: Vector,
    workers: int | None,
) -> _Sums:
    """Sum groups of frames, and their sums in order."""
    order = np.arange(len(indices))
    groups = [order[i : i + GROUP] for i in range(0, len(order), GROUP)]
    parts = [_Sums.zeros(matcher.radius.shape) for _ in groups]

    def add(number: int) -> None:
        for k in groups[number]:
            i = int(indices[k])
            parts[number].add(matcher.spectrum(frames[i]), np.float32(gains[k]) * matcher.phases(shifts[i]))

    blocks.run(add, range(len(groups)), workers=workers)
    for part in parts[1:]:
        parts[0].merge(part)
    return parts[0]


def _gains(frames: Sequence[Float32], shifts: NDArray[np.float64]) -> Vector:
    """Return the contrast of the sample in each frame relative to their mean, from low frequencies.

    Copies of the frames are enough that are binned once more.
    """
    bins = max(1, min(4, min(frames[0].shape) // 16))
    small = [_coarse(frame, bins) for frame in frames]
    matcher = Matcher(small[0].shape)
    spectra = [
        matcher.spectrum(frame) * matcher.phases(shift / bins)
        for frame, shift in zip(small, shifts, strict=True)
    ]
    mean = np.mean(spectra, axis=0)
    low = np.exp(-((matcher.radius / (_LOW * bins)) ** 2)) * (matcher.radius > 0) * matcher.count
    weighted = low * np.conj(mean)
    products = np.array([float((spectrum * weighted).real.sum()) for spectrum in spectra])
    return products / max(float((low * np.abs(mean) ** 2).sum()), 1e-30)


def _coarse(frame: Float32, bins: int) -> Float32:
    for axis, size in enumerate(frame.shape):
        frame = np.add.reduceat(frame, np.arange(0, size // bins * bins, bins), axis=axis)
        frame = frame[(slice(None),) * axis + (slice(0, size // bins),)]
    return frame / np.float32(bins**frame.ndim)


def _believed(matcher: Matcher, pattern: Spectrum, variance: Float32) -> Float32 | None:
    """Return the pattern as an image, each ring as far as it stands out of its error; None if it does not."""
    power, noise = matcher.ring_sum(np.abs(pattern) ** 2), matcher.ring_sum(variance)
    fine = (matcher.ring_radius > _FINE[0]) & (matcher.ring_radius < _FINE[1])
    if not power[fine].sum() > _PRESENT * noise[fine].sum():
        return None
    share = np.clip(1 - _BELIEVED * noise / np.maximum(power, 1e-30), 0, 1).astype(np.float32)
    image = scipy.fft.irfftn(pattern * share[matcher.ring], matcher.padded)
    image = np.asarray(image[tuple(slice(n) for n in matcher.shape)], dtype=np.float32)
    for axis, n in enumerate(matcher.shape):
        window = tapered(n, TAPER)
        image *= (window / (window**2 + 0.01)).reshape([-1 if a == axis else 1 for a in range(image.ndim)])
    return image
