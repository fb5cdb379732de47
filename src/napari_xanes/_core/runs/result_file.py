"""Results in files that hold the maps and how they were made, and give both back: HDF5 files, or Zarr stores.

What stands where is decided by `result_layout` and `result_zarr`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.door import public
from napari_xanes._core.base.errors import DataFileError, InputError, ResourceError, XanesError
from napari_xanes._core.base.files import check_disk, check_regular, checked_path, shown
from napari_xanes._core.base.hdf5_file import is_whole, whole_hdf5
from napari_xanes._core.base.hdf5_heaps import check_attributes, check_heaps, check_lengths
from napari_xanes._core.data.result import Result
from napari_xanes._core.io.hdf5 import Hdf5Array
from napari_xanes._core.runs import result_layout as layout
from napari_xanes._core.runs.chunks import Packed
from napari_xanes._core.runs.result_seal import check_seal, seal
from napari_xanes._core.runs.result_zarr import about_file, is_result_store, lazy, load_store, save_store

logger = logging.getLogger("napari_xanes")

SCHEMA = 1
_DAMAGED = (
    "{path} is damaged: its bytes are not those that were written; copy it again, or make the result anew."
)
SUFFIXES = (".h5", ".zarr")
MARK = "napari_xanes_schema"
"""Attribute of the root by which a result file is known."""


@public
def save_result(result: Result, path: str | Path) -> None:
    """Write a result to an HDF5 file or an OME-Zarr store, whole or not at all.

    Parameters
    ----------
    result : Result
    path : path
        Ending in .h5, or in .zarr for a folder that is opened without being read; a result that exists is replaced when
        the new one is whole.

    Raises
    ------
    InputError
        If the name ends in neither.
    DataFileError
        If the file cannot be written.
    ResourceError
        If the disk is too full.
    """
    save_made(result, path)


def save_made(result: Result, path: str | Path, packed: Mapping[str, Packed] | None = None) -> None:
    """Write a result as `save_result` does; in a store with links to chunks that are `packed` already, see `save_store`."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: results are written to HDF5 or Zarr, so the name must end in .h5 or .zarr, not '{path.suffix}'."
        )
    _check_not_input(result, path)
    try:
        _save(result, path, packed)
    except XanesError:
        raise
    except ValueError as error:
        raise InputError(
            f"{shown(path)} was not written, as a name or text of the result cannot stand in a file ({error}); rename it."
        ) from error


def _save(result: Result, path: Path, packed: Mapping[str, Packed] | None) -> None:
    if is_store_name(path):
        save_store(result, path, packed)
        return
    check_disk(_size(result), path)
    with whole_hdf5(path, signed=True) as file:
        file.attrs[MARK] = SCHEMA
        layout.write_result(file, result)
        seal(file)


def _check_not_input(result: Result, path: Path) -> None:
    """Refuse to replace the scan that a result was made from."""
    source = result.source.get("path") or []
    for file in [source] if isinstance(source, str) else source:
        if "\0" not in str(file) and Path(file).resolve() == path.resolve():
            raise InputError(
                f"{path} is the scan that the result was made from; save the result under another name."
            )


@public
def load_result(path: str | Path) -> Result:
    """Read what `save_result` wrote: the same maps to the last bit, and all that belongs to them.

    The maps of a Zarr store are dask arrays, which are read where they are looked at.

    Parameters
    ----------
    path : path

    Returns
    -------
    Result

    Raises
    ------
    DataFileError
        If the file is missing, damaged, not a result, or written by a newer version.
    ResourceError
        If a saved stack does not fit into memory.
    """
    path = _checked(path)
    try:
        if is_store_name(path):
            result = load_store(path)
            _check_content(result)
            return result
        whole = is_whole(path)
        if whole is False:
            raise DataFileError(_DAMAGED.format(path=shown(path)))
        check_heaps(path)
        with h5py.File(path, "r") as file:
            _check_schema(file, path)
            check_seal(file, sums=not whole)
            result = layout.read_result(file)
            _check_content(result)
            return result
    except XanesError:
        raise
    except MemoryError as error:
        raise ResourceError(
            f"{shown(path)} does not fit into memory; use a machine with more memory."
        ) from error
    except Exception as error:  # a damaged file raises anything
        reason = " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
        raise DataFileError(f"{shown(path)} is not a readable result file: {reason}.") from error


def open_result(path: Path) -> Result:
    """Return a result that was just saved, whose maps are read from there where they are looked at."""
    if is_store_name(path):
        return load_store(path)
    with h5py.File(path, "r") as file:
        return layout.read_result(file, lambda data: lazy(Hdf5Array(path, data, data.name)))


def is_result_file(path: str | Path) -> bool:
    """Whether a file was written by `save_result`."""
    if is_store_name(path):
        return is_result_store(path)
    try:
        with h5py.File(path, "r") as file:
            return MARK in file.attrs
    except (OSError, RuntimeError, ValueError, KeyError):
        return False


def check_result(path: str | Path) -> str:
    """Return what is wrong with a result file, a sentence; nothing if it is whole."""
    try:
        if is_store_name(_checked(path)):
            load_store(Path(path))
            return ""
        whole = is_whole(check_regular(path, "result file"))
        if whole is False:
            return _DAMAGED.format(path=shown(path))
        check_heaps(path)
        with h5py.File(path, "r") as file:
            _check_schema(file, Path(path))
            check_seal(file, sums=not whole)
    except XanesError as error:
        return str(error)
    except Exception as error:
        logger.debug("%s", path, exc_info=error)
        return f"{shown(path)} is not a readable result file."
    return ""


def read_fact(path: str | Path, name: str) -> Any:
    """Return one plain value of a result's ``extra`` without reading the rest; None if there is none."""
    try:
        if not is_store_name(path):
            check_heaps(path)
        with about_file(Path(path)) if is_store_name(path) else h5py.File(path, "r") as file:
            value = file["entry/extra"][name]
            check_lengths(value)
            return json.loads(value[()])
    except (XanesError, OSError, KeyError, ValueError, RuntimeError, TypeError):
        return None


def is_store_name(path: str | Path) -> bool:
    """Whether a name is that of a Zarr store."""
    return Path(path).suffix.lower() == ".zarr"


def _checked(path: str | Path) -> Path:
    """Return the path of a file that can be read, or of a store."""
    if not is_store_name(path):
        return check_regular(path, "result file")
    path = checked_path(path, "result")
    if not path.is_dir():
        raise DataFileError(f"{shown(path)}: there is no such result.")
    return path


def _size(result: Result) -> int:
    arrays = [*result.maps.values(), *result.labels.values()]
    stack = 0 if result.stack is None else prod(result.stack.shape) * result.stack.data.dtype.itemsize
    return sum(a.nbytes for a in arrays) + stack + 2**16


def _check_schema(file: h5py.File, path: Path) -> None:
    check_attributes(file)
    schema = file.attrs.get(MARK)
    if schema is None:
        raise DataFileError(f"{path} is HDF5 but not a result of napari-xanes; open it as a scan.")
    if not isinstance(schema, (int, np.integer)):
        raise DataFileError(
            f"{path} says its schema is {schema!r}, expected {SCHEMA}; it is damaged, copy it again."
        )
    if schema > SCHEMA:
        raise DataFileError(
            f"{path} was written by a newer version (schema {schema}, this one reads {SCHEMA}); update napari-xanes."
        )


def _check_content(result: Result) -> None:
    """Refuse what was written in the layout of a result but is none."""
    for kind, images, types in (("map", result.maps, "fiub"), ("label image", result.labels, "iub")):
        for name, data in images.items():
            if not isinstance(name, str) or data.dtype.kind not in types or not 1 <= data.ndim <= 3:
                raise DataFileError(
                    f"the {kind} {name!r} has type {data.dtype} and shape {data.shape}, expected an image or a volume."
                )
    if (
        result.energy.ndim != 1
        or result.energy.dtype.kind not in "fiu"
        or not np.isfinite(result.energy).all()
    ):
        raise DataFileError(
            f"its energies have shape {result.energy.shape}, expected finite numbers in a row."
        )
    if not all(isinstance(about, dict) for about in (result.source, *result.info.values())):
        raise DataFileError("what it says of its maps and its source are no tables.")
    size = result.pixel_size_um
    if size is not None and not (np.isfinite(size) and size > 0):
        raise DataFileError(f"its pixel size is {size}, expected a positive number of micrometres.")
