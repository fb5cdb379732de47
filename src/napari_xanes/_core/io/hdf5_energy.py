"""Where the energies of a stack stand in its HDF5 file: declared as an axis, named, or only proposed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.energies import MOST_ENERGIES, EnergyList
from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry, text_of
from napari_xanes._core.io.plausible import ENERGY_NAME, OTHER_NAME, could_be_scan, energy_unit_of
from napari_xanes._core.io.units import HC_EV_ANGSTROM, JOULES_PER_EV, WAVELENGTHS
from napari_xanes._core.io.written import energies_of

SOURCE = re.compile(
    r"(^|/)(source|ring|storage_?ring|machine|accelerator|undulator|beam_?current)(/|$)", re.IGNORECASE
)
"""Groups whose energies are those of electrons."""
SOURCE_NAME = re.compile(
    r".*(ring|storage|source|machine|accelerator|undulator|electron)_?energy.*", re.IGNORECASE
)
"""Names of such energies."""
NO_ENERGY = re.compile(
    r".*(step|shift|offset|resol|err|sigma|width|bandw|index|mode|unit|name|range|start|stop|min|max|loss|kinetic|"
    r"binding|threshold|pass_?energy|emission|fermi).*",
    re.IGNORECASE,
)
EXACT = re.compile(r"energy|energies|photon_?energy|x_eng|eng_list", re.IGNORECASE)
ANGLE = re.compile(r".*(bragg|theta|mono|angle).*", re.IGNORECASE)
JOULES = (1e-18, 1e-13)
"""CXI files hold energies in joules."""


@dataclass(eq=False)
class FoundEnergies:
    """What was found: energies, or a proposal that a text file beside the scan goes before, or why there are none."""

    found: EnergyList | None = None
    proposed: EnergyList | None = None
    fault: DataFileError | None = None
    said: str = ""


def entry_energies(entry: TreeEntry, why: str) -> EnergyList:
    """Return the energies of a dataset.

    Raises
    ------
    DataFileError
        If it does not hold one number per image.
    """
    path = entry.tree.path
    if not _holds_numbers(entry) or not 0 < entry.size <= MOST_ENERGIES:
        held = str(entry.dtype) if entry.shape is None else f"{entry.shape} of {entry.dtype}"
        raise DataFileError(f"{path}: {entry.name} holds {held}, expected one number per image.")
    if entry.ndim > 1 and entry.size != max(entry.shape or (0,)):
        raise DataFileError(f"{path}: {entry.name} has shape {entry.shape}, expected one energy per image.")
    label, hint = f"{path.name}:{entry.name}", f"{entry.units} {entry.name}"
    if (unit := energy_unit_of(entry.units)) is None:
        raise DataFileError(
            f"{path}: {entry.name} is in {entry.units}, and not in eV, keV or J; give energies in one of them with energy=."
        )
    values = entry.numbers()
    if unit == "J" or (not unit and ((values > JOULES[0]) & (values < JOULES[1])).all()):
        values, unit, hint = values / JOULES_PER_EV, "eV", "eV"
    return EnergyList(values, label, hint, entry.name, why, unit)


def _holds_numbers(entry: TreeEntry) -> bool:
    """Whether a dataset holds real numbers, or texts that are energies."""
    return entry.is_numeric or entry.written is not None


def _energy_texts(tree: Tree) -> list[TreeEntry]:
    """Return the datasets of texts that are named energies."""
    return [
        e for e in tree.entries.values() if e.dtype.kind in "OS" and ENERGY_NAME.match(e.leaf) and e.size > 0
    ]


def of_same_scan(tree: Tree, entry: TreeEntry, images: TreeEntry) -> bool:
    """Whether a dataset lies in the scan of the images: not in another entry, nor with other images."""
    if entry.top == images.top or not entry.top:
        return True
    if images.top and tree.nx_class(f"/{images.top}") == tree.nx_class(f"/{entry.top}") == "NXentry":
        return False
    size = len([n for n in images.shape or () if n > 1])
    stacks = [
        e for e in tree.numeric() if e.top == entry.top and len([n for n in e.shape or () if n > 1]) >= size
    ]
    return not (images.top and any(e.shape == images.shape for e in stacks) and _has_own(tree, images, entry))


def _has_own(tree: Tree, images: TreeEntry, other: TreeEntry) -> bool:
    """Whether two top groups are alike, as those of two scans: they share parts of their names or of their contents."""
    one = {e.name.split("/", 2)[2] for e in tree.entries.values() if e.top == images.top and e.top}
    two = {e.name.split("/", 2)[2] for e in tree.entries.values() if e.top == other.top and e.top}
    return bool(one & two)


def named_energies(tree: Tree, images: TreeEntry) -> list[TreeEntry]:
    """Return the lists of the scan that are named energies, or have a unit of energies."""
    lists = [e for e in tree.numeric() if e.is_list and e.name != images.name and is_energy(e)]
    lists += [e for e in _energy_texts(tree) if e.is_list and is_energy(e)]
    return [e for e in lists if of_same_scan(tree, e, images)]  # looks through all of the file, so last


def is_energy(entry: TreeEntry) -> bool:
    """Whether name and unit of a dataset are those of photon energies."""
    unit = energy_unit_of(entry.units)
    if unit is None or SOURCE.search(entry.parent) or NO_ENERGY.match(entry.leaf):
        return False
    if SOURCE_NAME.match(entry.leaf):
        return False
    group = entry.parent.rsplit("/", 1)[-1]
    if ENERGY_NAME.match(entry.leaf):
        return True
    return bool(unit) or (not OTHER_NAME.search(entry.leaf) and bool(ENERGY_NAME.match(group)))


def find_energy(tree: Tree, images: TreeEntry, count: int) -> FoundEnergies:
    """Return the energies of a stack of `count` images, those named so before those that only could be."""
    named = named_energies(tree, images)
    fitting = [e for e in named if e.size == count]
    if fitting:
        return _chosen(tree, images, fitting)
    result = FoundEnergies()
    if (attached := attached_energies(tree, images, (count, *(images.shape or ())))) is not None:
        result.found = attached
        return result
    if named:
        e = named[0]
        result.fault = DataFileError(
            f"{tree.path}: {e.name} holds {e.size} energies but {images.name} holds {count} images; "
            "there must be one energy per image, name the right dataset or file with energy=, or say with axis= "
            "which axis of the images is energy."
        )
    for e in (e for e in _energy_texts(tree) if e.size == count > 1 and e.written is None):
        result.fault = DataFileError(
            f"{tree.path}: {e.name} holds texts such as '{text_of(e.part(slice(1)))[:40]}', expected numbers in one unit; give the "
            "energies with energy=."
        )
    lists = [e for e in tree.numeric() if e.is_list and e.size == count and of_same_scan(tree, e, images)]
    return _proposal(tree, lists, result)


def _chosen(tree: Tree, images: TreeEntry, fitting: Sequence[TreeEntry]) -> FoundEnergies:
    near = [e for e in fitting if e.parent == images.parent]
    for choice in (
        fitting,
        [e for e in fitting if ENERGY_NAME.match(e.leaf)],
        near,
        [e for e in near if EXACT.fullmatch(e.leaf)],
    ):
        if choice and all(_same_values(e, choice[0]) for e in choice):
            declared = energy_unit_of(choice[0].units)
            why = f"recognised by name, unit {declared} as declared" if declared else "recognised by name"
            return FoundEnergies(entry_energies(choice[0], why), said=_others(choice[0], fitting))
    listed = ", ".join(e.name for e in fitting[:6])
    return FoundEnergies(
        fault=DataFileError(f"{tree.path}: the energies could be {listed}; name one with energy=.")
    )


def _others(taken: TreeEntry, fitting: Sequence[TreeEntry]) -> str:
    """Return a sentence on lists that are named energies too, but differ, whatever their unit."""
    values = taken.numbers()
    differ = [
        e.name
        for e in fitting
        if not any(np.allclose(e.numbers() * factor, values, rtol=1e-7) for factor in (1.0, 1e3, 1e-3))
    ]
    if not differ:
        return ""
    return f"the energies are those of {taken.name}; {', '.join(differ[:4])} differ from them: choose with energy="


def attached_energies(tree: Tree, images: TreeEntry, counts: Sequence[int]) -> EnergyList | None:
    """Return energies that are an attribute of the images or of a group that holds them, as many as one of `counts`."""
    places = [(images.name, images.attrs)]
    parts = images.name.split("/")[:-1]
    places += [
        (group or "/", tree.attrs(group)) for group in ("/".join(parts[:n]) for n in range(len(parts), 0, -1))
    ]
    for place, attrs in places:
        for name, value in attrs.items():
            values, unit = np.ravel(np.asarray(value)), ""
            if not (ENERGY_NAME.match(name) and values.size in counts):
                continue
            if values.dtype.kind in "OSU" and (texts := energies_of([text_of(one) for one in values])):
                values, unit = texts
            if values.dtype.kind not in "iuf":
                continue
            if not (NO_ENERGY.match(name) or SOURCE_NAME.match(name) or SOURCE.search(place)):
                label = f"{tree.path.name}:{place}, attribute {name}"
                return EnergyList(
                    values.astype(np.float64), label, name, None, "an attribute, recognised by name", unit
                )
    return None


def _same_values(one: TreeEntry, two: TreeEntry) -> bool:
    return one is two or np.array_equal(one.numbers(), two.numbers(), equal_nan=True)


def _proposal(tree: Tree, lists: Sequence[TreeEntry], result: FoundEnergies) -> FoundEnergies:
    """Add what only could be energies: angles of a known crystal, or numbers without name or unit over an edge."""
    for entry in lists:
        if (converted := _from_angle(tree, entry) or _from_wavelength(tree, entry)) is not None:
            result.proposed, result.fault = converted, None
            return result
    plain = [
        e
        for e in lists
        if e.dtype.kind == "f"
        and not e.units
        and not OTHER_NAME.search(e.leaf)
        and not NO_ENERGY.match(e.leaf)
    ]
    likely = [e for e in plain if not SOURCE.search(e.parent) and could_be_scan(e.numbers())]
    if not likely:
        if lists and result.fault is None:
            result.fault = _which_list(tree, lists)
        return result
    if not all(_same_values(e, likely[0]) for e in likely):
        listed = ", ".join(e.name for e in likely[:6])
        result.fault = DataFileError(f"{tree.path}: the energies could be {listed}; name one with energy=.")
        return result
    result.proposed = entry_energies(
        likely[0], "proposed: not named energies, but in order over an absorption edge"
    )
    return result


def _which_list(tree: Tree, lists: Sequence[TreeEntry]) -> DataFileError:
    """Return the question which of the lists that are as long as the images holds energies."""
    listed = ", ".join(
        f"{e.name} ({e.numbers()[0]:g} to {e.numbers()[-1]:g}{' ' * bool(e.units)}{e.units})"
        for e in lists[:4]
    )
    return DataFileError(
        f"no energies were found for {tree.path.stem}, neither by name or unit in the file nor in a text file beside it with "
        f"'energ' in its name; as long as the images are {listed}{', ...' if len(lists) > 4 else ''}: name one with energy= "
        "if it holds energies, else give a file or start:stop:step."
    )


def _from_wavelength(tree: Tree, entry: TreeEntry) -> EnergyList | None:
    """Return energies from wavelengths in a unit of length."""
    factor = WAVELENGTHS.get(entry.units.lower())
    if factor is None or ("lambda" not in entry.leaf.lower() and "wavelength" not in entry.leaf.lower()):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        energy = HC_EV_ANGSTROM / (entry.numbers() * factor)
    if not could_be_scan(energy):
        return None
    return EnergyList(
        energy, f"{tree.path.name}:{entry.name}", "", None, "proposed: computed from wavelengths", "eV"
    )


def _from_angle(tree: Tree, entry: TreeEntry) -> EnergyList | None:
    """Return energies from Bragg angles where the spacing of the crystal stands in the file."""
    unit = entry.units.lower()
    if not ANGLE.match(entry.leaf) or not unit.startswith(("deg", "rad", "°")) or "rot" in entry.leaf.lower():
        return None
    spacings = [
        e for e in tree.numeric() if e.size == 1 and re.fullmatch(r".*d_?spacing", e.leaf, re.IGNORECASE)
    ]
    if not spacings:
        return None
    factor = {"nm": 10.0, "m": 1e10, "pm": 0.01}.get(spacings[0].units, 1.0)
    angle = entry.numbers() * (1.0 if unit.startswith("rad") else np.pi / 180)
    with np.errstate(divide="ignore", invalid="ignore"):
        energy = HC_EV_ANGSTROM / (2 * factor * float(spacings[0].numbers()[0]) * np.sin(angle))
    if not could_be_scan(energy):
        return None
    label = f"{tree.path.name}:{entry.name} and {spacings[0].name}"
    return EnergyList(energy, label, "", None, "proposed: computed from Bragg angles and the d-spacing", "eV")


def find_one_energy(tree: Tree, images: TreeEntry, name: str | None) -> EnergyList | None:
    """Return the one energy of a file of a series; None if there is none.

    Raises
    ------
    DataFileError
        If several differ.
    """
    if name is not None:
        entry = tree.named(name)
        return (
            entry_energies(entry, "as named")
            if entry is not None and entry.size == 1 and _holds_numbers(entry)
            else None
        )
    texts = [e for e in _energy_texts(tree) if e.size == 1 and e.written is not None]
    single = [e for e in (*tree.numeric(), *texts) if e.size == 1 and of_same_scan(tree, e, images)]
    found = [e for e in single if is_energy(e) and could_be_photon(e)]
    if not found:
        return attached_energies(tree, images, (1,))
    choice = [e for e in found if EXACT.fullmatch(e.leaf)] or found
    if not all(_same_values(e, choice[0]) for e in choice):
        listed = ", ".join(e.name for e in choice[:6])
        raise DataFileError(f"{tree.path}: the energy could be {listed}; name one with energy=.")
    return entry_energies(choice[0], "a number in each file, recognised by name")


def could_be_photon(entry: TreeEntry) -> bool:
    """Whether a number can be a photon energy at all."""
    value = float(entry.numbers()[0])
    most = 2e8 if energy_unit_of(entry.units) in ("meV", "mev") else 2e5
    return bool(np.isfinite(value) and 0 < value < most)
