"""Virtual datasets: whether all they are put together from is there.

HDF5 gives zeros for what is missing and does not come back from a dataset that contains itself, so the sources are
looked at before anything is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.hdf5 import open_hdf5


def check_sources(path: Path, dataset: h5py.Dataset, _within: tuple[tuple[str, str], ...] = ()) -> None:
    """Refuse a virtual or external dataset part of whose sources is missing, or that contains itself.

    Raises
    ------
    DataFileError
        The missing file or dataset is named.
    """
    for name, _, _ in dataset.external or ():
        if not _place(path, name).is_file():
            raise _lost(path, dataset, name)
    if not dataset.is_virtual:
        return
    here = (str(Path(dataset.file.filename).resolve()), str(dataset.name))
    if here in _within:
        raise DataFileError(
            f"{path}: {dataset.name} is put together from itself, so it holds nothing; give the raw files."
        )
    wanted: dict[str, set[str]] = {}
    for source in dataset.virtual_sources():
        file = source.file_name.replace("%%", "%").replace("%b", "0")
        wanted.setdefault(file, set()).add(source.dset_name.replace("%%", "%").replace("%b", "0"))
    home = Path(dataset.file.filename)
    for file, names in wanted.items():
        place = home if file == "." else _place(home, file)
        if not place.is_file():
            raise _lost(path, dataset, file)
        if place.resolve() == home.resolve():
            _check_names(path, dataset, dataset.file, names, (*_within, here))
        else:
            with open_hdf5(place) as other:
                _check_names(path, dataset, other, names, (*_within, here))


def _check_names(
    path: Path, dataset: h5py.Dataset, file: Any, names: set[str], within: tuple[Any, ...]
) -> None:
    for name in sorted(names):
        try:
            item = file.get(name)
        except (KeyError, OSError, RuntimeError, ValueError):
            item = None
        if not isinstance(item, h5py.Dataset):
            raise _lost(path, dataset, f"{name} in {Path(file.filename).name}")
        if item.is_virtual:
            check_sources(path, item, within)


def _place(home: Path, name: str) -> Path:
    """Return where a source is looked for: beside the file, then in the working folder."""
    beside = home.parent / name
    return beside if beside.exists() or not Path(name).exists() else Path(name)


def is_no_file(home: Path, name: str) -> bool:
    """Whether a link leads to a folder, a pipe or a device, at which the library would wait."""
    try:
        place = _place(home, name)
        return place.exists() and not place.is_file()
    except (OSError, ValueError):  # no name of anything
        return False


def _lost(path: Path, dataset: h5py.Dataset, what: str) -> DataFileError:
    return DataFileError(
        f"{path}: {dataset.name} is put together from other files, and {what} is missing; "
        f"copy it to where {path.name} expects it."
    )
