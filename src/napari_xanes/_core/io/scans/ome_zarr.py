"""Zarr stores: OME-Zarr images (OME-NGFF 0.4 and 0.5) whose channels are energies, and plain arrays and groups of arrays.

The energies are those of the channels' labels, or a list in the store that is named so, or a text file beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import Held, ScanFormat
from napari_xanes._core.io.lengths import LENGTHS
from napari_xanes._core.io.named_arrays import choose_images, find_energies, put_together
from napari_xanes._core.io.names import energies_in
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.permuted import order_of, permuted
from napari_xanes._core.io.plausible import ENERGY_NAME, energy_unit_of
from napari_xanes._core.io.zarr_array import ZarrArray, open_store

MARKS = (".zgroup", ".zarray", "zarr.json", ".zattrs", ".zmetadata")
_MOST_NUMBERS = 100_000


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open an image of an OME-Zarr store at full resolution, or an array of another store.

    Raises
    ------
    DataFileError
        If zarr is not installed, or it cannot be told which array, or which of its axes is energy.
    """
    store = open_store(path)
    if hasattr(store, "shape"):
        return _finished(path, put_together(path, ZarrArray(path, "", store), None, None, wanted), wanted)
    described = _multiscales(store)
    return _image(path, store, described, wanted) if described else _plain(path, store, wanted)


def _attributes(store: Any) -> dict[str, Any]:
    attrs = dict(store.attrs)
    return {**attrs, **attrs.get("ome", {})}


def _multiscales(store: Any) -> dict[str, Any]:
    """Return what the store says of its first image; nothing if it is no OME-Zarr image."""
    found = _attributes(store).get("multiscales") or [{}]
    return found[0] if found[0].get("datasets") else {}


def _image(path: Path, store: Any, described: dict[str, Any], wanted: Wanted) -> Opened:
    first = described["datasets"][0]
    array = store[first["path"]]
    axes = [
        axis if isinstance(axis, dict) else {"name": axis}
        for axis in described.get("axes", "tczyx"[-array.ndim :])
    ]
    data = ZarrArray(path, first["path"], array)
    opened = Opened(data, path.stem, [_mark(path)], str(path), first["path"])
    size = data.shape
    energy = _energy_axis(path, axes, size, wanted)
    order = order_of(wanted.axis, size, path.name) if wanted.axis is not None else None
    rest = [i for i in range(len(axes)) if i != energy and (size[i] > 1 or axes[i].get("name") in ("y", "x"))]
    opened.data = permuted(data, order or (energy, *rest))
    opened.pixel_size_um = _pixel_size(described, first, axes)
    if wanted.energy is None:
        _add_energies(path, store, size[energy], opened)
    return opened


def _energy_axis(path: Path, axes: list[dict[str, Any]], size: tuple[int, ...], wanted: Wanted) -> int:
    """Return the axis that is named or measured as energy, else the only one that is none of space."""
    if wanted.axis is not None:
        return order_of(wanted.axis, size, path.name)[0]
    named = [
        i for i, axis in enumerate(axes)
        if ENERGY_NAME.match(str(axis.get("name", ""))) or energy_unit_of(str(axis.get("unit") or "")) in ("eV", "keV")
    ]  # fmt: skip
    other = [i for i, axis in enumerate(axes) if axis.get("name") not in ("z", "y", "x")]
    long = [i for i in named or other if size[i] > 1] or (named or other)[:1]
    if len(long) == 1:
        return long[0]
    listed = ", ".join(f"{axis.get('name')} ({n})" for axis, n in zip(axes, size, strict=True))
    raise DataFileError(
        f"{path} has the axes {listed}, and it is not clear which is energy; say so with axis=."
    )


def _add_energies(path: Path, store: Any, count: int, opened: Opened) -> None:
    channels = (_attributes(store).get("omero") or {}).get("channels") or []
    labels = [str(channel.get("label", "")) for channel in channels if isinstance(channel, dict)]
    told = energies_in(labels, f"{path.name}, the labels of its channels") if len(labels) == count else None
    listed = next(
        (np.asarray(value, float) for key, value in _attributes(store).items() if ENERGY_NAME.match(key) and _is_list(value, count)),
        None,
    )  # fmt: skip
    if told is not None and told.unit:
        opened.energy = told
    elif listed is not None:
        opened.energy = EnergyList(listed, f"{path.name}, its attributes", "energy", None, "named so")
    else:
        opened.proposed = told


def _is_list(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(isinstance(v, (int, float)) for v in value)


def _pixel_size(described: dict[str, Any], first: dict[str, Any], axes: list[dict[str, Any]]) -> float | None:
    scale = np.ones(len(axes))
    for where in (first, described):
        for step in where.get("coordinateTransformations") or []:
            if step.get("type") == "scale" and len(step.get("scale", ())) == len(axes):
                scale = scale * np.asarray(step["scale"], float)
    for axis, size in zip(axes, scale.tolist(), strict=True):
        factor = LENGTHS.get(str(axis.get("unit") or "").lower())
        if axis.get("name") == "x" and factor and size > 0:
            return round(float(size * factor), 9)
    return None


def _plain(path: Path, store: Any, wanted: Wanted) -> Opened:
    """Open an array of a group: the one that was named, or the only one that can be a stack."""
    arrays = {name: member for name, member in store.members(max_depth=None) if hasattr(member, "shape")}
    shapes = {
        name: tuple(array.shape) for name, array in arrays.items() if np.dtype(array.dtype).kind in "iufc"
    }
    name = choose_images(path, shapes, wanted)
    lists: dict[str, NDArray[np.float64]] = {
        key: np.asarray(arrays[key][...], float).ravel()
        for key, shape in shapes.items()
        if key != name and 0 < int(np.prod(shape)) == max(shape, default=0) <= _MOST_NUMBERS
        and (wanted.energy is None or key == wanted.energy)
    }  # fmt: skip
    data = ZarrArray(path, name, arrays[name])
    return _finished(
        path, put_together(path, data, name, find_energies(path, lists, data.shape), wanted), wanted
    )


def _finished(path: Path, opened: Opened, wanted: Wanted) -> Opened:
    opened.files = [_mark(path)]
    if wanted.axis is not None:
        opened.data = permuted(opened.data, order_of(wanted.axis, opened.data.shape, path.name))
    return opened


def _mark(path: Path) -> Path:
    """Return the file whose time and size stand for the store."""
    return next(path / name for name in MARKS if (path / name).is_file())


def contents(path: Path) -> list[Held]:
    """Return the arrays of a store."""
    store = open_store(path)
    arrays = [("", store)] if hasattr(store, "shape") else list(store.members(max_depth=None))
    return [
        Held(f"/{name}", tuple(one.shape), str(one.dtype), int(one.nbytes))
        for name, one in arrays
        if hasattr(one, "shape")
    ]


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return path.suffix.lower() != ".zspy" and any((path / name).is_file() for name in MARKS)


def looks_like_scan(path: Path) -> bool:
    """Whether a store tells energies; other stores are left to other plugins."""
    try:
        store = open_store(path)
        return not hasattr(store, "shape") and open_scan(path, Wanted()).energy is not None
    except Exception:  # noqa: BLE001 - whatever it is, it is none of ours
        return False


FORMAT = ScanFormat(
    "OME-Zarr",
    (".zarr",),
    open=open_scan,
    folder=is_store,
    single=False,
    axes=True,
    parts=True,
    contents=contents,
    looks_like_scan=looks_like_scan,
)
