"""Writes a scan in each format that is read, of any size, a frame at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import tifffile


def energies(n: int) -> np.ndarray:
    return np.linspace(8250.0, 8450.0, n)


def frames(n: int, size: int) -> Iterator[np.ndarray]:
    base = np.random.default_rng(0).random((size, size), np.float32) * np.float32(0.5) + np.float32(0.1)
    for i in range(n):
        yield base + np.float32(i / n)


def listed(folder: Path, n: int) -> None:
    np.savetxt(folder / "scan_energies.txt", energies(n))


def tiff(folder: Path, n: int, size: int) -> Path:
    with tifffile.TiffWriter(folder / "scan.tif", bigtiff=True) as file:
        for image in frames(n, size):
            file.write(image, contiguous=True)
    listed(folder, n)
    return folder / "scan.tif"


def tiff_packed(folder: Path, n: int, size: int) -> Path:
    with tifffile.TiffWriter(folder / "scan.tif", bigtiff=True) as file:
        for image in frames(n, size):
            file.write(
                (image * 255).astype("u2"),
                compression="zlib",
                compressionargs={"level": 1},
                contiguous=False,
                rowsperstrip=64,
            )
    listed(folder, n)
    return folder / "scan.tif"


def tiff_series(folder: Path, n: int, size: int) -> Path:
    for energy, image in zip(energies(n), frames(n, size), strict=True):
        tifffile.imwrite(folder / f"scan_{energy:.3f}eV.tif", image)
    return folder


def hdf5(folder: Path, n: int, size: int, **how: object) -> Path:
    with h5py.File(folder / "scan.h5", "w") as file:
        data = file.create_dataset("img", (n, size, size), "f4", **how)
        for i, image in enumerate(frames(n, size)):
            data[i] = image
        file["energy"] = energies(n)
    return folder / "scan.h5"


def hdf5_packed(folder: Path, n: int, size: int) -> Path:
    return hdf5(folder, n, size, chunks=(1, max(1, size // 16), size), **hdf5plugin.Bitshuffle())


def energy_last(path: Path, name: str, n: int, size: int) -> None:
    whole = np.stack(list(frames(n, size)), axis=-1) if n * size < 2000 else None
    with h5py.File(path, "a") as file:
        data = file.create_dataset(name, (size, size, n), "f4")
        rows = max(1, size // 16)
        for first in range(0, size, rows):
            part = slice(first, first + rows)
            data[part] = (
                np.stack([image[part] for image in frames(n, size)], axis=-1)
                if whole is None
                else whole[part]
            )


def nexus_yxe(folder: Path, n: int, size: int) -> Path:
    energy_last(folder / "scan.nxs", "entry/data/od", n, size)
    with h5py.File(folder / "scan.nxs", "a") as file:
        file["entry/data"].attrs.update(NX_class="NXdata", signal="od", axes=["y", "x", "energy"])
        file["entry/data/energy"] = energies(n)
    return folder / "scan.nxs"


def hyperspy(folder: Path, n: int, size: int) -> Path:
    energy_last(folder / "scan.hspy", "Experiments/scan/data", n, size)
    with h5py.File(folder / "scan.hspy", "a") as file:
        for i, (name, units) in enumerate((("y", "um"), ("x", "um"), ("Energy", "eV"))):
            axis = file.create_group(f"Experiments/scan/axis-{i}")
            axis.attrs.update(
                name=name,
                units=units,
                scale=200 / (n - 1) if i == 2 else 0.05,
                offset=8250.0 if i == 2 else 0.0,
            )
    return folder / "scan.hspy"


def pyxrf(folder: Path, n: int, size: int) -> Path:
    for i, (energy, image) in enumerate(zip(energies(n), frames(n, size), strict=True)):
        with h5py.File(folder / f"scan2D_{i:05d}.h5", "w") as file:
            file["xrfmap/detsum/xrf_fit"] = np.stack([image, image * 0])
            file["xrfmap/detsum/xrf_fit_name"] = [b"Ni_K", b"Fe_K"]
            file.create_group("xrfmap/scan_metadata").attrs["instrument_mono_incident_energy"] = energy / 1000
    return folder


def numpy_file(folder: Path, n: int, size: int) -> Path:
    data = np.lib.format.open_memmap(folder / "scan.npy", "w+", "f4", (n, size, size))
    for i, image in enumerate(frames(n, size)):
        data[i] = image
    data.flush()
    listed(folder, n)
    return folder / "scan.npy"


def plain(path: Path, head: bytes, n: int, size: int, dtype: str = "<f4") -> Path:
    with open(path, "wb") as file:
        file.write(head)
        for image in frames(n, size):
            image.astype(dtype).tofile(file)
    return path


def mrc(folder: Path, n: int, size: int) -> Path:
    head = np.zeros(256, "<i4")
    head[:4], head[7:10] = (size, size, n, 2), (size, size, n)
    raw = bytearray(head.tobytes())
    raw[208:214] = b"MAP DD"
    listed(folder, n)
    return plain(folder / "scan.mrc", bytes(raw), n, size)


def ncb(folder: Path, n: int, size: int) -> Path:
    lines = [f"{size} {size} -1.0", "0 10", "0 10", str(n), *(f"{e:.3f}" for e in energies(n))]
    (folder / "scan.dat").write_text("\n".join(lines) + "\n")
    return plain(folder / "scan.ncb", b"", n, size)


def stk(folder: Path, n: int, size: int) -> Path:
    parts = (np.arange(size), np.arange(size), energies(n), np.ones(n))
    head = np.array([size, size, n], ">i4").tobytes() + b"".join(
        part.astype(">f4").tobytes() for part in parts
    )
    return plain(folder / "scan.stk", head, n, size, ">f4")


def edf(folder: Path, n: int, size: int) -> Path:
    with open(folder / "scan.edf", "wb") as file:
        for i, (energy, image) in enumerate(zip(energies(n), frames(n, size), strict=True)):
            keys = {
                "EDF_DataBlockID": f"{i}.Image.Psd", "EDF_BinarySize": image.nbytes, "EDF_HeaderSize": 512,
                "ByteOrder": "LowByteFirst", "DataType": "FloatValue", "Dim_1": size, "Dim_2": size,
                "Size": image.nbytes, "energy": f"{energy / 1000:.6f}",
            }  # fmt: skip
            text = "{\n" + "".join(f"{key} = {value} ;\n" for key, value in keys.items())
            file.write((text + " " * (510 - len(text)) + "}\n").encode())
            image.tofile(file)
    return folder / "scan.edf"


def sdf(folder: Path, n: int, size: int) -> Path:
    def axis(name: str, unit: str, points: np.ndarray) -> str:
        listed = ", ".join(f"{point:.3f}" for point in points)
        return f'{{ Name = "{name}"; Unit = "{unit}"; Points = ({points.size}, {listed}); }}'

    side = [axis(f"Sample {a}", "um", np.arange(size) * 0.05) for a in "XY"]
    (folder / "scan.hdr").write_text(
        'ScanDefinition = { Label = "scan.hdr"; Type = "NEXAFS Image Scan"; Flags = "Image Stack"; Dwell = 1;\n'
        f" Regions = (1,\n{{ PAxis = {side[0]};\n QAxis = {side[1]};\n}});\n"
        f" StackAxis = {axis('Energy', 'eV', energies(n))};\n"
        ' Channels = (1,\n{ Name = "counter0"; Unit = "counts";});\n}; Time = "2007";\n'
    )
    for i, image in enumerate(frames(n, size)):
        np.savetxt(folder / f"scan_a{i:03d}.xim", image * 1000, "%d", "\t")
    return folder / "scan.hdr"


def zeiss(folder: Path, n: int, size: int) -> Path:
    for i, (energy, image) in enumerate(zip(energies(n), frames(n, size), strict=True)):
        whole = {"ImageWidth": size, "ImageHeight": size, "ImagesTaken": 1, "DataType": 5}
        streams = {f"ImageInfo/{name}": np.array([value], "<i4") for name, value in whole.items()}
        streams |= {
            "ImageInfo/Energy": np.array([energy], "<f4"),
            "ImageInfo/PixelSize": np.array([0.03], "<f4"),
        }
        streams["ImageData1/Image1"] = (image * 10_000).astype("<u2")
        ole(folder / f"scan_{i:03d}.xrm", {name: values.tobytes() for name, values in streams.items()})
    return folder


def ole(path: Path, streams: dict[str, bytes]) -> None:
    """Write an OLE container of version 4 with storages of one level; streams are long enough for whole sectors."""
    sector, none, end = 4096, 0xFFFFFFFF, 0xFFFFFFFE
    tops = sorted({name.split("/")[0] for name in streams})
    names = ["Root Entry", *tops, *streams]
    blocks = [raw.ljust(-(-len(raw) // sector) * sector, b"\0") for raw in streams.values()]
    tables = -(-(len(names) * 128) // sector)
    counts = [len(block) // sector for block in blocks]
    fats = next(k for k in range(1, 110) if k * (sector // 4) >= k + tables + sum(counts))
    chain = [0xFFFFFFFD] * fats + [*range(fats + 1, fats + tables), end]
    starts = []
    for count in counts:
        starts.append(len(chain))
        chain += [*range(len(chain) + 1, len(chain) + count), end]
    fat = np.full(fats * sector // 4, none, "<u4")
    fat[: len(chain)] = chain
    kids = [
        [1 + k for k in range(len(tops))],
        *[[1 + len(tops) + k for k, name in enumerate(streams) if name.split("/")[0] == top] for top in tops],
    ]
    following = {one: other for row in kids for one, other in pairwise(row)}
    directory = bytearray(tables * sector)
    for k, name in enumerate(names):
        leaf = (name.rsplit("/", 1)[-1] + "\0").encode("utf-16-le")
        stream = k - 1 - len(tops)
        at, size = (starts[stream], len(blocks[stream])) if stream >= 0 else (end if k == 0 else 0, 0)
        kind, child = 2 if stream >= 0 else 5 if k == 0 else 1, kids[k][0] if stream < 0 else none
        entry = struct.pack("<HBBIII", len(leaf), kind, 1, none, following.get(k, none), child)
        directory[k * 128 : k * 128 + 128] = (
            leaf.ljust(64, b"\0") + entry + bytes(36) + struct.pack("<IQ", at, size)
        )
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 4, 0xFFFE, 12, 6,
        tables, fats, fats, 0, 4096, end, 0, end, 0,
    )  # fmt: skip
    places = np.full(109, none, "<u4")
    places[:fats] = np.arange(fats)
    with open(path, "wb") as file:
        file.write((header + places.tobytes()).ljust(sector, b"\0"))
        file.write(fat.tobytes() + bytes(directory) + b"".join(blocks))


def ome_zarr(folder: Path, n: int, size: int) -> Path:
    import zarr

    store = zarr.open_group(folder / "scan.zarr", mode="w")
    data = store.create_array("0", shape=(n, size, size), dtype="f4", chunks=(1, max(1, size // 4), size))
    for i, image in enumerate(frames(n, size)):
        data[i] = image
    described = {"axes": [{"name": a} for a in "cyx"], "datasets": [{"path": "0"}]}
    labels = {"channels": [{"label": f"{e:.3f} eV"} for e in energies(n)]}
    store.attrs["ome"] = {"multiscales": [described], "omero": labels}
    return folder / "scan.zarr"


FORMATS: dict[str, Callable[[Path, int, int], Path]] = {
    "TIFF": tiff,
    "TIFF, deflated": tiff_packed,
    "TIFF, a file per energy": tiff_series,
    "HDF5": hdf5,
    "HDF5, bitshuffle": hdf5_packed,
    "NeXus (y, x, energy)": nexus_yxe,
    "HyperSpy (y, x, energy)": hyperspy,
    "PyXRF, a file per energy": pyxrf,
    "NumPy": numpy_file,
    "MRC": mrc,
    "aXis2000 .ncb": ncb,
    "X1A .stk": stk,
    "ESRF EDF": edf,
    "SDF (text)": sdf,
    "Zeiss .xrm, a file per energy": zeiss,
    "OME-Zarr": ome_zarr,
}
