"""Open an HDF5 file as a scan: its images, energies, flats, darks and pixel size put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.lazy import AnyArray, LazyArray, gathered
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io import hdf5, hdf5_energy, nexus
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.hdf5_axes import Axes, image_axes
from napari_xanes._core.io.hdf5_energy import entry_energies, of_same_scan
from napari_xanes._core.io.hdf5_sources import check_sources
from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry
from napari_xanes._core.io.names import DARK_DATASET, FLAT_DATASET
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.packing import packing_of
from napari_xanes._core.io.permuted import permuted
from napari_xanes._core.io.pixel_size import pixel_size

SAMPLE, IS_FLAT, IS_DARK = 0, 1, 2
"""Values of NeXus' `image_key`; 3 is an invalid frame."""


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open a stack, or one image or volume of a series."""
    with Tree(path) as tree:
        chosen = nexus.choose_images(tree, wanted.images, wanted.others, single=wanted.one_of_many)
        opened = _open_one(tree, chosen, wanted) if wanted.one_of_many else _open_stack(tree, chosen, wanted)
        opened.holds = tree.describe()
        left = tree.said_of_left_out()
        opened.warnings += [left] if left else []
    return opened


def _open_stack(tree: Tree, chosen: nexus.Chosen, wanted: Wanted) -> Opened:
    images = chosen.entry
    axes = image_axes(tree, images, wanted.axis)
    opened = _opened(tree, images, axes.order, [*chosen.warnings, *axes.warnings])
    _add_energies(tree, images, axes, wanted, opened)
    if len(axes.order) == 3:
        _add_calibrations(tree, images, wanted, opened)
    key = _image_key(tree, images, axes)
    if key is not None:
        return _by_key(opened, key)
    opened.undeclared = None if axes.declared else images.shape
    return opened


def _opened(tree: Tree, images: TreeEntry, order: Sequence[int], warnings: list[str]) -> Opened:
    shape = images.shape or ()
    if len(order) == 4 and shape[order[-1]] in (3, 4):
        raise DataFileError(f"{tree.path}: {images.name} {shape} holds colour images, expected grey ones.")
    data = permuted(_array(tree, images, warnings), order)
    opened = Opened(data, tree.path.stem, [tree.path], str(tree.path), images.name, warnings=warnings)
    size = pixel_size(tree, images)
    opened.pixel_size_um, opened.pixel_size_why = size.um, size.why
    opened.warnings += [size.said] if size.said else []
    return opened


def _array(tree: Tree, entry: TreeEntry, warnings: list[str]) -> hdf5.Hdf5Array:
    check_sources(tree.path, entry.dataset)
    hdf5.check_images(tree.path, entry.dataset, entry.name)
    packing = packing_of(entry.dtype, entry.attrs)
    if packing is not None:
        warnings.append(f"{entry.name}: {packing.said}")
    return hdf5.Hdf5Array(tree.path, entry.dataset, entry.name, packing)


def _add_energies(tree: Tree, images: TreeEntry, axes: Axes, wanted: Wanted, opened: Opened) -> None:
    if wanted.energy is not None:
        entry = tree.named(wanted.energy)
        opened.energy = None if entry is None else entry_energies(entry, "as named")
        return
    if axes.energy is not None and axes.energy.is_list and axes.energy.size == opened.data.shape[0]:
        opened.energy = entry_energies(axes.energy, f"declared as an axis of {images.name}")
        return
    found = hdf5_energy.find_energy(tree, images, opened.data.shape[0])
    opened.energy, opened.proposed, opened.fault = found.found, found.proposed, found.fault
    opened.warnings += [found.said] if found.said else []


# -- flats and darks ----------------------------------------------------------------------------------


def _add_calibrations(tree: Tree, images: TreeEntry, wanted: Wanted, opened: Opened) -> None:
    """Add the flats and darks that are named, or those found beside the images."""
    opened.flat = _calibration(tree, images, FLAT_DATASET, wanted.flat, opened)
    opened.dark = _calibration(tree, images, DARK_DATASET, wanted.dark, opened)


def _calibration(
    tree: Tree, images: TreeEntry, pattern: re.Pattern[str], name: str | None, opened: Opened
) -> tuple[ArrayLike, str] | None:
    found = _found_calibration(tree, images, pattern, opened) if name is None else tree.named(name)
    return None if found is None else (calibration_array(tree, found, opened.warnings), found.name)


def calibration_array(tree: Tree, entry: TreeEntry, warnings: list[str]) -> ArrayLike:
    """Return a dataset as flats or darks: images, or one number per image.

    Raises
    ------
    DataFileError
        If it is neither.
    """
    if not entry.is_numeric or not entry.size:
        raise DataFileError(f"{tree.path}: {entry.name} holds {entry.dtype}, expected real numbers.")
    if entry.ndim == 1 or (entry.ndim == 2 and (entry.shape or (0, 0))[1] == 1):
        return entry.numbers()
    if entry.ndim not in (2, 3):
        raise DataFileError(
            f"{tree.path}: {entry.name} has shape {entry.shape}, expected an image or several."
        )
    return _array(tree, entry, warnings)


def _found_calibration(
    tree: Tree, images: TreeEntry, pattern: re.Pattern[str], opened: Opened
) -> TreeEntry | None:
    """Return the flats or darks told by name, of the same scan; the nearest to the images if there are several."""
    everywhere = [
        e
        for e in tree.numeric()
        if pattern.match(e.leaf) and e.ndim in (2, 3) and e.name != images.name and 0 not in (e.shape or (0,))
    ]
    found = [e for e in everywhere if of_same_scan(tree, e, images)]
    if everywhere and not found:
        opened.warnings.append(
            f"{everywhere[0].name} belongs to another scan of the file and is not used; name it if it is meant"
        )
    found = [e for e in found if e.parent == images.parent] or found
    exact = [e for e in found if re.fullmatch(r"img_(bkg|dark)|flats?|darks?", e.leaf, re.IGNORECASE)]
    chosen = exact or found
    others = [
        e for e in found if e is not chosen[0] and e.shape and e.shape[-2:] == (chosen[0].shape or ())[-2:]
    ]
    if others:
        listed = ", ".join(e.name for e in others[:3]) + (", ..." if len(others) > 3 else "")
        what = "flat" if pattern is FLAT_DATASET else "dark"
        opened.warnings.append(
            f"{chosen[0].name} was taken for the {what}s; there are also {listed}: choose with {what}="
        )
    return next(iter(chosen), None)


# -- frames told by a key -----------------------------------------------------------------------------


def _image_key(tree: Tree, images: TreeEntry, axes: Axes) -> NDArray[np.int64] | None:
    """Return what each frame is, where the file has such a list."""
    count = (images.shape or (0,))[axes.order[0]]
    keys = [
        e
        for e in tree.numeric()
        if e.leaf == "image_key" and e.is_list and e.size == count and of_same_scan(tree, e, images)
    ]
    near = [e for e in keys if e.parent == images.parent] or keys
    return near[0].numbers().astype(np.int64) if near else None


def _by_key(opened: Opened, key: NDArray[np.int64]) -> Opened:
    """Return the frames of the sample, and those without it as flats and darks."""
    frames = {what: [(int(i),) for i in np.flatnonzero(key == what)] for what in (SAMPLE, IS_FLAT, IS_DARK)}
    if not frames[SAMPLE]:
        raise DataFileError(
            f"{opened.name}: image_key says that no frame shows the sample; name other images with images=."
        )
    every = opened.data
    sample = np.flatnonzero(key == SAMPLE)
    if frames[IS_FLAT] and opened.flat is None:
        opened.flat = _keyed_flats(opened, key)
    if frames[IS_DARK] and opened.dark is None:
        opened.dark = (gathered(every, frames[IS_DARK], counts=True), f"{opened.images}, image_key 2")
    opened.data = gathered(every, frames[SAMPLE])
    opened.energy, opened.proposed = _subset(opened.energy, sample), _subset(opened.proposed, sample)
    opened.warnings.append(
        f"image_key: {len(frames[SAMPLE])} frames of the sample, {len(frames[IS_FLAT])} flats, {len(frames[IS_DARK])} "
        f"darks, {int((key == 3).sum())} invalid"
    )
    return opened


def _keyed_flats(opened: Opened, key: NDArray[np.int64]) -> tuple[ArrayLike, str]:
    """Return the flats: for each frame those of its energy where all energies have some, else all of them."""
    every, flats = opened.data, np.flatnonzero(key == IS_FLAT)
    name = f"{opened.images}, image_key 1"
    if opened.energy is not None and opened.energy.values.size == key.size:
        energy = opened.energy.values
        own = [
            tuple(int(j) for j in flats if abs(energy[j] - energy[i]) <= 1e-6 * energy[i])
            for i in np.flatnonzero(key == SAMPLE)
        ]
        if all(own):
            return gathered(every, own, counts=True), name
    return gathered(every, [(int(i),) for i in flats]), name


def _subset(found: EnergyList | None, chosen: NDArray[np.intp]) -> EnergyList | None:
    """Return the energies of some frames; a list that has only those already stays."""
    if found is None or found.values.size == chosen.size:
        return found
    return replace(found, values=found.values[chosen])


# -- one file of a series -----------------------------------------------------------------------------


def _open_one(tree: Tree, chosen: nexus.Chosen, wanted: Wanted) -> Opened:
    """Open one image or volume: leading axes of length 1 are no axes."""
    images = chosen.entry
    shape = images.shape or ()
    first = 0
    while len(shape) - first > 2 and shape[first] == 1:
        first += 1
    opened = _opened(tree, images, tuple(range(len(shape))), list(chosen.warnings))
    opened.data = as_frame(opened.data, first)
    opened.energy = hdf5_energy.find_one_energy(tree, images, wanted.energy)
    if opened.data.ndim == 3:
        _add_calibrations(tree, images, wanted, opened)
    return opened


def as_frame(data: ArrayLike, first: int) -> ArrayLike:
    """Return an image or volume as one frame; `first` is its first axis."""
    if first == 1:
        return data
    return permuted(data, (first - 1, *range(first, data.ndim))) if first else OneFrame(data)


class OneFrame(LazyArray):
    """An image or volume as a stack of one frame."""

    def __init__(self, source: ArrayLike) -> None:
        chunks = getattr(source, "chunks", None)
        cheap = chunks is None or chunks[0] * 8 <= source.shape[0]
        super().__init__((1, *source.shape), source.dtype, cheap_rows=bool(cheap))
        self.pieces = (1, 1 if chunks is None else int(chunks[0]))
        self.source = source

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of the image, or planes of the volume."""
        return np.asarray(self.source[rows])
