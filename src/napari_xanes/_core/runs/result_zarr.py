"""Results as OME-Zarr 0.5: every map and label image a multiscale image of a Zarr 3 group, read only where it is looked at.

What belongs to the images (history, drift, references, tables) is one array of bytes beside them, an HDF5 file as
`result_layout` writes it; recipe, history and energies stand in the attributes as well, for other programs.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.base.files import can_link, check_disk, checked_path, has_links, scratch_folder, shown
from napari_xanes._core.base.hdf5_heaps import check_heaps
from napari_xanes._core.data.history import history_to_json
from napari_xanes._core.data.result import Result
from napari_xanes._core.io.zarr_array import open_store
from napari_xanes._core.runs import result_layout as layout
from napari_xanes._core.runs.chunks import Packed, fill, fill_coarser, step_of
from napari_xanes._core.runs.result_seal import check_seal, seal

MARK = "napari_xanes"
"""Attribute of the root, and of every image, under which is what other programs need not know."""
ABOUT = "about"
SCHEMA = 1
CHUNK = {2: (1024, 1024), 3: (8, 256, 256)}
COARSE = {2: 2048, 3: 512}
"""The coarsest copy of an image or volume has at most so many pixels a side."""
COARSER = 0.2
"""Of what an image takes, what all its coarser copies take at most."""
KINDS = ("maps", "labels")
STAMPS = "entry/process/files"
CRC = 4
"""Bytes of the checksum at the end of a chunk."""
MOST_ABOUT = 2**28
"""Bytes that all of a result but its images has at most."""
SMALL = 2**28
"""Bytes of images in all that a window keeps in memory."""


def is_result_store(path: str | Path) -> bool:
    """Whether a folder was written by `save_store`."""
    try:
        text = (Path(path) / "zarr.json").read_text()
        return MARK in json.loads(text).get("attributes", {})
    except (OSError, ValueError, AttributeError):
        return False


def save_store(result: Result, path: str | Path, packed: Mapping[str, Packed] | None = None) -> None:
    """Write a result into a new folder, which gets its name when it is whole; a result that is there is replaced.

    Chunks that are written already, of images of dask by their `packed` names, are linked to and stay where they are.

    Raises
    ------
    InputError
        If the stack is among what is to be saved.
    DataFileError
        If something else has the name, or the folder cannot be written.
    """
    path = checked_path(path, "result")
    if result.stack is not None:
        raise InputError(
            f"{shown(path)}: a result with its stack is saved as .h5, so give a name that ends in .h5."
        )
    if os.path.lexists(path) and not is_result_store(path):
        raise DataFileError(
            f"{shown(path)} is no result of this program and is not replaced; choose another name."
        )
    packed = packed or {}
    images, linked = (*result.maps.values(), *result.labels.values()), packed if can_link(path) else {}
    anew = sum(a.nbytes for a in images if getattr(a, "name", "") not in linked)
    check_disk(int(anew + COARSER * sum(a.nbytes for a in images)), path)
    with scratch_folder(path.parent) as scratch:
        new, old = scratch / "new", scratch / "old"
        _write(result, new, packed)
        if path.exists():
            path.replace(old)
        new.replace(path)


def _write(result: Result, folder: Path, packed: Mapping[str, Packed]) -> None:
    root = new_store(folder)
    keys, whole, levels = {}, [], []
    for kind in KINDS:
        images: dict[str, NDArray[Any]] = getattr(result, kind)
        keys[kind] = layout.unique_keys(list(images))
        group = root.create_group(kind)
        if kind == "labels" and images:
            group.attrs["ome"] = {"version": "0.5", "labels": list(keys[kind].values())}
        for name, data in images.items():
            key = keys[kind][name]
            arrays = _new_image(group.create_group(key), name, data, result, labels=kind == "labels")
            whole.append((data, arrays[0], folder / kind / key / "0"))
            levels.append(arrays)
    fill(whole, packed)
    for arrays in levels:
        fill_coarser(arrays)
    about = np.frombuffer(_about(result, _stamps(folder)), np.uint8)
    array = root.create_array(ABOUT, shape=about.shape, chunks=about.shape, dtype=about.dtype, **packing())
    array[:] = about
    root.attrs[MARK] = {  # last, as by this a result is known
        "schema": SCHEMA,
        **{kind: list(keys[kind].values()) for kind in KINDS},
        "title": shown(result.name),
        "energy_ev": result.energy.tolist(),
        "recipe": layout.recipe_text(result),
        "history": history_to_json(result.history),
        "source": result.source,
        "warnings": list(result.warnings),
    }


def new_store(folder: Path) -> Any:
    """Return the group of a new store."""
    import zarr

    return zarr.create_group(store=str(folder), zarr_format=3)


def packing() -> dict[str, Any]:
    """Return how chunks are packed: quickly, as maps are mostly noise; their checksum tells damage."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    return {"compressors": [BloscCodec(cname="lz4", clevel=1, shuffle="shuffle"), Crc32cCodec()]}


def _stamps(folder: Path) -> dict[str, str]:
    """Return the files of all images, each with what tells it from others."""
    paths = (path for kind in KINDS for path in sorted((folder / kind).rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _stamp(path) for path in paths}


def _stamp(path: Path) -> str:
    """Return a checksum of a file that describes, and of a chunk its size and the checksum at its end."""
    if path.name == "zarr.json":
        return blake2b(path.read_bytes(), digest_size=16).hexdigest()
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - CRC))
        return f"{size} {file.read().hex()}"


def _check_stamps(path: Path, stamps: Mapping[str, str], said: Mapping[str, Any]) -> None:
    """Refuse a store that lacks a part or has another; a chunk that is lost would be read as empty."""
    for name, stamp in stamps.items():
        kind, *rest = name.replace("\\", "/").split("/")
        if kind not in KINDS or ".." in rest:
            raise DataFileError(
                f"{shown(path)} names {shown(name)} among its images, which lies outside of them; it is not read, make the "
                "result anew."
            )
        lost = not (path / name).is_file()
        if lost or _stamp(path / name) != stamp:
            raise DataFileError(
                f"{shown(path)}: {name} is {'missing' if lost else 'damaged or was changed since it was written'}; copy the "
                "result again, or make it anew."
            )
    for kind in KINDS:
        written = {
            name.split("/")[1] for name in stamps if name.startswith(f"{kind}/") and name.count("/") > 1
        }
        if written != set(said[kind]):
            raise DataFileError(f"{shown(path)} lists other {kind} than were written; copy the result again.")


def _about(result: Result, stamps: Mapping[str, str]) -> bytes:
    """Return all of a result but its images, as the bytes of an HDF5 file; and the stamps of their files."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        layout.write_result(file, dataclasses.replace(result, maps={}, labels={}, levels={}))
        file[STAMPS] = json.dumps(stamps)
        seal(file)
    return buffer.getvalue()


@contextmanager
def about_file(path: Path) -> Iterator[h5py.File]:
    """Open what belongs to the images of a store, read-only; looked at like a file, as its bytes may come from anyone."""
    if has_links(path):
        raise DataFileError(
            f"{shown(path)} holds links, which are not followed, as they can lead to any file; where git-annex or DVC keeps it, "
            "unlock it there first, else copy it with what its links lead to (cp -rL)."
        )
    store = open_store(path)
    if not is_result_store(path) or ABOUT not in store:
        raise DataFileError(
            f"{shown(path)} is a Zarr store but not a result of napari-xanes; open it as a scan."
        )
    if store[ABOUT].nbytes > MOST_ABOUT:
        raise DataFileError(
            f"{shown(path)}: {ABOUT} declares {store[ABOUT].nbytes} bytes, at most {MOST_ABOUT} are read; it is damaged, copy it "
            "again."
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{ABOUT}.h5"
        copy.write_bytes(store[ABOUT][:].tobytes())
        try:
            check_heaps(copy)
            with h5py.File(copy, "r") as file:
                check_seal(file)
                yield file
        except DataFileError as error:
            raise DataFileError(str(error).replace(str(copy), f"{shown(path)}/{ABOUT}")) from None


def _new_image(group: Any, name: str, data: Any, result: Result, *, labels: bool) -> list[Any]:
    """Return new arrays for an image and its coarser copies."""
    shapes, factors = [data.shape], [(1,) * data.ndim]
    while max(shapes[-1]) > COARSE.get(data.ndim, 2**62):
        step = step_of(shapes[-1])
        shapes.append(tuple(-(-n // s) for n, s in zip(shapes[-1], step, strict=True)))
        factors.append(tuple(f * s for f, s in zip(factors[-1], step, strict=True)))
    info = result.info.get(name, {})
    group.attrs[MARK] = {"name": name, "info": info}
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [_multiscale(name, factors, result.pixel_size_um)],
        **({"image-label": {}} if labels else {}),
    }
    chunks = CHUNK.get(data.ndim, data.shape)
    return [
        group.create_array(
            str(level),
            shape=shape,
            chunks=tuple(min(c, n) for c, n in zip(chunks, shape, strict=True)),
            dtype=data.dtype,
            fill_value=np.nan if data.dtype.kind == "f" else 0,
            dimension_names=list(layout.AXES[-data.ndim :]),
            **packing(),
        )
        for level, shape in enumerate(shapes)
    ]


def _multiscale(name: str, factors: Sequence[Sequence[int]], pixel: float | None) -> dict[str, Any]:
    axes = layout.AXES[-len(factors[0]) :]
    unit = {"unit": "micrometer"} if pixel else {}
    size = pixel or 1.0
    datasets = []
    for level, factor in enumerate(factors):
        moves: list[dict[str, Any]] = [{"type": "scale", "scale": [size * f for f in factor]}]
        if level:
            moves.append({"type": "translation", "translation": [size * (f - 1) / 2 for f in factor]})
        datasets.append({"path": str(level), "coordinateTransformations": moves})
    return {
        "name": shown(name),
        "axes": [{"name": axis, "type": "space", **unit} for axis in axes],
        "datasets": datasets,
    }


def load_store(path: Path) -> Result:
    """Open a result whose images are dask arrays, which are read where they are looked at.

    Raises
    ------
    DataFileError
        If the store is no result, damaged, or of a newer version.
    """
    with about_file(path) as file:
        result = layout.read_result(file)
        stamps = json.loads(file[STAMPS][()]) if STAMPS in file else None
    store = open_store(path)
    said: Mapping[str, Any] = store.attrs[MARK]
    if said["schema"] > SCHEMA:
        raise DataFileError(
            f"{shown(path)} was written by a newer version (schema {said['schema']}, this one reads {SCHEMA}); update "
            "napari-xanes."
        )
    if stamps is not None:
        _check_stamps(path, stamps, said)
    images: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    info, levels = {}, {}
    for kind in KINDS:
        for key in said[kind]:
            group = store[f"{kind}/{key}"]
            name = group.attrs[MARK]["name"]
            paths = [one["path"] for one in group.attrs["ome"]["multiscales"][0]["datasets"]]
            arrays = [lazy(group[one]) for one in paths]
            images[kind][name] = arrays[0]
            info[name] = group.attrs[MARK]["info"]
            if len(arrays) > 1:
                levels[name] = tuple(arrays)
    about = {name: one for name, one in info.items() if one}
    return dataclasses.replace(
        result, maps=images["maps"], labels=images["labels"], info=about, levels=levels
    )


def lazy(array: Any) -> Any:
    """Return a dask array that is read where it is looked at."""
    import dask.array

    open_lazily: Any = dask.array.from_array
    return open_lazily(array, chunks=array.chunks or "auto", name=False)


def held(result: Result) -> Result:
    """Return a result whose images are in memory, itself if they are large."""
    images = (*result.maps.values(), *result.labels.values())
    if sum(one.nbytes for one in images) > SMALL:
        return result
    maps, labels = (
        {name: np.asarray(one) for name, one in some.items()} for some in (result.maps, result.labels)
    )
    return dataclasses.replace(result, maps=maps, labels=labels, levels={})
