"""Arrays of a Zarr store, read chunk by chunk when they are needed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.lazy import AnyArray, LazyArray


def open_store(path: Path) -> Any:
    """Open a store read-only: a group or an array.

    Raises
    ------
    DataFileError
        If the store is damaged.
    """
    import zarr

    try:
        return zarr.open(str(path), mode="r")
    except Exception as error:  # zarr raises anything on damaged stores
        raise DataFileError(f"{path} cannot be read as a Zarr store ({error}); copy it again.") from error


class ZarrArray(LazyArray):
    """One array of a store, "" for the store itself."""

    def __init__(self, path: Path, name: str, array: Any) -> None:
        chunks = tuple(array.chunks)
        cheap = len(chunks) < 2 or chunks[1] * 8 <= array.shape[1]
        super().__init__(array.shape, array.dtype, cheap_rows=bool(cheap))
        self.path, self.name, self.chunks = path, name, chunks
        if len(chunks) > 1:
            self.pieces = (min(chunks[0], array.shape[0]), min(chunks[1], array.shape[1]))
        self._array: Any = array
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame."""
        return self._read((index, rows), index)

    def read_block(self, frames: slice, rows: slice) -> AnyArray:
        """Return rows of some frames, in one go."""
        return self._read((frames, rows), frames.start)

    def _read(self, key: tuple[Any, slice], index: int) -> AnyArray:
        with self._lock:
            if self._array is None:
                store = open_store(self.path)
                self._array = store[self.name] if self.name else store
        try:
            return np.array(self._array[key], dtype=self.dtype)
        except Exception as error:  # codecs raise anything
            raise DataFileError(
                f"{self.path.name}: frame {index + 1} of {self.shape[0]} of {self.name or 'the array'} cannot be read "
                f"({error}); the store is damaged or its copying was not finished."
            ) from error
