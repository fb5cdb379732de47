"""Results in files: one HDF5 file that holds the maps and how they were made, and gives both back.

What stands where in the file is decided by `result_layout`.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import h5py

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.base.files import check_disk, check_regular
from napari_xanes._core.base.hdf5_file import whole_hdf5
from napari_xanes._core.data.result import Result
from napari_xanes._core.runs import result_layout as layout

SCHEMA = 1
MARK = "napari_xanes_schema"
"""Attribute of the root by which a result file is known."""


def save_result(result: Result, path: str | Path) -> None:
    """Write a result to an HDF5 file, whole or not at all.

    Parameters
    ----------
    result : Result
    path : path
        File ending in .h5; one that exists is replaced when the new one is whole.

    Raises
    ------
    InputError
        If the name does not end in .h5.
    DataFileError
        If the file cannot be written.
    ResourceError
        If the disk is too full.
    """
    path = Path(path)
    if path.suffix.lower() != ".h5":
        raise InputError(
            f"{path}: results are written to HDF5, so the name must end in .h5, not '{path.suffix}'."
        )
    check_disk(_size(result), path)
    with whole_hdf5(path) as file:
        file.attrs[MARK] = SCHEMA
        layout.write_result(file, result)


def load_result(path: str | Path) -> Result:
    """Read what `save_result` wrote: the same maps to the last bit, and all that belongs to them.

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
    path = check_regular(path, "result file")
    try:
        with h5py.File(path, "r") as file:
            _check_schema(file, path)
            return layout.read_result(file)
    except DataFileError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DataFileError(f"{path} is not a readable result file: {error}.") from error


def is_result_file(path: str | Path) -> bool:
    """Whether a file was written by `save_result`."""
    try:
        with h5py.File(path, "r") as file:
            return MARK in file.attrs
    except OSError:
        return False


def read_fact(path: str | Path, name: str) -> Any:
    """Return one plain value of a result's ``extra`` without reading the rest; None if there is none."""
    try:
        with h5py.File(path, "r") as file:
            return json.loads(file["entry/extra"][name][()])
    except (OSError, KeyError, ValueError, RuntimeError):
        return None


def _size(result: Result) -> int:
    arrays = [*result.maps.values(), *result.labels.values()]
    stack = 0 if result.stack is None else prod(result.stack.shape) * result.stack.data.dtype.itemsize
    return sum(a.nbytes for a in arrays) + stack + 2**16


def _check_schema(file: h5py.File, path: Path) -> None:
    schema = file.attrs.get(MARK)
    if schema is None:
        raise DataFileError(f"{path} is HDF5 but not a result of napari-xanes; open it as a scan.")
    if schema > SCHEMA:
        raise DataFileError(
            f"{path} was written by a newer version (schema {schema}, this one reads {SCHEMA}); update napari-xanes."
        )
