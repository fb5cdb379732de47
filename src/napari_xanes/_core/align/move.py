"""Move a frame by a fraction of a pixel: whole pixels by slicing, the rest by a few taps along each axis.

A constant shift is separable, so eight taps an axis come closer to the exact (Fourier) answer than a cubic
spline with its prefilter, several times faster.  Every output value is made by the same operations in the
same order whichever band of rows it is computed in, so bands join without a seam to the last bit: by
multiplying and adding arrays, or for large planes of volumes, which are always whole, by products of
matrices, which take a quarter to two fifths less time and round as their shapes have it.

Nothing is invented where there is no data: a value whose nearest samples are invalid or outside the frame
is NaN.  Samples further out only shape the interpolation; where they are missing, their neighbours stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import floor, prod
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from napari_xanes._core.base.blas import one_blas_thread
from napari_xanes._core.data.stack import Float32

Interpolation = Literal["lanczos", "linear", "cubic"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)

RowReader = Callable[[slice], Float32]
"""``read(rows)``: those rows (first image axis) of one frame, a fresh float32 array."""

_HALF_TAPS = {"lanczos": 4, "cubic": 2, "linear": 1}
_BLOCK_BYTES = 1 << 18  # a block of rows with its scratch stays in a core's cache
_LARGE_PLANE = 128**2  # pixels from which on products of matrices take less time than arrays that are added
_PLANES = 4  # that are made at once across planes: fewer read more twice, more hold more
_STRIP = 1 << 14  # pixels of a plane that are worked on at once across planes
_ROWS = 16  # of a plane that one product gives: more multiply more zeros, fewer make more products
_WHOLE = 1e-6  # px; a shift this close to a whole number is one


@dataclass(frozen=True)
class _Axis:
    """One axis of a move: outputs ``lo <= x < hi`` come from samples around x + whole + fraction of `size`."""

    size: int
    whole: int
    fraction: float
    lo: int
    hi: int
    half: int  # taps on each side; 0 if the fraction is

    @property
    def samples(self) -> tuple[int, int]:
        """First and last+1 sample within the taps' reach, inside the frame or not."""
        return self.lo + self.whole - max(self.half - 1, 0), self.hi + self.whole + self.half

    @property
    def cut(self) -> slice:
        """Those of `samples` that exist."""
        a, b = self.samples
        return slice(max(a, 0), min(b, self.size))

    @property
    def padding(self) -> tuple[int, int]:
        """How many of `samples` are missing before and after the frame."""
        a, b = self.samples
        return max(-a, 0), max(b - self.size, 0)

    def nearest(self, offset: int) -> list[slice]:
        """Return where, in an array that starts at sample `offset`, the one or two nearest samples lie."""
        a, b = self.lo + self.whole - offset, self.hi + self.whole - offset
        return [slice(a, b), slice(a + 1, b + 1)] if self.half else [slice(a, b)]


def moved_rows(
    read: RowReader,
    shape: Sequence[int],
    shift: Sequence[float],
    rows: slice = slice(None),
    interpolation: Interpolation = "lanczos",
) -> Float32:
    """Return ``rows`` of ``frame(x + shift)``: the frame with its displacement `shift` taken back.

    Parameters
    ----------
    read : callable
        Gives rows of the frame; only the displaced ones and a few more are asked for.
    shape : sequence of int
        Shape of the whole frame.
    shift : sequence of float
        Where the sample is in this frame relative to where it belongs, px, one number an axis.
    rows : slice
        Rows of the result, along the first axis.
    interpolation : {"lanczos", "linear", "cubic"}
        8, 2 or 4 taps along each axis.

    Returns
    -------
    array
        float32 (rows, ...), NaN where there is no data.
    """
    start, stop, _ = rows.indices(shape[0])
    out = np.full((max(stop - start, 0), *shape[1:]), np.nan, np.float32)
    if not np.all(np.isfinite(shift)):
        return out
    half = _HALF_TAPS[interpolation]
    wanted = [(start, stop), *((0, n) for n in shape[1:])]
    axes = [_axis(n, s, lo, hi, half) for n, s, (lo, hi) in zip(shape, shift, wanted, strict=True)]
    if any(axis.lo >= axis.hi for axis in axes):
        return out
    inside = tuple(slice(a.lo - lo, a.hi - lo) for a, (lo, _) in zip(axes, wanted, strict=True))
    _interpolate(read, axes, interpolation, out[inside])
    return out


def valid_span(n: int, shifts: NDArray[np.floating[Any]]) -> tuple[int, int]:
    """Return (first, last + 1) of the outputs along an axis of n samples that every one of `shifts` reaches."""
    axes = [_axis(n, float(s), 0, n, 1) for s in shifts if np.isfinite(s)]
    return max((a.lo for a in axes), default=0), min((a.hi for a in axes), default=n)


def _axis(size: int, shift: float, lo: int, hi: int, half: int) -> _Axis:
    whole, fraction = round(shift), 0.0
    if abs(shift - whole) >= _WHOLE:
        whole = floor(shift)
        fraction = shift - whole
    last = size - whole - (fraction > 0)
    return _Axis(size, whole, fraction, max(lo, -whole), min(hi, last), half if fraction else 0)


def _interpolate(
    read: RowReader, axes: Sequence[_Axis], interpolation: Interpolation, out: NDArray[np.float32]
) -> None:
    rows = axes[0].cut
    source = read(rows)
    invalid = _invalid(source)
    if invalid is not None:
        source = _filled(read, axes, interpolation)
    cut = tuple(axis.cut for axis in axes[1:])
    padding = [axis.padding for axis in axes]
    weights = [tap_weights(axis.fraction, interpolation) if axis.half else None for axis in axes]
    if len(axes) > 2 and prod(axis.size for axis in axes[1:]) >= _LARGE_PLANE:
        _convolve_planes(_padded(source, [padding[0], (0, 0), (0, 0)]), cut, padding[1:], weights, out)
    else:
        _convolve(_padded(source[(slice(None), *cut)], padding), weights, out)
    if invalid is not None:
        offsets = (rows.start, *[0] * (len(axes) - 1))
        nearest = product(*(axis.nearest(o) for axis, o in zip(axes, offsets, strict=True)))
        for where in nearest:
            out[invalid[where]] = np.nan


def _padded(values: Float32, padding: Sequence[tuple[int, int]]) -> Float32:
    """Return the array with its border repeated; np.pad takes longer than the interpolation of a row."""
    if not any(map(any, padding)):
        return values
    shape = [n + before + after for n, (before, after) in zip(values.shape, padding, strict=True)]
    out = np.empty(shape, np.float32)
    out[tuple(slice(b, b + n) for n, (b, _) in zip(values.shape, padding, strict=True))] = values
    for axis, (n, (before, after)) in enumerate(zip(values.shape, padding, strict=True)):
        lead = (slice(None),) * axis
        if before:
            out[(*lead, slice(0, before))] = out[(*lead, slice(before, before + 1))]
        if after:
            out[(*lead, slice(before + n, None))] = out[(*lead, slice(before + n - 1, before + n))]
    return out


def _invalid(values: Float32) -> NDArray[np.bool_] | None:
    """Return where `values` are not finite, or None if they all are, which one sum tells."""
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(np.sum(values)):
            return None
    invalid = ~np.isfinite(values)
    return invalid if invalid.any() else None


@lru_cache(maxsize=4096)
def tap_weights(fraction: float, interpolation: Interpolation) -> NDArray[np.float32]:
    """Return the weights of the samples from half - 1 before to half after a point at `fraction`; their sum is 1.

    Not to be written to.
    """
    half = _HALF_TAPS[interpolation]
    x = np.abs(np.arange(1 - half, half + 1) - fraction)
    if interpolation == "lanczos":
        weights = np.sinc(x) * np.sinc(x / half)
    elif interpolation == "cubic":  # Keys 1981, doi:10.1109/TASSP.1981.1163711
        weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)
    else:
        weights = 1 - x
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _convolve(
    source: Float32, weights: Sequence[NDArray[np.float32] | None], out: NDArray[np.float32]
) -> None:
    """Apply the taps of each axis, the first axis first, in blocks of rows that fit the cache."""
    reach = 0 if weights[0] is None else len(weights[0]) - 1
    step = max(1, _BLOCK_BYTES // (4 * prod(source.shape[1:])))
    for a in range(0, len(out), step):
        b = min(a + step, len(out))
        block = source[a : b + reach]
        for axis, taps in enumerate(weights):
            if taps is not None:
                block = _along(block, axis, taps)
        out[a:b] = block


def _along(block: Float32, axis: int, taps: NDArray[np.float32]) -> Float32:
    n = block.shape[axis] - len(taps) + 1
    lead = (slice(None),) * axis
    total: Float32 = block[(*lead, slice(0, n))] * taps[0]
    term = np.empty_like(total)
    for j, weight in enumerate(taps[1:], 1):
        np.multiply(block[(*lead, slice(j, j + n))], weight, out=term)
        total += term
    return total


def _convolve_planes(
    source: Float32,
    cut: tuple[slice, ...],
    padding: Sequence[tuple[int, int]],
    weights: Sequence[NDArray[np.float32] | None],
    out: NDArray[np.float32],
) -> None:
    """Apply the taps of each axis of a volume, the first axis first; planes are cut and padded in between."""
    across, *inside = weights
    down, along = (None if taps is None else _shifted(taps) for taps in inside)
    with one_blas_thread:
        planes = source if across is None else _across(source, across)
        for plane, target in zip(planes, out, strict=True):
            plane = _padded(plane[cut], padding)
            if down is not None:
                plane = _down(plane, down, np.empty((len(target), plane.shape[1]), np.float32))
            if along is None:
                target[...] = plane
            else:
                _down(plane.T, along, target.T)


def _across(source: Float32, taps: NDArray[np.float32]) -> Iterator[Float32]:
    """Apply taps across planes, in strips of a few of them that fit the cache; what is given is written over later."""
    flat = source.reshape(len(source), -1)
    n = len(source) - len(taps) + 1
    few = np.empty((min(n, _PLANES), flat.shape[1]), np.float32)
    for first in range(0, n, _PLANES):
        group = few[: n - first]
        for a in range(0, flat.shape[1], _STRIP):
            strip = slice(a, a + _STRIP)
            for z, plane in enumerate(group, first):
                np.matmul(taps, flat[z : z + len(taps), strip], out=plane[strip])
        yield from group.reshape(-1, *source.shape[1:])


def _shifted(taps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the matrix whose product with a few rows applies taps to them."""
    shifted = np.zeros((_ROWS, _ROWS + len(taps) - 1), np.float32)
    for row in range(_ROWS):
        shifted[row, row : row + len(taps)] = taps
    return shifted


def _down(plane: Float32, shifted: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply taps, as `_shifted` has them, down the columns of a plane."""
    count, rest = divmod(len(out), _ROWS)
    whole, (step, width) = len(out) - rest, plane.strides
    if count:
        shape = count, shifted.shape[1], plane.shape[1]
        windows = as_strided(plane, shape, (_ROWS * step, step, width), writeable=False)
        np.matmul(shifted, windows, out=out[:whole].reshape(count, _ROWS, -1))
    if rest:
        few = shifted[:rest, : shifted.shape[1] - _ROWS + rest]
        np.matmul(few, plane[whole:], out=out[whole:])
    return out


def _filled(read: RowReader, axes: Sequence[_Axis], interpolation: Interpolation) -> Float32:
    """Return the rows of the cut with invalid samples replaced from the valid ones around them.

    The valid region grows as far as taps reach beyond the nearest samples; what lies deeper only meets outputs
    that are NaN anyway.
    """
    rounds = _HALF_TAPS[interpolation] - 1
    rows = axes[0].cut
    wide = slice(max(rows.start - rounds, 0), min(rows.stop + rounds, axes[0].size))
    values = read(wide).copy()
    grow_valid(values, rounds)
    part: Float32 = values[rows.start - wide.start : rows.stop - wide.start]
    return part


def grow_valid(values: Float32, rounds: int) -> None:
    """Let the valid region of `values` grow `rounds` times by one sample, in place; what is left becomes 0.

    New samples are the mean of their valid neighbours, direct and diagonal.
    """
    valid = np.isfinite(values)
    values[~valid] = 0
    for _ in range(rounds):
        if valid.all():
            return
        total, count = _neighborhood(values), _neighborhood(valid.astype(np.float32))
        grown = ~valid & (count > 0)
        values[grown] = total[grown] / count[grown]
        valid |= grown


def _neighborhood(values: Float32) -> Float32:
    """Sum over each sample and its direct and diagonal neighbours, nothing beyond the border."""
    for axis in range(values.ndim):
        lead = (slice(None),) * axis
        total = values.copy()
        total[(*lead, slice(1, None))] += values[(*lead, slice(None, -1))]
        total[(*lead, slice(None, -1))] += values[(*lead, slice(1, None))]
        values = total
    return values
