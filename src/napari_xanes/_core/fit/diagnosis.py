"""What a fit leaves, and why: said after every fit, because fractions and their errors do not show it.

Standard errors tell the noise.  A wrong energy scale, another resolution, flattened spectra, unsteady frames or
a missing reference move fractions by many of them, in silence.  All leave residuals of their own kind, which
`causes` tells apart; here they are taken from the pixels that hold enough of the element, and put into words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.special import polygamma

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.causes import (
    ABOUT_EVEN,
    LEAST_FREE_ENERGIES,
    Findings,
    FoundCause,
    Moments,
    bias_of,
    name_causes,
    weights_of,
)
from napari_xanes._core.fit.leftover import Leftover
from napari_xanes._core.fit.noise import NEIGHBOURS
from napari_xanes._core.fit.patterns import Matrix, Patterns, explained_columns, patterns_of
from napari_xanes._core.fit.result import ReferenceFit
from napari_xanes._core.fit.verdict import FitDiagnosis, sentences
from napari_xanes._core.groups.covariance import alone
from napari_xanes._core.solve.active_sets import sums_to_one
from napari_xanes._core.solve.design import Constraint, Design

SIGNIFICANT = 3.0
"""Standard errors of the sum of coefficients from which a pixel is looked at, as for the fractions themselves."""

LEAST_PIXELS = 50

LEAST_BIAS = 0.005
"""Change of a fraction from which a cause is worth a word."""

LEAST_FLICKER = 0.2
"""Change of whole frames from which it is worth a word, in units of the noise of one pixel."""

ROUNDING = 1e-5
"""Residuals that are rounding, relative to the fitted values."""

LEAST_SPREAD = 0.1
"""Share of the scatter of the pixels' noise that must be real for pixels to be weighted by it."""

CLEARLY = 3.0
"""Standard errors below zero from which a coefficient is clearly negative."""


def diagnose_fit(fit: ReferenceFit) -> FitDiagnosis:
    """Tell what a fit left, and why, with the map of the strongest component of its residuals.

    Parameters
    ----------
    fit : ReferenceFit
        What `fit_references` returned.

    Returns
    -------
    FitDiagnosis
        That of the fit, with `map`.

    Raises
    ------
    InputError
        If the fit has no diagnosis, because there were too few pixels or energies.
    """
    found = fit.diagnosis
    if found is None:
        raise InputError(
            f"nothing can be told of this fit: at least {LEAST_PIXELS} pixels with enough of the element are needed, and "
            f"{LEAST_FREE_ENERGIES} energies more than unknowns; fit more pixels or energies."
        )
    fitted = fit.fitted_spectra()
    image = np.tensordot(found.look.astype(fitted.dtype), fitted, axes=1)
    return replace(found, map=np.where(np.isfinite(fit.error), image, np.nan))


@dataclass(frozen=True, eq=False)
class Divisor:
    """What normalised spectra were divided by: the edge step at `e0` (...), and by how much it rises per eV (...)."""

    step: FloatArray
    rise: FloatArray
    e0: float = 0.0

    def at(self, energy: Matrix, numbers: NDArray[np.intp]) -> FloatArray:
        """Return it at the energies (e,) for some pixels (n,): (e, n)."""
        step, rise = (image.reshape(-1)[numbers] for image in (self.step, self.rise))
        if not rise.any():
            return step[None]
        divisor: FloatArray = step + rise * (energy - self.e0).astype(step.dtype)[:, None]
        return divisor


@dataclass(frozen=True, eq=False)
class _Pixels:
    """The pixels that are looked at: numbers (n,), residuals (e, n), coefficients (K, n), and their noise (n,)."""

    numbers: NDArray[np.intp]
    residuals: FloatArray
    coefficients: FloatArray
    noise: FloatArray


def diagnose(
    leftover: Leftover,
    references: Sequence[Reference],
    energy: Matrix,
    basis: Design,
    *,
    constraint: Constraint = "none",
    divisor: Divisor | None = None,
    normalized: bool = True,
    measured: Sequence[Reference] | None = None,
) -> FitDiagnosis | None:
    """Say what a fit left and why; None if there are too few pixels or energies to tell.

    Parameters
    ----------
    leftover : Leftover
        Filled by the fit.
    references : sequence of Reference
        As fitted.
    energy : array (n,)
        The fitted energies.
    basis : Design
        The fit's matrix.
    constraint : str
        The fit's, which decides what a clearly negative coefficient is.
    divisor : Divisor, optional
        What normalised data were divided by.
    measured : sequence of Reference, optional
        The references before they were normalised as the data.
    normalized : bool
        Whether the data were normalised; their residuals then hold the errors of the lines.
    """
    pixels = _significant(leftover, basis, divisor)
    if pixels.numbers.size < LEAST_PIXELS:
        return None
    made: list[FitDiagnosis | None] = []
    alone(
        lambda: made.append(
            _told(pixels, leftover, references, energy, basis, constraint, divisor, normalized, measured)
        )
    )
    return made[0]


def _told(
    pixels: _Pixels,
    leftover: Leftover,
    references: Sequence[Reference],
    energy: Matrix,
    basis: Design,
    constraint: Constraint,
    divisor: Divisor | None,
    normalized: bool,
    measured: Sequence[Reference] | None,
) -> FitDiagnosis | None:
    patterns = patterns_of(references, energy, basis.background, measured)
    if np.sqrt(np.mean(pixels.residuals**2)) < ROUNDING * np.abs(pixels.coefficients).mean():
        return None
    residuals, coefficients = pixels.residuals, pixels.coefficients
    if divisor is not None and normalized:
        residuals = residuals * divisor.at(energy, pixels.numbers)
        coefficients = coefficients * divisor.step.reshape(-1)[pixels.numbers]
    mean = coefficients.mean(axis=1).astype(np.float64)
    columns = explained_columns(patterns, mean / mean.sum(), normalized)
    crowding = 1 + NEIGHBOURS / leftover.stride
    found = name_causes(_moments(residuals, coefficients, crowding), columns, patterns)
    if found is not None and normalized and divisor is None:
        scale = _scale(found, residuals)
        if scale is not None:
            residuals, coefficients = residuals * scale, coefficients * scale
            found = name_causes(_moments(residuals, coefficients, crowding), columns, patterns, ABOUT_EVEN)
    if found is None:
        return None
    mean /= mean.sum()
    negative = _clearly_negative(pixels, basis, constraint)
    names = tuple(r.name for r in references)
    return _described(found, pixels, residuals, mean, patterns, basis, names, leftover, negative)


def _significant(leftover: Leftover, basis: Design, divisor: Divisor | None) -> _Pixels:
    """Return the valid pixels with enough of the element."""
    residuals, coefficients, numbers = leftover.residuals, leftover.coefficients, leftover.numbers
    freedom = max(len(residuals) - basis.q.shape[1], 1)
    noise = np.sqrt(np.einsum("ij,ij->j", residuals, residuals) / freedom)
    k = coefficients.shape[0]
    inverse = np.linalg.inv(basis.r[-k:, -k:])
    error = noise * np.linalg.norm(inverse.sum(axis=0))
    with np.errstate(invalid="ignore"):
        good = np.isfinite(noise) & (coefficients.sum(axis=0) > SIGNIFICANT * error)
    if divisor is not None:
        part = divisor.step.reshape(-1)[numbers]
        with np.errstate(invalid="ignore"):
            good &= (part > 0) & np.isfinite(divisor.rise.reshape(-1)[numbers])
    if not good.all():
        residuals, coefficients = residuals[:, good], coefficients[:, good]
        numbers, noise = numbers[good], noise[good]
    return _Pixels(numbers, residuals, coefficients, noise)


def _moments(residuals: FloatArray, coefficients: FloatArray, crowding: float) -> Moments:
    weights = weights_of(coefficients)
    rounding = ROUNDING * float(np.abs(coefficients).mean())
    covariance = (residuals @ residuals.T).astype(np.float64) / residuals.shape[1]
    return Moments(
        covariance + rounding**2 * np.eye(len(residuals)),  # so that data without noise have some
        (residuals @ weights.T).astype(np.float64),
        weights.astype(np.float64) @ weights.T.astype(np.float64),
        residuals.shape[1],
        crowding,
    )


def _scale(found: Findings, residuals: FloatArray) -> FloatArray | None:
    """Return what residuals are multiplied with, so that noise is the same in all pixels, where the thickness is not known.

    That is the inverse of the noise of each pixel as told by what components leave of it (f, n), as far as it differs
    by more than its own error; None if it does not.
    """
    if np.median(found.noise) < 1e-3 * np.abs(residuals).max():
        return None
    rest = found.rest.astype(np.float32) @ residuals
    level = 0.5 * np.log(np.maximum(np.einsum("ij,ij->j", rest, rest), 1e-30))
    center, spread = float(np.median(level)), float(level.var())
    own = float(polygamma(1, len(rest) / 2)) / 4
    real = max(0.0, 1 - own / spread) if spread > 0 else 0.0
    if real < LEAST_SPREAD:
        return None
    scale: FloatArray = np.exp(-real * (level - center)).astype(np.float32)
    return scale


def _clearly_negative(pixels: _Pixels, basis: Design, constraint: Constraint) -> int:
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


def _described(
    found: Findings,
    pixels: _Pixels,
    residuals: FloatArray,
    mean: Matrix,
    patterns: Patterns,
    basis: Design,
    names: tuple[str, ...],
    leftover: Leftover,
    negative: int,
) -> FitDiagnosis:
    """Keep the causes that matter, and say where and how large they are."""
    amounts = found.look.astype(np.float32) @ residuals
    turned = -1.0 if amounts.mean() < 0 else 1.0
    size = np.abs(amounts)
    places = np.unravel_index(pixels.numbers[size >= np.quantile(size, 0.98)], leftover.image_shape)
    sigma = _typical_sigma(pixels, basis)
    shown = [(cause, bias_of(cause, patterns, mean)) for cause in found.causes]
    shown = [(cause, bias) for cause, bias in shown if _matters(cause, bias, found)]
    whole = prod(leftover.image_shape)
    diagnosis = FitDiagnosis(
        names=names,
        causes=tuple(cause.cause for cause, _ in shown),
        sizes=tuple(_size(cause, patterns, mean, found) for cause, _ in shown),
        bias=shown[0][1] if shown else np.full(mean.size, np.nan),
        sigma=sigma,
        excess=found.strength,
        limit=found.limit,
        energy=patterns.energy,
        component=turned * found.component,
        noise=found.noise,
        pixels=min(pixels.numbers.size * leftover.stride, whole),
        clearly_negative=min(negative * leftover.stride, whole),
        where=tuple(int(np.median(place)) for place in places),
        look=turned * found.look,
    )
    return replace(diagnosis, warnings=tuple(sentences(diagnosis)))


def _typical_sigma(pixels: _Pixels, basis: Design) -> Matrix:
    """Return the standard error of the fractions (K,) in the mean pixel."""
    k = pixels.coefficients.shape[0]
    inverse = np.linalg.inv(basis.r[-k:, -k:])
    total = float(pixels.coefficients.sum(axis=0).mean())
    fraction = pixels.coefficients.mean(axis=1).astype(np.float64) / total
    turn = (np.eye(k) - fraction[:, None]) / total
    sigma: Matrix = np.linalg.norm(turn @ inverse, axis=1) * float(np.median(pixels.noise))
    return sigma


def _matters(cause: FoundCause, bias: Matrix, found: Findings) -> bool:
    if cause.cause == "missing reference" or found.strength - 1 > LEAST_FLICKER**2 * found.noise.size:
        return True
    if cause.cause == "flicker":
        return cause.size > LEAST_FLICKER * float(np.sqrt(np.mean(found.noise**2)))
    return bool((np.abs(bias) > LEAST_BIAS).any())


def _size(cause: FoundCause, patterns: Patterns, mean: Matrix, found: Findings) -> float:
    if cause.cause == "thickness":  # at the white line of a pixel of mean thickness
        curve = patterns.references @ mean
        top = int(curve.argmax())
        return float(-cause.pattern[top] / curve[top])
    if cause.cause == "flicker":
        return cause.size / float(np.sqrt(np.mean(found.noise**2)))
    return cause.size
