"""How drift is found, from small copies of the frames.

Frames are read once, one by one, and made small (see `copies`), so the passes over them cost no reading: each frame
against one clear frame, again without what stays put on the detector, and at last against the mean of all others as
they lie now, which has the least noise.  The reference only says which frame stays in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.copies import SHORTEST, Copies, binned, small_copies
from napari_xanes._core.align.correlation import Matcher, Vector
from napari_xanes._core.align.determined import ALONG, LEAST_BINNED, LEAST_ERROR, Determined, what_is_told
from napari_xanes._core.align.pattern import GROUP, static_pattern
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.drift import FloatMatrix, Reference
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

_PATTERN_PASSES = 6
_MEAN_PASSES = 2
_DOUBT = 0.6  # of the median confidence
_CHANCE = 6.0  # standard deviations that noise reaches somewhere in the search
_FAR = 0.1  # of a frame, beyond as far again as the sure frames reach
_ALIKE = 10.0  # px of the small copies over which structure is alike, so that they count as one
_SHARP = 0.15  # px of the small frames; a mean of frames that lie this well is as sharp as can be
_WORTH_THREADS = (
    100_000  # pixels of the small frames; on fewer, threads wait for each other more than they work
)
_SETTLED = 0.1  # px of the small frames; the pattern is known well enough when no shift changes by more


@dataclass(eq=False)
class _Search:
    """Small copies of the frames and what is known of their displacements so far, px of the small copies."""

    matcher: Matcher
    frames: list[Float32]
    usable: NDArray[np.bool_]
    shifts: FloatMatrix
    confidence: FloatMatrix
    progress: Progress
    workers: int | None
    least: float = LEAST_BINNED
    """Error of a displacement without noise, px of the copies."""

    def each(self, measure: Callable[[int], tuple[Vector, float]], indices: Sequence[int], text: str) -> None:
        """Set shift and confidence of every frame of `indices` to what `measure` returns."""

        def work(i: int) -> None:
            self.shifts[i], self.confidence[i] = measure(i)

        blocks.run(work, indices, progress=self.progress, text=text, workers=self.workers)

    @property
    def known(self) -> NDArray[np.bool_]:
        finite: NDArray[np.bool_] = np.all(np.isfinite(self.shifts), axis=1)
        return self.usable & finite


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
    """

    shifts: FloatMatrix
    confidence: FloatMatrix
    reference: Reference
    sigma: FloatMatrix
    blind: FloatMatrix


def measure_drift(
    read: Callable[[int], Float32],
    n: int,
    reference: Reference,
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
    _scale(frames, usable)
    unknown = np.full((n, frames[0].ndim), np.nan)
    if frames[0].size < _WORTH_THREADS:
        workers = 1
    search = _Search(Matcher(frames[0].shape), frames, usable, unknown, np.zeros(n), progress, workers)
    if max(bins) == 1:
        search.least = LEAST_ERROR
    if reference == "previous":
        _by_neighbours(search)
        told = what_is_told(search.matcher, _with_the_one_before(search), search.known, search.least, workers)
        shifts, sigma = told.projected(search.shifts), _added_up(told.sigma, search.usable)
        return Measured(shifts * bins, search.confidence, reference, sigma * bins, told.blind)
    anchor = _clear_frame(search)
    _to_one(search, anchor)
    _without_pattern(search, anchor)
    if not copies.details or doubtful(search.confidence, search.usable).any():
        _to_mean(search)
    told = _told(search)
    if len(told.blind):
        told = _stay_along(search, frames, told)
    sigma = told.sigma
    if copies.details:
        sigma = _in_detail(search, copies, anchor, told)
    _bridge(search)
    if reference == "mean":
        return Measured(search.shifts * bins, search.confidence, "mean", sigma * bins, told.blind)
    resolved = _nearest(search.known, int(reference))
    shifts = search.shifts - search.shifts[resolved]
    sigma = np.hypot(sigma, sigma[resolved])
    sigma[resolved] = np.where(np.isfinite(sigma[resolved]), 0.0, sigma[resolved])
    return Measured(shifts * bins, search.confidence, resolved, sigma * bins, told.blind)


def _told(search: _Search) -> Determined:
    """Return which directions of the drift frames tell, by the mean of the others as they lie now."""
    known = np.flatnonzero(search.known)
    back = {int(i): search.matcher.moved_back(search.frames[i], search.shifts[i]) for i in known}
    sums = _aligned_sum(search, known, back)

    def pair(i: int) -> tuple[Float32, Float32] | None:
        others, own = _mean_of_others(search, i, sums, back[i])
        seen = search.matcher.in_view(search.shifts[i])
        return None if own is None else (own[seen], others[seen])

    used = search.known if known.size > 1 else np.zeros_like(search.known)
    return what_is_told(search.matcher, pair, used, search.least, search.workers)


def _stay_along(search: _Search, frames: list[Float32], told: Determined) -> Determined:
    """Measure once more, from shifts that are 0 along directions that nothing tells, and stay so."""
    blind = told
    search.frames = frames  # a pattern found with such shifts may be the sample
    for _ in range(_MEAN_PASSES):
        search.shifts = blind.projected(search.shifts)
        _to_mean(search)
    search.shifts = blind.projected(search.shifts)
    again = _told(search)
    sigma = np.where((np.abs(blind.blind) > ALONG).any(axis=0), np.inf, again.sigma)
    sigma[np.isnan(again.sigma).any(axis=1)] = np.nan
    return Determined(blind.free, blind.blind, sigma)


def _with_the_one_before(search: _Search) -> Callable[[int], tuple[Float32, Float32] | None]:
    order = np.flatnonzero(search.usable)
    before = dict(zip(order[1:].tolist(), order[:-1].tolist(), strict=True))

    def pair(i: int) -> tuple[Float32, Float32] | None:
        if i not in before:
            return None
        shift = search.shifts[i] - search.shifts[before[i]]
        seen = search.matcher.in_view(shift)
        return search.matcher.moved_back(search.frames[i], shift)[seen], search.frames[before[i]][seen]

    return pair


def _added_up(sigma: FloatMatrix, usable: NDArray[np.bool_]) -> FloatMatrix:
    """Return the errors of shifts that are sums of the shifts of all frames before."""
    total = np.full_like(sigma, np.nan)
    order = np.flatnonzero(usable)
    steps = np.where(np.isnan(sigma[order]), 0.0, sigma[order])
    total[order] = np.sqrt(np.cumsum(steps**2, axis=0))
    return total


def _scale(frames: list[Float32], usable: NDArray[np.bool_]) -> None:
    """Bring the frames to a range of about 1: one factor for all, as what stays put is equally strong in each."""
    factor = np.float32(1 / np.median([np.ptp(frames[i]) for i in np.flatnonzero(usable)]))
    for frame in frames:
        frame *= factor


def _in_detail(search: _Search, copies: Copies, anchor: int, told: Determined) -> FloatMatrix:
    """Measure once more on a window at finer binning, which tells smaller displacements than the whole does.

    What is found there counts where it is near what the whole frames say.  Returns the errors (E, n).
    """
    sigma = told.sigma.copy()
    usable = search.known & np.array([bool(detail.any()) for detail in copies.details])
    if not usable[anchor] or usable.sum() < 2:
        return sigma
    _scale(copies.details, usable)
    matcher = Matcher(copies.details[0].shape)
    starts = np.where(usable[:, None], search.shifts * copies.finer, np.nan)
    fine = _Search(
        matcher,
        copies.details,
        usable,
        starts,
        search.confidence.copy(),
        search.progress,
        search.workers,
    )
    _without_pattern(fine, anchor)
    _to_mean(fine)
    change = fine.shifts / copies.finer - search.shifts
    change -= np.nanmedian(change[fine.known], axis=0) if fine.known.any() else 0.0
    near = fine.known & (np.abs(change) < 1).all(axis=1) & ~doubtful(fine.confidence, fine.known)
    if len(told.blind):
        change = told.projected(change)
    search.shifts[near] += change[near]
    closer = np.where(np.isfinite(sigma), _told(fine).sigma / copies.finer, sigma)
    better = near & np.isfinite(closer).all(axis=1)
    sigma[better] = closer[better]
    return sigma


def _by_chance(search: _Search) -> NDArray[np.bool_]:
    """Return which frames match no better than noise would somewhere (E,).

    Noise correlates like one over the root of the number of independent values in the overlap.
    """
    sizes = np.array(search.matcher.shape)
    overlap = np.maximum(sizes - np.abs(search.shifts), 1).prod(axis=1)
    chance: NDArray[np.bool_] = search.confidence < _CHANCE / np.sqrt(overlap / _ALIKE)
    return search.known & chance


def _far_and_doubtful(search: _Search) -> NDArray[np.bool_]:
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


def _bridge(search: _Search) -> None:
    """Let frames that could not be measured move with those beside them."""
    search.shifts[_by_chance(search) | _far_and_doubtful(search)] = np.nan
    gaps, at = np.flatnonzero(search.usable & ~search.known), np.flatnonzero(search.known)
    for axis in range(search.shifts.shape[1]):
        search.shifts[gaps, axis] = np.interp(gaps, at, search.shifts[at, axis]) if at.size else 0.0
    search.confidence[gaps] = 0
    search.shifts -= search.shifts[at].mean(axis=0) if at.size else 0.0


def _nearest(known: NDArray[np.bool_], index: int) -> int:
    candidates = np.flatnonzero(known)
    return int(candidates[np.argmin(np.abs(candidates - index))])


def _clear_frame(search: _Search) -> int:
    """Return a frame of high contrast, though not the highest, which may be a fault."""
    bins = [4 if n >= SHORTEST else 1 for n in search.matcher.shape]
    contrast = np.array([binned(frame, bins).std() for frame in search.frames])
    order = np.flatnonzero(search.usable)
    order = order[np.argsort(contrast[order], kind="stable")]
    return int(order[(3 * len(order)) // 4])


def _to_one(search: _Search, anchor: int) -> None:
    """Measure every frame against frame `anchor`."""
    matcher, frames = search.matcher, search.frames
    fixed = frames[anchor]
    target = matcher.prepare(fixed)

    def measure(i: int) -> tuple[Vector, float]:
        if i == anchor:
            return np.zeros(fixed.ndim), 1.0
        return matcher.match(frames[i], fixed, target)

    search.each(measure, np.flatnonzero(search.usable).tolist(), "Measuring drift")


def _without_pattern(search: _Search, anchor: int) -> None:
    """Where something stays put on the detector, take it off and measure against frame `anchor` again.

    It is only taken off if the frames match better without it.
    """
    raw = search.frames
    state = raw, search.shifts.copy(), search.confidence.copy()
    for _ in range(_PATTERN_PASSES):
        pattern = static_pattern(search.matcher, raw, search.shifts, search.known, search.workers)
        if pattern is None:
            return
        before = search.shifts.copy()
        search.frames = [frame - pattern for frame in raw]
        fixed = search.frames[anchor]

        def measure(i: int, fixed: Float32 = fixed) -> tuple[Vector, float]:
            if i == anchor:
                return np.zeros(fixed.ndim), 1.0
            return search.matcher.refine(search.frames[i], fixed, search.shifts[i])

        search.each(
            measure, np.flatnonzero(search.known).tolist(), "Measuring drift past the detector's pattern"
        )
        if np.median(search.confidence[search.usable]) < np.median(state[2][search.usable]):
            search.frames, search.shifts, search.confidence = state
            return
        if np.nanmax(np.abs(search.shifts - before)) < _SETTLED:
            return


def _by_neighbours(search: _Search) -> None:
    """Measure every frame against the usable one before it and add up."""
    order = np.flatnonzero(search.usable)
    before = dict(zip(order[1:].tolist(), order[:-1].tolist(), strict=True))
    matcher, frames = search.matcher, search.frames

    def measure(i: int) -> tuple[Vector, float]:
        fixed = frames[before[i]]
        shift, _ = matcher.match(frames[i], fixed, matcher.prepare(fixed))
        return matcher.polish(frames[i], fixed, shift)

    search.shifts[order[0]], search.confidence[order[0]] = 0.0, 1.0
    search.each(measure, order[1:].tolist(), "Measuring drift")
    unmeasured = search.usable & ~search.known | _by_chance(search)
    search.shifts[unmeasured], search.confidence[unmeasured] = 0.0, 0.0  # stays with the frame before
    search.shifts[order] = np.cumsum(search.shifts[order], axis=0)


def _to_mean(search: _Search) -> None:
    """Measure every frame against the mean of all other aligned frames, until nothing changes.

    The mean has less noise than any one frame.  A frame that went astray is tried once more from where its
    neighbours are, and the better match is kept.
    """
    for _ in range(_MEAN_PASSES):
        known = np.flatnonzero(search.known)
        search.shifts -= search.shifts[known].mean(axis=0)
        if len(known) < 2:
            return
        before, astray = search.shifts.copy(), doubtful(search.confidence, search.usable)
        sums = _aligned_sum(search, known)

        def measure(
            i: int,
            sums: _Sums = sums,
            before: FloatMatrix = before,
            astray: NDArray[np.bool_] = astray,
        ) -> tuple[Vector, float]:
            others, own = _mean_of_others(search, i, sums)
            frame, polish = search.frames[i], search.matcher.polish
            tries = [] if own is None else [polish(frame, others, before[i], own)]
            if astray[i]:
                tries += [polish(frame, others, start) for start in _neighbours(before, astray, i)]
            return max(tries, key=lambda t: t[1], default=(np.full(others.ndim, np.nan), 0.0))

        search.each(measure, np.flatnonzero(search.usable).tolist(), "Measuring drift against the mean")
        if not search.known.any():  # two frames that have nothing in common
            search.shifts[known[-1]] = 0.0
            return
        if not np.nanmax(np.abs(search.shifts - before), initial=0) > _SHARP:
            break
    search.shifts -= search.shifts[search.known].mean(axis=0)


def doubtful(confidence: FloatMatrix, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which usable frames match far worse than most do (E,)."""
    return usable & (confidence < _DOUBT * np.median(confidence[usable])) if usable.any() else usable


def _neighbours(shifts: FloatMatrix, astray: NDArray[np.bool_], index: int) -> list[Vector]:
    """Return the shifts of the nearest trusted frames before and after."""
    trusted = np.flatnonzero(np.all(np.isfinite(shifts), axis=1) & ~astray)
    before, after = trusted[trusted < index][-1:], trusted[trusted > index][:1]
    return [shifts[i] for i in (*before, *after)]


def _mean_of_others(
    search: _Search, index: int, sums: _Sums, back: Float32 | None = None
) -> tuple[Float32, Float32 | None]:
    """Return the mean of all frames but one as they lie now, and that one moved `back`, if its place is known."""
    total, count = sums.total.copy(), sums.count.copy()
    own = back
    if search.known[index]:
        if own is None:
            own = search.matcher.moved_back(search.frames[index], search.shifts[index])
        seen = search.matcher.in_view(search.shifts[index])
        total[seen] -= own[seen]
        count[seen] -= 1
    np.maximum(count, 1, out=count)  # where no frame is left the total is 0 but for rounding
    total /= count
    return total, own


@dataclass(eq=False)
class _Sums:
    """The sum of frames moved back, and in how many frames each pixel is seen."""

    total: Float32
    count: Float32


def _aligned_sum(search: _Search, indices: NDArray[np.intp], back: dict[int, Float32] | None = None) -> _Sums:
    """Sum groups of frames, and their sums in order, so that threads do not change the result."""
    shape = search.matcher.shape
    groups = [indices[i : i + GROUP] for i in range(0, len(indices), GROUP)]
    parts = [_Sums(np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in groups]

    def add(number: int) -> None:
        part = parts[number]
        for i in groups[number]:
            own = back[i] if back else search.matcher.moved_back(search.frames[i], search.shifts[i])
            seen = search.matcher.in_view(search.shifts[i])
            part.total[seen] += own[seen]
            part.count[seen] += 1

    blocks.run(add, range(len(groups)), workers=search.workers)
    for part in parts[1:]:
        parts[0].total += part.total
        parts[0].count += part.count
    return parts[0]
