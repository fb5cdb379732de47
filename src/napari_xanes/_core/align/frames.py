"""The frames of a search for drift: what is known of each so far, and which of them can be relied on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.binning import binned
from napari_xanes._core.align.copies import SHORTEST
from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.frequencies import Vector
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.drift import FloatMatrix
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

_ALIKE = 10.0  # px of the small copies over which structure is alike, so that they count as one
_CHANCE = 6.0  # standard deviations that noise reaches somewhere in the search
_DOUBT = 0.6  # of the median confidence
_FAR = 0.1  # of a frame, beyond as far again as the sure frames reach


@dataclass(eq=False)
class Search:
    """Small copies of the frames and what is known of their displacements so far, px of the small copies."""

    matcher: Matcher
    frames: list[Float32]
    usable: NDArray[np.bool_]
    shifts: FloatMatrix
    confidence: FloatMatrix
    progress: Progress
    workers: int | None

    def each(self, measure: Callable[[int], tuple[Vector, float]], indices: Sequence[int], text: str) -> None:
        """Set shift and confidence of every frame of `indices` to what `measure` returns."""

        def work(i: int) -> None:
            self.shifts[i], self.confidence[i] = measure(i)

        blocks.run(work, indices, progress=self.progress, text=text, workers=self.workers)

    @property
    def known(self) -> NDArray[np.bool_]:
        finite: NDArray[np.bool_] = np.all(np.isfinite(self.shifts), axis=1)
        return self.usable & finite


def scale_frames(frames: list[Float32], usable: NDArray[np.bool_]) -> None:
    """Bring the frames to a range of about 1: one factor for all, as what stays put is equally strong in each."""
    factor = np.float32(1 / np.median([np.ptp(frames[i]) for i in np.flatnonzero(usable)]))
    for frame in frames:
        frame *= factor


def by_chance(search: Search) -> NDArray[np.bool_]:
    """Return which frames match no better than noise would somewhere (E,).

    Noise correlates like one over the root of the number of independent values in the overlap.
    """
    sizes = np.array(search.matcher.shape)
    overlap = np.maximum(sizes - np.abs(search.shifts), 1).prod(axis=1)
    chance: NDArray[np.bool_] = search.confidence < _CHANCE / np.sqrt(overlap / _ALIKE)
    return search.known & chance


def far_and_doubtful(search: Search) -> NDArray[np.bool_]:
    """Return which frames match poorly, and lie far outside the way of those that match well (E,).

    Maps below the edge that show but noise and scatter may match one another there better than any other frame.
    """
    doubt = doubtful(search.confidence, search.known)
    sure = search.known & ~doubt
    if sure.sum() < 2:
        return np.zeros_like(sure)
    way = search.shifts[sure]
    reach = np.ptp(way, axis=0) + _FAR * np.array(search.matcher.shape)
    middle = (way.min(axis=0) + way.max(axis=0)) / 2
    far: NDArray[np.bool_] = doubt & (np.abs(search.shifts - middle) > reach).any(axis=1)
    return far


def bridge(search: Search) -> None:
    """Let frames that could not be measured move with those beside them."""
    search.shifts[by_chance(search) | far_and_doubtful(search)] = np.nan
    gaps, at = np.flatnonzero(search.usable & ~search.known), np.flatnonzero(search.known)
    for axis in range(search.shifts.shape[1]):
        search.shifts[gaps, axis] = np.interp(gaps, at, search.shifts[at, axis]) if at.size else 0.0
    search.confidence[gaps] = 0
    search.shifts -= search.shifts[at].mean(axis=0) if at.size else 0.0


def nearest(known: NDArray[np.bool_], index: int) -> int:
    candidates = np.flatnonzero(known)
    return int(candidates[np.argmin(np.abs(candidates - index))])


def clear_frame(search: Search) -> int:
    """Return a frame of high contrast, though not the highest, which may be a fault."""
    bins = [4 if n >= SHORTEST else 1 for n in search.matcher.shape]
    contrast = np.array([binned(frame, bins).std() for frame in search.frames])
    order = np.flatnonzero(search.usable)
    order = order[np.argsort(contrast[order], kind="stable")]
    return int(order[(3 * len(order)) // 4])


def doubtful(confidence: FloatMatrix, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which usable frames match far worse than most do (E,)."""
    return usable & (confidence < _DOUBT * np.median(confidence[usable])) if usable.any() else usable
