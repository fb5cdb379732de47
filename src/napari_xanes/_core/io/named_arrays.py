"""Which of the arrays with names in a file are images and which are energies, for files that declare nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.permuted import permuted
from napari_xanes._core.io.plausible import ENERGY_NAME, OTHER_NAME, could_be_scan

Shapes = Mapping[str, tuple[int, ...]]


def choose_images(path: Path, shapes: Shapes, wanted: Wanted) -> str:
    """Return the name of the images: the one that was named, or the only array that can be a stack.

    Raises
    ------
    DataFileError
        If there is none, or several.
    """
    held = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no arrays of numbers"
    if wanted.images is not None:
        if wanted.images not in shapes:
            raise DataFileError(f"{path} has no array {wanted.images}; it holds {held}.")
        return wanted.images
    ndims = (2, 3) if wanted.one_of_many else (3, 4)
    others = {wanted.energy, wanted.flat, wanted.dark}
    fitting = [n for n, shape in shapes.items() if len(shape) in ndims and min(shape) > 0 and n not in others]
    fitting = [n for n in fitting if not OTHER_NAME.match(n)] or fitting
    if len(fitting) != 1:
        what = "several stacks" if fitting else "no stack of images"
        raise DataFileError(f"{path} holds {what} ({held}); name the images with images=.")
    return fitting[0]


def find_energies(
    path: Path, lists: Mapping[str, NDArray[np.float64]], shape: tuple[int, ...]
) -> EnergyList | None:
    """Return the list named as energies that fits an axis of the images, or the only one that can be a scan."""
    fitting = {name: values for name, values in lists.items() if values.size in shape and values.size > 1}
    named = {name: values for name, values in fitting.items() if ENERGY_NAME.match(name)}
    likely = named or {
        name: values
        for name, values in fitting.items()
        if not OTHER_NAME.match(name) and could_be_scan(values)
    }
    if len(likely) != 1:
        return None
    (name, values), why = (
        next(iter(likely.items())),
        "recognised by name" if named else "proposed: it spans an absorption edge",
    )
    return EnergyList(values, f"{path.name}:{name}", name, name, why)


def put_together(
    path: Path, data: ArrayLike, name: str | None, energy: EnergyList | None, wanted: Wanted
) -> Opened:
    """Return images and energies of a file that does not declare its axes."""
    stored = None if wanted.one_of_many or wanted.axis is not None else data.shape
    if stored is not None and data.ndim == 4 and data.shape[0] == 1:
        data = permuted(data, (1, 2, 3))
    elif stored is not None and data.ndim == 4 and data.shape[1] == 1:  # volumes of one plane are images
        data = permuted(data, (0, 2, 3))
    opened = Opened(data, path.stem, [path], str(path), name, stored)
    if wanted.energy is not None and energy is None:
        return opened
    if energy is not None and energy.why.startswith("proposed"):
        opened.proposed = energy
    else:
        opened.energy = energy
    return opened
