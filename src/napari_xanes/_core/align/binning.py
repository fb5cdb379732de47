"""Frames binned so that detail finer than the bins does not come back as coarse structure; volumes a few planes at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from napari_xanes._core.data.stack import Float32

_LEAST_SHARE = np.float32(1e-6)


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
    return _of_valid(total, share)


def binned_by_rows(slabs: Iterable[Float32], rows: int, bins: Sequence[int]) -> Float32:
    """Return the same for a frame that comes in slabs of its rows, each a multiple of ``bins[0]`` high but the last.

    Not more than a slab is held.
    """
    left = rows // bins[0] * bins[0]
    along, valid_along = _Rows(bins[0]), None
    parts = []
    for slab in slabs:
        values, left = slab[:left], left - min(left, len(slab))
        if valid_along is None and not _all_finite(values):
            valid_along = along.of_ones()
        if valid_along is not None:
            valid = np.isfinite(values)
            values = np.where(valid, values, np.float32(0))
        small = along.push(values, last=not left)
        if valid_along is not None:
            share = valid_along.push(valid.astype(np.float32), last=not left)
        if len(small):
            inner = (1, *bins[1:])
            total = _decimated(small, inner)
            parts.append(total if valid_along is None else _of_valid(total, _decimated(share, inner)))
        if not left:
            break
    return np.concatenate(parts)


def _all_finite(values: Float32) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())


def _of_valid(total: Float32, share: Float32) -> Float32:
    return np.where(share > 0, total / np.maximum(share, _LEAST_SHARE), np.float32(np.nan))


def _decimated(frame: Float32, bins: Sequence[int]) -> Float32:
    """Return along every axis sums over blocks of half the size, and of these the weighted mean of four."""
    small = frame
    for axis, (size, step) in enumerate(zip(frame.shape, bins, strict=True)):
        if step == 1:
            continue
        lead = (slice(None),) * axis
        left, right = _half_sums(small[(*lead, slice(0, size // step * step))], axis, step)
        first, last = (*lead, slice(0, 1)), (*lead, slice(-1, None))
        small = _mean_of_four(left, right, left[first], right[last], axis, step)
    return frame.copy() if small is frame else small


def _half_sums(values: Float32, axis: int, step: int) -> tuple[Float32, Float32]:
    """Return the sums over the first half, and the second, of each block of `step` values along an axis."""
    half, lead = step // 2, (slice(None),) * axis
    total, *others = (values[(*lead, slice(start, None, half))] for start in range(half))
    if others:
        total = total + others[0]
    for other in others[1:]:
        total += other
    return total[(*lead, slice(0, None, 2))], total[(*lead, slice(1, None, 2))]


def _mean_of_four(
    left: Float32, right: Float32, before: Float32, after: Float32, axis: int, step: int
) -> Float32:
    """Return means over blocks and half of each neighbour, which count a third as much; `before` and `after` are at the ends."""
    lead = (slice(None),) * axis
    small: Float32 = left + right
    small *= 3
    small[(*lead, slice(1, None))] += right[(*lead, slice(0, -1))]
    small[(*lead, slice(0, 1))] += before
    small[(*lead, slice(0, -1))] += left[(*lead, slice(1, None))]
    small[(*lead, slice(-1, None))] += after
    small /= np.float32(8 * (step // 2))
    return small


class _Rows:
    """Decimates along the first axis what comes in slabs; of the last row of each, which waits for the next, two sums are held."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._before: Float32 | None = None  # second half of the row before the one that waits
        self._waiting: tuple[Float32, Float32] | None = None

    def of_ones(self) -> _Rows:
        """Return one that has been given ones where this one was given values."""
        ones = _Rows(self._step)
        if self._before is not None and self._waiting is not None:
            ones._before = np.full_like(self._before, self._step // 2)
            left, right = self._waiting
            ones._waiting = np.full_like(left, self._step // 2), np.full_like(right, self._step // 2)
        return ones

    def push(self, slab: Float32, *, last: bool) -> Float32:
        """Return the rows that are through with a further slab."""
        if self._step == 1:
            return slab
        left, right = _half_sums(slab, 0, self._step)
        if self._waiting is not None:
            left, right = (np.concatenate(pair) for pair in zip(self._waiting, (left, right), strict=True))
        before = left[:1] if self._before is None else self._before
        n = len(left) - (not last)
        self._waiting = left[n:].copy(), right[n:].copy()
        if not n:
            self._before = before
            return left[:0]
        self._before = right[n - 1 : n].copy()
        return _mean_of_four(
            left[:n], right[:n], before, right[-1:] if last else left[n : n + 1], 0, self._step
        )
