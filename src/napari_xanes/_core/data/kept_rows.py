"""Rows of frames that are read from their files once, though neighbouring bands of a pass ask for them again.

Alignment needs rows around those that it gives, and files hold several rows, or energies, packed together.  So what was
read or unpacked is kept as long as bands that follow may need it, and no longer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from napari_xanes._core.base.unread import read
from napari_xanes._core.data.lazy import AnyArray
from napari_xanes._core.data.stack import ArrayLike, EnergyStack, Float32, as_frame, pieces, read_block

BLOCK_BYTES = 2**18
"""Of a frame at least so much is read at once."""


def kept_rows(stack: EnergyStack) -> KeptRows | None:
    """Return a reader of the frames of a stack that keeps rows, None where to read them again costs little."""
    if stack.flat is not None and stack.flat.ndim > 1 and pieces(stack.flat)[1] * 8 > stack.image_shape[0]:
        return None  # the flats would be unpacked for every band
    volumes = len(stack.image_shape) > 2
    counts = stack.signal == "counts"
    return KeptRows(stack.data, counts=counts) if volumes or pieces(stack.data) != (1, 1) else None


class KeptRows:
    """A reader of frames, ``kept(index, rows)`` as float32, which keeps rows inside of `keeping`.

    A pass goes over the rows from the first to the last, a band at a time; of each band it asks for rows of every frame,
    and calls `leave` after each piece of that work.  Each pass keeps its own: others may read meanwhile.

    Parameters
    ----------
    data : array-like
        (E, ...).
    counts : bool
        Whether the values are counts, of which those that were not measured are NaN.
    """

    def __init__(self, data: ArrayLike, *, counts: bool = False) -> None:
        self.data, self.counts = data, counts
        self.group, rows = pieces(data)
        row_bytes = prod(data.shape[2:]) * np.dtype(data.dtype).itemsize
        self.row_bytes = row_bytes * data.shape[0]
        """Bytes of a row of all frames, as stored."""
        together = max(1, rows * row_bytes * self.group)
        self.unit = min(data.shape[1], rows * max(1, BLOCK_BYTES // together))
        self._here = threading.local()

    def __getstate__(self) -> dict[str, object]:
        return {"data": self.data, "counts": self.counts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["data"], counts=state["counts"])  # type: ignore[misc]  # what is unpickled is made anew

    def __call__(self, index: int, rows: slice = slice(None)) -> Float32:
        keeping: Keeping | None = getattr(self._here, "keeping", None)
        if keeping is None:
            return as_frame(read(self.data, (index, rows)), counts=self.counts)
        return keeping.read(index, rows)

    @contextmanager
    def keeping(self, keeping: Keeping | None = None) -> Iterator[Keeping]:
        """Keep rows meanwhile, for what this thread reads; another thread of the same pass is given what the first got."""
        before = getattr(self._here, "keeping", None)
        self._here.keeping = Keeping(self) if keeping is None else keeping
        try:
            yield self._here.keeping
        finally:
            self._here.keeping = before


class Keeping:
    """The rows that are kept during one pass."""

    def __init__(self, source: KeptRows) -> None:
        self._source, self.group, self.unit = source, source.group, source.unit
        self._blocks: dict[tuple[int, int], AnyArray] = {}
        self._locks = [threading.Lock() for _ in range(-(-source.data.shape[0] // source.group))]
        self._asked = threading.local()
        self._counting = threading.Lock()
        self._expected: dict[int, int] = {}  # how many pieces of work ask for a frame in each band
        self._begin()

    def _begin(self) -> None:
        """Begin a band: nobody has asked for anything yet."""
        self._uses: dict[int, int] = {}
        self._lowest: dict[int, int] = {}

    def read(self, index: int, rows: slice) -> Float32:
        """Return rows of a frame."""
        data, counts = self._source.data, self._source.counts
        start, stop, _ = rows.indices(data.shape[1])
        asked: dict[int, int] = self._asked.__dict__.setdefault("rows", {})
        asked[index] = min(start, asked.get(index, start))
        out = np.empty((max(0, stop - start), *data.shape[2:]), np.float32)
        group = index // self.group
        for number in range(start // self.unit, -(-stop // self.unit) if stop > start else 0):
            first = number * self.unit
            lo, hi = max(start, first), min(stop, first + self.unit)
            with self._locks[group]:
                block = self._block(group, number)
            part = block[index - group * self.group, lo - first : hi - first]
            out[lo - start : hi - start] = as_frame(part, counts=True) if counts else part
        return out

    def _block(self, group: int, number: int) -> AnyArray:
        if (group, number) not in self._blocks:
            data = self._source.data
            frames = slice(group * self.group, min((group + 1) * self.group, data.shape[0]))
            rows = slice(number * self.unit, min((number + 1) * self.unit, data.shape[1]))
            self._blocks[group, number] = read_block(data, frames, rows)
        return self._blocks[group, number]

    @property
    def held_bytes(self) -> int:
        """Bytes that are kept now."""
        return sum(block.nbytes for block in self._blocks.values())

    def leave(self, height: int) -> None:
        """Say that this thread is through with a piece of work on a band of so many rows."""
        asked: dict[int, int] = self._asked.__dict__.pop("rows", {})
        with self._counting:
            for index, low in asked.items():
                self._uses[index] = self._uses.get(index, 0) + 1
                self._lowest[index] = min(low, self._lowest.get(index, low))
                if self.group == 1 and self._uses[index] == self._expected.get(index):
                    self._let_go(index, self._lowest[index], height)

    def end_band(self, height: int) -> None:
        """Say that a band of so many rows is done: what the next one cannot ask for is let go."""
        lowest: dict[int, int] = {}
        for index, low in self._lowest.items():
            lowest[index // self.group] = min(low, lowest.get(index // self.group, low))
        for group in {group for group, _ in list(self._blocks)}:
            self._let_go(group, lowest.get(group, self._source.data.shape[1]), height)
        self._expected = self._uses
        self._begin()

    def _let_go(self, group: int, lowest: int, height: int) -> None:
        """Drop what lies before the rows that the next band asks for, which are as much further as the band is high.

        A band that begins before the frame does may have asked for less than the next one will.
        """
        needed = lowest + height if lowest else 0
        for number in [n for g, n in list(self._blocks) if g == group and (n + 1) * self.unit <= needed]:
            self._blocks.pop((group, number), None)
