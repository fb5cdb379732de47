"""Which directions of the drift a stack tells, and how well: nothing is moved along one that it does not tell.

A layer, a wire or a straight edge looks the same wherever it is along itself.  Frames of such a sample match best
where their noise does, at any distance, and very well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.information import FOUND_IN_NOISE, Information, Spectra, information
from napari_xanes._core.data.drift import FloatMatrix
from napari_xanes._core.engine import blocks

BEST_FRAMES = 75.0
"""Percentile of the frames' significance that must tell a direction; below the edge many frames show little."""

LEAST_ERROR = 0.003
"""px of the copies: what interpolation, windows and binning leave of it also without noise."""

ALONG = 0.1
"""Part of an axis in an undetermined direction from which on the axis is said to be not determined."""

ON_AXIS = 0.999
"""Part of an axis in a direction from which on the two are taken to be the same."""

Pair = Callable[[int], tuple[Spectra, Spectra] | None]
"""Gives the spectra of a frame moved back and of what it was compared with, cut to what both show."""


@dataclass(frozen=True, eq=False)
class Determined:
    """What frames tell of their drift.

    Attributes
    ----------
    free : array (k, n)
        Orthonormal directions along which the stack tells the drift; n of them if nothing is amiss.
    blind : array (n - k, n)
        The others.
    sigma : array (E, n)
        Standard error along the axes, px of the small copies; infinite where nothing is told, NaN for frames not compared.
    """

    free: FloatMatrix
    blind: FloatMatrix
    sigma: FloatMatrix

    def projected(self, shifts: FloatMatrix) -> FloatMatrix:
        """Return shifts (E, n) with nothing along blind directions."""
        return shifts - (shifts @ self.blind.T) @ self.blind


def what_is_told(matcher: Matcher, pair: Pair, used: NDArray[np.bool_], workers: int | None) -> Determined:
    """Return which directions are told, and how well, by the frames that are `used` (E,)."""
    n = len(matcher.shape)
    told: dict[int, Information] = {}

    def look(i: int) -> None:
        two = pair(i)
        if two is not None:
            told[i] = information(matcher, *two)

    blocks.run(look, np.flatnonzero(used).tolist(), text="Measuring how sure the drift is", workers=workers)
    free, blind = _directions([told[i] for i in sorted(told)], n)
    sigma = np.full((used.size, n), np.nan)
    for i, one in told.items():
        sigma[i] = np.hypot(_sigma(one, free, blind), LEAST_ERROR)
    return Determined(free, blind, sigma)


def _directions(told: list[Information], n: int) -> tuple[FloatMatrix, FloatMatrix]:
    """Return orthonormal directions that most frames tell, and those that they do not."""
    if not told:
        return np.eye(n), np.empty((0, n))
    together = Information(*(np.sum([getattr(one, name) for one in told], axis=0) for name in _PARTS))
    blind = [
        u
        for u in together.directions()
        if np.percentile([one.significance(u) for one in told], BEST_FRAMES) < FOUND_IN_NOISE
    ]
    if not blind:
        return np.eye(n), np.empty((0, n))
    nearly = [np.round(u) if np.abs(u).max() > ON_AXIS else u for u in blind]
    axes = np.linalg.svd(np.array(nearly))[2]
    return axes[len(blind) :], axes[: len(blind)]


_PARTS = ("curvature", "slope_noise", "curvature_noise", "bend", "scatter")


def _sigma(one: Information, free: FloatMatrix, blind: FloatMatrix) -> FloatMatrix:
    """Return the standard error of one frame along the axes (n,)."""
    sigma: FloatMatrix = one.sigma(free)
    lost = list(blind)
    if len(free) == len(sigma):  # the stack tells all of them; this frame may not
        lost = [u for u in one.directions() if one.significance(u) < FOUND_IN_NOISE]
    for u in lost:
        sigma[np.abs(u) > ALONG] = np.inf
    return sigma
