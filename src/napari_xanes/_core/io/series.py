"""Scans in many files: one image or volume, and maybe one energy, in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.lazy import AnyArray, LazyArray, Stacked
from napari_xanes._core.io import hdf5, nexus
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.tiff import open_tiff


def open_tiff_series(paths: Sequence[Path], wanted: Wanted) -> Opened:
    """Open TIFF files with one image or volume each."""
    if wanted.images is not None:
        raise InputError(
            f"images is '{wanted.images}', but {paths[0].name} is no HDF5 file and has no datasets; leave it empty."
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


def open_hdf5_series(paths: Sequence[Path], wanted: Wanted) -> Opened:
    """Open files with one image or volume and one energy each."""
    frames: list[Hdf5Frame] = []
    energies: list[float] = []
    images, energy_name, size = wanted.images, wanted.energy, None
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
