"""Which principal components of residuals stand above noise.

Noise that is independent from energy to energy and of equal strength gives a covariance whose largest eigenvalue is
known (V. Marchenko and L. Pastur, Math. USSR Sb. 1, 457 (1967), doi:10.1070/SM1967v001n04ABEH001994; with its
scatter, I. M. Johnstone, Ann. Stat. 29, 295 (2001), doi:10.1214/aos/1009210544).  To be so, residuals are divided
by the noise of their energy and of their pixel, both estimated from what the components found so far leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

SCATTER = 3.27
"""Quantile 0.999 of the Tracy-Widom law of order 1."""

NEIGHBOURS = 1.25
"""Pixels that share a pixel's noise where images were moved by linear interpolation, at worst."""

ROUNDS, MOST_COMPONENTS = 25, 6

PRIOR_PIXELS = 20
"""Pixels whose noise is the same at all energies, by which few pixels are backed."""

LEAST_FREE, LEAST_MEAN, NOTHING = 0.1, 1e-3, 1e-6
"""Smallest share of an energy's noise taken to be left, smallest mean variance, residuals that are rounding, relative."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Components of residuals in units of the noise.

    Attributes
    ----------
    noise : array (e,)
        Standard deviation of the noise at each energy, mean over the pixels.
    axes : array (m, e)
        Directions in spectra divided by `noise`, the strongest first, turned so that amounts are positive on average.
    strength : array (p,)
        Variance along every axis, in units of the noise's.
    limit : float
        What noise alone reaches, once in a thousand cases.
    significant : int
        Number of axes above it.
    share : array (m,)
        Root mean square of each component, less its noise, over that of the spectra.
    """

    noise: Float64
    axes: Float64
    strength: Float64
    limit: float
    significant: int
    share: Float64


def limit_of_noise(dimensions: int, pixels: float) -> float:
    """Return the largest eigenvalue that noise of variance one reaches, once in a thousand cases."""
    a, b = np.sqrt(max(pixels - 1, 1)), np.sqrt(dimensions)
    return float(((a + b) ** 2 + SCATTER * (a + b) * (1 / a + 1 / b) ** (1 / 3)) / pixels)


def stand_out(spectra: Float64, columns: Float64, crowding: float) -> Standing:
    """Tell which components of spectra (e, n) stand above noise, besides combinations of columns (e, c).

    `crowding` is the share of all pixels that the spectra are: neighbours may share their noise.
    """
    e, n = spectra.shape
    independent = n / (1 + NEIGHBOURS * crowding)
    noise, axes, settled = np.ones(e), np.empty((0, e)), False
    power = float(np.sqrt(np.mean(spectra**2)))
    rounding = NOTHING * power
    for _ in range(ROUNDS):
        basis = spanned(columns / noise[:, None])
        free = e - basis.shape[1]
        residual = _without(spectra / noise[:, None], basis)
        if np.sqrt(np.mean((residual * noise[:, None]) ** 2)) < rounding:
            return Standing(np.zeros(e), np.zeros((1, e)), np.ones(free), 1.0, 0, np.zeros(1))
        level = _level(_without(residual, axes.T), free - len(axes), rounding)
        scaled = residual / level
        variances, vectors = _components(scaled, free)
        limit = limit_of_noise(free, independent)
        count = _count(variances, independent)
        if settled and count == len(axes):
            break
        axes = vectors[:, : min(count, len(axes) + 1)].T
        before, noise = (
            noise,
            _noise(_without(scaled, axes.T), basis, axes, noise, rounding / float(np.median(level))),
        )
        settled = bool(np.abs(np.log(noise / before)).max() < 0.02)
    found = len(axes)
    shown = vectors[:, : max(1, found)].T
    scores = shown @ residual
    along = np.mean(scores**2, axis=1) - np.mean(level**2)
    contrast = np.linalg.norm(shown * noise, axis=1)
    return Standing(
        noise=noise * float(np.sqrt(np.mean(level**2))),
        axes=shown * np.where(scores.mean(axis=1) < 0, -1, 1)[:, None],
        strength=variances / variances[found:].mean(),
        limit=limit,
        significant=found,
        share=np.sqrt(np.maximum(along, 0) / e) * contrast / power,
    )


def _components(rest: Float64, free: int) -> tuple[Float64, Float64]:
    """Return the variances (free,) of residuals (e, n), descending, and the directions that have any, in columns."""
    e, n = rest.shape
    if n >= e:
        variances, vectors = np.linalg.eigh(rest @ rest.T / n)
        return np.maximum(variances[::-1][:free], 0), vectors[:, ::-1]
    vectors, lengths, _ = np.linalg.svd(rest, full_matrices=False)
    variances = np.zeros(max(free, n))
    variances[:n] = lengths**2 / n
    return variances[:free], vectors


def spanned(columns: Float64) -> Float64:
    """Return orthonormal columns that span the given ones."""
    u, s, _ = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), full_matrices=False)
    basis: Float64 = u[:, s > 1e-9 * s[0]]
    return basis


def _without(spectra: Float64, basis: Float64) -> Float64:
    rest: Float64 = spectra - basis @ (basis.T @ spectra)
    return rest


def _level(rest: Float64, free: int, rounding: float) -> Float64:
    """Return the noise of each pixel (n,), at least that of rounding."""
    level: Float64 = np.hypot(np.sqrt((rest**2).sum(axis=0) / free), rounding)
    return np.maximum(level, 1e-3 * float(np.median(level)))


def _count(variances: Float64, pixels: float) -> int:
    """Return how many variances, descending, are above noise, judged one after the other by those that follow."""
    free = variances.size
    for k in range(min(MOST_COMPONENTS, free - 2)):
        if variances[k] <= limit_of_noise(free - k, pixels) * max(float(variances[k:].mean()), LEAST_MEAN):
            return k
    return min(MOST_COMPONENTS, free - 2)


def _noise(rest: Float64, basis: Float64, axes: Float64, noise: Float64, rounding: float) -> Float64:
    """Return the noise of each energy (e,), their geometric mean one, from what is left in units of the last guess.

    With few pixels it is drawn towards one, as if there were `PRIOR_PIXELS` more in which it is.
    """
    n = rest.shape[1]
    free = 1 - (basis**2).sum(axis=1) - (axes**2).sum(axis=0)
    variance = noise**2 * (rest**2).mean(axis=1) / np.maximum(free, LEAST_FREE) + rounding**2
    variance /= np.exp(np.log(variance).mean())
    variance = (n * np.clip(variance, 1e-3, 1e3) + PRIOR_PIXELS) / (n + PRIOR_PIXELS)
    new: Float64 = np.sqrt(variance / np.exp(np.log(variance).mean()))
    return new
