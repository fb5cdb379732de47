"""What the residuals of neighbouring pixels have in common: what is not noise.

Noise after flat fields, alignment and normalisation is uneven over the energies and pixels, and neighbours share it
where images were moved between whole pixels.  So nothing is told from the variance of residuals alone.  Pixels a few
pixels apart have no noise in common, but what a wrong reference, a shift or a flickering beam leaves, they have.
The mean products of their residuals therefore hold no noise, but for chance; its largest eigenvalue is that of
a random symmetric matrix (E. P. Wigner, Ann. Math. 67, 325 (1958), doi:10.2307/1970008; C. A. Tracy and H. Widom,
Commun. Math. Phys. 177, 727 (1996), doi:10.1007/BF02099545), and what of it a true component makes is known
(D. Feral and S. Peche, Commun. Math. Phys. 272, 185 (2007), doi:10.1007/s00220-007-0209-3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.leftover import APART, Index
from napari_xanes._core.fit.noise import SCATTER, limit_of_noise, spanned
from napari_xanes._core.fit.patterns import Matrix

MOST_UNEVEN = 30.0
"""By how much the variance of the noise of an energy may differ from the mean."""

UNKNOWN = 0.01
"""Weight of the mean variance in that of an energy about which residuals say little, because the fit follows it."""


ENOUGH_PIXELS, TOGETHER = 1000, 64
"""Pixels that tell how alike the noise of neighbours is, taken so many at a time."""

ENOUGH_LEFT = 10
"""Directions without components from which on the noise is told."""


CLOSE, ENOUGH_CLOSE = 2.0, 15
"""eV between energies that show whether a spectrum is smooth, and how many such steps are needed."""

JUMPS, RUNS = 0.72, 0.5
"""Squared steps from which a spectrum jumps from frame to frame, and up to which it is smooth; those of chance are one."""

ROOM = 1.25
"""By how much noise may go beyond its law where pixels are thin, whose noise is divided by a step with noise of its own."""

CLEAR = 0.8
"""Squared cosine of the angle between a component and the true one from which its spectrum can be judged."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """Residuals (e, n) in units of optical density (or of the pixels' noise), and weights (q, n), of n pixels.

    `slopes` returns those of the image (g, n), which take time; `pairs` are two arrays of indices for each distance 1 to
    `APART` pixels; `dimensions` counts those of the image in which neighbours are among the pixels; `rounding` is the least
    noise.
    """

    residuals: FloatArray
    weights: FloatArray
    slopes: Callable[[], FloatArray]
    pairs: tuple[tuple[Index, Index], ...]
    dimensions: int
    rounding: float


@dataclass(eq=False)
class Sums:
    """Products of what is left in n pixels (or pairs), summed: with itself (d, d), with weights (d, q), and of these (q, q)."""

    left: Matrix
    weighted: Matrix
    products: Matrix

    def without(self, pattern: Matrix) -> Sums:
        """Return them for what is left without a pattern (d, q), in proportion to the weights."""
        cross = pattern @ self.weighted.T
        own = pattern @ self.products @ pattern.T
        return Sums(self.left - cross - cross.T + own, self.weighted - pattern @ self.products, self.products)


@dataclass(frozen=True, eq=False)
class Structure:
    """Residuals besides what is explained, in units of the noise of each energy.

    Attributes
    ----------
    turn : array (d, e)
        Takes residuals there.
    noise : array (e,)
        Standard deviation of the noise at each energy.
    shared, own : Sums
        Of pairs, and of the same pixels, as if there were `pairs` of them.
    pairs : int
    level : float
        Variance of the noise in each of the d directions, about one.
    crowding : float
        By how much chance makes sums vary more than those of independent pixels that are alike.
    rest : array (f, e)
        Takes residuals to the f directions that no component takes.
    squares : array (m,)
        Of about `ENOUGH_PIXELS` pixels, summed over these directions.
    """

    turn: Matrix
    noise: Matrix
    shared: Sums
    own: Sums
    pairs: int
    level: float
    crowding: float
    rest: Matrix
    squares: Matrix

    @cached_property
    def standing(self) -> tuple[Matrix, Matrix]:
        """Return the `components` of what is shared."""
        return self.components(self.shared.left)

    @property
    def scatter(self) -> float:
        """Return the standard deviation of the elements of the mean products, for noise alone."""
        return float(self.level * np.sqrt(self.crowding / (2 * self.pairs)))

    @property
    def limit(self) -> float:
        """Return the largest eigenvalue of mean products that noise alone reaches, less than once in a thousand cases."""
        d = len(self.turn)
        return float(ROOM * self.scatter * (2 * np.sqrt(d) + SCATTER * d ** (-1 / 6)))

    @property
    def limit_of_own(self) -> float:
        """Return the same for the products of a pixel with itself."""
        return self.level * limit_of_noise(len(self.turn), self.pairs / self.crowding)

    def true(self, values: Matrix) -> Matrix:
        """Return the eigenvalues that true components have, for those found, which chance makes larger."""
        chance = self.scatter**2 * len(self.turn)
        found: Matrix = (values + np.sqrt(np.maximum(values**2 - 4 * chance, 0))) / 2
        return found

    def components(self, left: Matrix) -> tuple[Matrix, Matrix]:
        """Return the strength above chance of each direction (d,), the strongest first, and the directions (d, d)."""
        values, vectors = np.linalg.eigh(left / self.pairs)
        values, vectors = values[::-1], vectors[:, ::-1]
        uneven = (vectors * (self.own.left @ vectors)).sum(axis=0) / self.pairs - values
        above = values > self.limit * np.maximum(uneven / self.level, 1)
        return np.where(above, self.true(values), 0.0), vectors


def find_structure(sampled: Sampled, basis: Matrix) -> Structure:
    """Sum up what is left of the sampled pixels besides combinations of the orthonormal columns of `basis` (e, c).

    Components that stand above noise are left out where the noise is looked for again, as far as energies are enough.
    """
    (first, second), e = sampled.pairs[APART - 1], len(sampled.residuals)
    parts = sampled.residuals.T, sampled.weights.T
    every = np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind")  # a pixel a row
    left = every[:, :e]
    count, scale = first.size, first.size / len(every)
    products = scale * _double(every.T @ every)
    own = Sums(products[:e, :e], products[:e, e:], products[e:, e:])
    own.left += count * sampled.rounding**2 * np.eye(e)
    products = _double(every.take(first, axis=0).T @ every.take(second, axis=0))
    products = (products + products.T) / 2  # the mean of both orders
    shared = Sums(products[:e, :e], products[:e, e:], products[e:, e:])
    covariance = (own.left - shared.left) / count

    def turned(noise: Matrix, spectra: Matrix) -> Structure:
        turn = np.linalg.qr(basis / noise[:, None], mode="complete")[0][:, basis.shape[1] :].T / noise
        both, same = (Sums(turn @ x.left @ turn.T, turn @ x.weighted, x.products) for x in (shared, own))
        rest = turn
        if spectra.size:
            rest = np.linalg.qr(turn @ spectra, mode="complete")[0][:, spectra.shape[1] :].T @ turn
        level = max(float(((rest @ covariance) * rest).sum()) / len(rest), 1e-30)
        crowding, squares = _crowding(left, rest.astype(np.float32), sampled)
        return Structure(turn, noise, both, same, count, level, crowding, rest, squares)

    none = np.empty((left.shape[1], 0))
    found = turned(_noise(covariance, basis), none)
    strengths, axes = found.standing
    standing = axes[:, strengths > 0]
    if 0 < standing.shape[1] <= len(axes) - ENOUGH_LEFT:
        spectra = found.noise[:, None] ** 2 * (found.turn.T @ standing)
        found = turned(_noise(covariance, spanned(np.hstack([basis, spectra]))), spectra)
    return found


def _double(values: FloatArray) -> Matrix:
    return values.astype(np.float64)


def _noise(covariance: Matrix, basis: Matrix) -> Matrix:
    """Return the standard deviation of the noise of each energy (e,), from the covariance of residuals without structure.

    That is P V P, V being diagonal and P what takes the basis out, so that its diagonal is linear in V.
    """
    out = np.eye(len(basis)) - basis @ basis.T
    seen = ((out @ covariance) * out).sum(axis=1)
    mean = max(float(seen.sum() / np.trace(out)), 1e-30)
    found = np.linalg.solve(out**2 + UNKNOWN * np.eye(len(basis)), seen + UNKNOWN * mean)
    noise: Matrix = np.sqrt(mean * np.clip(found / mean, 1 / MOST_UNEVEN, MOST_UNEVEN))
    return noise


def _crowding(left: FloatArray, rest: FloatArray, sampled: Sampled) -> tuple[float, Matrix]:
    """Return by how much sums over pairs vary more, because neighbours share noise and pixels are unlike, and squares of some.

    Both are told from residuals (n, e) in directions (f, e) without components: their products at smaller distances, and
    their squares.
    """
    blocks = max(1, len(left) // ENOUGH_PIXELS)
    some = np.arange(len(left)) // TOGETHER % blocks == 0
    place = np.cumsum(some) - 1
    noises = left[some] @ rest.T
    pairs = [(place[a[both]], place[b[both]]) for a, b in sampled.pairs for both in [some[a] & some[b]]]
    squares = _double(np.einsum("ij,ij->i", noises, noises))
    first, second = pairs[APART - 1]
    mean = float(squares.mean())
    if mean < 1e-150 or not first.size:  # nothing is left
        return 1.0, squares
    unlike = float((squares[first] * squares[second]).mean() / mean**2)
    along = [_likeness(noises, pair) / mean for pair in pairs]
    own = max(1 - along[-1], 1e-3)
    alike = 1 + 2 * sum((max(r - along[-1], 0) / own) ** 2 for r in along[:-1])
    return max(unlike, 1.0) * min(alike, 7.0) ** sampled.dimensions, squares


def _likeness(left: FloatArray, pair: tuple[Index, Index]) -> float:
    first, second = pair
    if not first.size:
        return 0.0
    return float(np.vdot(left.take(first, axis=0), left.take(second, axis=0))) / first.size


def spectrum_of(structure: Structure, axis: Matrix) -> Matrix:
    """Return a direction (d,) in units of the residuals (e,), without what the fit explains."""
    spectrum: Matrix = structure.noise**2 * (structure.turn.T @ axis)
    return spectrum


def runs_smoothly(structure: Structure, axis: Matrix, energy: Matrix, strength: float) -> bool | None:
    """Return whether a component's spectrum is smooth; None where chance or the grid hides it."""
    chance = structure.scatter * np.sqrt(len(axis))
    return is_smooth(structure, axis, energy) if chance <= np.sqrt(1 - CLEAR) * strength else None


def is_smooth(structure: Structure, axis: Matrix, energy: Matrix) -> bool | None:
    """Return whether a spectrum (d,) runs smoothly; None where energies are too far apart to tell."""
    close = np.diff(energy) < CLOSE
    if close.sum() < ENOUGH_CLOSE:
        return None
    chance = structure.noise[:, None] ** 2 * (structure.turn.T @ structure.turn)  # of frames that differ
    ratio = _steps(spectrum_of(structure, axis)[:, None], close) / _steps(chance, close)
    return True if ratio <= RUNS else False if ratio >= JUMPS else None


def _steps(spectra: Matrix, close: NDArray[np.bool_]) -> float:
    """Return the squared steps of spectra (e, m) over their squares (J. von Neumann, doi:10.1214/aoms/1177731677)."""
    squares = spectra[:-1] ** 2 + spectra[1:] ** 2
    return float((np.diff(spectra, axis=0)[close] ** 2).sum() / max(float(squares[close].sum()), 1e-300))
