"""What a fit leaves, and why: said after every fit, because fractions and their errors do not show it.

Standard errors tell the noise.  A wrong energy scale, another resolution, flattened spectra, unsteady frames or
a missing reference move fractions by many of them, in silence.  All leave residuals of their own kind, which
`causes` tells apart; here they are taken from the pixels that hold enough of the element, and put into words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from scipy.special import polygamma

from napari_xanes._core.base.door import public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.causes import (
    LEAST_FREE_ENERGIES,
    Findings,
    FoundCause,
    bias_of,
    name_causes,
)
from napari_xanes._core.fit.leftover import Leftover
from napari_xanes._core.fit.patterns import Matrix, Patterns, explained_columns, patterns_of, weights_of
from napari_xanes._core.fit.pixels import (
    Divisor,
    Pixels,
    clearly_negative,
    significant_pixels,
    typical_sigma,
)
from napari_xanes._core.fit.result import ReferenceFit
from napari_xanes._core.fit.slopes import SHARP, WIDE, slopes_at
from napari_xanes._core.fit.structure import Sampled, Structure
from napari_xanes._core.fit.verdict import FitDiagnosis, sentences
from napari_xanes._core.solve.design import Constraint, Design

LEAST_PIXELS = 50

LEAST_BIAS, LEAST_HIDDEN = 0.015, 0.01
"""Change of the fractions, rms, from which a cause is worth a word: where it is known, and where it is guessed from what is seen.
Where the absorption before the edge is no straight line, as is fitted there, fractions change by less than both."""

LEAST_LEFT, LEAST_PART = 0.02, 0.006
"""What is left, where it is most, from which it is worth a word, and from which a compound may be missing; in edge steps."""

LEAST_DISPLACED, LEAST_MOVED = 0.3, 0.1
"""What displaced frames leave, from which it is worth a word, in units of the noise of one pixel; and pixels (rms)."""

NOISY = 0.1
"""Relative error of the amount of the element in a typical pixel from which slopes are taken over more pixels."""

HIDDEN = 3.0
"""How many times more of a missing compound than of noise is hidden, as references are like each other: of that a third of
`LEAST_HIDDEN` is worth a word."""

ROUNDING = 1e-5
"""Residuals that are rounding, relative to the fitted values."""

LEAST_SPREAD = 0.1
"""Share of the scatter of the pixels' noise that must be real for pixels to be weighted by it."""


@public
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
    image = np.zeros(fitted.shape[1:], fitted.dtype)
    for part, frame in zip(found.look.astype(fitted.dtype), fitted, strict=True):
        image += part * np.asarray(frame)
    return replace(found, map=np.where(np.isfinite(fit.error), image, np.nan))


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
    amounts: FloatArray | None = None,
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
    amounts : array (K, ...), optional
        Coefficients, or fractions where there is a divisor; what displaced frames leave follows the slopes of amounts.
    """
    pixels = significant_pixels(leftover, basis, divisor)
    if pixels.pairs[-1][0].size < max(LEAST_PIXELS // 2, 2 * energy.size):
        return None

    def slopes() -> FloatArray:
        if amounts is None:
            return np.empty((0, pixels.numbers.size), np.float32)
        thickness = None if divisor is None else divisor.step
        taps = WIDE if float(np.median(pixels.unsure[pixels.enough])) > NOISY else SHARP
        return slopes_at(amounts, leftover.image_shape, pixels.numbers, thickness, taps)

    return _told(pixels, leftover, references, energy, basis, constraint, normalized, measured, slopes)


def _told(
    pixels: Pixels,
    leftover: Leftover,
    references: Sequence[Reference],
    energy: Matrix,
    basis: Design,
    constraint: Constraint,
    normalized: bool,
    measured: Sequence[Reference] | None,
    slopes: Callable[[], FloatArray],
) -> FitDiagnosis | None:
    patterns = patterns_of(references, energy, basis.background, measured)
    if np.sqrt(np.mean(pixels.noise**2)) < ROUNDING * np.abs(pixels.coefficients).mean():
        return None
    residuals, coefficients = pixels.residuals, pixels.coefficients
    divisor = pixels.divisor
    if divisor is not None and normalized:
        residuals, coefficients = residuals * divisor.at(energy), coefficients * divisor.step
    mean = coefficients.mean(axis=1).astype(np.float64)
    columns = explained_columns(patterns, mean / mean.sum(), normalized)
    found = name_causes(_sampled(pixels, residuals, coefficients, slopes, leftover), columns, patterns)
    if found is not None and normalized and divisor is None:
        scale = _scale(found.structure, residuals)
        if scale is not None:
            residuals, coefficients = residuals * scale, coefficients * scale
            sampled = _sampled(pixels, residuals, coefficients, slopes, leftover)
            found = name_causes(sampled, columns, patterns)
    if found is None:
        return None
    mean /= mean.sum()
    negative = clearly_negative(pixels, basis, constraint)
    names = tuple(r.name for r in references)
    return _described(
        found, pixels, residuals, coefficients, mean, patterns, basis, names, leftover, negative
    )


def _sampled(
    pixels: Pixels,
    residuals: FloatArray,
    coefficients: FloatArray,
    slopes: Callable[[], FloatArray],
    leftover: Leftover,
) -> Sampled:
    return Sampled(
        residuals,
        weights_of(coefficients),
        slopes,
        pixels.pairs,
        len(leftover.image_shape) if leftover.stride == 1 else 1,
        ROUNDING * float(np.abs(coefficients).mean()),
    )


def _scale(structure: Structure, residuals: FloatArray) -> FloatArray | None:
    """Return what residuals are multiplied with, so that noise is the same in all pixels, where the thickness is not known.

    That is the inverse of the noise of each pixel as told by what components leave of it, as far as it differs by
    more than its own error; None if it does not.
    """
    noise = structure.noise * np.sqrt(structure.level)
    if np.median(noise) < 1e-3 * max(residuals.max(), -residuals.min()):
        return None

    def levels(squares: FloatArray) -> FloatArray:
        return np.asarray(0.5 * np.log(np.maximum(squares / structure.level, 1e-30)))

    some = levels(structure.squares)
    center, spread = float(np.median(some)), float(some.var())
    own = float(polygamma(1, len(structure.rest) / 2)) / 4
    real = max(0.0, 1 - own / spread) if spread > 0 else 0.0
    if real < LEAST_SPREAD:
        return None
    noises = structure.rest.astype(np.float32) @ residuals
    level = levels(np.einsum("ij,ij->j", noises, noises))
    scale: FloatArray = np.exp(-real * (level - center)).astype(np.float32)
    return scale


def _described(
    found: Findings,
    pixels: Pixels,
    residuals: FloatArray,
    coefficients: FloatArray,
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
    most = np.argpartition(size, int(0.98 * size.size))[int(0.98 * size.size) :]
    places = np.unravel_index(pixels.numbers[most], leftover.image_shape)
    sigma, step = typical_sigma(pixels, basis), float(coefficients[:, pixels.enough].sum(axis=0).mean())
    products = _products(residuals, coefficients, basis) if found.causes else np.zeros((mean.size, mean.size))
    every = [
        (cause, *bias_of(cause, patterns, mean, products), _size(cause, patterns, mean, found))
        for cause in found.causes
    ]
    shown = [one for one in every if _matters(one[0], *one[2:], found, sigma, step)]
    unknown = np.full(mean.size, np.nan)
    whole = prod(leftover.image_shape)
    diagnosis = FitDiagnosis(
        names=names,
        causes=tuple(one[0].cause for one in shown),
        sizes=tuple(one[3] for one in shown),
        bias=shown[0][1] if shown else unknown,
        bias_rms=shown[0][2] if shown else unknown,
        sigma=sigma,
        excess=found.strength,
        limit=found.limit,
        energy=patterns.energy,
        component=turned * found.component,
        noise=found.noise,
        pixels=min(int(pixels.clear.sum()) * leftover.stride, whole),
        clearly_negative=min(negative * leftover.stride, whole),
        where=tuple(int(np.median(place)) for place in places),
        look=turned * found.look,
        alike=any(one[0].alike for one in shown),
    )
    return replace(diagnosis, warnings=tuple(sentences(diagnosis)))


def _products(residuals: FloatArray, coefficients: FloatArray, basis: Design) -> Matrix:
    """Return the mean products of the amounts (K, K), without those of their noise."""
    n = coefficients.shape[1]
    freedom = max(len(residuals) - basis.q.shape[1], 1)
    flat = residuals.ravel(order="K")  # `vdot` copies what lies in another order
    found: Matrix = (coefficients @ coefficients.T).astype(np.float64) / n
    found -= basis.inverse @ basis.inverse.T * float(np.vdot(flat, flat)) / (n * freedom)
    return found


def _matters(
    cause: FoundCause, bias: Matrix, size: float, found: Findings, sigma: Matrix, step: float
) -> bool:
    """Return whether a cause is worth a word: it is large beside the edge step, or moves fractions.

    Where that is not known, it is taken that what is not seen, as the fit follows it, is like what is.
    """
    seen = cause.power / (found.structure.pairs * len(found.axis) * found.structure.level)
    if cause.cause == "alignment" and (seen < LEAST_DISPLACED**2 or size < LEAST_MOVED):
        return False  # of either sign, so that means stay as they are
    left = float(np.abs(cause.pattern).max()) / step
    if left >= LEAST_LEFT:
        return True
    if left < LEAST_PART and cause.cause in ("missing reference", "unclear"):
        return False
    if np.isfinite(bias).all():
        return bool((np.abs(bias) >= LEAST_BIAS).any())
    least = LEAST_HIDDEN / (HIDDEN if cause.cause == "missing reference" else 1.0)
    return bool(sigma.max() * np.sqrt(seen) >= least)


def _size(cause: FoundCause, patterns: Patterns, mean: Matrix, found: Findings) -> float:
    if cause.cause == "thickness":  # at the white line of a pixel of mean thickness
        curve = patterns.references @ mean
        top = int(curve.argmax())
        return float(-cause.pattern[top] / curve[top])
    if cause.cause == "flicker" or cause.alike:
        return cause.size / float(np.sqrt(np.mean(found.noise**2)))
    if cause.cause == "alignment":  # pixels; a curve rises by its mean from nothing to what is there
        return cause.size / float(np.sqrt(np.mean((patterns.references @ mean) ** 2)))
    return cause.size
