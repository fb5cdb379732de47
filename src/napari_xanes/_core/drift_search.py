"""How drift is found, from small copies of the frames.

Frames are read once, one by one, and binned to about 300 pixels a side; a hundredth of a pixel is as easily
found there, in a fraction of the time, and fine dirt on the detector weighs less.  The small copies are all
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

from napari_xanes._core import blocks
from napari_xanes._core.correlation import Matcher, Vector
from napari_xanes._core.drift import FloatMatrix, Reference
from napari_xanes._core.errors import InputError
from napari_xanes._core.progress import Progress, no_progress
from napari_xanes._core.resampling import grow_valid, moved_rows
from napari_xanes._core.stack import Float32
from napari_xanes._core.static_pattern import static_pattern

_MOST_PIXELS = {2: 400**2, 3: 64**3}
_PATTERN_PASSES = 6
_MEAN_PASSES = 2
_DOUBT = 0.6  # of the median confidence
_CHANCE = 6.0  # standard deviations that noise reaches somewhere in the search
_ALIKE = 10.0  # px of the small copies over which structure is alike, so that they count as one
_DEEPEST = 16  # px of the small copies to which holes are filled
_SETTLED = 0.01  # px of the small frames; passes end when no shift changes by more


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
    frames, bins = _small_copies(read, n, progress, workers)
    usable = np.array([bool(frame.any()) for frame in frames])
    if not usable.any():
        raise InputError(
            "no frame shows any structure (all are constant or hold no valid number), so there is no drift to measure; "
            "check the file, the flats and the region."
        )
    scale = np.float32(
        1 / np.median([np.ptp(frame) for frame, good in zip(frames, usable, strict=True) if good])
    )
    frames = [
        frame * scale for frame in frames
    ]  # one factor for all: what stays put is equally strong in each
    ndim = frames[0].ndim
    search = _Search(
        Matcher(frames[0].shape),
        frames,
        usable,
        np.full((n, ndim), np.nan),
        np.zeros(n),
        progress,
        workers,
    )
    if reference == "previous":
        _by_neighbours(search)
        return search.shifts * bins, search.confidence, reference
    anchor = _clear_frame(search)
    _to_one(search, anchor)
    _without_pattern(search, anchor)
    _to_mean(search)
    _bridge(search)
    if reference == "mean":
        return search.shifts * bins, search.confidence, "mean"
    resolved = _nearest(search.known, int(reference))
    return (search.shifts - search.shifts[resolved]) * bins, search.confidence, resolved


def _by_chance(search: _Search) -> NDArray[np.bool_]:
    """Return which frames match no better than noise would somewhere (E,).

    Noise correlates like one over the root of the number of independent values in the overlap.
    """
    sizes = np.array(search.matcher.shape)
    overlap = np.maximum(sizes - np.abs(search.shifts), 1).prod(axis=1)
    chance: NDArray[np.bool_] = search.confidence < _CHANCE / np.sqrt(overlap / _ALIKE)
    return search.known & chance


def _bridge(search: _Search) -> None:
    """Let frames that could not be measured move with those beside them."""
    search.shifts[_by_chance(search)] = np.nan
    gaps, at = np.flatnonzero(search.usable & ~search.known), np.flatnonzero(search.known)
    for axis in range(search.shifts.shape[1]):
        search.shifts[gaps, axis] = np.interp(gaps, at, search.shifts[at, axis]) if at.size else 0.0
    search.confidence[gaps] = 0
    search.shifts -= search.shifts[at].mean(axis=0) if at.size else 0.0


def _small_copies(
    read: Callable[[int], Float32], n: int, progress: Progress, workers: int | None
) -> tuple[list[Float32], int]:
    first = read(0)
    bins = 1
    while prod(s // bins for s in first.shape) > _MOST_PIXELS[first.ndim]:
        bins *= 2
    copies: list[Float32] = [first] * n

    def load(i: int) -> None:
        copies[i] = _small(first if i == 0 else read(i), bins)

    blocks.run(load, range(n), progress=progress, text="Reading frames", workers=workers)
    return copies, bins


def _small(frame: Float32, bins: int) -> Float32:
    """Return the frame binned, its mean off and holes filled from around them; all 0 if it has no structure."""
    small = _binned(frame, bins)
    valid = np.isfinite(small)
    level = small[valid].mean(dtype=np.float64) if valid.any() else 0.0
    small -= np.float32(level)
    if not valid.any() or not np.ptp(small[valid]) > 1e-6 * abs(level):
        return np.zeros(small.shape, np.float32)
    lo, hi = np.percentile(small[valid], [0.1, 99.9])
    if hi > lo:  # else structure covers next to nothing of the frame, and is all there is
        np.clip(small, 2 * lo - hi, 2 * hi - lo, out=small)  # a hot pixel is not structure
    if not valid.all():
        grow_valid(small, _DEEPEST)
    return small


def _binned(frame: Float32, bins: int) -> Float32:
    """Return means over blocks of bins^n samples, of the valid ones where some are not."""
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are dealt with below
        small = _block_sums(frame, bins) / np.float32(bins**frame.ndim)
    if np.isfinite(small).all():
        return small
    valid = np.isfinite(frame)
    count = _block_sums(valid.astype(np.float32), bins)
    total = _block_sums(np.where(valid, frame, np.float32(0)), bins)
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(np.nan))


def _block_sums(frame: Float32, bins: int) -> Float32:
    for axis, size in enumerate(frame.shape):
        lead, end = (slice(None),) * axis, size // bins * bins
        total = frame[(*lead, slice(0, end, bins))].copy()
        for start in range(1, bins):
            total += frame[(*lead, slice(start, end, bins))]
        frame = total
    return frame


def _nearest(known: NDArray[np.bool_], index: int) -> int:
    candidates = np.flatnonzero(known)
    return int(candidates[np.argmin(np.abs(candidates - index))])


def _clear_frame(search: _Search) -> int:
    """Return a frame of high contrast, though not the highest, which may be a fault."""
    contrast = np.array([_binned(frame, 4).std() for frame in search.frames])
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
        pattern = static_pattern(search.matcher, raw, search.shifts, search.known)
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
            sums: tuple[Float32, Float32] = sums,
            before: FloatMatrix = before,
            astray: NDArray[np.bool_] = astray,
        ) -> tuple[Vector, float]:
            others = _mean_of_others(search, i, sums)
            starts = [before[i]] if np.all(np.isfinite(before[i])) else []
            if astray[i]:
                starts += _neighbours(before, astray, i)
            tries = [search.matcher.polish(search.frames[i], others, start) for start in starts]
            return max(tries, key=lambda t: t[1], default=(np.full(others.ndim, np.nan), 0.0))

        search.each(measure, np.flatnonzero(search.usable).tolist(), "Measuring drift against the mean")
        if not search.known.any():  # two frames that have nothing in common
            search.shifts[known[-1]] = 0.0
            return
        if not np.nanmax(np.abs(search.shifts - before), initial=0) > _SETTLED:
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


def _mean_of_others(search: _Search, index: int, sums: tuple[Float32, Float32]) -> Float32:
    total, count = sums
    if search.known[index]:
        own = _aligned(search, index)
        valid = np.isfinite(own)
        total, count = total - np.where(valid, own, 0), count - valid
    mean = np.where(count > 0, total / np.maximum(count, 1), 0)
    return np.asarray(mean, dtype=np.float32)


def _aligned(search: _Search, index: int) -> Float32:
    frame = search.frames[index]
    return moved_rows(lambda rows: frame[rows], frame.shape, search.shifts[index].tolist())


def _aligned_sum(search: _Search, indices: NDArray[np.intp]) -> tuple[Float32, Float32]:
    total = np.zeros(search.matcher.shape, np.float32)
    count = np.zeros(search.matcher.shape, np.float32)
    for i in indices:
        own = _aligned(search, int(i))
        valid = np.isfinite(own)
        total += np.where(valid, own, 0)
        count += valid
    return total, count
