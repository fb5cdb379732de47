"""How much to smooth when it is a position that is wanted: a peak's or an edge's.

Cross-validation asks for the best curve.  In a window with a steep rise that is hardly smoothed at all, and a broad
peak beside the rise moves with the noise.  Here the smoothing is the one that finds positions best in spectra like
those of the data with noise like that of the data: the means of many pixels, whose positions are known well, and the
noise by which pixels differ from them.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.maps.spline import Float64, FloatArray, SmoothingSpline

Locate = Callable[[float, Float64], Float64]
"""Returns positions (n,) in spectra (m, n) for a smoothing, NaN where there is none."""

GROUPS = 8
"""Pixels are put into this many groups by their position, so that no mean is of different spectra."""

FEWEST_IN_GROUP = 25

ALIKE = 3.0
"""Spectra stronger or weaker than the median by more than this factor are not put into one mean with the others."""

TRIALS = 1000

ROUNDS = 3
"""Each puts the pixels into groups by the positions that the one before finds."""

TRIED = 31

LITTLE = 1e-3
"""Share that the least smoothing tried takes from the roughest component."""

RISE = 2.0
"""From errors this many times the smallest so far on, none smaller is looked for."""

ENOUGH = 0.9
"""Share of the trials in which a position must be found."""


def check_smoothing(given: float) -> float:
    """Return a smoothing that is given, or say what is wrong with it."""
    if not (isinstance(given, Real) and 0 <= given < np.inf):
        raise InputError(f"smoothing is {given!r}, expected 0 (no smoothing) or more, in eV^3.")
    return float(given)


def choose_for_position(spline: SmoothingSpline, spectra: FloatArray, locate: Locate) -> float:
    """Return the smoothing with the smallest rms error of positions, in trials like the spectra (m, n).

    With few spectra, or hardly any with a position, it is the one of cross-validation.
    """
    sample, smoothing = spline.clear_spectra(spectra), spline.choose(spectra)
    if sample.shape[1] < FEWEST_IN_GROUP:
        return smoothing
    strength = np.sqrt((spline.components(sample) ** 2).mean(axis=0))
    sample = sample[:, np.abs(np.log(strength / np.median(strength))) < np.log(ALIKE)]
    for _ in range(ROUNDS):
        before, smoothing = smoothing, _best_in_trials(spline, sample, locate, smoothing)
        if smoothing == before:
            break
    return smoothing


def _best_in_trials(spline: SmoothingSpline, sample: Float64, locate: Locate, smoothing: float) -> float:
    """Return the smoothing that is best in trials; the one given is used to put spectra in order."""
    position = locate(smoothing, sample)
    order = np.argsort(position, kind="stable")[: np.isfinite(position).sum()]
    groups = min(GROUPS, order.size // FEWEST_IN_GROUP)
    if groups == 0:
        return smoothing
    members = np.array_split(order, groups)
    means = np.stack([sample[:, of].mean(axis=1) for of in members], axis=1)
    noise = np.median([_relative_noise(spline, sample[:, of], means[:, g]) for g, of in enumerate(members)])
    truth = locate(spline.choose(means), means)
    means, truth = means[:, np.isfinite(truth)], truth[np.isfinite(truth)]
    if truth.size == 0:
        return smoothing
    kind = np.arange(TRIALS) % truth.size
    trials = means[:, kind] + noise * np.random.default_rng(0).normal(size=(len(means), TRIALS))
    tried = np.geomspace(LITTLE / spline.roughness[-1], 10 / spline.roughness[2], TRIED)
    return _least_error(lambda s: _rms(locate(s, trials) - truth[kind]), tried) or smoothing


def _least_error(error_of: Callable[[float], float], tried: Float64) -> float | None:
    """Return what has the smallest error before errors rise for good, None if none has any.

    With far more smoothing shifts may cancel again, but only in spectra of the shape that most pixels have.
    """
    best, least = None, np.inf
    for one in tried.tolist():
        error = error_of(one)
        if error < least:
            best, least = one, error
        elif error > RISE * least:
            break
    return best


def _relative_noise(spline: SmoothingSpline, spectra: Float64, mean: Float64) -> float:
    """Return the noise of one value of spectra (m, n) as if all were as strong as their mean.

    It is what neighbours in the order given differ by, in the rougher half of their components.
    """
    each, whole = spline.components(spectra), spline.components(mean[:, None])
    strength = (each * whole).sum(axis=0) / (whole**2).sum()
    rough = (each[:, strength > 0] / strength[strength > 0])[len(each) // 2 :]
    if rough.shape[1] < 2:
        return 0.0
    return float(np.median(np.sqrt((np.diff(rough, axis=1) ** 2).mean(axis=0) / 2)))


def _rms(error: NDArray[np.float64]) -> float:
    found = error[np.isfinite(error)]
    return float(np.sqrt(np.mean(found**2))) if found.size >= ENOUGH * error.size else np.inf
