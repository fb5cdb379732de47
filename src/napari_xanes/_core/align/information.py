"""How well a frame's displacement is told: from the curvature of its match with the mean of the others.

Near the best match the misfit rises as the square of the displacement, the steeper the stronger the gradients that
frame and mean share.  How far noise then moves the minimum is its standard error (as S. M. Kay, Fundamentals of
Statistical Signal Processing, 1993, chapter 3, has it for a delay).  Along a direction in which a sample does not
change, as along a straight edge, the two share no gradient but that of their noise, which has been matched as well as
noise can be: so no direction counts that stands out of it by less than noise reaches somewhere.

Gradients are taken before the window is put on, which would give a straight edge two ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.frequencies import TAPER, Spectrum, tapered
from napari_xanes._core.data.stack import Float32

Matrix = NDArray[np.float64]

FOUND_IN_NOISE = 8.0
"""Standard deviations by which gradients that are shared must stand out; the best match of mere noise has about five."""

FINEST = 0.4
"""Cycles per pixel from which on numerical gradients show next to nothing."""

_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Information:
    """Of one frame, n axes: the curvature of its match (n, n), the variance of its slope, and that of the curvature.

    And the curvature and the variance of the slope as the match was made, which is not quite the best one.
    """

    curvature: Matrix
    slope_noise: Matrix
    curvature_noise: Matrix
    bend: Matrix
    scatter: Matrix

    def significance(self, direction: Matrix) -> float:
        """Return by how many standard deviations of noise the gradients along a direction (n,) are shared."""
        noise = max(float(direction @ self.curvature_noise @ direction), _TINY)
        return float(direction @ self.curvature @ direction / np.sqrt(noise))

    def directions(self) -> Matrix:
        """Return directions (n, n), rows of length one, by what is known along them, the least first."""
        noise = self.curvature_noise_root() + _TINY * np.eye(len(self.curvature))
        back = np.linalg.inv(np.linalg.cholesky(noise))
        found = back.T @ np.linalg.eigh(back @ self.curvature @ back.T)[1]
        rows: Matrix = (found / np.linalg.norm(found, axis=0)).T
        return rows

    def curvature_noise_root(self) -> Matrix:
        """Return the noise of the curvature in its own unit (n, n), positive definite."""
        values, axes = np.linalg.eigh(self.curvature_noise)
        root: Matrix = axes @ np.diag(np.sqrt(np.maximum(values, _TINY))) @ axes.T
        return root

    def sigma(self, free: Matrix) -> Matrix:
        """Return the standard error of the displacement along the axes (n,), in the directions `free` (k, n) that are told."""
        if not len(free):
            return np.zeros(len(self.curvature))
        best = _covariance(self.curvature, self.slope_noise, free)
        made = _covariance(self.bend, self.scatter, free)
        sigma: Matrix = np.sqrt(np.maximum(np.maximum(np.diag(best), np.diag(made)), 0))
        return sigma


def _covariance(curvature: Matrix, slope: Matrix, free: Matrix) -> Matrix:
    """Return the covariance (n, n) of a maximum along the directions `free` (k, n), orthonormal rows."""
    inverse = np.linalg.pinv(free @ curvature @ free.T)
    inner = inverse @ (free @ slope @ free.T) @ inverse
    outer: Matrix = free.T @ inner @ free
    return outer


@dataclass(frozen=True, eq=False)
class Spectra:
    """Of one frame: its shape, its spectrum, and, of the rings that tell something, those of its gradients along the axes."""

    shape: tuple[int, ...]
    whole: Spectrum
    slopes: list[Spectrum]

    @classmethod
    def of(cls, matcher: Matcher, frame: Float32) -> Spectra:
        """Return the spectra of a frame."""
        rings = matcher.rings_below(FINEST)
        slopes = [rings.of(matcher.slope_spectrum(frame, axis)) for axis in range(frame.ndim)]
        return cls(frame.shape, matcher.spectrum(frame), slopes)

    def mean_without(self, one: Spectra, count: int) -> Spectra:
        """Return the spectra of the mean of so many frames, if these are of their sum and `one` is not to count."""

        def rest(total: Spectrum, own: Spectrum) -> Spectrum:
            left = total - own
            left *= np.float32(1 / (count - 1))
            return left

        slopes = [rest(total, own) for total, own in zip(self.slopes, one.slopes, strict=True)]
        return Spectra(self.shape, rest(self.whole, one.whole), slopes)


def information(matcher: Matcher, frame: Spectra, others: Spectra) -> Information:
    """Return what the match of a frame with the mean of the others tells, both cut to the region that they share.

    Rings of spatial frequency are weighed by what of the mean is not its own noise, over the noise of the frame.
    """
    n, left, right = len(frame.shape), frame.slopes, others.slopes
    rings = matcher.rings_below(FINEST)
    size, response = matcher.ring_count[: len(rings.starts)], matcher.gradient_response[: len(rings.starts)]
    power_left, power, shared = (
        rings.sum(_shared(one, two)) for one, two in ((left, left), (right, right), (left, right))
    )
    gain = np.maximum(shared / np.maximum(power, _TINY), 0)
    rest = power_left - gain * shared
    noise = np.maximum(rest, 1e-9 * rest.sum() + _TINY) / response
    ring = gain / noise
    slope = ring * ring * noise
    weight, slope, bend = map(rings.spread, (ring, slope, slope * response / (n * size)))
    curvature = _products(weight, left, right)
    lost = _lost_to_the_window(frame.shape, matcher.padded)
    made = matcher.bend_and_scatter(frame.whole, others.whole) or (np.eye(n), np.zeros((n, n)))
    return Information(
        (curvature + curvature.T) / 2,
        lost * _products(slope, right, right),
        lost * _products(bend, right, right),
        made[0],
        lost * made[1],
    )


@lru_cache(maxsize=64)
def _lost_to_the_window(shape: tuple[int, ...], padded: tuple[int, ...]) -> float:
    """Return by how much products of spectra are more noisy than their frequencies would be, were these independent."""
    windows = [tapered(n, TAPER).astype(np.float64) for n in shape]
    return float(
        np.prod([(w**4).sum() * n / (w**2).sum() ** 2 for w, n in zip(windows, padded, strict=True)])
    )


def _shared(one: list[Spectrum], other: list[Spectrum]) -> Float32:
    """Return the real part of the product of one spectrum with the other's conjugate, summed over the axes."""
    total = sum(a.view(np.float32) * b.view(np.float32) for a, b in zip(one, other, strict=True))
    assert isinstance(total, np.ndarray)
    return np.asarray(total[..., ::2] + total[..., 1::2])


def _products(weight: Float32, one: list[Spectrum], other: list[Spectrum]) -> Matrix:
    """Return the weighted real products of spectra (n, n)."""
    weighted = [(weight * a).view(np.float32).ravel() for a in one]
    return np.array([[b.view(np.float32).ravel() @ a for b in other] for a in weighted], dtype=np.float64)
