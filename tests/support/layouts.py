"""Scans written after the layouts of the field, in combinations that a seed chooses, each with its truth.

A writer gets a `Case`, writes it into a folder and returns what is to be opened.  Writers differ in what they can say:
of a layout that declares nothing, a case that could be read in two ways is one that must be asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import scipy.io
import tifffile

RANGES = {
    "Fe": (7060.0, 7220.0),
    "Ni": (8280.0, 8440.0),
    "S": (2455.0, 2515.0),
    "Fe L": (700.0, 730.0),
    "Li": (54.0, 66.0),
}
COMPRESSIONS: tuple[dict[str, Any], ...] = (
    {},
    {"compression": "gzip"},
    {"compression": "lzf"},
    dict(hdf5plugin.Bitshuffle()),
)


@dataclass(frozen=True, eq=False)
class Case:
    """What is written: counts with flats and darks, or absorption without; energies in eV, images (E, y, x) or (E, z, y, x)."""

    images: np.ndarray
    energy: np.ndarray
    flats: np.ndarray | None
    darks: np.ndarray | None
    unit: str
    order: str
    ones: int
    compression: int
    falling: bool
    seed: int

    @property
    def signal(self) -> str:
        return "counts" if self.flats is not None else "optical_density"

    @property
    def written(self) -> np.ndarray:
        """Energies in the unit and the order of the file."""
        values = self.energy / (1000 if self.unit == "keV" else 1)
        return values[::-1] if self.falling else values

    @property
    def frames(self) -> np.ndarray:
        """Images in the order of the file, energy first."""
        return self.images[::-1] if self.falling else self.images

    @property
    def flats_written(self) -> np.ndarray | None:
        each = self.flats is not None and len(self.flats) == len(self.energy)
        return self.flats[::-1] if each and self.falling and self.flats is not None else self.flats

    def stored(self) -> np.ndarray:
        """Images with their axes in the order of the file, and leading axes of length 1."""
        letters = "eyx" if self.images.ndim == 3 else "ezyx"
        order = self.order if len(self.order) == len(letters) else letters
        turned = np.ascontiguousarray(self.frames.transpose([letters.index(axis) for axis in order]))
        return turned.reshape((1,) * self.ones + turned.shape)

    @property
    def axes(self) -> list[str]:
        letters = "eyx" if self.images.ndim == 3 else "ezyx"
        return ["."] * self.ones + list(self.order if len(self.order) == len(letters) else letters)


def cases(
    seed: int,
    count: int,
    *,
    volumes: bool = True,
    orders: tuple[str, ...] = ("eyx",),
    ones: int = 0,
    byte_orders: str = "<>",
) -> Iterator[Case]:
    """Return cases in which everything that may differ does."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        low, high = list(RANGES.values())[rng.integers(len(RANGES))]
        n = int(rng.integers(9, 14))
        energy = np.round(np.sort(low + (high - low) * (np.arange(n) + rng.uniform(0, 0.4, n)) / n), 3)
        volume = volumes and rng.random() < 0.2
        shape = (3, 15, 17) if volume else (n if rng.random() < 0.15 else 15, 17)
        counts = not volume and rng.random() < 0.6
        step = 0.5 + np.arctan((energy - low - 0.4 * (high - low)) / 0.05 / (high - low)) / np.pi
        mu = (0.05 + rng.random(shape) * step.reshape(-1, *[1] * len(shape))).astype("f8")
        flats = darks = None
        if counts:
            dtype = byte_orders[rng.integers(len(byte_orders))] + str(rng.choice(["u2", "i4", "f4", "u4"]))
            each = rng.random() < 0.5
            flats = rng.poisson(3000, (n if each else 3, *shape)).astype(dtype)
            darks = rng.poisson(100, (2, *shape)).astype(dtype)
            images = rng.poisson(100 + 2900 * np.exp(-mu)).astype(dtype)
        else:
            images = mu.astype(byte_orders[rng.integers(len(byte_orders))] + str(rng.choice(["f4", "f8"])))
        yield Case(
            images, energy, flats, darks, "eV" if low < 100 else str(rng.choice(["eV", "keV"])),
            str(rng.choice(orders)), int(rng.integers(ones + 1)), int(rng.integers(len(COMPRESSIONS))),
            bool(rng.random() < 0.3), seed * 1000 + number,
        )  # fmt: skip


# -- HDF5 ---------------------------------------------------------------------------------------------


def put(group: h5py.Group, name: str, values: Any, case: Case) -> h5py.Dataset:
    return group.create_dataset(name, data=values, chunks=True, **COMPRESSIONS[case.compression])


def bare_hdf5(folder: Path, case: Case) -> Path:
    with h5py.File(folder / "scan.h5", "w") as file:
        put(file, "img", case.stored(), case)
        file["energy"] = case.written
        if case.flats_written is not None:
            put(file, "flat", case.flats_written, case)
            put(file, "dark", case.darks, case)
    return folder / "scan.h5"


def nexus(folder: Path, case: Case) -> Path:
    names = {"e": "energy", "y": "sample_y", "x": "sample_x", "z": "sample_z", ".": "."}
    with h5py.File(folder / "scan.nxs", "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        data.attrs.update(NX_class="NXdata", signal="data", axes=[names[axis] for axis in case.axes])
        put(data, "data", case.stored(), case)
        data["energy"] = case.written
        data["energy"].attrs["units"] = case.unit
        for axis, size in zip(case.axes, case.stored().shape, strict=True):
            if axis in "xyz":
                data[names[axis]] = np.arange(size) * 0.05
                data[names[axis]].attrs["units"] = "um"
        data["ring_current"] = np.linspace(200, 201, len(case.energy))
        if case.flats_written is not None:
            put(entry, "instrument/flat", case.flats_written, case)
            put(entry, "instrument/dark", case.darks, case)
    return folder / "scan.nxs"


def data_exchange(folder: Path, case: Case) -> Path:
    with h5py.File(folder / "scan.h5", "w") as file:
        put(file, "exchange/data", case.frames, case)
        file["exchange/energy"] = case.written
        file["exchange/theta"] = np.linspace(0, 180, len(case.energy))
        file["measurement/instrument/source/energy"] = 7.0
        if case.flats_written is not None:
            put(file, "exchange/data_white", case.flats_written, case)
            put(file, "exchange/data_dark", case.darks, case)
    return folder / "scan.h5"


def image_key(folder: Path, case: Case) -> Path:
    n = len(case.energy)
    parts, keys, at = [case.frames], [0] * n, [case.written]
    if case.flats_written is not None and case.darks is not None:
        parts = [case.darks, case.flats_written, case.frames]
        keys = [2] * len(case.darks) + [1] * len(case.flats_written) + keys
        flat_at = (
            case.written
            if len(case.flats_written) == n
            else np.full(len(case.flats_written), case.written[0] * 0.9)
        )
        at = [np.full(len(case.darks), case.written[0]), flat_at, case.written]
    with h5py.File(folder / "scan.nxs", "w") as file:
        detector = file.create_group("entry/instrument/detector")
        put(detector, "data", np.concatenate(parts), case)
        detector["image_key"] = keys
        file["entry/instrument/monochromator/energy"] = np.concatenate(at)
        file["entry/instrument/monochromator/energy"].attrs["units"] = case.unit
    return folder / "scan.nxs"


def hdf5_series(folder: Path, case: Case) -> Path:
    for i, energy in enumerate(case.written):
        with h5py.File(folder / f"scan_{i + 8:03d}.h5", "w") as file:
            put(file, "exchange/data", case.frames[i].reshape((1,) * case.ones + case.frames[i].shape), case)
            file["measurement/instrument/monochromator/energy"] = energy
            file["measurement/instrument/source/energy"] = 7.0
            if case.flats_written is not None:
                several = (
                    case.flats_written[i : i + 1]
                    if len(case.flats_written) == len(case.energy)
                    else case.flats_written
                )
                put(file, "exchange/data_white", several, case)
                put(file, "exchange/data_dark", case.darks, case)
    return folder


# -- TIFF ---------------------------------------------------------------------------------------------


def tiff_with_list(folder: Path, case: Case) -> Path:
    big = ">" if case.images.dtype.byteorder == ">" else "<"
    tifffile.imwrite(
        folder / "scan.tif", case.frames, byteorder=big, photometric="minisblack",
        compression="zlib" if case.compression % 2 else None, rowsperstrip=4,
    )  # fmt: skip
    np.savetxt(folder / "scan_energies.txt", case.written, fmt="%.6f", header=f"energy_{case.unit}")
    return folder / "scan.tif"


def tiff_pages(folder: Path, case: Case) -> Path:
    with tifffile.TiffWriter(folder / "scan.tif") as file:
        for energy, image in zip(case.written, case.frames, strict=True):
            file.write(
                image,
                description=f"energy={energy:.6f} {case.unit}",
                contiguous=False,
                photometric="minisblack",
            )
    return folder / "scan.tif"


def tiff_names(folder: Path, case: Case) -> Path:
    style = ["scan_{e:.3f}eV", "{i:03d}_{k:.6f}keV", "run7_{e:09.3f}_eV_a", "Ni_{p}eV"][case.seed % 4]
    ev = case.energy[::-1] if case.falling else case.energy
    for i, (energy, image) in enumerate(zip(ev, case.frames, strict=True)):
        name = style.format(e=energy, k=energy / 1000, i=i, p=f"{energy:.3f}".replace(".", "p"))
        tifffile.imwrite(folder / f"{name}.tif", image, photometric="minisblack")
    return folder


# -- others -------------------------------------------------------------------------------------------


def netcdf(folder: Path, case: Case) -> Path:
    """As netCDF-4 and xarray write: names of dimensions, and their values as scales of HDF5."""
    names = {"e": "energy", "y": "y", "x": "x", "z": "z"}
    with h5py.File(folder / "scan.h5", "w") as file:
        data = put(file, "absorption", case.stored(), case)
        for i, (axis, size) in enumerate(zip(case.axes, data.shape, strict=True)):
            scale = file.create_dataset(
                names[axis], data=case.written if axis == "e" else np.arange(size) * 0.05
            )
            scale.make_scale(names[axis])
            data.dims[i].attach_scale(scale)
        file["energy"].attrs["units"] = case.unit
        if case.flats_written is not None:
            put(file, "flat", case.flats_written, case)
            put(file, "dark", case.darks, case)
    return folder / "scan.h5"


def attributes(folder: Path, case: Case) -> Path:
    """Energies as an attribute of the images or of their group."""
    with h5py.File(folder / "scan.h5", "w") as file:
        data = put(file, "entry/data", case.frames, case)
        at = [data, file["entry"], file][case.seed % 3]
        at.attrs["energies"] = case.written
        data.attrs["dwell"] = np.full(len(case.energy), 20.0)
    return folder / "scan.h5"


def indices(folder: Path, case: Case) -> Path:
    """NXdata whose axis of energy is a counter, and energies beside it told by their attribute of indices."""
    with h5py.File(folder / "scan.nxs", "w") as file:
        data = file.create_group("entry/data")
        data.attrs.update(NX_class="NXdata", signal="data", energy_indices=case.axes.index("e"))
        data.attrs["axes"] = ["frame" if axis == "e" else "." for axis in case.axes]
        put(data, "data", case.stored(), case)
        data["frame"], data["energy"] = np.arange(len(case.energy)), case.written
    return folder / "scan.nxs"


def other_name(folder: Path, case: Case) -> Path:
    """Energies under the name of an angle, told by their unit; the beam's among the lists."""
    with h5py.File(folder / "scan.h5", "w") as file:
        put(file, "exchange/data", case.frames, case)
        file["exchange/theta"] = case.written
        file["exchange/theta"].attrs["units"] = case.unit
        file["instrument/ring_energy"] = np.full(len(case.energy), 3.0)
        file["instrument/temperature"] = np.linspace(290, 300, len(case.energy))
        if case.flats_written is not None:
            put(file, "exchange/data_white", case.flats_written, case)
            put(file, "exchange/data_dark", case.darks, case)
    return folder / "scan.h5"


def column_of_list(folder: Path, case: Case) -> Path:
    """A list of several columns, with and without names, in German and in English numbers."""
    tifffile.imwrite(folder / "scan.tif", case.frames, photometric="minisblack")
    n = len(case.energy)
    beam = 1e5 + np.random.default_rng(case.seed).normal(0, 50, n)
    first = [np.arange(n), beam][case.seed % 2]
    rows = [f"{a:.3f}\t{e:.6f}" for a, e in zip(first, case.written, strict=True)]
    if case.seed % 3:
        rows = [row.replace(".", ",") for row in rows]
    head = ["", f"# no  E_{case.unit}\n", f"; of the scan\n;first\tEnergy ({case.unit})\n"][case.seed % 4 % 3]
    (folder / "scan_energies.txt").write_text(head + "\n".join(rows) + "\n")
    return folder / "scan.tif"


def npz(folder: Path, case: Case) -> Path:
    np.savez(folder / "scan.npz", img=case.stored(), energy=case.written)
    return folder / "scan.npz"


def npy_with_list(folder: Path, case: Case) -> Path:
    np.save(folder / "scan.npy", np.asfortranarray(case.frames) if case.compression % 2 else case.frames)
    np.savetxt(folder / "scan_energies.txt", case.written, fmt="%.6f", header=f"energy_{case.unit}")
    return folder / "scan.npy"


def matlab5(folder: Path, case: Case) -> Path:
    scipy.io.savemat(
        folder / "scan.mat",
        {"img": case.stored(), "energy": case.written},
        do_compression=bool(case.compression % 2),
    )
    return folder / "scan.mat"


def edf_series(folder: Path, case: Case) -> Path:
    from fabio.edfimage import EdfImage

    for i, (energy, image) in enumerate(zip(case.written, case.frames, strict=True)):
        EdfImage(data=image.astype(image.dtype.newbyteorder("=")), header={"energy": f"{energy:.6f}"}).write(
            str(folder / f"a_{i:04d}.edf")
        )
    return folder


def ome_zarr(folder: Path, case: Case) -> Path:
    import zarr

    letters = {"e": "c", ".": "t", "x": "x", "y": "y", "z": "z"}
    store = zarr.open_group(folder / "scan.zarr", mode="w", zarr_format=2 + case.compression % 2)
    data = case.frames.reshape((1,) * case.ones + case.frames.shape)
    store.create_array("0", data=data.astype(data.dtype.newbyteorder("=")))
    axes = [{"name": "t"}] * case.ones + [
        {"name": letters[a]} for a in ("eyx" if case.images.ndim == 3 else "ezyx")
    ]
    labels = [{"label": f"{energy:.6f} {case.unit}"} for energy in case.written]
    found = {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}], "omero": {"channels": labels}}
    store.attrs.update({"ome": found} if case.compression % 2 else found)
    return folder / "scan.zarr"


Writer = Callable[[Path, Case], Path]

ALL_ORDERS = ("eyx", "yxe", "yex", "eyx")
LAYOUTS: dict[str, tuple[Writer, dict[str, Any]]] = {
    "bare HDF5": (bare_hdf5, {"orders": ("eyx", "yxe")}),
    "NeXus": (nexus, {"orders": ALL_ORDERS, "ones": 1}),
    "DataExchange": (data_exchange, {}),
    "image_key": (image_key, {"volumes": False}),
    "series of HDF5": (hdf5_series, {"ones": 1}),
    "TIFF and list": (tiff_with_list, {"volumes": False}),
    "TIFF pages": (tiff_pages, {"volumes": False}),
    "TIFF names": (tiff_names, {}),
    "netCDF-4": (netcdf, {"orders": ALL_ORDERS}),
    "attributes": (attributes, {}),
    "indices": (indices, {"orders": ALL_ORDERS, "volumes": False}),
    "other name": (other_name, {}),
    "TIFF and columns": (column_of_list, {"volumes": False}),
    "npz": (npz, {"orders": ("eyx", "yxe"), "ones": 1}),
    "npy and list": (npy_with_list, {}),
    "MATLAB 5": (matlab5, {"orders": ("eyx", "yxe"), "byte_orders": "<"}),
    "EDF": (edf_series, {"volumes": False}),
    "OME-Zarr": (ome_zarr, {"ones": 1}),
}
"""Writers, and what may differ in each."""
