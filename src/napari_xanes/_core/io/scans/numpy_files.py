"""Arrays of NumPy: .npy with one array, .npz with several that have names."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.lazy import AnyArray
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io.formats import Held, ScanFormat
from napari_xanes._core.io.frames import PlainFrames, check_shape
from napari_xanes._core.io.named_arrays import choose_images, find_energies, put_together
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.permuted import permuted
from napari_xanes._core.io.plausible import ENERGY_NAME
from napari_xanes._core.io.units import EV_PER, JOULES_PER_EV, to_ev
from napari_xanes._core.io.written import energies_of

_MOST_NUMBERS = 100_000


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open the array of an .npy file without reading it, or the arrays of an .npz file, whose images are read whole."""
    if zipfile.is_zipfile(path):
        return _open_npz(path, wanted)
    data = _plain(path)
    _check(path, "", data.shape, data.dtype, wanted.one_of_many)
    return put_together(path, _one(data, wanted), None, None, wanted)


def _plain(path: Path) -> ArrayLike:
    """Return the array of an .npy file, turned if it was written with the last axis first."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file)
            offset = file.tell()
    except (ValueError, OSError) as error:
        raise DataFileError(f"{path} is a damaged .npy file ({error}); save it again.") from error
    if dtype.hasobject or dtype.kind not in "iufbc":
        raise DataFileError(f"{path} holds values of type {dtype}, expected real numbers.")
    check_shape(path, shape or (1,))
    data = PlainFrames(path, shape[::-1] if fortran else shape, dtype, offset)
    return permuted(data, tuple(range(len(shape)))[::-1]) if fortran and len(shape) > 1 else data


def _open_npz(path: Path, wanted: Wanted) -> Opened:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, AnyArray] = {}
            shapes: dict[str, tuple[int, ...]] = {}
            for name in file.files:
                array = _numbers(name, file[name])
                if array.dtype.kind in "iufc":
                    shapes[name] = array.shape
                    arrays[name] = array
    except InputError:
        raise
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataFileError(f"{path} cannot be read as an .npz file ({error}); save it again.") from error
    name = choose_images(path, shapes, wanted)
    data = arrays[name]
    _check(path, name, data.shape, data.dtype, wanted.one_of_many)
    lists = {
        key: array.ravel().astype(np.float64)
        for key, array in arrays.items()
        if array.dtype.kind != "c"
        and 0 < array.size <= _MOST_NUMBERS
        and array.size == max(array.shape, default=0)
        and key != name
    }
    if wanted.energy is not None:
        lists = {key: values for key, values in lists.items() if key == wanted.energy}
    opened = put_together(path, _one(data, wanted), name, find_energies(path, lists, data.shape), wanted)
    opened.warnings += [f"{path.name} is read whole: its arrays are packed"] if data.nbytes > 2**30 else []
    return opened


def _numbers(name: str, array: AnyArray) -> AnyArray:
    """Return an array as it is, energies that are written as texts as numbers in eV."""
    found = (
        energies_of(array.ravel().tolist())
        if array.dtype.kind == "U" and 0 < array.size <= _MOST_NUMBERS
        else None
    )
    if found is None:
        return array
    values, unit = found
    if unit == "mev" and ENERGY_NAME.match(name):
        return to_ev(values, name, declared=unit).values
    return values / JOULES_PER_EV if unit == "J" else values * EV_PER.get(unit, 1.0)


def _one(data: Any, wanted: Wanted) -> Any:
    """Return an image or volume as one frame, where the file is one of a series."""
    from napari_xanes._core.io.hdf5_scan import OneFrame

    if not wanted.one_of_many or (data.ndim == 4 and data.shape[0] == 1):
        return data
    return data if data.ndim == 3 and data.shape[0] == 1 else OneFrame(data)


def _check(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], single: bool) -> None:
    wanted = (2, 3, 4) if single else (3, 4)
    if len(shape) not in wanted or 0 in shape:
        what = "an image or volume" if single else "(energy, y, x) or (energy, z, y, x)"
        raise DataFileError(f"{path}{f':{name}' if name else ''} has shape {shape}, expected {what}.")


def contents(path: Path) -> list[Held]:
    """Return the arrays of an .npz file, or the one of an .npy file, whose name is that of the file."""
    if not zipfile.is_zipfile(path):
        data = _plain(path)
        return [
            Held(
                path.stem, tuple(data.shape), str(data.dtype), int(np.prod(data.shape)) * data.dtype.itemsize
            )
        ]
    with np.load(path, allow_pickle=False) as file:
        return [Held(name, array.shape, str(array.dtype), array.nbytes) for name, array in file.items()]


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file is NumPy's; other archives are .zip too."""
    return path.suffix.lower() == ".npz" and start[:2] == b"PK"


FORMAT = ScanFormat(
    "NumPy",
    (".npy", ".npz"),
    magic=(b"\x93NUMPY",),
    recognise=recognise,
    open=open_scan,
    parts=True,
    contents=contents,
)
