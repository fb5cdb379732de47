"""Arrays over files that read only what is asked for.

`LazyArray` turns the one thing a file format must offer, some rows of one frame, into an array that can be
indexed.  `Gathered` puts frames in another order and averages those that belong together, still lazily.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import measured, valid_mean
from napari_xanes._core.data.stack import ArrayLike, pieces, read_block, rows_are_cheap

AnyArray = NDArray[Any]


class LazyArray(ABC):
    """An array of frames, first axis first, that lives in files; reading is safe from several threads."""

    def __init__(self, shape: Sequence[int], dtype: Any, *, cheap_rows: bool) -> None:
        self.shape: tuple[int, ...] = tuple(int(n) for n in shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
        self.ndim = len(self.shape)
        self.cheap_rows = cheap_rows
        """Whether some rows of a frame can be read without unpacking all of it."""
        self.pieces = (1, 1) if cheap_rows else (1, self.shape[1] if self.ndim > 1 else 1)
        """How many frames and rows are packed together."""

    @abstractmethod
    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows start:stop (both given, within the frame) of frame `index` as a fresh array."""

    def read_block(self, frames: slice, rows: slice) -> AnyArray:
        """Return rows of some frames (n, rows, ...); start and stop of both are given."""
        if frames.stop - frames.start == 1:
            return self.read_rows(frames.start, rows)[None]
        return np.stack([self.read_rows(index, rows) for index in range(frames.start, frames.stop)])

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes when read."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        parts = _expanded(key, self.ndim)
        first, rest = parts[0], parts[1:]
        rows, rest = _row_range(rest, self.shape[1])
        if isinstance(first, (int, np.integer)):
            block = self.read_rows(_checked(int(first), self.shape[0]), rows)
            return block if rest == (slice(None),) * len(rest) else block[rest]
        indices = np.arange(self.shape[0])[first]
        if indices.ndim != 1:
            raise IndexError("the first axis takes an integer, a slice or a list of indices")
        shape = self._result_shape(rows, rest)
        out = np.empty((len(indices), *shape), self.dtype)
        for target, index in enumerate(indices.tolist()):
            out[target] = self.read_rows(index, rows)[rest]
        return out

    def _result_shape(self, rows: slice, rest: tuple[Any, ...]) -> tuple[int, ...]:
        frame = np.broadcast_to(np.empty((), self.dtype), (rows.stop - rows.start, *self.shape[2:]))
        return tuple(frame[rest].shape)


def _expanded(key: Any, ndim: int) -> tuple[Any, ...]:
    """Return one entry for every axis."""
    parts = key if isinstance(key, tuple) else (key,)
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(parts) - len(dots) > ndim or len(dots) > 1 or any(part is None for part in parts):
        raise IndexError(f"cannot index an array of {ndim} axes with {key!r}")
    missing = (slice(None),) * (ndim - len(parts) + len(dots))
    if dots:
        return (*parts[: dots[0]], *missing, *parts[dots[0] + 1 :])
    return (*parts, *missing)


def _row_range(rest: tuple[Any, ...], n_rows: int) -> tuple[slice, tuple[Any, ...]]:
    """Return the rows start:stop that must be read, and the index that is left for what was read."""
    rows = rest[0]
    if isinstance(rows, (int, np.integer)):
        row = _checked(int(rows), n_rows)
        return slice(row, row + 1), (0, *rest[1:])
    if isinstance(rows, slice):
        start, stop, step = rows.indices(n_rows)
        if step == 1:
            return slice(start, max(start, stop)), (slice(None), *rest[1:])
    return slice(0, n_rows), rest


def _checked(index: int, size: int) -> int:
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of range for {size}")
    return index % size


class Gathered(LazyArray):
    """Frames of another array in groups: frame i is the mean of the frames of group i.

    Parameters
    ----------
    source : array-like
        (N, ...).
    groups : sequence of tuple of int
        Indices into the first axis of `source`.
    counts : bool
        Whether the values are counts, in which a detector's marks are left out of a mean.
    """

    def __init__(self, source: ArrayLike, groups: Sequence[tuple[int, ...]], *, counts: bool = False) -> None:
        self.averaged = any(len(group) > 1 for group in groups)
        double = self.averaged and np.dtype(source.dtype).newbyteorder("=") == np.float64
        dtype = np.dtype(source.dtype if not self.averaged else np.float64 if double else np.float32)
        super().__init__((len(groups), *source.shape[1:]), dtype, cheap_rows=rows_are_cheap(source))
        self.source = source
        self.groups = [tuple(group) for group in groups]
        self._take: Any = measured if counts else np.asarray
        together, rows = pieces(source)
        self.pieces = (len(groups) if together > 1 and not self.averaged else 1, rows)

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of the mean of a group, of its valid values where some are lost."""
        group = self.groups[index]
        if not self.averaged:
            return np.asarray(self.source[group[0], rows]).astype(self.dtype, copy=False)
        members = (self._take(self.source[member, rows]) for member in group)
        if len(group) == 1:
            return np.asarray(next(members)).astype(self.dtype, copy=False)
        return valid_mean(members).astype(self.dtype, copy=False)

    def read_block(self, frames: slice, rows: slice) -> AnyArray:
        """Return rows of some frames, read together where they are packed together."""
        if self.pieces[0] == 1:
            return super().read_block(frames, rows)
        wanted = np.array([group[0] for group in self.groups[frames]])
        first = int(wanted.min())
        block = read_block(self.source, slice(first, int(wanted.max()) + 1), rows)
        ordered: AnyArray = block[wanted - first].astype(self.dtype, copy=False)
        return ordered


def gathered(source: ArrayLike, groups: Sequence[tuple[int, ...]], *, counts: bool = False) -> ArrayLike:
    """Return `source` in groups, itself where there is nothing to change; 1-D arrays are changed at once."""
    if list(groups) == [(i,) for i in range(source.shape[0])]:
        return source
    if source.ndim == 1:
        values = np.asarray(source[:], dtype=np.float64)
        return np.array([values[list(group)].mean() for group in groups])
    return Gathered(source, groups, counts=counts)


class Stacked(LazyArray):
    """Images or volumes of the same shape, one source each, as one array.

    Parameters
    ----------
    sources : sequence of array-like
        Each holds one frame: its shape is the frame's, or has a leading 1.
    frame_shape : tuple of int
    """

    def __init__(self, sources: Sequence[ArrayLike], frame_shape: tuple[int, ...]) -> None:
        dtype = np.result_type(*{np.dtype(source.dtype).newbyteorder("=") for source in sources})
        cheap = all(_frame_rows_are_cheap(source, len(frame_shape)) for source in sources)
        super().__init__((len(sources), *frame_shape), dtype, cheap_rows=cheap)
        self.sources = list(sources)
        self.pieces = (1, max(_rows_together(source, len(frame_shape)) for source in sources))

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one source."""
        source = self.sources[index]
        key: Any = (0, rows) if source.ndim == self.ndim else rows
        return np.asarray(source[key]).astype(self.dtype, copy=False)


def _rows_together(source: ArrayLike, frame_ndim: int) -> int:
    if source.ndim > frame_ndim:
        return pieces(source)[1]
    chunks = getattr(source, "chunks", None)
    return 1 if chunks is None else int(chunks[0])


def _frame_rows_are_cheap(source: ArrayLike, frame_ndim: int) -> bool:
    if source.ndim > frame_ndim:
        return rows_are_cheap(source)
    chunks = getattr(source, "chunks", None)
    return True if chunks is None else bool(chunks[0] * 8 <= source.shape[0])
