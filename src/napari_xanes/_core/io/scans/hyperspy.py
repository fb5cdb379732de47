"""HyperSpy signals: .hspy (HDF5) and .zspy (Zarr), whose axes say what each of them is.

Layout: ``Experiments/<title>/data`` and beside it ``axis-0``, ``axis-1``, ... with name, units, scale and offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import Held, ScanFormat
from napari_xanes._core.io.lengths import LENGTHS
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.permuted import order_of, permuted
from napari_xanes._core.io.plausible import ENERGY_NAME, energy_unit_of
from napari_xanes._core.io.scans.hdf5 import contents as hdf5_contents
from napari_xanes._core.io.scans.ome_zarr import contents as store_contents


@dataclass(frozen=True, eq=False)
class _Axis:
    name: str
    units: str
    values: NDArray[np.float64]

    @property
    def is_energy(self) -> bool:
        unit = energy_unit_of(self.units)
        return unit is not None and (bool(unit) or bool(ENERGY_NAME.match(self.name)))


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open the only signal of a file, or the one that is named.

    Raises
    ------
    DataFileError
        If there is none or several, or none of its axes is energy.
    """
    if path.is_dir():
        from napari_xanes._core.io.zarr_array import ZarrArray, open_store

        store = open_store(path)
        title, axes = _signal(path, store, wanted)
        data: ArrayLike = ZarrArray(path, f"Experiments/{title}/data", store[f"Experiments/{title}/data"])
        return _put_together(path, data, title, axes, wanted)
    from napari_xanes._core.io.hdf5 import Hdf5Array, check_images, open_hdf5

    with open_hdf5(path) as file:
        title, axes = _signal(path, file, wanted)
        name = f"/Experiments/{title}/data"
        check_images(path, file[name], name)
        data = Hdf5Array(path, file[name], name)
    return _put_together(path, data, title, axes, wanted)


def _signal(path: Path, store: Any, wanted: Wanted) -> tuple[str, list[_Axis]]:
    titles = (
        [title for title in store["Experiments"] if f"Experiments/{title}/data" in store]
        if "Experiments" in store
        else []
    )
    if wanted.images is not None:
        titles = [title for title in titles if title == wanted.images] or titles
    if len(titles) != 1 or wanted.images not in (None, titles[0]):
        listed = ", ".join(titles) or "none"
        raise DataFileError(f"{path} holds the signals {listed}, expected one; name it with images=.")
    group = store[f"Experiments/{titles[0]}"]
    shape = tuple(group["data"].shape)
    return titles[0], [_axis(group, i, n) for i, n in enumerate(shape)]


def _axis(group: Any, index: int, size: int) -> _Axis:
    if f"axis-{index}" not in group:
        return _Axis("", "", np.arange(size, dtype=np.float64))
    axis = group[f"axis-{index}"]
    attrs = _attributes(axis)
    if "axis" in attrs or "axis" in axis:
        values: NDArray[np.float64] = np.ravel(
            np.asarray(attrs["axis"] if "axis" in attrs else axis["axis"][:], np.float64)
        )
    else:
        values = float(attrs.get("offset", 0)) + float(attrs.get("scale", 1)) * np.arange(
            size, dtype=np.float64
        )
    return _Axis(_text(attrs.get("name")), _text(attrs.get("units")), values)


def _attributes(axis: Any) -> dict[str, Any]:
    if type(axis).__module__.startswith("zarr"):
        return dict(axis.attrs)
    from napari_xanes._core.io.hdf5_attributes import readable_attrs

    return readable_attrs(axis)


def _text(value: Any) -> str:
    text = value.decode() if isinstance(value, bytes) else str(value if value is not None else "")
    return "" if text in ("<undefined>", "None", "_None_") else text


def _put_together(path: Path, data: ArrayLike, title: str, axes: list[_Axis], wanted: Wanted) -> Opened:
    opened = Opened(data, path.stem, [_first_file(path)], str(path), title)
    long = [i for i, axis in enumerate(axes) if axis.values.size > 1]
    if wanted.one_of_many:
        opened.data = permuted(data, (_spare(axes, long), *long)) if len(axes) > len(long) else _one(data)
    else:
        chosen = _energy_axis(path, axes, long, wanted)
        order = order_of(wanted.axis, data.shape, path.name) if wanted.axis is not None else None
        opened.data = permuted(data, order or (chosen, *(i for i in long if i != chosen)))
        if wanted.energy is None and axes[chosen].is_energy:
            axis = axes[chosen]
            label = f"{path.name}, axis {axis.name or chosen}"
            unit = energy_unit_of(axis.units) or ""
            opened.energy = EnergyList(
                axis.values, label, f"{axis.units} energy", None, "declared as an axis", unit
            )
    steps = [_step_um(axes[i]) for i in long if not axes[i].is_energy]
    opened.pixel_size_um = steps[-1] if steps else None
    return opened


def _energy_axis(path: Path, axes: list[_Axis], long: list[int], wanted: Wanted) -> int:
    if wanted.axis is not None:
        return order_of(wanted.axis, [axis.values.size for axis in axes], path.name)[0]
    found = [i for i in long if axes[i].is_energy]
    if len(found) != 1:
        named = ", ".join(
            f"{axis.name or 'unnamed'} ({axis.values.size}{' ' * bool(axis.units)}{axis.units})"
            for axis in axes
        )
        raise DataFileError(
            f"{path} has the axes {named}, and it is not clear which is energy; say so with axis=."
        )
    return found[0]


def _spare(axes: list[_Axis], long: list[int]) -> int:
    return next(i for i in range(len(axes)) if i not in long)


def _one(data: ArrayLike) -> ArrayLike:
    from napari_xanes._core.io.hdf5_scan import OneFrame

    return OneFrame(data)


def _step_um(axis: _Axis) -> float | None:
    factor = LENGTHS.get(axis.units.lower())
    step = abs(axis.values[-1] - axis.values[0]) / (axis.values.size - 1)
    return round(float(step * factor), 9) if factor and step > 0 else None


def _first_file(path: Path) -> Path:
    """Return a file whose time and size stand for the scan; of a store its metadata."""
    if path.is_file():
        return path
    return next(
        (
            path / name
            for name in (".zmetadata", "zarr.json", ".zgroup", ".zattrs", ".zarray")
            if (path / name).is_file()
        ),
        path,
    )


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file has HyperSpy's suffix and is HDF5."""
    return path.suffix.lower() == ".hspy" and start.startswith(b"\x89HDF\r\n\x1a\n")


def is_store(path: Path) -> bool:
    """Whether a folder is a .zspy store."""
    return path.suffix.lower() == ".zspy"


def contents(path: Path) -> list[Held]:
    """Return the arrays of a file or store."""
    return (store_contents if path.is_dir() else hdf5_contents)(path)


FORMAT = ScanFormat(
    "HyperSpy",
    (".hspy", ".zspy"),
    recognise=recognise,
    open=open_scan,
    folder=is_store,
    axes=True,
    parts=True,
    contents=contents,
)
