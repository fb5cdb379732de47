"""Which axis of a dataset is energy: as declared, as MATLAB writes, else the first one that has an energy for each image."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.hdf5_energy import named_energies
from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry, texts_of
from napari_xanes._core.io.lengths import LENGTHS
from napari_xanes._core.io.nexus import axis_entry, axis_letter, declared_axes, is_energy_name
from napari_xanes._core.io.permuted import as_long, order_of
from napari_xanes._core.io.plausible import energy_unit_of

NOT_ENERGY = ("channel", "channels", "mca", "element", "elements", "bin", "q", "two_theta")


@dataclass(eq=False)
class Axes:
    """Order of the stored axes, energy first; the values of the energy axis, if they are declared."""

    order: tuple[int, ...]
    energy: TreeEntry | None = None
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
    named = {e.size for e in named_energies(tree, images)}
    if shape[full[0]] not in named:
        others = [i for i in full if shape[i] in named]
        if len(others) == 1:
            order = (others[0], *(i for i in full if i != others[0]))
            said = (
                f"axis {others[0]} of {images.name} {shape} was taken for energy because only its length is that of the "
                "energies; if not, say which is with axis="
            )
            return Axes(order, warnings=[said])
    if shape[full[0]] in named:
        return Axes(full, warnings=as_long(shape, full[0], images.name))
    return Axes(full)


def _without_leading(shape: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Return the axes without leading ones of length 1, `least` of them at least."""
    first = 0
    while len(shape) - first > least and shape[first] == 1:
        first += 1
    return tuple(range(first, len(shape)))


def _from_names(tree: Tree, images: TreeEntry, names: list[str]) -> Axes:
    shape = images.shape or ()
    found = [i for i, name in enumerate(names) if _is_energy_axis(tree, images, name)]
    if not found:
        found = [
            i
            for i, name in enumerate(names)
            if not axis_letter(name) and shape[i] > 1 and name.lower() not in NOT_ENERGY
        ]
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
    return Axes((found[0], *rest), axis_entry(tree, images, names[found[0]]))


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
    return Axes(order, warnings=[f"{images.name} was written by MATLAB, so its axes were turned round"])


STEPS = "the steps of the axes of the images"


def spacing_um(tree: Tree, images: TreeEntry) -> tuple[float | None, str]:
    """Return the size of a pixel from the declared axes of an image, if they have a unit of length, and how it is known.

    Files of the definition NXstxm have axes in micrometres also where they do not say so.
    """
    names = declared_axes(tree, images) or []
    for name in names:
        entry = axis_entry(tree, images, name)
        if axis_letter(name) != "x" or entry is None or not entry.is_list or entry.size < 2:
            continue
        factor, why = LENGTHS.get(entry.units.lower()), STEPS
        if not entry.units and _is_nxstxm(tree, images):
            factor, why = 1.0, f"{STEPS}, taken for micrometres as NXstxm has them, for they have no unit"
        values = entry.numbers()
        step = abs(values[-1] - values[0]) / (values.size - 1)
        if factor is not None and step > 0:
            return round(float(step * factor), 9), why
    return None, STEPS


def _is_nxstxm(tree: Tree, images: TreeEntry) -> bool:
    """Whether the entry of the images is of the definition NXstxm."""
    entry = tree.entries.get(f"/{images.top}/definition")
    return entry is not None and entry.dtype.kind in "OS" and "NXstxm" in texts_of(entry.read())
