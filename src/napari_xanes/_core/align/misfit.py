"""What a search for displacements cannot see by itself: that the sample turns, or that its contrast is reversed.

Halves of a frame that turns are displaced in opposite directions.  A frame in which what was bright is dark matches
nothing, but its negative does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.frames import Search, by_chance, doubtful
from napari_xanes._core.align.frequencies import Vector
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

LOOKED_AT = 12
"""Frames that are looked at for turns, about."""

LEAST = 32
"""px an axis of which halves still show something."""

NOTICED = 1.0
"""px of the frame's border that turning must move for it to be said."""

AGREE = 0.5
"""How far apart two measures of one angle may be, relative to their mean."""

MATCHES, BETTER = 0.5, 0.3
"""Least correlation of parts and of negatives, and by how much a negative must match better."""


def turning(search: Search, anchor: int) -> float:
    """Return the largest angle in degrees by which frames are turned against frame `anchor`, 0 if none is clearly."""
    shape = search.matcher.shape
    if len(shape) != 2 or min(shape) < LEAST or not search.known[anchor]:
        return 0.0
    sure = search.known & ~doubtful(search.confidence, search.known)
    frames = np.flatnonzero(sure)
    frames = frames[np.unique(np.linspace(0, frames.size - 1, LOOKED_AT).round().astype(int))]
    shifts = {int(i): search.shifts[i] - search.shifts[anchor] for i in frames if i != anchor}
    views = [search.matcher.in_view(shift) for shift in shifts.values()]
    seen = tuple(slice(max(v.start for v in of), min(v.stop for v in of)) for of in zip(*views, strict=True))
    if not seen or min(v.stop - v.start for v in seen) < LEAST:
        return 0.0
    halves, reach = _halves(search.frames[anchor][seen]), max(shape) / 2
    angles: dict[int, float] = {}

    def look(i: int) -> None:
        back = search.matcher.moved_back(search.frames[i], shifts[i])
        angles[i] = _angle(back[seen], halves, NOTICED / reach)

    blocks.run(look, list(shifts), workers=search.workers)
    turned = [a for a in angles.values() if abs(a) * reach > NOTICED]
    if len(turned) < max(2, len(angles) // 5):
        return 0.0
    return float(np.degrees(max(np.abs(turned))))


@dataclass(frozen=True, eq=False)
class _Half:
    """One side of the frame that others are compared with, along an axis, and what compares with it."""

    axis: int
    part: tuple[slice, ...]
    fixed: Float32

    def moved(self, frame: Float32) -> Vector | None:
        """Return by how much this side of a frame is displaced; None if it does not match."""
        own = np.ascontiguousarray(frame[self.part]) - frame[self.part].mean()
        if not (own.any() and self.fixed.any()):
            return None
        matcher = _matcher(own.shape)
        shift, confidence = matcher.refine(own, self.fixed, np.zeros(2))
        if confidence <= MATCHES:
            shift, confidence = matcher.match(own, self.fixed, matcher.prepare(self.fixed))
        return shift if confidence > MATCHES else None


def _halves(fixed: Float32) -> list[_Half]:
    """Return the left and right, then the upper and lower half."""
    found = []
    for axis in (1, 0):
        n = fixed.shape[axis]
        sides = slice(0, n // 2), slice(n - n // 2, n)
        parts = [(slice(None),) * axis + (side,) for side in sides]
        found += [_Half(axis, part, np.ascontiguousarray(fixed[part]) - fixed[part].mean()) for part in parts]
    return found


_matcher = lru_cache(maxsize=2)(Matcher)


def _angle(frame: Float32, halves: list[_Half], least: float) -> float:
    """Return by how much a frame is turned against another, rad; 0 where its halves do not agree on it.

    Also 0 where two of them tell already that it is less than `least`.
    """
    found: list[float] = []
    for one, other in (halves[:2], halves[2:]):
        first, second = one.moved(frame), other.moved(frame)
        if first is None or second is None:
            return 0.0
        apart = other.part[one.axis].start - one.part[one.axis].start
        across = (second - first)[1 - one.axis] / apart
        found.append(float(across if one.axis == 1 else -across))
        if abs(found[0]) < (1 - AGREE / 2) * least:  # then no second angle agrees with it on more
            return 0.0
    mean = (found[0] + found[1]) / 2
    return mean if abs(found[0] - found[1]) < AGREE * abs(mean) else 0.0


def reversed_frames(search: Search, anchor: int) -> NDArray[np.intp]:
    """Return the frames that match frame `anchor` badly, but well when bright and dark are exchanged."""
    poor = by_chance(search) | doubtful(search.confidence, search.usable) | (search.usable & ~search.known)
    if not poor.any():
        return np.empty(0, np.intp)
    fixed = search.frames[anchor]
    target = search.matcher.prepare(fixed)
    better = []
    for i in np.flatnonzero(poor):
        _, confidence = search.matcher.match(-search.frames[i], fixed, target)
        if confidence > max(MATCHES, search.confidence[i] + BETTER):
            better.append(i)
    return np.array(better, np.intp)
