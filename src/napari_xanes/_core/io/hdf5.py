"""HDF5 files as lazy arrays, and the checks before anything is read from them.

Which dataset is what is decided by `nexus`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the compressions of beamline files)
import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.data.lazy import AnyArray, LazyArray
from napari_xanes._core.data.stack import rows_are_cheap

MOST_PACKED = 20_000
"""No compression in use packs measured images better than this; a header that claims more was never filled."""


class Hdf5Array(LazyArray):
    """A dataset of an open file; what cannot be read is said with the file's name."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        cheap = rows_are_cheap(dataset) if dataset.ndim > 2 else True
        super().__init__(dataset.shape, dataset.dtype, cheap_rows=cheap)
        self.dataset = dataset
        self.chunks = dataset.chunks
        self.path = Path(dataset.file.filename)

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame."""
        values: AnyArray = self._native(self._read((index, rows), index))
        return values

    def __getitem__(self, key: Any) -> Any:
        """Index like h5py where it can, which reads a spectrum in one go."""
        if _is_basic(key):
            first = key[0] if isinstance(key, tuple) else key
            return self._native(self._read(key, int(first) if isinstance(first, (int, np.integer)) else None))
        return super().__getitem__(key)

    def _read(self, key: Any, index: int | None) -> Any:
        try:
            return self.dataset[key]
        except (OSError, RuntimeError) as error:
            frame = "a frame" if index is None else f"frame {index + 1} of {self.shape[0]}"
            raise DataFileError(
                f"{self.path.name}: {frame} of {self.dataset.name} cannot be read ({_reason(error)}); "
                "the file is damaged or its compression is not known here."
            ) from error

    def _native(self, values: Any) -> Any:
        return values.astype(self.dtype, copy=False)


def _is_basic(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is Ellipsis
        or (isinstance(part, slice) and (part.step is None or part.step > 0))
        or (isinstance(part, (int, np.integer)) and part >= 0)
        for part in parts
    )


def open_hdf5(path: Path) -> h5py.File:
    """Open a file read-only, or say why it cannot be."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = _reason(error)
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


def _reason(error: Exception) -> str:
    text = str(error)
    inner = re.search(r"\((.*)\)", text)
    return (inner[1] if inner else text).strip().rstrip(".")


def datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Return every dataset of a file by its path, links followed, each only once."""
    return {item.name: item for item in _walk(group, set(), 0)}


def _walk(group: h5py.Group, seen: set[Any], depth: int) -> Iterator[h5py.Dataset]:
    try:
        names = list(group)
    except RuntimeError as error:
        raise DataFileError(f"{group.file.filename} is damaged ({_reason(error)}); copy it again.") from error
    for name in names:
        try:
            item = group[name]
        except (KeyError, OSError):  # a link to what is not there
            continue
        except RuntimeError as error:
            raise DataFileError(
                f"{group.file.filename} is damaged ({_reason(error)}); copy it again."
            ) from error
        info = h5py.h5o.get_info(item.id)
        if (info.fileno, info.addr) in seen:
            continue
        seen.add((info.fileno, info.addr))
        if isinstance(item, h5py.Dataset):
            yield item
        elif isinstance(item, h5py.Group) and depth < 16:
            yield from _walk(item, seen, depth + 1)


def named_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return the dataset of a path, or of a bare name that occurs once; None if there is none."""
    try:
        item = file.get(name)
    except (KeyError, OSError, ValueError):
        item = None
    if isinstance(item, h5py.Dataset):
        return item
    found = [d for path, d in datasets(file).items() if name in (path, path.rsplit("/", 1)[-1])]
    if len(found) > 1:
        raise DataFileError(
            f"{file.filename} holds {len(found)} datasets named {name}: "
            f"{', '.join(d.name for d in found)}; give the whole path of one."
        )
    return found[0] if found else None


def describe(file: h5py.File) -> str:
    """Return the numeric datasets of a file in words, for errors."""
    listed = [f"{name} {tuple(d.shape)}" for name, d in datasets(file).items() if is_numeric(d)]
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return ", ".join(listed[:8]) + more if listed else "no numeric dataset"


def is_numeric(dataset: h5py.Dataset) -> bool:
    """Whether the values are real numbers."""
    return dataset.shape is not None and dataset.dtype.kind in "iuf"


def check_images(path: Path, dataset: h5py.Dataset, ndims: tuple[int, ...]) -> None:
    """Refuse what is no stack of real images, or was declared but never filled."""
    name, shape = dataset.name, dataset.shape
    if not is_numeric(dataset):
        raise DataFileError(f"{path}: {name} holds values of type {dataset.dtype}, expected real numbers.")
    if dataset.ndim not in ndims:
        wanted = (
            "an image (y, x) or a volume (z, y, x)" if 2 in ndims else "(energy, y, x) or (energy, z, y, x)"
        )
        raise DataFileError(f"{path}: {name} has shape {tuple(shape)}, expected {wanted}.")
    if dataset.ndim == 4 and shape[-1] in (3, 4):
        raise DataFileError(f"{path}: {name} {tuple(shape)} holds colour images, expected grey ones.")
    if 0 in shape:
        raise DataFileError(f"{path}: {name} has shape {tuple(shape)}, it holds no images.")
    declared = prod(shape) * dataset.dtype.itemsize
    elsewhere = dataset.is_virtual or dataset.external
    stored = dataset.id.get_storage_size()
    if not elsewhere and declared > MOST_PACKED * stored:
        raise DataFileError(
            f"{path}: {name} declares {declared / 2**30:.3g} GiB {tuple(shape)} but {stored} bytes of it are in "
            "the file; it was never filled or is damaged."
        )
    frame = declared // shape[0] if dataset.ndim > 2 else declared
    check_memory(frame, f"one frame of {path.name} {tuple(shape[1:])}")
