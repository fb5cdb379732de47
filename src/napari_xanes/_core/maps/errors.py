"""The errors of what is read off the spectra in a window of energies: of positions, heights and areas.

All are known functions of the values in the window, so their errors follow from the noise of these.  The noise of a pixel
is what it scatters about a smoothing spline in directions in which no pixels differ by more; of few energies it is backed
by that of all others (`engine.pooled`).  Behind the edge fewer photons are counted, or more of fluorescence, so the
variance, or its logarithm, is taken to rise in proportion to the typical spectrum, as steeply as the scatter of many pixels
says, or not at all where that is not clear; in units of the spectrum's own range, so that it does not matter in which units
the data come.
Spectra that were normalised share the errors of their lines and of their step (`data.jacobian`).  What smoothing moves is
not in them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.engine.pooled import ENOUGH, FEWEST, PooledNoise
from napari_xanes._core.maps.spline import Float64, FloatArray, SmoothingSpline

LESS = 0.03
"""Part of the best smoothing of a curve with which the noise is told: the scatter then holds less of the curve itself."""

LEFT = 1e-6
"""Part of the noise that must be left in a direction, of what is left in another, for it to tell anything."""

ROUNDS = 3
"""In each, directions without structure and the spread of the noise are looked for anew."""

UNEVEN = 3.0
"""Variance from which on spectra differ by more than noise, in units of what they differ by in other directions."""

STEEPNESS = np.arange(0, 6.01, 0.25)
"""Logarithms, that are tried, of the ratio of the noise's variance at the typical spectrum's maximum to that at its minimum; in counts
through a sample it is the range of the optical density.  The last means that there is no best one."""

LEAST_DIRECTIONS = 3
"""Directions without structure from which on they tell whether noise is even: in two, a rest of structure looks like uneven noise."""

EXPLAINED = 2 / 3
"""Part that uneven noise has to explain of what speaks against even noise; a rest of structure is explained by less than half."""

FEW_FREE = 2.5
"""Degrees of freedom below which the user is told that errors may be too large."""


class WindowErrors:
    """Noise of spectra in a window, and variances of linear functions of them.

    Parameters
    ----------
    spline : SmoothingSpline
        Of the window's energies.
    inside : array of int (m,)
        Indices of these.
    sample : array (E, n)
        Sampled spectra.
    jacobian : Jacobian, optional
        How they were normalised.

    Attributes
    ----------
    covariance : array (m, m)
        Of the values in the window, for noise of one.
    """

    def __init__(
        self,
        spline: SmoothingSpline,
        inside: NDArray[np.intp],
        sample: FloatArray,
        jacobian: Jacobian | None,
    ) -> None:
        spectra = sample[inside][:, np.isfinite(sample[inside]).all(axis=0)].astype(np.float64)
        change, columns = np.eye(inside.size), inside
        if jacobian is not None and spectra.shape[1]:
            columns = np.union1d(inside, jacobian.used)
            first, second = jacobian.parts(inside, columns)
            change = first - np.median(spectra, axis=1)[:, None] * second
        self.covariance: Float64 = change @ change.T
        smoothing = LESS * spline.choose(spectra) if spectra.shape[1] else spline.least_smoothing
        rest = np.eye(inside.size) - spline.values(smoothing)
        self._rest = rest
        if spectra.shape[1] >= FEWEST * inside.size:
            seen = sample[columns][:, np.isfinite(sample[columns]).all(axis=0)]
            typical = np.median(seen, axis=1).astype(np.float64) if seen.size else np.zeros(columns.size)
            height = (typical - typical.min()) / max(float(np.ptp(typical)), 1e-300)
            variances = [np.exp(b * height) for b in STEEPNESS]  # of the logarithm of counts
            variances += [1 + np.expm1(b) * height for b in STEEPNESS]  # of counts that rise, as fluorescence
            self._rest, self.covariance = _spread(rest, spectra, [(change * v) @ change.T for v in variances])
        left = self._rest @ self.covariance @ self._rest.T
        whole = max(float(np.trace(left)), 1e-100)
        self._rest /= np.sqrt(whole)  # of few energies on a steep edge the spline leaves next to nothing
        self._freedom = float(np.trace(left)) ** 2 / max(float((left**2).sum()), 1e-200)
        self._pool: PooledNoise | None = None
        self._unit = (float(np.median(np.abs(spectra.mean(axis=0)))) if spectra.shape[1] else 0.0) or 1.0
        if self._freedom < ENOUGH and spectra.shape[1]:
            pool = PooledNoise(*self._squares(spectra), self._level(spectra))
            self._pool = pool if pool.known else None

    def doubts(self) -> list[str]:
        """Say so if the window's energies are too few to tell noise from the shape of the spectra."""
        if self._freedom >= FEW_FREE:
            return []
        said = (
            f"the window's {len(self._rest)} energies are too few to tell noise from how the spectra of pixels differ "
            f"({self._freedom:.1f} degrees of freedom, at least {FEW_FREE:g} are needed), so the errors may be several times too "
            "large; measure at more energies there, or compare with the scatter in a uniform region"
        )
        return [said]

    def _squares(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        rest = self._rest.astype(y.dtype) @ y
        squares = np.einsum("ij,ij->j", rest, rest) * y.dtype.type(self._freedom)
        return squares, np.full(squares.shape, self._freedom, y.dtype)

    def noise(self, y: FloatArray) -> FloatArray:
        """Return the standard deviation (n,) of the noise of spectra (m, n) in the window."""
        squares, freedom = self._squares(y)
        if self._pool is None:
            own: FloatArray = np.sqrt(squares / freedom)
            return own
        backed: FloatArray = np.sqrt(self._pool(squares, freedom, self._level(y)))
        return backed

    def _level(self, y: FloatArray) -> FloatArray:
        """Return what the noise of spectra (m, n) may follow, relative to that of a typical pixel."""
        level: FloatArray = y.mean(axis=0) / y.dtype.type(self._unit)
        return level

    def between(self, *rows: Float64) -> Float64:
        """Return the covariances (p, k, k), for noise of one, of p sets of k functions, given by rows (p, m) each."""
        each = np.stack(rows, axis=1)
        out: Float64 = each @ self.covariance @ each.swapaxes(1, 2)
        return out


def _without_what_pixels_share(rest: Float64, covariance: Float64, spectra: Float64) -> Float64:
    """Return directions (k, m) of what a spline leaves of spectra (m, n) in which these differ no more than by noise.

    In units of the noise it is the same in all directions, but for being uneven over the energies; what the curves of
    pixels share, and what they differ by, stands out of it.
    """
    strengths, axes = np.linalg.eigh(rest @ covariance @ rest.T)
    told = strengths > LEFT * strengths[-1]
    white = axes[:, told].T / np.sqrt(strengths[told])[:, None]
    left = white @ (rest @ spectra)
    sizes, turn = np.linalg.eigh(left @ left.T)
    count = (sizes.size + 1) // 2
    while count < sizes.size and sizes[count] <= UNEVEN * sizes[:count].mean():
        count += 1
    kept: Float64 = turn[:, :count].T @ white
    return kept


def _spread(rest: Float64, spectra: Float64, tried: list[Float64]) -> tuple[Float64, Float64]:
    """Return what is left of spectra (m, n) without what pixels share, and how noise is spread over the energies: one of those tried.

    The first, even noise, where rounds do not settle.
    """
    found = [0]
    for _ in range(ROUNDS):
        left = _without_what_pixels_share(rest, tried[found[-1]], spectra) @ rest
        found.append(_likeliest(tried, left, spectra))
    if abs(found[-1] - found[-2]) > 1:
        return _without_what_pixels_share(rest, tried[0], spectra) @ rest, tried[0]
    return left, tried[found[-1]]


def _likeliest(tried: list[Float64], rest: Float64, spectra: Float64) -> int:
    """Return which covariance (m, m) of those tried agrees best, but for a factor, with what is left of spectra (m, n).

    0, which is even noise, where that is not clear: where the best explains little of what any covariance would.
    """
    count, n = len(rest), spectra.shape[1]
    if count < LEAST_DIRECTIONS:
        return 0
    left = rest @ spectra
    found = left @ left.T / n
    likely = []
    for covariance in tried:
        expected = rest @ covariance @ rest.T
        ratio = np.trace(np.linalg.solve(expected, found))
        likely.append(-0.5 * (count * np.log(max(ratio, 1e-300)) + np.linalg.slogdet(expected)[1]))
    by_chance = count * (count + 1) / (4 * n)
    most = -0.5 * (count * np.log(count) + np.linalg.slogdet(found)[1]) - by_chance
    best = int(np.argmax(likely))
    inside = (best + 1) % STEEPNESS.size != 0
    clear = inside and likely[best] - likely[0] > EXPLAINED * (most - likely[0])
    return best if clear else 0


def combined(covariances: Float64, piece: NDArray[np.intp], weights: FloatArray) -> FloatArray:
    """Return the standard deviation (n,) of weights (k, n) times the functions of each pixel's piece (n,)."""
    chosen = covariances.astype(weights.dtype)[piece]
    variance = np.einsum("in,nij,jn->n", weights, chosen, weights, optimize=True)
    out: FloatArray = np.sqrt(np.maximum(variance, 0))
    return out


def cubic(u: FloatArray, step: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what the values at both ends and the slopes there (4, n) count in a cubic's value and its slope, at u.

    `u` goes from 0 to 1 along a piece of length `step`; the slope is per unit of u.
    """
    value = np.stack(
        [(1 + 2 * u) * (1 - u) ** 2, u**2 * (3 - 2 * u), step * u * (1 - u) ** 2, step * u**2 * (u - 1)]
    )
    slope = np.stack([6 * u * (u - 1), 6 * u * (1 - u), step * (1 - u) * (1 - 3 * u), step * u * (3 * u - 2)])
    return value, slope
