"""The part of the frames that does not move with the sample: dirt and bad flats.

Such a pattern pulls every measured displacement towards zero.  Where the sample has moved by various
amounts the two can be told apart: at each spatial frequency frame i is ``gain_i S exp(-2 pi i f.d_i) + P``,
with two unknowns S (sample) and P (pattern) for all frames, solved by least squares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_xanes._core.correlation import TAPER, Matcher, Spectrum, Vector, tapered
from napari_xanes._core.stack import Float32

_PRESENT = 1.4  # ratio of the pattern's power to its error at fine scales, from which on it is believed
_BELIEVED = 2.0  # the same for one ring of spatial frequency
_FINE = (0.15, 0.4)  # cycles per pixel; what chemistry changes in the sample is coarser


def static_pattern(
    matcher: Matcher, frames: Sequence[Float32], shifts: NDArray[np.float64], used: NDArray[np.bool_]
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
    """
    indices = [int(i) for i in np.flatnonzero(used)]
    if len(indices) < 5:
        return None
    sample = _mean_sample(matcher, frames, shifts, indices)
    gains = _gains(matcher, frames, shifts, indices, sample)
    if not (gains @ gains > 0):
        return None
    turning = np.zeros(matcher.radius.shape, np.complex64)  # sum of gain x phase
    moving, still = np.zeros_like(turning), np.zeros_like(turning)
    for i, gain in zip(indices, gains, strict=True):
        spectrum, phases = matcher.spectrum(frames[i]), matcher.phases(shifts[i])
        turning += np.float32(gain) * phases
        moving += np.float32(gain) * spectrum * phases
        still += spectrum
    n, power = len(indices), np.float32(gains @ gains)
    apart = 1 - np.abs(turning) ** 2 / (power * n)  # 0: sample and pattern look alike; 1: they are distinct
    known = np.clip(apart / 0.3, 0, 1) ** 2
    pattern = (still - np.conj(turning) * moving / power) / (n * np.maximum(apart, 0.05)) * known
    sample = (moving - turning * pattern) / power
    error = _error(matcher, frames, shifts, indices, gains, (sample, pattern)) / (n - 2)
    return _believed(matcher, pattern, error * known**2 / (n * np.maximum(apart, 0.05)))


def _mean_sample(
    matcher: Matcher, frames: Sequence[Float32], shifts: NDArray[np.float64], indices: Sequence[int]
) -> Spectrum:
    total = np.zeros(matcher.radius.shape, np.complex64)
    for i in indices:
        total += matcher.spectrum(frames[i]) * matcher.phases(shifts[i])
    return np.asarray(total / len(indices), dtype=np.complex64)


def _gains(
    matcher: Matcher,
    frames: Sequence[Float32],
    shifts: NDArray[np.float64],
    indices: Sequence[int],
    sample: Spectrum,
) -> Vector:
    """Return the contrast of the sample in each frame relative to `sample`, from low frequencies."""
    low = np.exp(-((matcher.radius / 0.05) ** 2)) * (matcher.radius > 0) * matcher.count
    power = float((low * np.abs(sample) ** 2).sum())
    weighted = low * np.conj(sample)
    products = [
        float((matcher.spectrum(frames[i]) * matcher.phases(shifts[i]) * weighted).real.sum())
        for i in indices
    ]
    return np.array(products) / max(power, 1e-30)


def _error(
    matcher: Matcher,
    frames: Sequence[Float32],
    shifts: NDArray[np.float64],
    indices: Sequence[int],
    gains: Vector,
    model: tuple[Spectrum, Spectrum],
) -> Float32:
    """Return the sum over frames of |frame - model|^2 at each frequency."""
    sample, pattern = model
    total = np.zeros(matcher.radius.shape, np.float32)
    for i, gain in zip(indices, gains, strict=True):
        expected = np.float32(gain) * sample * np.conj(matcher.phases(shifts[i])) + pattern
        total += np.abs(matcher.spectrum(frames[i]) - expected) ** 2
    return total


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
