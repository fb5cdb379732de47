"""Small copies of frames, all that is kept of them to find their drift.

Frames are read once, one by one, and binned to some 130 to 250 pixels a side: a hundredth of a pixel is found
there in a fraction of the time, and fine dirt on the detector weighs less.  Of large frames a window with much
detail is kept besides, at finer binning, for the last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.ndimage import uniform_filter

from napari_xanes._core.align.move import grow_valid
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.drift import FloatMatrix
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

_MOST_PIXELS = {2: 250**2, 3: 64**3}
SHORTEST = 32  # px; shorter axes are not binned
_DEEPEST = 16  # px of the small copies to which holes are filled
_SAMPLED = 3  # every how many pixels an axis the range of values is looked at
_LARGE = 8  # binning from which on a window is measured in detail besides
_DETAIL = 2  # binning of that window
_MOST_IN_DETAIL = {2: 512**2, 3: 96**3}  # pixels of that window when it is binned


@dataclass(eq=False)
class Copies:
    """Small copies of the frames, and of one window of large frames at finer binning, cut from where the detail is.

    `finer` says how much finer, for each axis.
    """

    frames: list[Float32]
    bins: FloatMatrix
    details: list[Float32]
    finer: FloatMatrix


def small_copies(read: Callable[[int], Float32], n: int, progress: Progress, workers: int | None) -> Copies:
    """Read n frames and return their small copies."""
    clear = 3 * n // 4  # after the edge, most likely
    example = read(clear)
    nothing = np.empty(0, np.float32)
    bins = _choose_bins(example.shape)
    fine = [min(b, _DETAIL) for b in bins]
    frames = [nothing] * n
    frames[clear] = _small(example, bins)
    window = _detailed_window(frames[clear], bins) if max(bins) >= _LARGE else None
    details = [nothing] * n if window else []
    if window:
        details[clear] = _small(example[window], fine)
    del example  # not to be held besides those that are being looked at

    def load(i: int) -> None:
        frame = read(i)
        frames[i] = _small(frame, bins)
        if window:
            details[i] = _small(frame[window], fine)

    others = [i for i in range(n) if i != clear]
    blocks.run(load, others, progress=progress, text="Reading frames", workers=workers)
    return Copies(frames, np.array(bins, float), details, np.array(bins) / np.array(fine))


def _detailed_window(small: Float32, bins: Sequence[int]) -> tuple[slice, ...]:
    """Return the part of a frame, a quarter of its length an axis or as much as is looked at, in which it changes most."""
    whole = prod(n * b // min(b, _DETAIL) for n, b in zip(small.shape, bins, strict=True))
    share = min(0.25, (_MOST_IN_DETAIL[small.ndim] / whole) ** (1 / small.ndim))
    strength = sum(np.gradient(small, axis=axis) ** 2 for axis, n in enumerate(small.shape) if n > 1)
    sides = [max(1, int(n * share)) for n in small.shape]
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
            2 * b if n // b >= max(SHORTEST, longest / 2) else b for n, b in zip(shape, bins, strict=True)
        ]
    return tuple(bins)


def _small(frame: Float32, bins: Sequence[int]) -> Float32:
    """Return the frame binned, its mean off and holes filled from around them; all 0 if it has no structure."""
    small = binned(frame, bins)
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


def binned(frame: Float32, bins: Sequence[int]) -> Float32:
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
        total, *others = (small[(*lead, slice(start, end, half))] for start in range(half))
        if others:
            total = total + others[0]
        for other in others[1:]:
            total += other
        left, right = total[(*lead, slice(0, None, 2))], total[(*lead, slice(1, None, 2))]
        small = left + right
        small *= 3
        small[(*lead, slice(1, None))] += right[(*lead, slice(0, -1))]
        small[(*lead, slice(0, 1))] += left[(*lead, slice(0, 1))]
        small[(*lead, slice(0, -1))] += left[(*lead, slice(1, None))]
        small[(*lead, slice(-1, None))] += right[(*lead, slice(-1, None))]
        small /= np.float32(8 * half)
    return frame.copy() if small is frame else small
