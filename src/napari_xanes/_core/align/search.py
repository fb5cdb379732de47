"""How drift is found, from small copies of the frames.

Frames are read once, one by one, and binned to some 130 to 250 pixels a side: a hundredth of a pixel is found
there in a fraction of the time, and fine dirt on the detector weighs less.  Of large frames a window with much
detail is kept besides, at finer binning, for the last digits.  These small copies are all
that is kept, so the passes over them cost no reading: each frame against one clear frame, again without what
stays put on the detector, and at last against the mean of all others as they lie now, which has the least
noise.  The reference only says which frame stays in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_xanes._core.align.correlation import Matcher, Vector
from napari_xanes._core.align.move import grow_valid
from napari_xanes._core.align.pattern import GROUP, static_pattern
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.drift import FloatMatrix, Reference
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

_MOST_PIXELS = {2: 250**2, 3: 64**3}
_SHORTEST = 32  # px; shorter axes are not binned
_PATTERN_PASSES = 6
_MEAN_PASSES = 2
_DOUBT = 0.6  # of the median confidence
_CHANCE = 6.0  # standard deviations that noise reaches somewhere in the search
_FAR = 0.1  # of a frame, beyond as far again as the sure frames reach
_ALIKE = 10.0  # px of the small copies over which structure is alike, so that they count as one
_DEEPEST = 16  # px of the small copies to which holes are filled
_SAMPLED = 3  # every how many pixels an axis the range of values is looked at
_LARGE = 8  # binning from which on a window is measured in detail besides
_DETAIL = 2  # binning of that window
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

    def each(self, measure: Callable[[int], tuple[Vector, float]], indices: Sequence[int], text: str) -> None:
        """Set shift and confidence of every frame of `indices` to what `measure` returns."""

        def work(i: int) -> None:
            self.shifts[i], self.confidence[i] = measure(i)

        blocks.run(work, indices, progress=self.progress, text=text, workers=self.workers)

    @property
    def known(self) -> NDArray[np.bool_]:
        finite: NDArray[np.bool_] = np.all(np.isfinite(self.shifts), axis=1)
        return self.usable & finite


def measure_drift(
    read: Callable[[int], Float32],
    n: int,
    reference: Reference,
    *,
    progress: Progress = no_progress,
    workers: int | None = None,
) -> tuple[FloatMatrix, FloatMatrix, Reference]:
    """Return shifts (E, n) in px, confidence (E,), and the reference as resolved.

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
    copies = _small_copies(read, n, progress, workers)
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
    if reference == "previous":
        _by_neighbours(search)
        return search.shifts * bins, search.confidence, reference
    anchor = _clear_frame(search)
    _to_one(search, anchor)
    _without_pattern(search, anchor)
    if not copies.details or doubtful(search.confidence, search.usable).any():
        _to_mean(search)
    if copies.details:
        _in_detail(search, copies, anchor)
    _bridge(search)
    if reference == "mean":
        return search.shifts * bins, search.confidence, "mean"
    resolved = _nearest(search.known, int(reference))
    return (search.shifts - search.shifts[resolved]) * bins, search.confidence, resolved


def _scale(frames: list[Float32], usable: NDArray[np.bool_]) -> None:
    """Bring the frames to a range of about 1: one factor for all, as what stays put is equally strong in each."""
    factor = np.float32(1 / np.median([np.ptp(frames[i]) for i in np.flatnonzero(usable)]))
    for frame in frames:
        frame *= factor


def _in_detail(search: _Search, copies: _Copies, anchor: int) -> None:
    """Measure once more on a window at finer binning, which tells smaller displacements than the whole does.

    What is found there counts where it is near what the whole frames say.
    """
    usable = search.known & np.array([bool(detail.any()) for detail in copies.details])
    if not usable[anchor] or usable.sum() < 2:
        return
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
    search.shifts[near] += change[near]


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


@dataclass(eq=False)
class _Copies:
    """Small copies of the frames, and of one window of large frames at finer binning, cut from where the detail is.

    `finer` says how much finer, for each axis.
    """

    frames: list[Float32]
    bins: FloatMatrix
    details: list[Float32]
    finer: FloatMatrix


def _small_copies(read: Callable[[int], Float32], n: int, progress: Progress, workers: int | None) -> _Copies:
    clear = 3 * n // 4  # after the edge, most likely
    example = read(clear)
    nothing = np.empty(0, np.float32)
    bins = _choose_bins(example.shape)
    fine = [min(b, _DETAIL) for b in bins]
    window = _detailed_window(_small(example, bins), bins) if max(bins) >= _LARGE else None
    del example  # not to be held besides those that are being looked at
    frames = [nothing] * n
    details = [nothing] * n if window else []

    def load(i: int) -> None:
        frame = read(i)
        frames[i] = _small(frame, bins)
        if window:
            details[i] = _small(frame[window], fine)

    blocks.run(load, range(n), progress=progress, text="Reading frames", workers=workers)
    return _Copies(frames, np.array(bins, float), details, np.array(bins) / np.array(fine))


def _detailed_window(small: Float32, bins: Sequence[int]) -> tuple[slice, ...]:
    """Return the part of a frame, a quarter of its length an axis, in which it changes most."""
    strength = sum(np.gradient(small, axis=axis) ** 2 for axis in range(small.ndim))
    sides = [max(1, n // 4) for n in small.shape]
    around = uniform_filter(np.asarray(strength, np.float32), sides)
    middles = tuple(slice(s // 2, n - (s - s // 2) + 1) for s, n in zip(sides, small.shape, strict=True))
    best = np.unravel_index(int(np.argmax(around[middles])), around[middles].shape)
    return tuple(slice(int(b) * k, (int(b) + s) * k) for b, s, k in zip(best, sides, bins, strict=True))


def _choose_bins(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the binning of each axis, for small copies of at most `_MOST_PIXELS`.

    Axes that would become short, as z of a few planes, are binned less.
    """
    bins = [1] * len(shape)

    def small() -> list[int]:
        return [n // b for n, b in zip(shape, bins, strict=True)]

    while prod(small()) > _MOST_PIXELS[len(shape)]:
        longest = max(small())
        bins = [
            2 * b if n // b >= max(_SHORTEST, longest / 2) else b for n, b in zip(shape, bins, strict=True)
        ]
    return tuple(bins)


def _small(frame: Float32, bins: Sequence[int]) -> Float32:
    """Return the frame binned, its mean off and holes filled from around them; all 0 if it has no structure."""
    small = _binned(frame, bins)
    valid = np.isfinite(small)
    whole = bool(valid.all())
    values = small.ravel() if whole else small[valid]
    level = float(values.mean(dtype=np.float64)) if values.size else 0.0
    if not values.size or not np.ptp(values) > 1e-6 * abs(level):
        return np.zeros(small.shape, np.float32)
    small -= np.float32(level)
    lo, hi = np.percentile(values[:: _SAMPLED if values.size > 10_000 else 1], [0.1, 99.9])
    if not whole:
        lo, hi = lo - np.float32(level), hi - np.float32(level)
    if hi > lo:  # else structure covers next to nothing of the frame, and is all there is
        np.clip(small, 2 * lo - hi, 2 * hi - lo, out=small)  # a hot pixel is not structure
    if not whole:
        grow_valid(small, _DEEPEST)
    return small


def _binned(frame: Float32, bins: Sequence[int]) -> Float32:
    """Return the frame with every `bins`-th sample an axis, of the valid ones where some are not.

    Each is a mean with flanks over its neighbours.  Of plain blocks, detail finer than them would come back as
    coarse structure that moves otherwise than the sample.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are dealt with below
        small = _decimated(frame, bins)
    if np.isfinite(small).all():
        return small
    valid = np.isfinite(frame)
    share = _decimated(valid.astype(np.float32), bins)
    total = _decimated(np.where(valid, frame, np.float32(0)), bins)
    return np.where(share > 0, total / np.maximum(share, np.float32(1e-6)), np.float32(np.nan))


def _decimated(frame: Float32, bins: Sequence[int]) -> Float32:
    """Return along every axis sums over blocks of half the size, and of these the weighted mean of four."""
    small = frame
    for axis, (size, step) in enumerate(zip(frame.shape, bins, strict=True)):
        if step == 1:
            continue
        half, lead = step // 2, (slice(None),) * axis
        end = size // step * step
        total = small[(*lead, slice(0, end, half))].copy()
        for start in range(1, half):
            total += small[(*lead, slice(start, end, half))]
        left, right = total[(*lead, slice(0, None, 2))], total[(*lead, slice(1, None, 2))]
        small = left + right
        small *= 3
        small[(*lead, slice(1, None))] += right[(*lead, slice(0, -1))]
        small[(*lead, slice(0, 1))] += left[(*lead, slice(0, 1))]
        small[(*lead, slice(0, -1))] += left[(*lead, slice(1, None))]
        small[(*lead, slice(-1, None))] += right[(*lead, slice(-1, None))]
        small /= np.float32(8 * half)
    return frame.copy() if small is frame else small


def _nearest(known: NDArray[np.bool_], index: int) -> int:
    candidates = np.flatnonzero(known)
    return int(candidates[np.argmin(np.abs(candidates - index))])


def _clear_frame(search: _Search) -> int:
    """Return a frame of high contrast, though not the highest, which may be a fault."""
    bins = [4 if n >= _SHORTEST else 1 for n in search.matcher.shape]
    contrast = np.array([_binned(frame, bins).std() for frame in search.frames])
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


def _mean_of_others(search: _Search, index: int, sums: _Sums) -> tuple[Float32, Float32 | None]:
    """Return the mean of all frames but one as they lie now, and that one moved back, if its place is known."""
    total, count = sums.total.copy(), sums.count.copy()
    own = None
    if search.known[index]:
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


def _aligned_sum(search: _Search, indices: NDArray[np.intp]) -> _Sums:
    """Sum groups of frames, and their sums in order, so that threads do not change the result."""
    shape = search.matcher.shape
    groups = [indices[i : i + GROUP] for i in range(0, len(indices), GROUP)]
    parts = [_Sums(np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in groups]

    def add(number: int) -> None:
        part = parts[number]
        for i in groups[number]:
            own = search.matcher.moved_back(search.frames[i], search.shifts[i])
            seen = search.matcher.in_view(search.shifts[i])
            part.total[seen] += own[seen]
            part.count[seen] += 1

    blocks.run(add, range(len(groups)), workers=search.workers)
    for part in parts[1:]:
        parts[0].total += part.total
        parts[0].count += part.count
    return parts[0]
