"""The cubic smoothing spline of many spectra at once.

With one weight of the roughness for all spectra the spline is linear in the data, so its values, slopes and
curvatures at the energies are products with fixed matrices, and between the energies it is a cubic known from these.
What is left to choose is the weight: by generalised cross-validation, on many spectra together.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

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

MOST_CHOICE = 256
"""At most so many energies decide on the smoothing; of more, neighbours are put together."""

SAME = 1e-3
"""eV; energies that differ by less are one, as where two regions of a scan meet."""


class SmoothingSpline:
    """The spline f that minimises sum (y - f)^2 + smoothing * integral of f''^2 over dE, for given energies.

    Its curvatures c solve (R + smoothing * Q^T Q) c = Q^T y, a matrix of five diagonals, as Reinsch has it.  For the
    choice of the smoothing the roughness, a quadratic form Q R^-1 Q^T in the values at the energies, is seen in the
    basis of its eigenvectors, where smoothing divides each component by 1 + smoothing * roughness.

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
        self._second = np.zeros((m, m - 2))  # Q
        inner = np.arange(m - 2)
        self._second[inner, inner], self._second[inner + 2, inner] = inverse[:-1], inverse[1:]
        self._second[inner + 1, inner] = -inverse[:-1] - inverse[1:]
        self._tension = np.zeros((3, m - 2))  # R, its diagonals from the main one down
        self._tension[0] = (self.steps[:-1] + self.steps[1:]) / 3
        self._tension[1, :-1] = self.steps[1:-1] / 6
        self._bend = np.zeros((3, m - 2))  # Q^T Q, likewise
        middle = inverse[:-1] + inverse[1:]
        self._bend[0] = inverse[:-1] ** 2 + middle**2 + inverse[1:] ** 2
        self._bend[1, :-1] = -inverse[1:-1] * (middle[:-1] + middle[1:])
        self._bend[2, :-2] = inverse[1:-2] * inverse[2:-1]

    def curvatures(self, smoothing: float) -> Float64:
        """Return the matrix (m, m) from data to the spline's second derivatives at the energies, per eV^2."""
        bend = np.zeros((len(self._second), len(self._second)))
        bands = self._tension + smoothing * self._bend
        bend[1:-1] = solveh_banded(bands, self._second.T, lower=True)
        return bend

    def values(self, smoothing: float) -> Float64:
        """Return the matrix (m, m) from data to the spline's values at the energies."""
        if len(self._second) <= MOST_CHOICE:  # by the modes, which are known anyway
            roughness, modes = self._eigen
            shrunk: Float64 = modes / (1 + smoothing * roughness)
            return shrunk @ modes.T
        slope = np.diff(self.curvatures(smoothing), axis=0) / self.steps[:, None]
        value: Float64 = np.eye(len(self._second))
        value[:-1] -= smoothing * slope
        value[1:] += smoothing * slope
        return value

    def slopes(self, smoothing: float) -> Float64:
        """Return the matrix (m, m) from data to the spline's slopes at the energies, per eV."""
        value, bend, h = self.values(smoothing), self.curvatures(smoothing), self.steps[:, None]
        first = np.diff(value, axis=0) / h - h * (2 * bend[:-1] + bend[1:]) / 6
        last = first[-1] + self.steps[-1] * (bend[-2] + bend[-1]) / 2
        return np.vstack([first, last])

    def freedom(self, smoothing: float) -> float:
        """Return the degrees of freedom, from the number of energies (no smoothing) down to 2 (a line)."""
        return float(np.trace(self.values(smoothing)))

    @property
    def roughness(self) -> Float64:
        """How rough each mode is (m,), ascending; the first two are straight lines."""
        return self._eigen[0]

    @cached_property
    def _eigen(self) -> tuple[Float64, Float64]:
        """The roughness and the modes (m, m), in columns."""
        penalty = self._second @ self.curvatures(0)[1:-1]
        roughness, modes = np.linalg.eigh((penalty + penalty.T) / 2)
        roughness[:2] = 0
        return roughness, modes

    @property
    def least_smoothing(self) -> float:
        """A smoothing so small that nothing is lost."""
        return float(1e-6 / self.roughness[-1])

    def components(self, spectra: FloatArray) -> Float64:
        """Return what spectra (m, n) hold of each mode but straight lines (m - 2, n), ever rougher."""
        parts: Float64 = self._eigen[1][:, 2:].T @ spectra
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


def for_choice(energy: Float64, spectra: FloatArray) -> tuple[Float64, FloatArray, int]:
    """Return energies (m,) and spectra (m, n) by which a smoothing is chosen, and by how much it is to be multiplied.

    Of many energies neighbours are put together, so that the choice takes no longer than it is worth: the mean of k
    has the weight of k, and the smoothing of means is that of all values over k.
    """
    k = -(-energy.size // MOST_CHOICE)
    if k == 1:
        return energy, spectra, 1
    first = np.arange(0, energy.size, k)
    number = np.diff(first, append=energy.size)
    means = np.add.reduceat(spectra, first, axis=0) / number[:, None].astype(spectra.dtype)
    return np.add.reduceat(energy, first) / number, means, k


def told_apart(energy: Float64, indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the indices without those of energies that are, but for rounding, the one before.

    A curve through both would be as steep as their noise over next to nothing.
    """
    return indices[np.diff(energy[indices], prepend=-np.inf) > SAME]


def as_rows(indices: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return ascending indices as a slice if none is left out, which spares a copy."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == indices.size else indices
