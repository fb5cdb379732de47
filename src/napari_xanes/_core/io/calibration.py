"""Flats, darks and beam spectra of a scan: found in its file, or named by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.lazy import gathered
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io.column_formula import evaluate
from napari_xanes._core.io.column_roles import role_of
from napari_xanes._core.io.columns import energy_column
from napari_xanes._core.io.energies import unit_hint
from napari_xanes._core.io.formats import is_text, scan_format
from napari_xanes._core.io.opened import Opened, Wanted, find_file
from napari_xanes._core.io.sources import open_images
from napari_xanes._core.io.table import Table, read_table
from napari_xanes._core.io.units import to_ev

FOUND = "found with the images"
"""How the reason begins for those that nobody named."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Flats or darks, and what to pass to read them again."""

    data: ArrayLike
    given: str
    doubt: str = ""
    why: str = "as named"
    over_energy: bool = False
    """Whether they are at the energies of the stack already."""


def open_calibration(
    opened: Opened,
    given: str | Path | None,
    what: Literal["flat", "dark"],
    energy: NDArray[np.float64],
    groups: Sequence[tuple[int, ...]],
) -> Calibration | None:
    """Return the flats or darks that were named, or those found in the file of the images.

    Flats with one image per image of the scan are put in the order of the energies, as the images are.

    Parameters
    ----------
    opened : Opened
        The images.
    given : str or path or None
        Dataset, file, or "file.h5:/dataset".
    what : {"flat", "dark"}
    energy : array (E,)
        Ascending, eV; a beam spectrum over energy is interpolated to them.
    groups : sequence of tuple of int
        The images of each energy.

    Raises
    ------
    InputError
        If they do not fit the images, or a beam spectrum does not cover the energies.
    """
    in_file = opened.flat if what == "flat" else opened.dark
    if in_file is not None and (given is None or in_file[1].endswith(str(given).strip("/"))):
        why = "as named" if given is not None else f"{FOUND}, as their {what}s"
        found = Calibration(*in_file, why=why)
    elif given is not None:
        found = _named(opened, str(given), what, energy)
    else:
        return None
    _check_shape(opened, found, what)
    return found if what == "dark" else _matched(opened, found, groups)


def _matched(opened: Opened, flats: Calibration, groups: Sequence[tuple[int, ...]]) -> Calibration:
    """Return flats of every image in the order of the energies; others as they are, and that is said."""
    count, n_images = flats.data.shape[0], opened.data.shape[0]
    if flats.over_energy or flats.data.ndim == 2 or (count == 1 and flats.data.ndim == 3):
        return flats
    if count == n_images:
        return replace(flats, data=gathered(flats.data, groups, counts=True))
    if flats.data.ndim == 1:
        raise InputError(
            f"{flats.given} has {count} values but {opened.name} has {n_images} images; "
            "a beam spectrum without energies needs one value per image."
        )
    if count == len(groups):
        raise InputError(
            f"{flats.given} has {count} flats but {opened.name} has {n_images} images at {len(groups)} energies; "
            "give one flat per image, or average the flats."
        )
    doubt = f"{count} flats for {n_images} images: they are averaged to one flat for all energies"
    return replace(flats, doubt=doubt)


def _named(opened: Opened, text: str, what: str, energy: NDArray[np.float64]) -> Calibration:
    """Return flats or darks of another file."""
    path, inside = find_file(opened, text, what)
    kind = scan_format(path)
    if what == "flat" and kind is None and path.is_file() and is_text(path):
        return _beam(path, energy, inside)
    if kind is None or not kind.datasets:
        return Calibration(open_images(path, Wanted()).data, str(path))
    return _of_dataset(path, inside)


def _of_dataset(path: Path, inside: str | None) -> Calibration:
    """Return flats or darks of a dataset of another file."""
    from napari_xanes._core.io.hdf5_scan import calibration_array
    from napari_xanes._core.io.hdf5_tree import Tree
    from napari_xanes._core.io.nexus import choose_images

    warnings: list[str] = []
    with Tree(path) as tree:
        entry = tree.named(inside) if inside is not None else choose_images(tree, None, single=True).entry
        if entry is None:
            raise DataFileError(f"{path} has no dataset {inside}; it holds {tree.describe()}.")
        data = calibration_array(tree, entry, warnings)
    return Calibration(data, f"{path}:{entry.name}", "; ".join(warnings))


def _beam(path: Path, energy: NDArray[np.float64], wanted: str | None) -> Calibration:
    """Return the beam spectrum of a text file: one value per image as in the file, or over its own energies."""
    table = read_table(path)
    given = str(path) if wanted is None else f"{path}:{wanted}"
    if table.values.shape[1] == 1:
        at, beam, hint = None, table.values[:, 0], ""
    else:
        at, hint, _ = energy_column(table, str(path))
        beam = _beam_column(table, at, path, wanted)
    bad = np.flatnonzero(~(np.isfinite(beam) & (True if at is None else np.isfinite(at))))
    if bad.size:
        raise InputError(
            f"row {bad[0] + 1} of {len(table.values)} of the beam spectrum {path} is "
            f"{' '.join(map(str, table.values[bad[0], :6]))}; mend or remove it."
        )
    if at is None:
        return Calibration(beam, given)
    order = np.argsort(at, kind="stable")
    at, beam = to_ev(at[order], str(path), None, hint or unit_hint("", path)).values, beam[order]
    outside = energy[(energy < at[0] - 1e-3) | (energy > at[-1] + 1e-3)]
    if outside.size:
        raise InputError(
            f"{path} covers {at[0]:.2f} to {at[-1]:.2f} eV, but {outside.size} of the {energy.size} energies lie "
            f"outside, {outside[0]:.2f} to {outside[-1]:.2f} eV; give a beam spectrum of the whole scan."
        )
    return Calibration(np.interp(energy, at, beam), given, over_energy=True)


def _beam_column(
    table: Table, energy: NDArray[np.float64], path: Path, wanted: str | None
) -> NDArray[np.float64]:
    """Return the counts of the beam: the column that was named, the one called I0, or the only one beside the energies."""
    if wanted is not None:
        return evaluate(wanted, table, str(path))
    called = [i for i, name in enumerate(table.names) if role_of(name) == "i0"]
    others = [i for i in range(table.values.shape[1]) if not np.array_equal(table.values[:, i], energy)]
    chosen = called if called else others
    if len(chosen) != 1:
        names = table.names or tuple(f"column {i + 1}" for i in range(table.values.shape[1]))
        raise InputError(
            f"which column of {path} is the beam cannot be told ({', '.join(names[i] for i in chosen)}); name it after "
            f"the file, as in {path.name}:{names[chosen[0]] if chosen else 'I0'}."
        )
    return table.values[:, chosen[0]]


def _check_shape(opened: Opened, found: Calibration, what: str) -> None:
    if np.dtype(found.data.dtype).kind == "c":
        raise InputError(f"the {what} {found.given} holds complex numbers, expected counts; give another.")
    shape, image = tuple(found.data.shape), tuple(opened.data.shape[1:])
    if len(shape) == 1 and what == "flat":
        return
    if len(shape) < 2 or shape[-2:] != image[-2:] or len(image) != 2 or len(shape) > 3:
        raise InputError(
            f"the {what} {found.given} has shape {shape} but the images of {opened.name} have {image}; "
            f"give a {what} of the same shape."
        )
