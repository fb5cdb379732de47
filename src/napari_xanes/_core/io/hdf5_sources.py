"""Virtual datasets and links: whether all they are put together from is there, and is a file.

HDF5 gives zeros for what is missing, does not come back from a dataset that contains itself, and waits for pipes, so the
sources are looked at before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.hdf5 import open_hdf5

MOST_LINKS = 500
"""Links that are followed from one, on all ways; the library itself follows fewer."""
_NOT_THERE = (KeyError, OSError, RuntimeError, ValueError)


def check_sources(path: Path, dataset: h5py.Dataset, _within: tuple[tuple[str, str], ...] = ()) -> None:
    """Refuse a virtual or external dataset part of whose sources is missing, or that contains itself.

    Raises
    ------
    DataFileError
        The missing file or dataset is named.
    """
    for name, start, size in dataset.external or ():
        place = _place(path, name)
        if not place.is_file():
            raise _lost(path, dataset, name)
        needed = start + min(size, dataset.size * dataset.dtype.itemsize)
        if place.stat().st_size < needed:
            raise _lost(path, dataset, f"part of {name}, which has {place.stat().st_size} bytes of {needed},")
    if not dataset.is_virtual:
        return
    here = (str(Path(dataset.file.filename).resolve()), str(dataset.name))
    if here in _within:
        raise DataFileError(
            f"{path}: {dataset.name} is put together from itself, so it holds nothing; give the raw files."
        )
    wanted: dict[str, dict[str, list[int]]] = {}
    filled = np.zeros(dataset.shape[0] if dataset.shape else 0, bool)
    for source in dataset.virtual_sources():
        file = source.file_name.replace("%%", "%").replace("%b", "0")
        name = source.dset_name.replace("%%", "%").replace("%b", "0")
        _, ends = _bounds(source.src_space)
        known = wanted.setdefault(file, {}).setdefault(name, ends)
        wanted[file][name] = [max(pair) for pair in zip(known, ends, strict=False)]
        starts, ends = _bounds(source.vspace)
        filled[starts[0] if starts else 0 : ends[0] if ends else None] = True
    if not filled.all():
        raise _lost(path, dataset, f"what holds frame {int(np.argmin(filled)) + 1}")
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


def _bounds(space: h5py.h5s.SpaceID) -> tuple[list[int], list[int]]:
    """Return where a selection begins and ends along each axis; nothing if it has no end."""
    try:
        first, last = space.get_select_bounds()
    except (RuntimeError, ValueError, TypeError):
        return [], []
    return [int(n) for n in first], [int(n) + 1 for n in last]


def _check_names(
    path: Path, dataset: h5py.Dataset, file: Any, names: dict[str, list[int]], within: tuple[Any, ...]
) -> None:
    for name, ends in sorted(names.items()):
        try:
            item = file.get(name)
        except _NOT_THERE:
            item = None
        if not isinstance(item, h5py.Dataset):
            raise _lost(path, dataset, f"{name} in {Path(file.filename).name}")
        if any(end > size for end, size in zip(ends, item.shape or (), strict=False)):
            where = f"{name} {item.shape} in {Path(file.filename).name}"
            raise _lost(path, dataset, f"part of {where}, of which {tuple(ends)} is needed,")
        if item.is_virtual or item.external:
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


def leads_to_utf8(link: Any) -> bool:
    """Whether a link leads to a name that can be looked at; h5py writes the others as Python writes bytes."""
    return not str(getattr(link, "path", "")).startswith("b'")


def waits_at(group: h5py.Group, link: Any, tries: Iterator[int] | None = None) -> h5py.ExternalLink | None:
    """Return the link to what is no file that a link goes through, by other links and files; None if there is none."""
    tries = iter(range(MOST_LINKS)) if tries is None else tries
    if next(tries, None) is None:
        return None
    if not leads_to_utf8(link):
        return h5py.ExternalLink(group.file.filename, link.path)  # where that leads cannot be looked at
    if isinstance(link, h5py.SoftLink):
        return _on_the_way(group.file if link.path.startswith("/") else group, link.path, tries)
    if not isinstance(link, h5py.ExternalLink):
        return None
    home = Path(group.file.filename)
    if is_no_file(home, link.filename):
        return link
    try:
        with h5py.File(_place(home, link.filename), "r") as file:
            return _on_the_way(file, link.path, tries)
    except _NOT_THERE:
        return None


def _on_the_way(here: Any, path: str, tries: Iterator[int]) -> h5py.ExternalLink | None:
    for name in path.split("/"):
        if name in ("", "."):
            continue
        if not isinstance(here, h5py.Group):
            return None
        try:
            link = here.get(name, getlink=True)
            found = waits_at(here, link, tries)
            if found is not None or link is None:
                return found
            here = here[name]
        except _NOT_THERE:
            return None
    return None


def member(group: h5py.Group, name: str) -> Any:
    """Return what a group has under a name; None if there is nothing, or the library would wait for it."""
    return None if waits_at(group, group.get(name, getlink=True)) else group.get(name)


def _lost(path: Path, dataset: h5py.Dataset, what: str) -> DataFileError:
    return DataFileError(
        f"{path}: {dataset.name} is put together from other files, and {what} is missing; "
        f"copy it to where {path.name} expects it."
    )
