"""Flats, darks and beam spectra of a scan: found in its file, or named by the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.errors import DataFileError, InputError
from napari_xanes._core.io import hdf5, nexus
from napari_xanes._core.io.opened import Opened, Wanted, find_file, kind_of
from napari_xanes._core.io.sources import open_images
from napari_xanes._core.io.table import read_table
from napari_xanes._core.io.units import to_ev
from napari_xanes._core.stack import ArrayLike


@dataclass(frozen=True, eq=False)
class Calibration:
    """Flats or darks, and what to pass to read them again."""

    data: ArrayLike
    given: str


def open_calibration(
    opened: Opened,
    given: str | Path | None,
    what: Literal["flat", "dark"],
    energy: NDArray[np.float64],
) -> Calibration | None:
    """Return the flats or darks that were named, or those found in the file of the images.

    Parameters
    ----------
    opened : Opened
        The images.
    given : str or path or None
        Dataset, file, or "file.h5:/dataset".
    what : {"flat", "dark"}
    energy : array (E,)
        Ascending, eV; a beam spectrum over energy is interpolated to them.

    Raises
    ------
    InputError
        If they do not fit the images, or a beam spectrum does not cover the energies.
    """
    if given is not None:
        found = _named(opened, str(given), what, energy)
    else:
        in_file = opened.flat if what == "flat" else opened.dark
        if in_file is None:
            return None
        found = Calibration(*in_file)
    _check_shape(opened, found, what)
    return found


def _named(opened: Opened, text: str, what: str, energy: NDArray[np.float64]) -> Calibration:
    """Return flats or darks named by dataset or file."""
    if opened.file is not None and (dataset := hdf5.named_dataset(opened.file, text)) is not None:
        return Calibration(_dataset_images(opened.files[0], dataset, what), str(dataset.name))
    path, inside = find_file(opened, text, what)
    kind = "folder" if path.is_dir() else kind_of(path)
    if kind == "text" and what == "flat":
        return Calibration(_beam(path, energy), str(path))
    if kind == "hdf5" and inside is not None:
        file = hdf5.open_hdf5(path)
        dataset = hdf5.named_dataset(file, inside)
        if dataset is None:
            raise DataFileError(f"{path} has no dataset {inside}; it holds {hdf5.describe(file)}.")
        return Calibration(_dataset_images(path, dataset, what), f"{path}:{dataset.name}")
    if kind == "hdf5":
        file = hdf5.open_hdf5(path)
        dataset = nexus.find_images(path, file, None, (2, 3))
        return Calibration(_dataset_images(path, dataset, what), f"{path}:{dataset.name}")
    return Calibration(open_images(path, Wanted()).data, str(path))


def _dataset_images(path: Path, dataset: Any, what: str) -> ArrayLike:
    if not hdf5.is_numeric(dataset):
        raise DataFileError(f"{path}: {dataset.name} holds {dataset.dtype}, expected real numbers as {what}.")
    if dataset.ndim == 1 or (dataset.ndim == 2 and dataset.shape[1] == 1):
        return np.asarray(dataset[()], dtype=np.float64).ravel()
    hdf5.check_images(path, dataset, (2, 3))
    return hdf5.Hdf5Array(dataset)


def _beam(path: Path, energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the beam spectrum of a text file: (N,) one per image as they are in the file, or at the energies."""
    table = read_table(path)
    if table.values.shape[1] == 1:
        beam_only: NDArray[np.float64] = table.values[:, 0]
        return beam_only
    order = np.argsort(table.values[:, 0], kind="stable")
    at, beam = table.values[order, 0], table.values[order, 1]
    at = to_ev(at, str(path), None, path.name).values
    outside = energy[(energy < at[0] - 1e-3) | (energy > at[-1] + 1e-3)]
    if outside.size:
        raise InputError(
            f"{path} covers {at[0]:.2f} to {at[-1]:.2f} eV, but {outside.size} of the {energy.size} energies lie "
            f"outside, {outside[0]:.2f} to {outside[-1]:.2f} eV; give a beam spectrum of the whole scan."
        )
    at_energies: NDArray[np.float64] = np.interp(energy, at, beam)
    return at_energies


def _check_shape(opened: Opened, found: Calibration, what: str) -> None:
    shape, image = tuple(found.data.shape), tuple(opened.data.shape[1:])
    if len(shape) == 1:
        return
    if shape[-2:] != image[-2:] or len(image) != 2 or len(shape) > 3:
        raise InputError(
            f"the {what} {found.given} has shape {shape} but the images of {opened.name} have {image}; "
            f"give a {what} of the same shape."
        )
