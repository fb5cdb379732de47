"""HDF5 files as lazy arrays, and the checks before anything is read from them.

What a file holds is said by `hdf5_tree`, which dataset is what is decided by `nexus`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the compressions of beamline files)
import numpy as np

from napari_xanes._core.base.errors import DataFileError, XanesError
from napari_xanes._core.base.hdf5_heaps import check_heaps
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.data.lazy import AnyArray, LazyArray
from napari_xanes._core.data.stack import pieces, rows_are_cheap
from napari_xanes._core.io.packing import Packing

MOST_PACKED = 20_000
"""No compression in use packs measured images better than this; a header that claims more was never filled."""


class Hdf5Array(LazyArray):
    """A dataset of a file that is opened for every read, or for a whole run, so that no other program is kept out of it.

    What cannot be read is said with the file's name.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset, name: str, packing: Packing | None = None) -> None:
        dtype = dataset.dtype if packing is None else packing.dtype
        cheap = rows_are_cheap(dataset) if dataset.ndim > 2 else True
        super().__init__(dataset.shape, dtype, cheap_rows=cheap)
        self.chunks = dataset.chunks
        if dataset.ndim > 2:
            self.pieces = pieces(dataset)
        self.path, self.dataset_name, self.packing = path, name, packing

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame."""
        values: AnyArray = self._read((index, rows), index)
        return values

    def read_block(self, frames: slice, rows: slice) -> AnyArray:
        """Return rows of some frames, in one go."""
        values: AnyArray = self._read((frames, rows), frames.start)
        return values

    def __getitem__(self, key: Any) -> Any:
        """Index like h5py where it can, which reads a spectrum in one go."""
        if _is_basic(key):
            first = key[0] if isinstance(key, tuple) else key
            return self._read(key, int(first) if isinstance(first, (int, np.integer)) else None)
        return super().__getitem__(key)

    def _read(self, key: Any, index: int | None) -> Any:
        try:
            with _kept.reading(self.path, self.dataset_name) as kept:
                if kept is not None:
                    values = kept[key]
                else:
                    with open_hdf5(self.path) as file:
                        values = file[self.dataset_name][key]
        except (XanesError, MemoryError):
            raise
        except Exception as error:  # the library raises anything on damaged files
            frame = "a frame" if index is None else f"frame {index + 1} of {self.shape[0]}"
            raise DataFileError(
                f"{self.path.name}: {frame} of {self.dataset_name} cannot be read ({reason_of(error)}); "
                "the file is damaged or was changed, or its compression is not known here."
            ) from error
        return values.astype(self.dtype, copy=False) if self.packing is None else self.packing.unpack(values)


def _is_basic(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is Ellipsis
        or (isinstance(part, slice) and (part.step is None or part.step > 0))
        or (isinstance(part, (int, np.integer)) and part >= 0)
        for part in parts
    )


class _Kept:
    """Files and datasets that stay open between reads while any run is going on, without a lock on them."""

    def __init__(self) -> None:
        self.lock, self.runs = Lock(), 0
        self.files: dict[Path, h5py.File] = {}
        self.datasets: dict[tuple[Path, str], h5py.Dataset] = {}

    @contextmanager
    def reading(self, path: Path, name: str) -> Iterator[h5py.Dataset | None]:
        """Hold a dataset of a file that stays open, also if the run ends meanwhile; None if none is to stay open."""
        with self.lock:
            kept = self._dataset(path, name) if self.runs else None
            self.runs += kept is not None
        try:
            yield kept
        finally:
            if kept is not None:
                self.release()

    def _dataset(self, path: Path, name: str) -> h5py.Dataset:
        if (path, name) not in self.datasets:
            if path not in self.files:
                self.files[path] = open_hdf5(path, locking=False)
            self.datasets[path, name] = self.files[path][name]
        return self.datasets[path, name]

    def release(self) -> None:
        """Be one less who needs files open; the last one closes them."""
        with self.lock:
            self.runs -= 1
            files = [] if self.runs else list(self.files.values())
            if not self.runs:
                self.files.clear()
                self.datasets.clear()
        for file in files:
            file.close()


_kept = _Kept()


@contextmanager
def files_kept_open() -> Iterator[None]:
    """Keep files open between reads meanwhile: to open one takes longer than to read a few rows of it."""
    with _kept.lock:
        _kept.runs += 1
    try:
        yield
    finally:
        _kept.release()


def open_hdf5(path: Path, *, locking: bool = True) -> h5py.File:
    """Open a file read-only, or say why it cannot be."""
    check_heaps(path)
    try:
        return _open(path) if locking else h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise DataFileError(f"{path}: there is no such file any more.") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = reason_of(error)
        if "truncated" in reason:
            size = path.stat().st_size
            wanted = re.search(r"stored_eof = (\d+)", str(error))
            expected = f", its header says {wanted[1]}" if wanted else ""
            raise DataFileError(
                f"{path} is cut off: it has {size} bytes{expected}; copy it again."
            ) from error
        raise DataFileError(
            f"{path} cannot be read as HDF5 ({reason}); it is damaged or still being written."
        ) from error


def _open(path: Path) -> h5py.File:
    """Open with a lock, which minds programs that write; without it where the disk knows none or the file is open so."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "flag values don't match" in str(error) or error.errno in (
            errno.ENOLCK,
            errno.ENOSYS,
            errno.EOPNOTSUPP,
        ):
            return h5py.File(path, "r", locking=False)
        raise


def reason_of(error: Exception) -> str:
    """Return what HDF5 says, without what leads to it."""
    text = str(error)
    inner = re.search(r"\((.*)\)", text)
    return (inner[1] if inner else text).strip().rstrip(".")


def check_images(path: Path, dataset: h5py.Dataset, name: str) -> None:
    """Refuse what was declared but never filled, and frames that do not fit into memory."""
    shape = dataset.shape
    declared = prod(shape) * dataset.dtype.itemsize
    elsewhere = dataset.is_virtual or dataset.external
    try:
        stored = dataset.id.get_storage_size()
    except RuntimeError as error:
        raise DataFileError(
            f"{path}: {name} is damaged ({reason_of(error)}); copy the file again from where it was written."
        ) from None
    if not elsewhere and declared > MOST_PACKED * stored:
        raise DataFileError(
            f"{path}: {name} declares {declared / 2**30:.3g} GiB {tuple(shape)} but {stored} bytes of it are in "
            "the file; it was never filled or is damaged."
        )
    frame = declared // shape[0] if dataset.ndim > 2 else declared
    check_memory(frame, f"one frame of {path.name} {tuple(shape[1:])}")
