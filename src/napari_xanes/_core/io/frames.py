"""Lazy arrays for formats whose frames are read whole, or lie as plain numbers in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError, XanesError
from napari_xanes._core.data.lazy import AnyArray, LazyArray
from napari_xanes._core.io.recent import RECENT

MOST_FRAMES = 1_000_000


class Frames(LazyArray):
    """Frames that can only be read whole; the last ones are kept, so that their rows are not read one by one.

    Parameters
    ----------
    path : Path
        For errors.
    shape : tuple of int
        (N, Y, X) or (N, Z, Y, X).
    dtype : dtype
    read : callable
        Returns the frame of an index.
    """

    def __init__(self, path: Path, shape: Sequence[int], dtype: Any, read: Callable[[int], AnyArray]) -> None:
        super().__init__(shape, dtype, cheap_rows=False)
        self.path = path
        self._read = read

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame."""
        kept = RECENT.get(self, index)
        if kept is None:
            kept = self._frame(index)
            RECENT.put(self, index, kept)
        return kept[rows].astype(self.dtype)

    def _frame(self, index: int) -> AnyArray:
        try:
            frame = np.asarray(self._read(index))
        except XanesError:
            raise
        except Exception as error:  # the libraries of formats raise anything
            raise DataFileError(
                f"{self.path.name}: frame {index + 1} of {self.shape[0]} cannot be read ({error}); "
                "the file is damaged or its copying was not finished."
            ) from error
        if frame.shape != self.shape[1:]:
            raise DataFileError(
                f"{self.path.name}: frame {index + 1} of {self.shape[0]} has shape {frame.shape}, expected {self.shape[1:]}."
            )
        return frame


class PlainFrames(LazyArray):
    """Frames that lie one behind the other in a file, as numbers without any packing.

    Raises
    ------
    DataFileError
        If the file is shorter than that.
    """

    def __init__(self, path: Path, shape: Sequence[int], dtype: Any, offset: int) -> None:
        super().__init__(shape, dtype, cheap_rows=True)
        self.path, self.offset = path, offset
        self.stored = np.dtype(dtype)
        needed, size = offset + prod(self.shape) * self.stored.itemsize, path.stat().st_size
        if size < needed:
            raise DataFileError(
                f"{path} is cut off: it has {size} bytes, its header says {needed}; copy it again."
            )

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame, or planes of one volume."""
        row = prod(self.shape[2:])
        first = (index * self.shape[1] + rows.start) * row
        count = (rows.stop - rows.start) * row
        with open(self.path, "rb") as file:
            values = np.fromfile(file, self.stored, count, offset=self.offset + first * self.stored.itemsize)
        if values.size < count:
            raise DataFileError(f"{self.path.name}: frame {index + 1} is cut off; copy the file again.")
        return values.reshape(rows.stop - rows.start, *self.shape[2:]).astype(self.dtype, copy=False)


class Scaled(LazyArray):
    """Another array divided by a number, as float32."""

    def __init__(self, source: LazyArray, divisor: float) -> None:
        super().__init__(source.shape, np.float32, cheap_rows=source.cheap_rows)
        self.source, self.divisor = source, divisor
        self.pieces = source.pieces

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame."""
        return (self.source.read_rows(index, rows) / self.divisor).astype(np.float32)


def check_shape(path: Path, shape: Sequence[int]) -> None:
    """Refuse the numbers of a header that cannot be a stack of images.

    Raises
    ------
    DataFileError
    """
    if not all(0 < n <= MOST_FRAMES for n in shape):
        raise DataFileError(
            f"{path} declares images of shape {tuple(shape)}; it is damaged or of another kind."
        )
