"""The pixels that a diagnosis looks at: those that hold enough of the element, and what is told of each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.unread import at_pixels
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.leftover import Index, Leftover
from napari_xanes._core.fit.patterns import Matrix
from napari_xanes._core.solve.active_sets import sums_to_one
from napari_xanes._core.solve.design import Constraint, Design

SIGNIFICANT = 3.0
"""Standard errors of the sum of coefficients from which a pixel is looked at, as for the fractions themselves."""

CLEARLY = 3.0
"""Standard errors below zero from which a coefficient is clearly negative."""


@dataclass(frozen=True, eq=False)
class Divisor:
    """What normalised spectra were divided by: the edge step (...) at `e0`, and where it rises its value so many eV `after`."""

    step: FloatArray
    later: FloatArray | None = None
    after: float = 0.0
    e0: float = 0.0

    def of(self, pick: Callable[[FloatArray], FloatArray]) -> Divisor:
        """Return that of some pixels."""
        return replace(self, step=pick(self.step), later=None if self.later is None else pick(self.later))

    @cached_property
    def rise(self) -> FloatArray:
        """Return by how much it rises per eV."""
        if self.later is None:
            return np.zeros_like(self.step)
        rise: FloatArray = (self.later - self.step) / self.later.dtype.type(self.after)
        return rise

    def at(self, energy: Matrix) -> FloatArray:
        """Return it at the energies (e,): (e, n)."""
        if not self.rise.any():
            return self.step[None]
        divisor: FloatArray = self.step + self.rise * (energy - self.e0).astype(self.step.dtype)[:, None]
        return divisor


@dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels that are looked at: numbers (n,), residuals (e, n), coefficients (K, n), their errors, noise (n,), and pairs.

    `clear` (n,): those that hold enough of the element, also beside the noise of the step that was divided out.  `unsure` (n,):
    relative error of their amount.  `divisor`: what they were divided by, if that is known.
    """

    numbers: NDArray[np.intp]
    residuals: FloatArray
    coefficients: FloatArray
    errors: FloatArray
    noise: FloatArray
    clear: NDArray[np.bool_]
    unsure: FloatArray
    pairs: tuple[tuple[Index, Index], ...]
    divisor: Divisor | None

    @cached_property
    def enough(self) -> NDArray[np.bool_] | slice:
        """Return which pixels are clear; all, where none is."""
        return slice(None) if self.clear.all() or not self.clear.any() else self.clear


def significant_pixels(leftover: Leftover, basis: Design, divisor: Divisor | None) -> Pixels:
    """Return the valid pixels that are not empty."""
    residuals, coefficients, errors = leftover.residuals, leftover.coefficients, leftover.errors
    numbers = np.minimum(leftover.numbers, prod(leftover.image_shape) - 1)
    freedom = max(len(residuals) - basis.q.shape[1], 1)
    noise = np.sqrt(np.einsum("ij,ij->j", residuals, residuals) / freedom)
    of_sum = np.linalg.norm(basis.inverse.sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        total = coefficients.sum(axis=0)
        good = np.isfinite(noise) & (total > SIGNIFICANT * of_sum * noise)
        unsure = errors[-1] / total
        clear = (total > 0) & (unsure < 1 / SIGNIFICANT)
    if divisor is not None:
        divisor = divisor.of(partial(at_pixels, shape=leftover.image_shape, numbers=numbers))
        with np.errstate(invalid="ignore"):
            good &= (divisor.step > 0) & np.isfinite(divisor.rise)
    if not good.all():
        residuals, coefficients, errors = residuals[:, good], coefficients[:, good], errors[:, good]
        numbers, noise, clear, unsure = numbers[good], noise[good], clear[good], unsure[good]
        divisor = None if divisor is None else divisor.of(lambda values: values[good])
    pairs = leftover.pairs(good)
    return Pixels(numbers, residuals, coefficients, errors[:-1], noise, clear, unsure, pairs, divisor)


def clearly_negative(pixels: Pixels, basis: Design, constraint: Constraint) -> int:
    """Return in how many pixels a coefficient is, or would be without its bound, clearly below zero."""
    k, free = pixels.coefficients.shape[0], pixels.coefficients
    if constraint != "none":
        every = np.concatenate([basis.background, basis.references], axis=1)
        free = free + np.linalg.pinv(every)[-k:].astype(np.float32) @ pixels.residuals
    if sums_to_one(constraint):
        covariance = basis.inverse @ basis.inverse.T
        share = (covariance.sum(axis=1) / covariance.sum()).astype(np.float32)
        free = free - share[:, None] * (free.sum(axis=0) - 1)
    return int((pixels.clear & (free < -CLEARLY * pixels.errors).any(axis=0)).sum())


def typical_sigma(pixels: Pixels, basis: Design) -> Matrix:
    """Return the standard error of the fractions (K,) in the mean pixel with enough of the element, as far as there are any."""
    k = pixels.coefficients.shape[0]
    mean = pixels.coefficients[:, pixels.enough].mean(axis=1).astype(np.float64)
    total = float(mean.sum())
    fraction = mean / total
    turn = (np.eye(k) - fraction[:, None]) / total
    sigma: Matrix = np.linalg.norm(turn @ basis.inverse, axis=1) * float(
        np.median(pixels.noise[pixels.enough])
    )
    return sigma
