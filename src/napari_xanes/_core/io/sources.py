"""Open what a path stands for: a file, a folder or a list of files, as one lazy array with what is known of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.errors import DataFileError, InputError
from napari_xanes._core.io import hdf5, nexus
from napari_xanes._core.io.energies import EnergyList, natural_key
from napari_xanes._core.io.lazy import AnyArray, LazyArray, Stacked
from napari_xanes._core.io.table import looks_like_text
from napari_xanes._core.io.tiff import open_tiff
from napari_xanes._core.stack import ArrayLike

_INSIDE = re.compile(r"(.+\.[A-Za-z0-9]+):(/?[^:\\]+)")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf")
HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx5", ".he5", ".nx")


@dataclass(eq=False)
class Opened:
    """Images as a lazy array (N, ...), and what their files say of them.

    Attributes
    ----------
    data : array-like
    name : str
        For people.
    files : list of Path
        All files that hold the images.
    path : str or list of str
        What was opened, absolute.
    images : str or None
        The dataset of the images.
    energy : EnergyList or None
        Energies found in the files.
    flat, dark : (array-like, dataset name) or None
        Found in the file.
    file : h5py.File or None
        The open file, to find further datasets in.
    """

    data: ArrayLike
    name: str
    files: list[Path]
    path: str | list[str]
    images: str | None = None
    energy: EnergyList | None = None
    flat: tuple[ArrayLike, str] | None = None
    dark: tuple[ArrayLike, str] | None = None
    pixel_size_um: float | None = None
    file: h5py.File | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the images lie."""
        return self.files[0].parent


def absolute(path: str | Path) -> Path:
    """Return a path that stays true when the working folder changes."""
    return Path(path).expanduser().absolute()


def find_file(opened: Opened, text: str, what: str) -> tuple[Path, str | None]:
    """Return the file that a text means, and the dataset in it; looked for here and beside the images."""
    tries: list[tuple[str, str | None]] = [(text, None)]
    if (match := _INSIDE.fullmatch(text)) is not None:
        tries.append((match[1], match[2]))
    for name, inside in tries:
        for path in (absolute(name), opened.folder / name):
            if path.exists():
                return path, inside
    if opened.file is not None:
        raise DataFileError(
            f"{what} is '{text}', which is neither a file nor a dataset of {opened.name}; "
            f"it holds {hdf5.describe(opened.file)}."
        )
    raise DataFileError(f"{what} is '{text}', but there is no such file here or in {opened.folder}.")


def kind_of(path: Path) -> str:
    """Return "tiff", "hdf5", "text" or "other", told from the first bytes.

    Raises
    ------
    DataFileError
        If there is no such file, it is empty, or it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(1024)
    except FileNotFoundError:
        raise DataFileError(f"{path}: there is no such file or folder.") from None
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not start:
        raise DataFileError(f"{path} is empty (0 bytes); copy it again.")
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if start[:8] == b"\x89HDF\r\n\x1a\n" or h5py.is_hdf5(path):
        return "hdf5"
    return "text" if looks_like_text(start) else "other"


def open_images(path: Path, images: str | None, energy: str | None) -> Opened:
    """Open a file or folder; `energy` may name a dataset in it."""
    if path.is_dir():
        return _open_folder(path, images, energy)
    kind = kind_of(path)
    if images is not None and kind != "hdf5":
        raise InputError(
            f"images is '{images}', but {path.name} is no HDF5 file and has no datasets; leave it empty."
        )
    if kind == "tiff":
        array = open_tiff(path)
        return Opened(array, path.stem, [path], str(path), pixel_size_um=array.pixel_size_um)
    if kind == "hdf5":
        return _open_hdf5(path, images, energy)
    content = "text" if kind == "text" else "something else"
    raise DataFileError(f"{path} is neither TIFF nor HDF5, it holds {content}; give a file of images.")


def open_list(paths: Sequence[Path], images: str | None, energy: str | None) -> Opened:
    """Open a list of files with one image or volume each, in the order given."""
    if not paths:
        raise InputError("the list of files is empty, expected one file per energy.")
    if len(paths) == 1:
        return open_images(paths[0], images, energy)
    kinds = [kind_of(path) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if kind not in ("tiff", "hdf5"):
            raise DataFileError(
                f"{path} is neither TIFF nor HDF5, expected one image or volume in each file."
            )
        if kind != kinds[0]:
            raise DataFileError(
                f"{paths[0].name} and {path.name} are of different formats; give files of one format."
            )
    opened = _tiff_series(paths, images) if kinds[0] == "tiff" else _hdf5_series(paths, images, energy)
    opened.path = [str(path) for path in paths]
    return opened


def _open_folder(folder: Path, images: str | None, energy: str | None) -> Opened:
    """Open the series of files in a folder; files that are named otherwise are left out, and that is said."""
    suffixes = TIFF_SUFFIXES + HDF5_SUFFIXES
    files = [
        path
        for path in sorted(folder.iterdir(), key=lambda p: natural_key(p.name))
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    ]
    if not files:
        raise DataFileError(f"{folder} holds no TIFF or HDF5 files.")
    series = _series(folder, files)
    opened = open_list(series, images, energy)
    opened.path, opened.name = str(folder), folder.name
    left = [path.name for path in files if path not in series]
    if left:
        listed = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        opened.warnings.append(
            f"{len(left)} of {len(files)} files in {folder.name} were left out because they are named otherwise: {listed}"
        )
    return opened


def _series(folder: Path, files: list[Path]) -> list[Path]:
    """Return the files whose names differ only in their numbers: the largest such group."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(re.sub(r"\d+(\.\d+)?", "#", path.stem) + path.suffix.lower(), []).append(path)
    samples = {
        key: group for key, group in groups.items() if not (nexus.FLAT.match(key) or nexus.DARK.match(key))
    } or groups
    ranked = sorted(samples.values(), key=len, reverse=True)
    if len(ranked) > 1 and len(ranked[0]) == len(ranked[1]):
        raise DataFileError(
            f"{folder} holds {len(files)} files but no clear series: {ranked[0][0].name}, {ranked[1][0].name}, ...; "
            "give one file, or a folder with only the images of the scan."
        )
    return ranked[0]


def _open_hdf5(path: Path, images: str | None, energy: str | None) -> Opened:
    file = hdf5.open_hdf5(path)
    dataset = nexus.find_images(path, file, images)
    opened = Opened(hdf5.Hdf5Array(dataset), path.stem, [path], str(path), str(dataset.name), file=file)
    opened.pixel_size_um = nexus.pixel_size(file, dataset)
    if energy is None:
        found = nexus.find_energy(path, file, dataset)
        if found is not None:
            opened.energy = dataset_energies(path, found)
    if dataset.ndim == 3:
        opened.flat = _calibration(file, dataset, nexus.FLAT)
        opened.dark = _calibration(file, dataset, nexus.DARK)
    return opened


def _calibration(
    file: h5py.File, images: h5py.Dataset, pattern: re.Pattern[str]
) -> tuple[ArrayLike, str] | None:
    found = nexus.find_calibration(file, images, pattern)
    return None if found is None else (hdf5.Hdf5Array(found), str(found.name))


def dataset_energies(path: Path, dataset: h5py.Dataset) -> EnergyList:
    """Return the energies of a dataset."""
    if not hdf5.is_numeric(dataset) or not 0 < dataset.size <= 100_000_000:
        raise DataFileError(f"{path}: {dataset.name} holds {dataset.dtype}, expected one number per image.")
    unit = dataset.attrs.get("units", b"")
    hint = f"{unit.decode() if isinstance(unit, bytes) else unit} {dataset.name}"
    values = np.asarray(dataset[()], dtype=np.float64)
    if values.ndim > 1 and values.size != max(values.shape):
        raise DataFileError(
            f"{path}: {dataset.name} has shape {values.shape}, expected one energy per image."
        )
    return EnergyList(values.ravel(), f"{path.name}:{dataset.name}", hint, str(dataset.name))


def _tiff_series(paths: Sequence[Path], images: str | None) -> Opened:
    if images is not None:
        raise InputError(
            f"images is '{images}', but {paths[0].name} is no HDF5 file and has no datasets; leave it empty."
        )
    arrays = [open_tiff(path) for path in paths]
    shapes = [a.shape[1:] if a.shape[0] == 1 and a.ndim == 3 else a.shape for a in arrays]
    _check_alike(paths, shapes)
    if len(shapes[0]) > 3:
        raise DataFileError(f"{paths[0]} has shape {shapes[0]}, expected one image or volume in each file.")
    data = Stacked(arrays, shapes[0])
    return Opened(data, paths[0].stem, list(paths), "", pixel_size_um=arrays[0].pixel_size_um)


def _check_alike(paths: Sequence[Path], shapes: Sequence[tuple[int, ...]]) -> None:
    for path, shape in zip(paths, shapes, strict=True):
        if shape != shapes[0]:
            raise DataFileError(
                f"{path} has shape {shape} but {paths[0].name} has {shapes[0]}; "
                "all images of a scan must have the same shape."
            )


class Hdf5Frame(LazyArray):
    """An image or volume in a file of its own, opened for every read: a thousand files need no open handles."""

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        chunks = dataset.chunks
        cheap = chunks is None or chunks[0] * 8 <= dataset.shape[0]
        super().__init__((1, *dataset.shape), dataset.dtype, cheap_rows=cheap)
        self.path, self.dataset_name = path, str(dataset.name)

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of the image, or planes of the volume."""
        with hdf5.open_hdf5(self.path) as file:
            try:
                return np.asarray(file[self.dataset_name][rows]).astype(self.dtype, copy=False)
            except (OSError, KeyError, RuntimeError) as error:
                raise DataFileError(
                    f"{self.path.name}: {self.dataset_name} cannot be read ({error}); the file is damaged or was changed."
                ) from error


def _hdf5_series(paths: Sequence[Path], images: str | None, energy: str | None) -> Opened:
    """Open files with one image or volume and one energy each."""
    frames: list[Hdf5Frame] = []
    energies: list[float] = []
    energy_name, size = energy, None
    for path in paths:
        with hdf5.open_hdf5(path) as file:
            dataset = nexus.find_images(path, file, images, (2, 3))
            images = str(dataset.name)
            frames.append(Hdf5Frame(path, dataset))
            found = _scalar_energy(path, file, energy_name)
            if found is not None:
                energy_name = str(found.name)
                energies.append(float(np.ravel(found[()])[0]))
            elif energies:
                raise DataFileError(f"{path} has no energy {energy_name}, unlike {paths[0].name} and others.")
            size = size or nexus.pixel_size(file, dataset)
    shapes = [frame.shape[1:] for frame in frames]
    _check_alike(paths, shapes)
    opened = Opened(Stacked(frames, shapes[0]), paths[0].stem, list(paths), "", images, pixel_size_um=size)
    if energies and len(energies) == len(paths):
        label = f"{energy_name} in each file"
        opened.energy = EnergyList(np.array(energies), label, str(energy_name), energy_name)
    return opened


def _scalar_energy(path: Path, file: h5py.File, name: str | None) -> Any:
    """Return the dataset with the energy of a file, or None."""
    if name is not None:
        found = hdf5.named_dataset(file, name)
        return found if found is not None and hdf5.is_numeric(found) and found.size == 1 else None
    single = [d for d in hdf5.datasets(file).values() if hdf5.is_numeric(d) and d.size == 1]
    named = [d for d in single if nexus.ENERGY.match(str(d.name).rsplit("/", 1)[-1])]
    if len(named) > 1:
        raise DataFileError(
            f"{path}: the energy could be {', '.join(d.name for d in named[:6])}; name one with energy=."
        )
    return named[0] if named else None
