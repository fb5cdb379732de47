"""The pixels that a diagnosis looks at: those that hold enough of the element, and what is told of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.leftover import APART, Index, Leftover
from napari_xanes._core.fit.patterns import Matrix
from napari_xanes._core.solve.active_sets import sums_to_one
from napari_xanes._core.solve.design import Constraint, Design

SIGNIFICANT = 3.0
"""Standard errors of the sum of coefficients from which a pixel is looked at, as for the fractions themselves."""

CLEARLY = 3.0
"""Standard errors below zero from which a coefficient is clearly negative."""


@dataclass(frozen=True, eq=False)
class Divisor:
    """What normalised spectra were divided by: the edge step at `e0` (...), and by how much it rises per eV (...)."""

    step: FloatArray
    rise: FloatArray
    e0: float = 0.0

    def at(self, energy: Matrix, numbers: NDArray[np.intp]) -> FloatArray:
        """Return it at the energies (e,) for some pixels (n,): (e, n)."""
        step, rise = (np.asarray(image.reshape(-1)[numbers]) for image in (self.step, self.rise))
        if not rise.any():
            return step[None]
        divisor: FloatArray = step + rise * (energy - self.e0).astype(step.dtype)[:, None]
        return divisor


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels that are looked at: numbers (n,), residuals (e, n), coefficients (K, n), their noise (n,), and pairs."""

    numbers: NDArray[np.intp]
    residuals: FloatArray
    coefficients: FloatArray
    noise: FloatArray
    pairs: tuple[tuple[Index, Index], ...]


def significant_pixels(leftover: Leftover, basis: Design, divisor: Divisor | None) -> Pixels:
    """Return the valid pixels with enough of the element."""
    residuals, coefficients = leftover.residuals, leftover.coefficients
    numbers = np.minimum(leftover.numbers, prod(leftover.image_shape) - 1)
    freedom = max(len(residuals) - basis.q.shape[1], 1)
    noise = np.sqrt(np.einsum("ij,ij->j", residuals, residuals) / freedom)
    k = coefficients.shape[0]
    inverse = np.linalg.inv(basis.r[-k:, -k:])
    error = noise * np.linalg.norm(inverse.sum(axis=0))
    with np.errstate(invalid="ignore"):
        good = np.isfinite(noise) & (coefficients.sum(axis=0) > SIGNIFICANT * error)
    if divisor is not None:
        part = np.asarray(divisor.step.reshape(-1)[numbers])
        with np.errstate(invalid="ignore"):
            good &= (part > 0) & np.isfinite(np.asarray(divisor.rise.reshape(-1)[numbers]))
    if not good.all():
        residuals, coefficients = residuals[:, good], coefficients[:, good]
        numbers, noise = numbers[good], noise[good]
    pairs = tuple(leftover.pairs(apart, good) for apart in range(1, APART + 1))
    return Pixels(numbers, residuals, coefficients, noise, pairs)


def clearly_negative(pixels: Pixels, basis: Design, constraint: Constraint) -> int:
    """Return in how many pixels a coefficient is, or would be without its bound, clearly below zero."""
    k = pixels.coefficients.shape[0]
    every = np.concatenate([basis.background, basis.references], axis=1)
    moved = np.linalg.pinv(every).astype(np.float32) @ pixels.residuals
    rest = pixels.residuals - every.astype(np.float32) @ moved
    free = pixels.coefficients + moved[-k:]
    inverse = np.linalg.inv(basis.r[-k:, -k:])
    covariance = inverse @ inverse.T
    if sums_to_one(constraint):
        share = covariance.sum(axis=1) / covariance.sum()
        free = free - share[:, None] * (free.sum(axis=0) - 1)
        covariance = covariance - np.outer(share, share) * covariance.sum()
    noise = np.sqrt(np.einsum("ij,ij->j", rest, rest) / max(len(rest) - every.shape[1], 1))
    error = np.sqrt(np.maximum(np.diag(covariance), 0))[:, None] * noise
    return int((free < -CLEARLY * error).any(axis=0).sum())


def typical_sigma(pixels: Pixels, basis: Design) -> Matrix:
    """Return the standard error of the fractions (K,) in the mean pixel."""
    k = pixels.coefficients.shape[0]
    inverse = np.linalg.inv(basis.r[-k:, -k:])
    total = float(pixels.coefficients.sum(axis=0).mean())
    fraction = pixels.coefficients.mean(axis=1).astype(np.float64) / total
    turn = (np.eye(k) - fraction[:, None]) / total
    sigma: Matrix = np.linalg.norm(turn @ inverse, axis=1) * float(np.median(pixels.noise))
    return sigma
