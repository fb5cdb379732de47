"""Open an HDF5 file as a scan: its images, energies, flats, darks and pixel size put together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.lazy import AnyArray, LazyArray
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io import hdf5, nexus
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.opened import Opened, Wanted, dataset_energies


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open a stack, or one image or volume of a series."""
    return _open_one(path, wanted) if wanted.one_of_many else _open_stack(path, wanted)


def _open_stack(path: Path, wanted: Wanted) -> Opened:
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


# -- one file of a series -----------------------------------------------------------------------------


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


def _open_one(path: Path, wanted: Wanted) -> Opened:
    with hdf5.open_hdf5(path) as file:
        dataset = nexus.find_images(path, file, wanted.images, (2, 3))
        opened = Opened(Hdf5Frame(path, dataset), path.stem, [path], str(path), str(dataset.name))
        opened.pixel_size_um = nexus.pixel_size(file, dataset)
        found = _scalar_energy(path, file, wanted.energy)
        if found is not None:
            value = np.ravel(found[()]).astype(np.float64)
            opened.energy = EnergyList(value, f"{path.name}:{found.name}", str(found.name), str(found.name))
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
