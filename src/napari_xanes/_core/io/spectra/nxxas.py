"""NXxas: one spectrum an entry, `energy` and `intensity` (NeXus application definition NXxas)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.hdf5_heaps import check_lengths
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io import hdf5
from napari_xanes._core.io.formats import SpectraFormat
from napari_xanes._core.io.hdf5_attributes import NOT_UTF8, name_of, readable_attrs
from napari_xanes._core.io.hdf5_sources import member
from napari_xanes._core.io.hdf5_tree import text_of
from napari_xanes._core.io.spectrum import Spectrum, as_references


def read_nxxas(path: Path) -> list[Spectrum]:
    """Return the spectra of a file, one an entry, named like the entries.

    Raises
    ------
    DataFileError
        If no entry is declared NXxas, or one lacks its energies or intensities.
    """
    with hdf5.open_hdf5(path) as file:
        left = tuple(f"left out: {name_of(name)} ({NOT_UTF8})" for name in file if isinstance(name, bytes))
        entries = {name: item for name in _names(file) if _is_nxxas(item := member(file, name))}
        if not entries:
            raise DataFileError(
                f"{path} is an HDF5 file without an entry of the definition NXxas; save the spectra as text with energy "
                "and absorption in two columns."
            )
        return [_spectrum(path, name, entry, left) for name, entry in entries.items()]


def _names(file: h5py.File) -> list[str]:
    return [name for name in file if isinstance(name, str)]


def _is_nxxas(item: Any) -> bool:
    return isinstance(item, h5py.Group) and _text(item, "definition").lower() == "nxxas"


def _spectrum(path: Path, name: str, entry: h5py.Group, left: tuple[str, ...]) -> Spectrum:
    energy, mu = _values(entry, "energy"), _values(entry, "intensity")
    if energy is None or mu is None or energy.shape != mu.shape:
        shapes = " and ".join("missing" if v is None else str(v.shape) for v in (energy, mu))
        raise DataFileError(
            f"{path}: energy and intensity of the entry {name} are {shapes}, expected two lists of the same length."
        )
    notes = (f"{_text(entry, 'mode')} of {path.name}",) if _text(entry, "mode") else ()
    return Spectrum(name, energy, mu, f"{path}:{name}", _units(entry), notes + left)


def _units(entry: h5py.Group) -> str:
    return text_of(readable_attrs(entry["energy"]).get("units", ""))


def _values(entry: h5py.Group, name: str) -> Any:
    """Return a list of numbers, or None."""
    item = member(entry, name)
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf" or item.ndim != 1:
        return None
    return np.asarray(item[()], dtype=np.float64)


def _text(entry: h5py.Group, name: str) -> str:
    """Return a text, of the entry itself or of the `name` of its group."""
    item = member(entry, name)
    if isinstance(item, h5py.Group):
        item = member(item, "name")
    if not isinstance(item, h5py.Dataset) or item.shape != () or item.dtype.kind not in "OSU":
        return ""
    check_lengths(item)
    return text_of(item[()])


def read(path: Path, energy_unit: str | None) -> list[Reference]:
    """Return the entries of a file as references."""
    return as_references(read_nxxas(path), energy_unit)


def is_nxxas_file(path: Path) -> bool:
    """Whether a file has an entry of the definition NXxas."""
    try:
        with hdf5.open_hdf5(path) as file:
            return any(_is_nxxas(member(file, name)) for name in _names(file))
    except (DataFileError, OSError, RuntimeError, KeyError, ValueError):
        return False


FORMAT = SpectraFormat("NXxas", (".h5", ".nxs", ".hdf5"), magic=(b"\x89HDF\r\n\x1a\n",), read=read)
