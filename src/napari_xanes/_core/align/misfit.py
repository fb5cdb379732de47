"""What a search for displacements cannot see by itself: that the sample turns, or that its contrast is reversed.

Halves of a frame that turns are displaced in opposite directions.  A frame in which what was bright is dark matches
nothing, but its negative does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.correlation import Matcher, Vector
from napari_xanes._core.align.frames import Search, by_chance, doubtful
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
    angles: dict[int, float] = {}

    def look(i: int) -> None:
        shift = search.shifts[i] - search.shifts[anchor]
        seen = search.matcher.in_view(shift)
        back = search.matcher.moved_back(search.frames[i], shift)[seen]
        angles[i] = _angle(back, search.frames[anchor][seen]) if min(back.shape) >= LEAST else 0.0

    blocks.run(look, [int(i) for i in frames if i != anchor], workers=search.workers)
    reach = max(shape) / 2
    turned = [a for a in angles.values() if abs(a) * reach > NOTICED]
    if len(turned) < max(2, len(angles) // 5):
        return 0.0
    return float(np.degrees(max(np.abs(turned))))


def _angle(frame: Float32, fixed: Float32) -> float:
    """Return by how much a frame is turned against another, rad; 0 where its halves do not agree on it."""
    h, w = (n // 2 for n in fixed.shape)
    found: list[float] = []
    for axis, side in ((1, w), (0, h)):
        first = (slice(None),) * axis + (slice(0, side),)
        last = (slice(None),) * axis + (slice(fixed.shape[axis] - side, None),)
        moves = [_moved(frame[part], fixed[part]) for part in (first, last)]
        if any(move is None for move in moves):
            return 0.0
        one, other = moves
        assert one is not None and other is not None
        across = (other - one)[1 - axis] / (fixed.shape[axis] - side)
        found.append(float(across if axis == 1 else -across))
    mean = (found[0] + found[1]) / 2
    return mean if abs(found[0] - found[1]) < AGREE * abs(mean) else 0.0


def _moved(frame: Float32, fixed: Float32) -> Vector | None:
    matcher = Matcher(fixed.shape)
    one, other = (np.ascontiguousarray(part) - part.mean() for part in (frame, fixed))
    if not (one.any() and other.any()):
        return None
    shift, confidence = matcher.match(one, other, matcher.prepare(other))
    return shift if confidence > MATCHES else None


def reversed_frames(search: Search, anchor: int) -> NDArray[np.intp]:
    """Return the frames that match frame `anchor` badly, but well when bright and dark are exchanged."""
    poor = by_chance(search) | doubtful(search.confidence, search.usable) | (search.usable & ~search.known)
    fixed = search.frames[anchor]
    target = search.matcher.prepare(fixed)
    better = []
    for i in np.flatnonzero(poor):
        _, confidence = search.matcher.match(-search.frames[i], fixed, target)
        if confidence > max(MATCHES, search.confidence[i] + BETTER):
            better.append(i)
    return np.array(better, np.intp)
