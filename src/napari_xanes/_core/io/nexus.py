"""Which dataset of an HDF5 or NeXus file holds the images, and which the energies, flats and darks.

Files differ in names and nesting, so datasets are told by their shapes first and by their names where shapes
do not decide.  What cannot be decided is asked of the user, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.hdf5 import check_images, datasets, describe, is_numeric, named_dataset

IMAGES = re.compile(r"img_?xanes|xanes_?img|img|images?|data|stack|counts?", re.IGNORECASE)
FLAT = re.compile(r".*(img_?bkg|flat|white|bkg|open_?beam).*", re.IGNORECASE)
DARK = re.compile(r".*dark.*", re.IGNORECASE)
ENERGY = re.compile(r".*(energ|x_?eng|(^|_)eng($|_)|photon|(^|_)k?ev($|_)).*", re.IGNORECASE)
PIXEL_SIZE = re.compile(r".*pi?xe?l.?size.*", re.IGNORECASE)


def find_images(
    path: Path,
    file: h5py.File,
    name: str | None,
    ndims: tuple[int, ...] = (3, 4),
    others: Sequence[str] = (),
) -> h5py.Dataset:
    """Return the dataset of images, named or found; it is none of the `others`.

    Raises
    ------
    DataFileError
        If there is none, or several could be meant.
    """
    if name is not None:
        dataset = named_dataset(file, name)
        if dataset is None:
            raise DataFileError(f"{path} has no dataset {name}; it holds {describe(file)}.")
        check_images(path, dataset, ndims)
        return dataset
    found = [d for d in datasets(file).values() if is_numeric(d) and d.ndim in ndims and d.shape[0] > 0]
    known = [named_dataset(file, other) for other in others]
    found = [d for d in found if d not in known]
    found = [d for d in found if not (FLAT.match(_leaf(d)) or DARK.match(_leaf(d)))] or found
    if len(found) > 1:
        found = _likeliest(file, found)
    if not found:
        raise _no_images(path, file, ndims)
    if len(found) > 1:
        listed = ", ".join(f"{d.name} {tuple(d.shape)}" for d in found[:6])
        raise DataFileError(f"{path} holds several stacks: {listed}; name one with images=.")
    check_images(path, found[0], ndims)
    return found[0]


def _no_images(path: Path, file: h5py.File, ndims: tuple[int, ...]) -> DataFileError:
    odd = [d for d in datasets(file).values() if d.shape is not None and d.ndim in ndims]
    if odd:
        return DataFileError(
            f"{path}: {odd[0].name} holds values of type {odd[0].dtype}, expected real numbers."
        )
    wanted = "an image or volume" if 2 in ndims else "a stack (energy, y, x)"
    return DataFileError(f"{path} holds no {wanted.split(' ', 1)[1]}; it holds {describe(file)}.")


def _leaf(dataset: h5py.Dataset) -> str:
    return str(dataset.name).rsplit("/", 1)[-1]


def _parent(dataset: h5py.Dataset) -> str:
    return str(dataset.name).rsplit("/", 1)[0]


def _attrs(dataset: h5py.Dataset) -> Any:
    """Return the attributes of the group of a dataset."""
    group = dataset.file.get(_parent(dataset) or "/")  # None where a link leads into another file
    return {} if group is None else group.attrs


def _likeliest(file: h5py.File, found: list[h5py.Dataset]) -> list[h5py.Dataset]:
    """Narrow candidates: those with an energy for every image, then FXI's name, then a usual name."""
    lengths = {_length(d) for d in datasets(file).values() if is_numeric(d) and _is_list(d)}
    rules: tuple[Callable[[h5py.Dataset], bool], ...] = (
        lambda d: d.shape[0] in lengths,
        lambda d: _leaf(d).lower() == "img_xanes",
        lambda d: _attrs(d).get("signal") in (_leaf(d), _leaf(d).encode()),
        lambda d: IMAGES.fullmatch(_leaf(d)) is not None,
    )
    for rule in rules:
        narrower = [d for d in found if rule(d)]
        if len(narrower) == 1:
            return narrower
        found = narrower or found
    return found


def _is_list(dataset: h5py.Dataset) -> bool:
    return dataset.ndim == 1 or (dataset.ndim == 2 and 1 in dataset.shape)


def _length(dataset: h5py.Dataset) -> int:
    return prod(dataset.shape)


def find_energy(path: Path, file: h5py.File, images: h5py.Dataset) -> h5py.Dataset | None:
    """Return the dataset of energies that belongs to the images; None if there is none.

    Raises
    ------
    DataFileError
        If several could be meant and they differ, or those that are named like energies have a wrong length.
    """
    lists = [d for d in datasets(file).values() if is_numeric(d) and _is_list(d) and _length(d) > 0]
    named = [d for d in lists if ENERGY.match(_leaf(d)) or ENERGY.match(_parent(d).rsplit("/", 1)[-1])]
    fitting = [d for d in named if _length(d) == images.shape[0]]
    if not fitting and named:
        d = named[0]
        raise DataFileError(
            f"{path}: {d.name} holds {_length(d)} energies but {images.name} holds {images.shape[0]} images; "
            "there must be one energy per image, name the right dataset or file with energy=."
        )
    if not fitting:
        fitting = [d for d in lists if _length(d) == images.shape[0] and _could_be_energy(d)]
    near = [d for d in fitting if _parent(d) == _parent(images)]
    for choice in (fitting, [d for d in fitting if ENERGY.match(_leaf(d))], near):
        if choice and all(_same_values(d, choice[0]) for d in choice):
            return choice[0]
    if fitting:
        raise DataFileError(
            f"{path}: the energies could be {', '.join(d.name for d in fitting[:6])}; name one with energy=."
        )
    return None


def _same_values(one: h5py.Dataset, two: h5py.Dataset) -> bool:
    return one == two or np.array_equal(np.ravel(one[()]), np.ravel(two[()]), equal_nan=True)


def _could_be_energy(dataset: h5py.Dataset) -> bool:
    values = np.ravel(dataset[()]).astype(np.float64)
    if not (np.isfinite(values).all() and (values > 0).all()) or dataset.dtype.kind != "f":
        return False
    return bool(values.max() < 20 * values.min() and np.unique(values).size > values.size / 2)


def find_calibration(file: h5py.File, images: h5py.Dataset, pattern: re.Pattern[str]) -> h5py.Dataset | None:
    """Return the flats or darks that fit the images, told by name; the nearest to the images if there are several."""
    found = [
        d
        for d in datasets(file).values()
        if pattern.match(_leaf(d)) and is_numeric(d) and d.ndim in (2, 3) and d != images and 0 not in d.shape
    ]
    found = [d for d in found if _parent(d) == _parent(images)] or found
    exact = [d for d in found if re.fullmatch(r"img_(bkg|dark)|flats?|darks?", _leaf(d), re.IGNORECASE)]
    return (exact or found or [None])[0]


_SIZE = re.compile(r"([\d.eE+-]+)\s*(nm|um|µm|μm|mm|m)?")
_UM = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "m": 1e6}


def pixel_size(file: h5py.File, images: h5py.Dataset) -> float | None:
    """Return the pixel size in micrometres if a dataset or attribute states it with its unit."""
    for attrs in (images.attrs, _attrs(images), file.attrs):
        for name, value in attrs.items():
            if PIXEL_SIZE.fullmatch(name) and (size := _size(value, name)) is not None:
                return size
    for dataset in datasets(file).values():
        if PIXEL_SIZE.fullmatch(_leaf(dataset)) and dataset.shape is not None and prod(dataset.shape) == 1:
            unit = dataset.attrs.get("units", _leaf(dataset))
            if (size := _size(np.ravel(dataset[()])[0], _text(unit))) is not None:
                return size
    return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _size(value: Any, where: str) -> float | None:
    """Read "20.0nm", or a number whose unit stands in `where` ("pixel_size_um", "nm")."""
    match = _SIZE.fullmatch(_text(np.ravel(value)[0]).strip())
    unit = match[2] if match else None
    if unit is None and (named := re.search(r"(?:^|[_ (\[])(nm|um|µm|μm|mm|m)[)\]]?$", where)):
        unit = named[1]
    if match is None or unit is None:
        return None
    try:
        size = float(match[1]) * _UM[unit]
    except ValueError:
        return None
    return size if np.isfinite(size) and size > 0 else None
