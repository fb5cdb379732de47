"""What keeps a result file honest: a checksum of everything in it, and nothing that lies outside of it.

The checksums stand in the file, one for each of its groups and datasets, made of what is read: values, types, shapes
and attributes.  What other programs add later has none and is left alone; what was changed or damaged is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.hdf5_heaps import check_attributes, check_lengths
from napari_xanes._core.base.memory import check_memory

SEALED = "napari_xanes_sealed"
"""Attribute of the root of files that hold checksums."""
CHECKSUMS = "/entry/process/checksums"
MOST_PACKED = 20_000
ALWAYS = 2**20
"""Bytes that any dataset may declare, and a dataset may declare so many times what is stored of it."""
AT_ONCE = 2**26
DEEPEST = 8


def seal(file: h5py.File) -> None:
    """Write the checksums of all that is in the file."""
    file.attrs[SEALED] = 1
    sums = {name: _checksum(item) for name, item in _items(file)}
    file[CHECKSUMS] = json.dumps(sums)


def check_seal(file: h5py.File, *, sums: bool = True) -> None:
    """Refuse with a DataFileError what lies outside of the file, is damaged, or was changed since it was written.

    Files of before there were checksums, and those whose bytes were checked already (`sums` False), are only looked
    through for what lies outside.
    """
    items = dict(_items(file))
    for item in items.values():
        check_attributes(item)
        if isinstance(item, h5py.Dataset):
            check_lengths(item)
    if not sums:
        return
    if SEALED not in file.attrs and CHECKSUMS not in items:
        return
    if CHECKSUMS not in items:
        raise DataFileError(f"{file.filename} is damaged: its checksums are lost; copy it again.")
    for name, expected in json.loads(file[CHECKSUMS][()]).items():
        if name not in items or _checksum(items[name]) != expected:
            raise DataFileError(
                f"{file.filename}: {name} is damaged or was changed since it was written; copy the file again, or "
                "make the result anew."
            )


def _items(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield all groups and datasets by their path, each found to lie in the file."""
    yield "/", group
    yield from _inside(group, "", set(), 0)


def _inside(
    group: h5py.Group, path: str, seen: set[int], depth: int
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    for name in group:
        inner = f"{path}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _refusal(group, inner, "is a link to elsewhere")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen or depth > DEEPEST:
            raise _refusal(group, inner, "stands there twice")
        seen.add(address)
        if isinstance(item, h5py.Dataset):
            _check_dataset(item, inner)
        elif not isinstance(item, h5py.Group):
            raise _refusal(group, inner, "is neither a group nor a dataset")
        yield inner, item
        if isinstance(item, h5py.Group):
            yield from _inside(item, inner, seen, depth + 1)


def _refusal(item: Any, path: str, reason: str) -> DataFileError:
    return DataFileError(
        f"{item.file.filename}: {path} {reason}, which results of this program never hold; do not trust the file."
    )


def _check_dataset(dataset: h5py.Dataset, path: str) -> None:
    if dataset.external or dataset.is_virtual:
        raise _refusal(dataset, path, "reads from other files")
    if dataset.shape is None:
        return
    declared = dataset.size * dataset.dtype.itemsize
    if declared > max(ALWAYS, MOST_PACKED * dataset.id.get_storage_size()):
        raise DataFileError(
            f"{dataset.file.filename}: {path} declares {declared / 2**30:.3g} GiB {dataset.shape} that were never "
            "filled; the file is damaged, copy it again."
        )
    if declared > ALWAYS:  # to look at what is free takes longer than to read a small array
        check_memory(declared, f"{path} {dataset.shape} of {dataset.file.filename}")


def _checksum(item: h5py.Group | h5py.Dataset) -> str:
    sums = blake2b(digest_size=16)
    for name in sorted(item.attrs):
        _add(sums, name, item.attrs[name])
    if isinstance(item, h5py.Dataset) and item.shape is not None:
        _add(sums, item.dtype.str, str(item.shape))
        if item.ndim and item.size * item.dtype.itemsize > AT_ONCE:
            for i in range(item.shape[0]):
                _add(sums, i, item[i])
        else:
            _add(sums, 0, item[()])
    return sums.hexdigest()


def _add(sums: Any, name: object, value: Any) -> None:
    array = np.asarray(value)
    sums.update(f"{name} {array.dtype.str} {array.shape} ".encode("utf-8", "surrogateescape"))
    if array.dtype.kind == "O":
        for one in array.ravel():
            sums.update(one if isinstance(one, bytes) else str(one).encode("utf-8", "surrogateescape"))
            sums.update(b"\0")
    else:
        sums.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
