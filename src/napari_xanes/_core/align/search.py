"""How drift is found, from small copies of the frames.

Frames are read once, one by one, and made small (see `copies`), so the passes over them cost no reading: each frame
against one clear frame, again without what stays put on the detector, and at last against the mean of all others as
they lie now, which has the least noise.  The reference only says which frame stays in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.aperture import opening
from napari_xanes._core.align.copies import Copies, small_copies
from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.determined import ALONG, Determined, Pair, what_is_told
from napari_xanes._core.align.frames import Search, bridge, clear_frame, doubtful, nearest, scale_frames
from napari_xanes._core.align.information import Spectra
from napari_xanes._core.align.misfit import reversed_frames, turning
from napari_xanes._core.align.move import valid_span
from napari_xanes._core.align.rounds import (
    MEAN_PASSES,
    aligned_sum,
    by_neighbors,
    mean_of_others,
    moved_back,
    start,
    to_mean,
    without_pattern,
)
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.drift import FloatMatrix, ReferenceFrame
from napari_xanes._core.data.stack import Float32

_WORTH_THREADS = 100_000
"""Pixels of the small frames; on fewer, threads wait for each other more than they work."""

_PREFERRED = 1.5
"""How many times the error of the whole frames that of a window in detail may be, if something stays put on the detector.

What is left of it is in no error, and grows with the pixels.
"""

_MOST_OF = 0.5
"""Of a frame, that all must show for their spectra to be added up there."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What `measure_drift` finds.

    Attributes
    ----------
    shifts : array (E, n)
        px.
    confidence : array (E,)
    reference : int, "previous" or "mean"
        As resolved.
    sigma : array (E, n)
        Standard error of the shifts, px; infinite along axes of which the frame tells nothing.
    blind : array (m, n)
        Directions, of length one, along which no frame tells anything; all shifts are 0 along them.
    opening : tuple of slice or None
        The part of images that was looked at, px, as an aperture that stays put leaves it open; None for all.
    turned : float
        Degrees by which frames are turned at most, which displacements do not take back; 0 if they are not clearly.
    reversed : tuple of int
        Frames in which bright and dark are exchanged.
    """

    shifts: FloatMatrix
    confidence: FloatMatrix
    reference: ReferenceFrame
    sigma: FloatMatrix
    blind: FloatMatrix
    opening: tuple[slice, ...] | None = None
    turned: float = 0.0
    reversed: tuple[int, ...] = ()


def measure_drift(
    read: Callable[[int], Float32],
    n: int,
    reference: ReferenceFrame,
    *,
    progress: Progress = no_progress,
    workers: int | None = None,
) -> Measured:
    """Return the drift of frames, how sure it is, and the reference as resolved.

    A frame that holds data but nothing to go by, as below the edge of an element that is alone in the sample,
    moves with the frames beside it, linearly between them; its confidence is 0.

    Parameters
    ----------
    read : callable
        ``read(i)`` gives frame i (or the region of it that is to be looked at), float32.
    n : int
        Number of frames.
    reference : int, "previous" or "mean"
    """
    copies = small_copies(read, n, progress, workers)
    frames, bins = copies.frames, copies.bins
    usable = np.array([bool(frame.any()) for frame in frames])
    if not usable.any():
        raise InputError(
            "no frame shows any structure (all are constant or hold no valid number), so there is no drift to measure; "
            "check the file, the flats and the region."
        )
    scale_frames(frames, usable)
    part = opening(frames, usable)
    seen = None
    if part is not None:
        frames, copies.details = _cut(frames, part), []
        scale_frames(frames, usable)
        seen = tuple(slice(int(s.start * b), int(s.stop * b)) for s, b in zip(part, bins, strict=True))
    unknown = np.full((n, frames[0].ndim), np.nan)
    if frames[0].size < _WORTH_THREADS:
        workers = 1
    matcher = Matcher(frames[0].shape, binned=max(bins) > 1)
    search = Search(matcher, frames, usable, unknown, np.zeros(n), progress, workers)
    if reference == "previous":
        by_neighbors(search)
        told = what_is_told(search.matcher, _with_the_one_before(search), search.known, workers)
        shifts, sigma = told.projected(search.shifts), _added_up(told.sigma, search.usable)
        return Measured(shifts * bins, search.confidence, reference, sigma * bins, told.blind, seen)
    anchor = clear_frame(search)
    start(search, anchor)
    if not copies.details or doubtful(search.confidence, search.usable).any():
        to_mean(search)
    told = _told(search)
    if len(told.blind):
        told = _stay_along(search, frames, told)
    sigma = told.sigma
    if copies.details:
        sigma = _in_detail(search, copies, anchor, told)
    doubts = (seen, turning(search, anchor), tuple(reversed_frames(search, anchor).tolist()))
    bridge(search)
    if reference == "mean":
        return Measured(search.shifts * bins, search.confidence, "mean", sigma * bins, told.blind, *doubts)
    resolved = nearest(search.known, int(reference))
    shifts = search.shifts - search.shifts[resolved]
    sigma = np.hypot(sigma, sigma[resolved])
    sigma[resolved] = np.where(np.isfinite(sigma[resolved]), 0.0, sigma[resolved])
    return Measured(shifts * bins, search.confidence, resolved, sigma * bins, told.blind, *doubts)


def _cut(frames: list[Float32], part: tuple[slice, ...]) -> list[Float32]:
    """Return a part of the frames, their means off."""
    return [np.ascontiguousarray(frame[part]) - frame[part].mean() for frame in frames]


def _told(search: Search) -> Determined:
    """Return which directions of the drift frames tell, by the mean of the others as they lie now."""
    matcher, known = search.matcher, np.flatnonzero(search.known)
    back = moved_back(search, known)
    sums = aligned_sum(search, back)
    by_all = _seen_by_all(search, known)
    total = None if by_all is None else Spectra.of(matcher, sums.total[by_all])

    def pair(i: int) -> tuple[Spectra, Spectra] | None:
        if total is not None:
            own = Spectra.of(matcher, back[i][by_all])
            return own, total.mean_without(own, known.size)
        seen = matcher.in_view(search.shifts[i])
        return _pair(matcher, back[i][seen], mean_of_others(search, i, sums, back)[seen])

    used = search.known if known.size > 1 else np.zeros_like(search.known)
    return what_is_told(matcher, pair, used, search.workers)


def _seen_by_all(search: Search, known: NDArray[np.intp]) -> tuple[slice, ...] | None:
    """Return the region that all frames still cover when they are moved back; None if it is not most of them, or one plane."""
    spans = [valid_span(n, s) for n, s in zip(search.matcher.shape, search.shifts[known].T, strict=True)]
    sides = [max(hi - lo, 0) for lo, hi in spans]
    most = prod(sides) >= _MOST_OF * prod(search.matcher.shape)
    if not most or min(sides) < 2:  # one plane has no gradient across
        return None
    return tuple(slice(lo, hi) for lo, hi in spans)


def _pair(matcher: Matcher, one: Float32, other: Float32) -> tuple[Spectra, Spectra] | None:
    return (Spectra.of(matcher, one), Spectra.of(matcher, other)) if min(one.shape) > 1 else None


def _stay_along(search: Search, frames: list[Float32], told: Determined) -> Determined:
    """Measure once more, from shifts that are 0 along directions that nothing tells, and stay so."""
    blind = told
    search.frames = frames  # a pattern found with such shifts may be the sample
    for _ in range(MEAN_PASSES):
        search.shifts = blind.projected(search.shifts)
        to_mean(search)
    search.shifts = blind.projected(search.shifts)
    again = _told(search)
    sigma = np.where((np.abs(blind.blind) > ALONG).any(axis=0), np.inf, again.sigma)
    sigma[np.isnan(again.sigma).any(axis=1)] = np.nan
    return Determined(blind.free, blind.blind, sigma)


def _with_the_one_before(search: Search) -> Pair:
    order = np.flatnonzero(search.usable)
    before = dict(zip(order[1:].tolist(), order[:-1].tolist(), strict=True))

    def pair(i: int) -> tuple[Spectra, Spectra] | None:
        if i not in before:
            return None
        shift = search.shifts[i] - search.shifts[before[i]]
        seen = search.matcher.in_view(shift)
        back = search.matcher.moved_back(search.frames[i], shift)
        return _pair(search.matcher, back[seen], search.frames[before[i]][seen])

    return pair


def _added_up(sigma: FloatMatrix, usable: NDArray[np.bool_]) -> FloatMatrix:
    """Return the errors of shifts that are sums of the shifts of all frames before."""
    total = np.full_like(sigma, np.nan)
    order = np.flatnonzero(usable)
    steps = np.where(np.isnan(sigma[order]), 0.0, sigma[order])
    total[order] = np.sqrt(np.cumsum(steps**2, axis=0))
    return total


def _in_detail(search: Search, copies: Copies, anchor: int, told: Determined) -> FloatMatrix:
    """Measure once more on a window at finer binning, which tells smaller displacements than the whole does.

    What is found there counts where it is near what the whole frames say and its error is smaller, or not much larger if
    something stays put on the detector.  Returns the errors (E, n).
    """
    sigma = told.sigma.copy()
    usable = search.known & np.array([bool(detail.any()) for detail in copies.details])
    if not usable[anchor] or usable.sum() < 2:
        return sigma
    scale_frames(copies.details, usable)
    matcher = Matcher(copies.details[0].shape, binned=True)
    starts = np.where(usable[:, None], search.shifts * copies.finer, np.nan)
    fine = Search(
        matcher,
        copies.details,
        usable,
        starts,
        search.confidence.copy(),
        search.progress,
        search.workers,
    )
    most = _PREFERRED if without_pattern(fine, anchor) else 1.0
    to_mean(fine)
    closer = np.where(np.isfinite(sigma), _told(fine).sigma / copies.finer, sigma)
    sure = fine.known & ~doubtful(fine.confidence, fine.known)
    taken = sure & (closer <= most * sigma).all(axis=1)
    if not (taken[usable].all() or len(told.blind)):
        to_mean(search)  # the others have been compared with one frame only
    change = fine.shifts / copies.finer - search.shifts
    change -= np.median(change[sure], axis=0) if sure.any() else 0.0
    if len(told.blind):
        change = told.projected(change)
    taken &= (np.abs(change) < 1).all(axis=1)
    search.shifts[taken] += change[taken]
    taken &= np.isfinite(closer).all(axis=1)
    sigma[taken] = closer[taken]
    return sigma
