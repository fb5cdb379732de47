"""The errors of what is read off the spectra in a window of energies: of positions, heights and areas.

All are known functions of the values in the window, so their errors follow from the noise of these.  The noise of a pixel
is what it scatters about a smoothing spline in directions in which no pixels differ by more; of few energies it is backed
by that of all others (`engine.pooled`).  Behind the edge fewer photons are counted, so the logarithm of the variance is
taken to rise with the absorption, as steeply as the scatter of many pixels says.
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

STEEPNESS = np.arange(0, 4.01, 0.25)
"""By how much the logarithm of the noise's variance is tried to rise with the normalised absorption; counts: the edge step."""

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
            tried = [(change * np.exp(b * (typical - typical.max()))) @ change.T for b in STEEPNESS]
            for _ in range(ROUNDS):
                self._rest = _without_what_pixels_share(rest, self.covariance, spectra) @ rest
                self.covariance = _likeliest(tried, self._rest, spectra)
        left = self._rest @ self.covariance @ self._rest.T
        whole = max(float(np.trace(left)), 1e-100)
        self._rest /= np.sqrt(whole)  # of few energies on a steep edge the spline leaves next to nothing
        self._freedom = float(np.trace(left)) ** 2 / max(float((left**2).sum()), 1e-200)
        self._pool: PooledNoise | None = None
        if self._freedom < ENOUGH and spectra.shape[1]:
            pool = PooledNoise(*self._squares(spectra), spectra.mean(axis=0))
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
        backed: FloatArray = np.sqrt(self._pool(squares, freedom, y.mean(axis=0)))
        return backed

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


def _likeliest(tried: list[Float64], rest: Float64, spectra: Float64) -> Float64:
    """Return the covariance (m, m) of those tried that, but for a factor, best agrees with what is left of spectra (m, n)."""
    left = rest @ spectra
    found = left @ left.T
    unlikely = []
    for covariance in tried:
        expected = rest @ covariance @ rest.T
        ratio = np.trace(np.linalg.solve(expected, found))
        unlikely.append(len(rest) * np.log(max(ratio, 1e-300)) + np.linalg.slogdet(expected)[1])
    return tried[int(np.argmin(unlikely))]


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
