"""Open what a path stands for: a file, a folder or a list of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import h5py

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io import hdf5, nexus
from napari_xanes._core.io.energies import natural_key
from napari_xanes._core.io.opened import Opened, Wanted, dataset_energies, kind_of
from napari_xanes._core.io.series import open_hdf5_series, open_tiff_series
from napari_xanes._core.io.tiff import open_tiff

TIFF_SUFFIXES = (".tif", ".tiff", ".btf")
HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx5", ".he5", ".nx")


def open_images(path: Path, wanted: Wanted) -> Opened:
    """Open a file or folder."""
    if path.is_dir():
        return _open_folder(path, wanted)
    kind = kind_of(path)
    if wanted.images is not None and kind != "hdf5":
        raise InputError(
            f"images is '{wanted.images}', but {path.name} is no HDF5 file and has no datasets; leave it empty."
        )
    if kind == "tiff":
        array = open_tiff(path)
        return Opened(array, path.stem, [path], str(path), pixel_size_um=array.pixel_size_um)
    if kind == "hdf5":
        return _open_hdf5(path, wanted)
    content = "text" if kind == "text" else "something else"
    raise DataFileError(f"{path} is neither TIFF nor HDF5, it holds {content}; give a file of images.")


def open_list(paths: Sequence[Path], wanted: Wanted) -> Opened:
    """Open a list of files with one image or volume each, in the order given."""
    if not paths:
        raise InputError("the list of files is empty, expected one file per energy.")
    if len(paths) == 1:
        return open_images(paths[0], wanted)
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
    opened = open_tiff_series(paths, wanted) if kinds[0] == "tiff" else open_hdf5_series(paths, wanted)
    opened.path = [str(path) for path in paths]
    return opened


def _open_folder(folder: Path, wanted: Wanted) -> Opened:
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
    opened = open_list(series, wanted)
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


def _open_hdf5(path: Path, wanted: Wanted) -> Opened:
    file = hdf5.open_hdf5(path)
    dataset = nexus.find_images(path, file, wanted.images, others=wanted.others)
    opened = Opened(hdf5.Hdf5Array(dataset), path.stem, [path], str(path), str(dataset.name), file=file)
    opened.pixel_size_um = nexus.pixel_size(file, dataset)
    if wanted.energy is None:
        found = nexus.find_energy(path, file, dataset)
        if found is not None:
            opened.energy = dataset_energies(path, found)
    if dataset.ndim == 3:
        opened.flat = _calibration(path, file, dataset, nexus.FLAT)
        opened.dark = _calibration(path, file, dataset, nexus.DARK)
    return opened


def _calibration(
    path: Path, file: h5py.File, images: h5py.Dataset, pattern: re.Pattern[str]
) -> tuple[ArrayLike, str] | None:
    found = nexus.find_calibration(file, images, pattern)
    if found is None:
        return None
    hdf5.check_images(path, found, (2, 3))
    return hdf5.Hdf5Array(found), str(found.name)
