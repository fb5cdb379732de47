"""Stacks made of stacks that were not read: dask arrays whose blocks are computed when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.lazy import AnyArray
from napari_xanes._core.data.stack import ArrayLike, pieces, rows_are_cheap

BLOCK_BYTES = 2**20
"""About so much is one block, where rows are cheap."""
MOST_BYTES = 2**27
"""A block is no larger, unless one of the source is; so frames that are packed together may be read more than once."""


class Blocks:
    """What dask reads a block of: ``read(frames, rows)`` gives rows start:stop of some frames (n, rows, ...)."""

    def __init__(
        self, read: Callable[[NDArray[np.intp], slice], AnyArray], shape: Sequence[int], dtype: Any
    ) -> None:
        self.read, self.shape, self.dtype = read, tuple(shape), np.dtype(dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[Any, ...]) -> AnyArray:
        """Return what integers, slices and lists choose, each along its own axis, as dask means them."""
        wanted = [np.arange(n)[k] for n, k in zip(self.shape, key, strict=True)]
        if not all(one.size for one in wanted):
            return np.empty([one.size for one in wanted if one.ndim], self.dtype)
        low, high = int(wanted[1].min()), int(wanted[1].max()) + 1
        block = self.read(np.atleast_1d(wanted[0]), slice(low, high))
        places = [slice(None) if wanted[0].ndim else 0, wanted[1] - low, *key[2:]]
        for axis in reversed(range(self.ndim)):  # all at once, NumPy would move axes and pair lists
            block = block[(slice(None),) * axis + (places[axis],)]
        return block


class Together:
    """Frames of a source that are packed together: rows of all are read when those of the first are wanted.

    Parameters
    ----------
    source : Unread
        (E, ...).
    frames : slice
        Those that will be wanted.
    """

    def __init__(self, source: Unread, frames: slice) -> None:
        self.shape, self.dtype, self.ndim = source.shape, source.dtype, source.ndim
        self._source, self._frames, self._first = source, frames, 0
        self._rows: AnyArray | None = None

    def __getitem__(self, key: tuple[int, slice]) -> AnyArray:
        """Return rows of one frame, not to be written to."""
        start, stop, _ = key[1].indices(self.shape[1])
        if self._rows is None:
            self._first, self._rows = start, self._read(start, stop)
        last = self._first + self._rows.shape[1]
        parts = [self._rows]
        if start < self._first:
            parts.insert(0, self._read(start, self._first))
        if stop > last:
            parts.append(self._read(last, stop))
        if len(parts) > 1:
            self._first, self._rows = min(start, self._first), np.concatenate(parts, axis=1)
        return self._rows[key[0] - self._frames.start, start - self._first : stop - self._first]

    def _read(self, start: int, stop: int) -> AnyArray:
        return self._source[self._frames, start:stop]


Make = Callable[[Any, int, slice], AnyArray]
"""``make(frames, index, rows)``: rows start:stop of one frame, of what ``frames[index, rows]`` gives of the source."""


def computed(
    make: Make,
    source: Unread,
    *,
    shape: Sequence[int] | None = None,
    dtype: Any = np.float32,
    cheap_rows: bool = True,
) -> AnyArray:
    """Return frames that are made of those of a source as a dask array.

    Parameters
    ----------
    make : callable
        As of `Make`; the result is not written to.
    source : Unread
        (E, ...).  Frames that are packed together are one block, for which they are read once.
    shape : sequence of int, optional
        Of the result, if it is not that of the source.
    cheap_rows : bool
        Whether a few rows can be made without making the frame.
    """
    shape = tuple(shape or source.shape)
    rows, row_bytes = shape[1], max(1, prod(shape[2:]) * np.dtype(dtype).itemsize)
    together, packed = pieces(source)
    packed = max(1, packed * rows // max(1, source.shape[1]))  # rows of the result
    if cheap_rows and rows_are_cheap(source):
        wanted = BLOCK_BYTES // (max(1, together) * row_bytes)
        rows = min(rows, max(packed, wanted // packed * packed))
    else:
        most = max(MOST_BYTES, together * packed * row_bytes)
        together = max(1, min(together, most // (max(1, rows) * row_bytes)))

    def read(frames: NDArray[np.intp], rows: slice) -> AnyArray:
        first, last = int(frames.min()), int(frames.max()) + 1
        values = source if len(frames) == 1 else Together(source, slice(first, last))
        out = np.empty((len(frames), rows.stop - rows.start, *shape[2:]), dtype)
        for place, index in zip(out, frames.tolist(), strict=True):
            place[...] = make(values, index, rows)
        return out

    return as_dask(Blocks(read, shape, dtype), (together, rows, *shape[2:]))


def as_dask(array: ArrayLike, chunks: Sequence[int]) -> AnyArray:
    """Return an array as one of dask, of blocks of a shape."""
    from dask.array import from_array  # long to load

    meta = np.empty((0,) * array.ndim, array.dtype)
    blocks: AnyArray = from_array(array, tuple(chunks), name=False, asarray=True, meta=meta)
    return blocks
