"""Which axis of a dataset is energy: as declared, as MATLAB writes, else the first one that has an energy for each image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.hdf5_energy import is_energy, named_energies
from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry
from napari_xanes._core.io.nexus import axis_entry, axis_letter, declared_axes, is_energy_name
from napari_xanes._core.io.permuted import only_fitting, order_of
from napari_xanes._core.io.plausible import energy_unit_of

ENERGY_FIRST = re.compile(
    r"(^|/)(img_xanes|exchange/data|SpecNormalized/spectroscopy_\w+|registered_xanes[23]D)$"
)
"""Images of definitions that have energy first: FXI, DataExchange, MISTRAL, TXM Sandbox."""
NOT_ENERGY = ("channel", "channels", "mca", "element", "elements", "bin", "q", "two_theta")


@dataclass(eq=False)
class Axes:
    """Order of the stored axes, energy first, and whether that is declared; the values of the energy axis, if they are."""

    order: tuple[int, ...]
    energy: TreeEntry | None = None
    declared: bool = True
    warnings: list[str] = field(default_factory=list)


def image_axes(tree: Tree, images: TreeEntry, axis: int | str | None) -> Axes:
    """Return which axes are energy, (z,) y and x.

    Raises
    ------
    DataFileError
        If the file declares that none of them is energy.
    InputError
        If `axis` does not fit.
    """
    shape = images.shape or ()
    if axis is not None:
        return Axes(order_of(axis, shape, images.name))
    names = declared_axes(tree, images)
    if names is not None:
        return _from_names(tree, images, names)
    if "MATLAB_class" in images.attrs:
        return _matlab(tree, images)
    full = _without_leading(shape, 3)
    if len(full) == 4 and shape[full[1]] == 1:  # volumes of one plane are images
        full = (full[0], *full[2:])
    named = {e.size for e in named_energies(tree, images)}
    if shape[full[0]] not in named:
        others = [i for i in full if shape[i] in named]
        if len(others) == 1:
            order = (others[0], *(i for i in full if i != others[0]))
            return Axes(order, None, False, [only_fitting(others[0], shape, images.name)])
    return Axes(full, None, ENERGY_FIRST.search(images.name) is not None)


def _without_leading(shape: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Return the axes without leading ones of length 1, `least` of them at least."""
    first = 0
    while len(shape) - first > least and shape[first] == 1:
        first += 1
    return tuple(range(first, len(shape)))


def _from_names(tree: Tree, images: TreeEntry, names: list[str]) -> Axes:
    shape = images.shape or ()
    energy = {
        i: axis_entry(tree, images, name)
        for i, name in enumerate(names)
        if _is_energy_axis(tree, images, name)
    }
    energy = energy or _of_indices(tree, images)
    found = list(energy) or _only_other(names, shape)
    if len(found) != 1:
        raise DataFileError(
            f"{tree.path}: the axes of {images.name} {shape} are declared as {', '.join(n or 'unnamed' for n in names)}, "
            "and it is not clear which of them is energy; say so with axis=."
        )
    rest = [i for i in range(len(names)) if i != found[0]]
    if len(rest) > 2:
        rest = [i for i in rest if shape[i] > 1]
    if len({axis_letter(names[i]) for i in rest} - {""}) == len(rest):
        rest.sort(key=lambda i: "zyx".index(axis_letter(names[i])))
    return Axes((found[0], *rest), energy.get(found[0]))


def _of_indices(tree: Tree, images: TreeEntry) -> dict[int, TreeEntry | None]:
    """Return the axis that energies belong to by the attribute `energy_indices` of their group, or the like."""
    found: dict[int, TreeEntry | None] = {}
    for key, value in tree.attrs(images.parent).items():
        entry = axis_entry(tree, images, key.removesuffix("_indices"))
        if key.endswith("_indices") and entry is not None and is_energy(entry) and np.size(value) == 1:
            found[int(np.ravel(value)[0])] = entry
    return found if len(found) == 1 else {}


def _only_other(names: Sequence[str], shape: Sequence[int]) -> list[int]:
    """Return the axes that are neither of space nor known to be something else; those with a name, if there are any."""
    others = [
        i
        for i, name in enumerate(names)
        if not axis_letter(name) and shape[i] > 1 and name.lower() not in NOT_ENERGY
    ]
    named = [i for i in others if names[i]]
    return named if len(named) == 1 else others


def _is_energy_axis(tree: Tree, images: TreeEntry, name: str) -> bool:
    entry = axis_entry(tree, images, name)
    if entry is not None and energy_unit_of(entry.units) is None:
        return False
    return is_energy_name(name) or (entry is not None and bool(energy_unit_of(entry.units)))


def _matlab(tree: Tree, images: TreeEntry) -> Axes:
    """Return the axes of an array that MATLAB wrote: all in the reverse order, energy mostly the last of MATLAB's."""
    shape = images.shape or ()
    full = _without_leading(shape, 3)
    named = {e.size for e in named_energies(tree, images)}
    fitting = [i for i in full if shape[i] in named] or [full[0]]
    energy = full[0] if full[0] in fitting else fitting[-1]
    order = (energy, *(i for i in reversed(full) if i != energy))
    said = f"{images.name} was written by MATLAB, so its axes were turned round"
    return Axes(order, None, False, [said])
