"""Noise that stays where it is while the sample moves, such as rings of a reconstruction or what flats leave.

In images that were aligned it is correlated between energies, the more the nearer the sample was at both to one place.  A fit
takes part of it for its references, so that residuals show less of it than coefficients have.  How strong it is, and
over how many pixels it changes, follows from the covariances of residuals, pooled over pixels, and the displacements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

WIDTHS = 0.5 * np.sqrt(2.0) ** np.arange(7)
"""Pixels over which such noise may change."""

LAGS = (1, 2, 4, 8, 16)
"""Energies over which residuals may be alike without anything that stays."""

SURE, BETTER = 5.0, 2.0
"""Standard errors that its share must be; and how many times better than `LAGS` it must explain the covariances: what a
spectrum lacks is alike at neighbouring energies, too."""

MOST = 0.9
"""Share beyond which what stays is not told from all of the noise."""

NEIGHBOURS = 2.25
"""Pixels that share one pixel's noise, at worst."""

NOTHING = 1e-3
"""Share of the largest noise below which an energy's residual tells nothing."""


@dataclass(frozen=True, eq=False)
class Origin:
    """How spectra came about: whether from counts, and by how much each frame was moved (E, axes), px, if it was."""

    counted: bool = False
    shifts: Matrix | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    """How much better a correlation explains covariances than none, its share of the noise, and the error of that."""

    gain: float
    share: float
    error: float


class _Covariances:
    """Covariances of residuals (e, e) that are to be explained, `answer` (e, c) being what noise of c values leaves."""

    def __init__(self, covariances: Matrix, answer: Matrix, pixels: int) -> None:
        even = answer @ answer.T
        unit = np.sqrt(np.diag(even))
        told = unit > NOTHING * unit.max()
        self._answer = answer[told] / unit[told, None]
        self._measured = (covariances[np.ix_(told, told)] / np.outer(unit[told], unit[told])).ravel()
        self._even = (self._answer @ self._answer.T).ravel()
        self._pixels = pixels / NEIGHBOURS

    def explained(self, alike: Matrix) -> _Found:
        """Return what noise that is alike (c, c) in part explains."""
        other = (self._answer @ alike @ self._answer.T).ravel()
        columns = np.stack([self._even, other], axis=1)
        strength = np.linalg.lstsq(columns, self._measured, rcond=None)[0]
        plain = self._measured - self._even * (self._even @ self._measured) / (self._even @ self._even)
        rest = self._measured - columns @ strength
        apart = other - self._even * (self._even @ other) / (self._even @ self._even)
        whole, size = float(strength.sum()), float(apart @ apart)
        if not (whole > 0 and size > 0):
            return _Found(0.0, 0.0, 1.0)
        gain = 1 - float(rest @ rest) / float(plain @ plain)
        return _Found(gain, float(strength[1]) / whole, float(np.sqrt(2 / (size * self._pixels))))


def still_noise(covariances: Matrix, answer: Matrix, shifts: Matrix, pixels: int) -> Matrix | None:
    """Return how the noise of values is correlated (c, c); None where nothing shows that it is.

    Parameters
    ----------
    covariances : array (e, e)
        Of residuals, mean over the pixels.
    answer : array (e, c)
        What independent noise of each of c values, as strong as it is there, leaves.
    shifts : array (c, axes)
        Displacements of the sample at these values, px.
    pixels : int
        Over which the covariances are a mean.
    """
    measured = _Covariances(covariances, answer, pixels)
    apart: Matrix = (shifts[:, None] - shifts) ** 2
    everywhere: Matrix = apart.sum(axis=2)
    if not everywhere.max() > WIDTHS[0] ** 2:
        return None  # what stays and what moves are in the same place
    tried = [(measured.explained(_near(everywhere, w)), everywhere, w) for w in WIDTHS]
    if not max(one.share - SURE * one.error for one, _, _ in tried) > 0:
        return None
    # Along one axis it may be the same everywhere, as rings are in planes above each other.
    for axis in range(apart.shape[2]):
        rest: Matrix = everywhere - apart[:, :, axis]
        if rest.max() > WIDTHS[0] ** 2:
            tried += [(measured.explained(_near(rest, w)), rest, w) for w in WIDTHS]
    best, square, width = max(tried, key=lambda one: one[0].gain)
    number = np.arange(len(shifts), dtype=np.float64)
    steps = (number[:, None] - number) ** 2
    smooth = max(measured.explained(_near(steps, lag)).gain for lag in LAGS)
    if not (best.share > SURE * best.error and best.gain > BETTER * smooth):
        return None
    share = min(best.share, MOST)
    return (1 - share) * np.eye(len(shifts)) + share * _near(square, width)


def _near(squares: Matrix, width: float) -> Matrix:
    near: Matrix = np.exp(-squares / (2 * width**2))
    return near
