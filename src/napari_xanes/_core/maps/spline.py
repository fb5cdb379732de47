"""The cubic smoothing spline of many spectra at once.

With one weight of the roughness for all spectra the spline is linear in the data, so its values, slopes and
curvatures at the energies are products with fixed matrices, and between the energies it is a cubic known from these.
What is left to choose is the weight: by generalised cross-validation, on many spectra together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

LEAST_ENERGIES = 5
"""Energies needed: two for the line that costs nothing, and some to tell a curve from noise."""

CHOICE_SPECTRA = 4000
"""About this many spectra decide on the smoothing."""

CLEAR = 10.0
"""A spectrum counts for the choice if its smooth half holds this many times the power of its rough half."""

FEWEST = 0.01
"""If a smaller share of the spectra is clear, all of them decide."""

TRIED = 500

SAME = 1e-3
"""eV; energies that differ by less are one, as where two regions of a scan meet."""


class SmoothingSpline:
    """The spline f that minimises sum (y - f)^2 + smoothing * integral of f''^2 over dE, for given energies.

    The roughness is a quadratic form in the values at the energies, Q R^-1 Q^T of Reinsch; in the basis of its
    eigenvectors smoothing divides each component by 1 + smoothing * roughness.

    Parameters
    ----------
    energy : array (m,)
        Ascending, in eV; at least `LEAST_ENERGIES`.

    References
    ----------
    C. H. Reinsch, Numer. Math. 10, 177 (1967), doi:10.1007/BF02162161; P. Craven and G. Wahba, Numer. Math. 31, 377
    (1978), doi:10.1007/BF01404567.
    """

    def __init__(self, energy: Float64) -> None:
        m = energy.size
        self.steps = np.diff(energy)
        inverse = 1 / self.steps
        second, tension = np.zeros((m, m - 2)), np.zeros((m - 2, m - 2))
        inner = np.arange(m - 2)
        second[inner, inner], second[inner + 2, inner] = inverse[:-1], inverse[1:]
        second[inner + 1, inner] = -inverse[:-1] - inverse[1:]
        tension[inner, inner] = (self.steps[:-1] + self.steps[1:]) / 3
        tension[inner[1:], inner[:-1]] = tension[inner[:-1], inner[1:]] = self.steps[1:-1] / 6
        self._to_curvature = np.vstack([np.zeros(m), np.linalg.solve(tension, second.T), np.zeros(m)])
        penalty = second @ self._to_curvature[1:-1]
        self.roughness: Float64
        self._modes: Float64
        self.roughness, self._modes = np.linalg.eigh((penalty + penalty.T) / 2)
        self.roughness[:2] = 0  # straight lines

    def values(self, smoothing: float) -> Float64:
        """Return the matrix (m, m) from data to the spline's values at the energies."""
        shrunk: Float64 = self._modes / (1 + smoothing * self.roughness)
        return shrunk @ self._modes.T

    def curvatures(self, smoothing: float) -> Float64:
        """Return the matrix (m, m) from data to the spline's second derivatives at the energies, per eV^2."""
        return self._to_curvature @ self.values(smoothing)

    def slopes(self, smoothing: float) -> Float64:
        """Return the matrix (m, m) from data to the spline's slopes at the energies, per eV."""
        value, bend, h = self.values(smoothing), self.curvatures(smoothing), self.steps[:, None]
        first = np.diff(value, axis=0) / h - h * (2 * bend[:-1] + bend[1:]) / 6
        last = first[-1] + self.steps[-1] * (bend[-2] + bend[-1]) / 2
        return np.vstack([first, last])

    def freedom(self, smoothing: float) -> float:
        """Return the degrees of freedom, from the number of energies (no smoothing) down to 2 (a line)."""
        return float(np.sum(1 / (1 + smoothing * self.roughness)))

    @property
    def least_smoothing(self) -> float:
        """A smoothing so small that nothing is lost."""
        return float(1e-6 / self.roughness[-1])

    def components(self, spectra: FloatArray) -> Float64:
        """Return what spectra (m, n) hold of each mode but straight lines (m - 2, n), ever rougher."""
        parts: Float64 = self._modes[:, 2:].T @ spectra
        return parts

    def clear_spectra(self, spectra: FloatArray) -> Float64:
        """Return some thousands of the spectra (m, n), only those that show more than noise if there are such.

        Empty pixels, divided by an edge step of nearly nothing, would otherwise decide on the smoothing alone.
        """
        step = max(1, spectra.shape[1] // CHOICE_SPECTRA)
        sample = spectra[:, ::step].astype(np.float64)
        sample = sample[:, np.isfinite(sample).all(axis=0)]
        power, noise = self._power(sample)
        clear = power[: power.shape[0] // 2].mean(axis=0) > CLEAR * noise
        return sample[:, clear] if clear.any() and clear.mean() >= FEWEST else sample[:, noise > 0]

    def choose(self, spectra: FloatArray) -> float:
        """Return the smoothing with the least generalised cross-validation score over `spectra` (m, n).

        Each is measured in its own noise, so that their scales do not matter.
        """
        power, noise = self._power(self.clear_spectra(spectra))
        mean_power = (power / noise).sum(axis=1)
        tried = np.geomspace(self.least_smoothing, 1e3 / self.roughness[2], TRIED)
        removed = tried[:, None] * self.roughness[2:] / (1 + tried[:, None] * self.roughness[2:])
        score = (removed**2 @ mean_power) / removed.sum(axis=1) ** 2
        return float(tried[np.argmin(score)])

    def _power(self, spectra: Float64) -> tuple[Float64, Float64]:
        """Return the squared components of spectra (m, n), and the noise power of each by its rougher half."""
        power = self.components(spectra - spectra.mean(axis=0)) ** 2
        return power, power[power.shape[0] // 2 :].mean(axis=0) + 1e-20 * power.sum(axis=0)


def told_apart(energy: Float64, indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the indices without those of energies that are, but for rounding, the one before.

    A curve through both would be as steep as their noise over next to nothing.
    """
    return indices[np.diff(energy[indices], prepend=-np.inf) > SAME]


def as_rows(indices: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return ascending indices as a slice if none is left out, which spares a copy."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == indices.size else indices
