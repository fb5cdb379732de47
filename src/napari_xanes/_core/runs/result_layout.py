"""What stands where in a result file.

The layout follows NeXus (NXentry, an NXprocess with recipe and history, an NXdata per map with units and axes),
so that other programs can plot the maps; what only this program needs is written as JSON.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.files import shown
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.data.history import history_from_json, history_to_json
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack

LONGEST_KEY = 200
"""Bytes."""
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
"""Names that Windows takes for devices."""
AXES = ("z", "y", "x")
AT_ONCE = 64
"""Planes of a map that are written at once."""
Tables = dict[str, dict[str, NDArray[Any]]]


def unique_keys(names: list[str]) -> dict[str, str]:
    """Return for each name one that can be the name of a file anywhere: no slashes, not too long, none twice."""
    keys: dict[str, str] = {}
    for name in names:
        key = (
            "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name).lstrip(".") or "map"
        )
        key = key.encode("utf-8", "replace")[:LONGEST_KEY].decode("utf-8", "ignore").rstrip(". ") or "map"
        if key.split(".")[0].lower() in RESERVED:
            key = f"_{key}"
        taken = {k.lower() for k in keys.values()}
        number = 2
        free = key
        while free.lower() in taken:
            free = f"{key}_{number}"
            number += 1
        keys[name] = free
    return keys


def write_result(file: h5py.File, result: Result) -> None:
    """Write a result into an open file."""
    from napari_xanes import __version__

    file.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": "napari-xanes"})
    entry = _group(file, "entry", "NXentry", title=shown(result.name))
    entry["title"] = shown(result.name)
    process = _group(entry, "process", "NXprocess")
    process["program"] = "napari-xanes"
    process["version"] = __version__
    process["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    process["recipe"] = recipe_text(result)
    for name, value in (
        ("history", history_to_json(result.history)),
        ("source", result.source),
        ("warnings", result.warnings),
    ):
        process[name] = json.dumps(value)
    _number(entry, "energy", result.energy, "eV")
    if result.pixel_size_um is not None:
        _number(entry, "pixel_size", result.pixel_size_um, "um")
    _write_images(entry, "maps", result.maps, result)
    _write_images(entry, "labels", result.labels, result)
    first = ("maps", result.maps), ("stack", result.stack is not None), ("labels", result.labels)
    if shown_first := next((name for name, there in first if there), None):
        entry.attrs["default"] = shown_first  # what a viewer of NeXus files draws
    _write_tables(_group(entry, "tables", "NXcollection"), result.tables)
    _write_extra(_group(entry, "extra", "NXcollection"), result.extra)
    if result.stack is not None:
        _write_stack(_group(entry, "stack", "NXdata", signal="data"), result.stack)


def _group(parent: h5py.Group, key: str, nexus: str, /, **attrs: Any) -> h5py.Group:
    group = parent.create_group(key)
    group.attrs.update({"NX_class": nexus, **attrs})
    return group


def _number(parent: h5py.Group, name: str, value: Any, unit: str) -> None:
    parent[name] = value
    parent[name].attrs["units"] = unit


def recipe_text(result: Result) -> str:
    """Return the recipe that makes a result again; empty if a step is not of this version."""
    from napari_xanes._core.recipe.recipe import (
        Recipe,  # recipe imports the steps, which read references from here
    )

    try:
        return Recipe.of(result).to_toml()
    except InputError:
        return ""  # steps that no recipe knows; the history tells of them


def _write_images(entry: h5py.Group, kind: str, images: dict[str, NDArray[Any]], result: Result) -> None:
    parent = _group(entry, kind, "NXcollection")
    keys = unique_keys(list(images))
    for position, (name, data) in enumerate(images.items()):
        axes = AXES[-data.ndim :]
        info = result.info.get(name, {})
        group = _group(parent, keys[name], "NXdata", signal="data", axes=list(axes))
        group.attrs.update({"name": name, "position": position, "info": json.dumps(info)})
        packing = "gzip" if kind == "labels" else None
        dataset = group.create_dataset("data", data.shape, data.dtype, compression=packing)
        for start in range(0, data.shape[0], AT_ONCE):  # a map may lie on the disk
            dataset[start : start + AT_ONCE] = np.asarray(data[start : start + AT_ONCE])
        group["data"].attrs.update({"units": info.get("unit") or "", "long_name": name})
        _write_axes(group, data.shape, result.pixel_size_um)
    if images:
        parent.attrs["default"] = next(iter(keys.values()))


def _write_axes(group: h5py.Group, shape: Sequence[int], pixel_size_um: float | None) -> None:
    """Write where the pixels are along each axis of an image or a volume."""
    for axis, size in zip(AXES[-len(shape) :], shape, strict=True):
        _number(group, axis, np.arange(size) * (pixel_size_um or 1), "um" if pixel_size_um else "px")


def _write_tables(parent: h5py.Group, tables: Tables) -> None:
    keys = unique_keys(list(tables))
    for name, columns in tables.items():
        group = _group(parent, keys[name], "NXcollection", name=name, columns=json.dumps(list(columns)))
        for number, values in enumerate(columns.values()):
            array = np.asarray(values)
            group[str(number)] = (
                array if array.dtype.kind in "fiub" else np.char.encode(array.astype(str), "utf-8")
            )


def _read_tables(parent: h5py.Group) -> Tables:
    tables: Tables = {}
    for group in parent.values():
        names = json.loads(group.attrs["columns"])
        values = [group[str(number)][()] for number in range(len(names))]
        texts = [np.char.decode(v, "utf-8") if v.dtype.kind == "S" else v for v in values]
        tables[group.attrs["name"]] = dict(zip(names, texts, strict=True))
    return tables


def _write_extra(group: h5py.Group, extra: dict[str, Any]) -> None:
    for name, value in extra.items():
        if name == "references":
            part = _group(group, name, "NXcollection")
            for i, reference in enumerate(value):
                one = _group(part, str(i), "NXdata", signal="mu", axes=["energy"], name=reference.name)
                _number(one, "energy", reference.energy, "eV")
                one["mu"] = reference.mu
                _write_value(one, "source", reference.source)
                _write_value(one, "notes", reference.notes)
        elif dataclasses.is_dataclass(value):
            part = _group(group, name, "NXcollection")
            for field in dataclasses.fields(value):
                _write_value(part, field.name, getattr(value, field.name))
        else:
            _write_value(group, name, value)


def _write_value(group: h5py.Group, name: str, value: Any) -> None:
    if isinstance(value, np.ndarray):
        group[name] = value
    else:
        group[name] = json.dumps(value)
        group[name].attrs["json"] = True


def _write_stack(group: h5py.Group, stack: EnergyStack) -> None:
    data = group.create_dataset("data", stack.shape, dtype=stack.data.dtype)
    for i in range(stack.shape[0]):
        data[i] = stack.data[i]
    group.attrs["axes"] = ["energy", *AXES[1 - data.ndim :]]
    _number(group, "energy", stack.energy, "eV")
    _write_axes(group, stack.image_shape, stack.pixel_size_um)
    for name in ("flat", "dark", "thickness"):
        value = getattr(stack, name)
        if value is not None:
            group[name] = np.asarray(value)
    for name in ("signal", "name", "pixel_size_um", "source", "warnings"):
        _write_value(group, name, getattr(stack, name))
    _write_value(group, "history", history_to_json(stack.history))


# -- reading ------------------------------------------------------------------------------------------


def _values(dataset: h5py.Dataset) -> Any:
    return dataset[()]


def read_result(file: h5py.File, read: Callable[[h5py.Dataset], Any] = _values) -> Result:
    """Return what `write_result` wrote, with maps as `read` gives them; KeyError and ValueError tell of a damaged file."""
    entry = file["entry"]
    process = entry["process"]
    maps, info = _read_images(entry["maps"], read)
    labels, label_info = _read_images(entry["labels"])
    return Result(
        maps=maps,
        labels=labels,
        info={name: about for name, about in (info | label_info).items() if about},
        energy=entry["energy"][()],
        history=history_from_json(json.loads(process["history"][()])),
        source=json.loads(process["source"][()]),
        warnings=tuple(json.loads(process["warnings"][()])),
        pixel_size_um=float(entry["pixel_size"][()]) if "pixel_size" in entry else None,
        name=entry["title"].asstr()[()],
        stack=_read_stack(entry["stack"]) if "stack" in entry else None,
        tables=_read_tables(entry["tables"]) if "tables" in entry else {},
        extra=_read_extra(entry["extra"]),
    )


def _read_images(
    parent: h5py.Group, read: Callable[[h5py.Dataset], Any] = _values
) -> tuple[dict[str, NDArray[Any]], dict[str, dict[str, Any]]]:
    groups = sorted(parent.values(), key=lambda group: group.attrs["position"])
    images = {group.attrs["name"]: read(group["data"]) for group in groups}
    info = {group.attrs["name"]: json.loads(group.attrs["info"]) for group in groups}
    return images, info


def _read_values(group: h5py.Group) -> dict[str, Any]:
    """Return what `_write_value` put into a group."""
    named = ((name, group[name]) for name in group if isinstance(name, str))
    items = ((name, item) for name, item in named if isinstance(item, h5py.Dataset))
    return {name: json.loads(item[()]) if "json" in item.attrs else item[()] for name, item in items}


def _read_extra(group: h5py.Group) -> dict[str, Any]:
    from napari_xanes._core.data.drift import Drift  # a step, and steps read references from here

    extra = _read_values(group)
    if "references" in group:
        parts = sorted(group["references"].items(), key=lambda item: int(item[0]))
        extra["references"] = [_read_reference(part) for _, part in parts]
    if "drift" in group:
        extra["drift"] = Drift(**_read_values(group["drift"]))
    return extra


def _read_reference(group: h5py.Group) -> Reference:
    values = _read_values(group)
    return Reference(group.attrs["name"], **(values | {"notes": tuple(values["notes"])}))


def _read_stack(group: h5py.Group) -> EnergyStack:
    data = group["data"]
    check_memory(data.size * data.dtype.itemsize, f"the stack {data.shape} saved in {group.file.filename}")
    values = {name: value for name, value in _read_values(group).items() if name not in AXES}
    values |= {"history": history_from_json(values["history"]), "warnings": tuple(values["warnings"])}
    return EnergyStack(**values)
