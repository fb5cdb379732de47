"""Small copies of frames, all that is kept of them to find their drift.

Frames are read once, one by one, volumes a few planes at a time, and binned to some 130 to 250 pixels a side: a hundredth
of a pixel is found there in a fraction of the time, and fine dirt on the detector weighs less.  Of large frames a window
with much detail is kept besides, at finer binning, for the last digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm, prod

import numpy as np
from scipy.ndimage import uniform_filter

from napari_xanes._core.align.binning import binned, binned_by_rows
from napari_xanes._core.align.move import grow_valid
from napari_xanes._core.align.view import RegionView, ViewReader
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
_AT_ONCE = 64 * 2**20  # bytes of planes of a volume that are read at once
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


def small_copies(read: ViewReader, n: int, progress: Progress, workers: int | None) -> Copies:
    """Read n frames and return their small copies."""
    clear = 3 * n // 4  # after the edge, most likely
    view = read if isinstance(read, RegionView) else RegionView.whole(read, clear)
    bins = _choose_bins(view.shape)
    fine = [min(b, _DETAIL) for b in bins]
    nothing = np.empty(0, np.float32)
    frames = [nothing] * n
    frames[clear] = _small(_looked_at(view, clear, bins)[0])
    window = _detailed_window(frames[clear], bins) if max(bins) >= _LARGE else None
    details = [nothing] * n if window else []
    if window:
        details[clear] = _small(binned(view.rows(clear, window[0])[:, *window[1:]], fine))

    def load(i: int) -> None:
        small, part = _looked_at(view, i, bins, window)
        frames[i] = _small(small)
        if window:
            details[i] = _small(binned(part, fine))

    others = [i for i in range(n) if i != clear]
    blocks.run(load, others, progress=progress, text="Reading frames", workers=workers)
    return Copies(frames, np.array(bins, float), details, np.array(bins) / np.array(fine))


def rows_at_once(shape: tuple[int, ...], packed: int) -> int:
    """Return how many rows of a frame are looked at at once, of which `packed` lie together in the source."""
    unit = lcm(_choose_bins(shape)[0], packed)
    return min(shape[0], max(1, _AT_ONCE // (4 * prod(shape[1:]) * unit)) * unit)


def _looked_at(
    view: RegionView, i: int, bins: Sequence[int], window: tuple[slice, ...] | None = None
) -> tuple[Float32, Float32]:
    """Return a frame binned, and a window as it is, from rows that are read not more than `_AT_ONCE` at a time."""
    n, tall = view.shape[0], rows_at_once(view.shape, view.packed)
    inside = [np.empty((0, *(s.stop - s.start for s in window[1:])) if window else 0, np.float32)]

    def slabs() -> Iterator[Float32]:
        for start in range(0, n, tall):
            slab = view.rows(i, slice(start, min(start + tall, n)))
            if window:
                here = slice(max(window[0].start - start, 0), max(window[0].stop - start, 0))
                inside.append(slab[here, *window[1:]].copy())
            yield slab

    small = binned_by_rows(slabs(), n, bins)
    return small, np.concatenate(inside)


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


def _small(small: Float32) -> Float32:
    """Return a binned frame, its mean off and holes filled from around them; all 0 if it has no structure."""
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
