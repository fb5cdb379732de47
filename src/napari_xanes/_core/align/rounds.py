"""Rounds of a search for drift: all frames compared with one, or with the mean of the others, again and again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.binning import binned
from napari_xanes._core.align.copies import SHORTEST
from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.frames import Search, by_chance, doubtful
from napari_xanes._core.align.frequencies import Vector
from napari_xanes._core.align.pattern import GROUP, static_pattern
from napari_xanes._core.data.drift import FloatMatrix
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

MEAN_PASSES = 2
_PATTERN_PASSES, _ROUNDS_AT_FULL = 6, 2
_WORTH_HALVING = 100_000  # voxels of the small copies
_SHARP = 0.15  # px of the small frames; a mean of frames that lie this well is as sharp as can be
_BETTER = 0.98  # of what matches lack to 1, what they may lack still without a pattern that is there
_SETTLED = 0.1  # px of the small frames; the pattern is known well enough when no shift changes by more


def start(search: Search, anchor: int) -> None:
    """Measure every frame against frame `anchor`, without what stays put on the detector."""
    if search.frames[anchor].ndim == 3 and search.frames[anchor].size > _WORTH_HALVING:
        _start_at_half(search, anchor)
    else:
        to_one(search, anchor, search.usable)
        without_pattern(search, anchor)


def _start_at_half(search: Search, anchor: int) -> None:
    """Start with copies of half the length, which takes a fraction of the time; what shows nothing there as it is.

    Short axes stay as they are.
    """
    bins = np.array([2 if n >= SHORTEST else 1 for n in search.matcher.shape])
    frames = [binned(frame, bins.tolist()) for frame in search.frames]
    half = dataclasses.replace(search, matcher=Matcher(frames[anchor].shape, binned=True), frames=frames)
    half.shifts, half.confidence = search.shifts.copy(), search.confidence.copy()
    start(half, anchor)
    lost = search.usable & ~half.known | by_chance(half)
    search.shifts[:], search.confidence[:] = bins * half.shifts, half.confidence
    if half.frames is not frames:
        raw = search.frames
        search.shifts[lost] = np.nan
        # where the sample is only nearly in place, part of it is taken for what stays put
        for _ in range(_ROUNDS_AT_FULL):
            if _take_pattern_off(search, raw):
                _refine(search, anchor)
        _take_pattern_off(search, raw)
    if lost.any():
        to_one(search, anchor, lost)


def to_one(search: Search, anchor: int, which: NDArray[np.bool_]) -> None:
    """Measure frames against frame `anchor`."""
    matcher, frames = search.matcher, search.frames
    fixed = frames[anchor]
    target = matcher.prepare(fixed)

    def measure(i: int) -> tuple[Vector, float]:
        if i == anchor:
            return np.zeros(fixed.ndim), 1.0
        return matcher.match(frames[i], fixed, target)

    search.each(measure, np.flatnonzero(which).tolist(), "Measuring drift")


def without_pattern(search: Search, anchor: int) -> bool:
    """Where something stays put on the detector, take it off and measure against frame `anchor` again.

    It is only taken off if the frames match better without it.  Returns whether there is anything.
    """
    raw = search.frames
    state = raw, search.shifts.copy(), search.confidence.copy()
    for done in range(_PATTERN_PASSES):
        if not _take_pattern_off(search, raw):
            return done > 0
        before = search.shifts.copy()
        _refine(search, anchor)
        lacks, lacked = (1 - np.median(one[search.usable]) for one in (search.confidence, state[2]))
        if lacks > _BETTER * lacked:
            search.frames, search.shifts, search.confidence = state
            break
        if np.nanmax(np.abs(search.shifts - before)) < _SETTLED:
            break
    return True


def _take_pattern_off(search: Search, raw: list[Float32]) -> bool:
    """Take off what stays put, as shifts so far tell it from the sample, and return whether there is anything."""
    pattern = static_pattern(search.matcher, raw, search.shifts, search.known, search.workers)
    if pattern is not None:
        search.frames = [frame - pattern for frame in raw]
    return pattern is not None


def _refine(search: Search, anchor: int) -> None:
    """Measure frames against frame `anchor` again, from where they are."""
    fixed, matcher = search.frames[anchor], search.matcher

    def measure(i: int) -> tuple[Vector, float]:
        if i == anchor:
            return np.zeros(fixed.ndim), 1.0
        return matcher.refine(search.frames[i], fixed, search.shifts[i])

    search.each(measure, np.flatnonzero(search.known).tolist(), "Measuring drift past the detector's pattern")


def by_neighbors(search: Search) -> None:
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
    unmeasured = search.usable & ~search.known | by_chance(search)
    search.shifts[unmeasured], search.confidence[unmeasured] = 0.0, 0.0  # stays with the frame before
    search.shifts[order] = np.cumsum(search.shifts[order], axis=0)


def to_mean(search: Search) -> None:
    """Measure every frame against the mean of all other aligned frames, until nothing changes.

    The mean has less noise than any one frame.  A frame that went astray is tried once more from where its
    neighbours are, and the better match is kept.
    """
    for _ in range(MEAN_PASSES):
        known = np.flatnonzero(search.known)
        search.shifts -= search.shifts[known].mean(axis=0)
        if len(known) < 2:
            return
        before, astray = search.shifts.copy(), doubtful(search.confidence, search.usable)
        back = moved_back(search, known)
        sums = aligned_sum(search, back)

        def measure(
            i: int,
            back: dict[int, Float32] = back,
            sums: _Sums = sums,
            before: FloatMatrix = before,
            astray: NDArray[np.bool_] = astray,
        ) -> tuple[Vector, float]:
            own, others = back.get(i), mean_of_others(search, i, sums, back)
            frame, polish = search.frames[i], search.matcher.polish
            tries = [] if own is None else [polish(frame, others, before[i], own)]
            if astray[i]:
                tries += [polish(frame, others, start) for start in _neighbors(before, astray, i)]
            return max(tries, key=lambda t: t[1], default=(np.full(others.ndim, np.nan), 0.0))

        search.each(measure, np.flatnonzero(search.usable).tolist(), "Measuring drift against the mean")
        if not search.known.any():  # two frames that have nothing in common
            search.shifts[known[-1]] = 0.0
            return
        if not np.nanmax(np.abs(search.shifts - before), initial=0) > _SHARP:
            break
    search.shifts -= search.shifts[search.known].mean(axis=0)


def _neighbors(shifts: FloatMatrix, astray: NDArray[np.bool_], index: int) -> list[Vector]:
    """Return the shifts of the nearest trusted frames before and after."""
    trusted = np.flatnonzero(np.all(np.isfinite(shifts), axis=1) & ~astray)
    before, after = trusted[trusted < index][-1:], trusted[trusted > index][:1]
    return [shifts[i] for i in (*before, *after)]


def moved_back(search: Search, indices: NDArray[np.intp]) -> dict[int, Float32]:
    """Return frames as they would be without their displacement, NaN where they show nothing."""
    back: dict[int, Float32] = {}

    def move(i: int) -> None:
        back[i] = search.matcher.moved_back(search.frames[i], search.shifts[i])

    blocks.run(move, indices.tolist(), workers=search.workers)
    return back


def mean_of_others(search: Search, index: int, sums: _Sums, back: Mapping[int, Float32]) -> Float32:
    """Return the mean of all frames but one as they lie now, moved `back`."""
    total, count = sums.total.copy(), sums.count.copy()
    if index in back:
        seen = search.matcher.in_view(search.shifts[index])
        total[seen] -= back[index][seen]
        count[seen] -= 1
    np.maximum(count, 1, out=count)  # where no frame is left the total is 0 but for rounding
    total /= count
    return total


@dataclass(eq=False)
class _Sums:
    """The sum of frames moved back, and in how many frames each pixel is seen."""

    total: Float32
    count: Float32


def aligned_sum(search: Search, back: Mapping[int, Float32]) -> _Sums:
    """Sum groups of frames moved `back`, and their sums in order, so that threads do not change the result."""
    shape, indices = search.matcher.shape, sorted(back)
    groups = [indices[i : i + GROUP] for i in range(0, len(indices), GROUP)]
    parts = [_Sums(np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in groups]

    def add(number: int) -> None:
        part = parts[number]
        for i in groups[number]:
            seen = search.matcher.in_view(search.shifts[i])
            part.total[seen] += back[i][seen]
            part.count[seen] += 1

    blocks.run(add, range(len(groups)), workers=search.workers)
    for part in parts[1:]:
        parts[0].total += part.total
        parts[0].count += part.count
    return parts[0]
