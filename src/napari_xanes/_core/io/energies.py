"""Where the energies of a scan come from: its file, a text file beside it, a list, or a range in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.io.column_formula import evaluate
from napari_xanes._core.io.column_roles import role_of
from napari_xanes._core.io.columns import energy_column, likely_energies
from napari_xanes._core.io.plausible import could_be_scan
from napari_xanes._core.io.table import Table, read_table

SIDECAR_SUFFIXES = (".txt", ".csv", ".dat", ".asc", ".tsv", ".eng", ".energy", ".xsp")
_NAMED = re.compile(r".*energ.*|e|k?ev|.*[_ (\[]k?ev[)\]]?|x_eng|mono", re.IGNORECASE)
_UNIT = re.compile(r"(?<![a-z])k?ev(?![a-z])", re.IGNORECASE)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*:\s*({_NUMBER})\s*")
MOST_ENERGIES = 100_000


@dataclass(frozen=True, eq=False)
class EnergyList:
    """Energies as found: one number per image, in the order of the images, in the unit of their source.

    Attributes
    ----------
    values : array (E,)
    label : str
        Where they came from, for people.
    hint : str
        Name of the column or dataset; may hold the unit.
    given : str or None
        What to pass as ``energy`` to read them again; None if they are found again by themselves.
    why : str
        Why they were taken, for people.
    unit : {"eV", "keV", ""}
        The unit that is declared with them.
    """

    values: NDArray[np.float64]
    label: str
    hint: str = ""
    given: str | None = None
    why: str = ""
    unit: str = ""


def from_range(text: str) -> EnergyList | None:
    """Return the energies of "start:stop:step", stop included; None if the text is no range."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    start, stop, step = (float(part) for part in match.groups())
    if step == 0 or (stop - start) / step < 0 or (stop - start) / step > MOST_ENERGIES:
        raise InputError(
            f"energy is '{text}', expected start:stop:step with a step that leads from start to stop."
        )
    count = int(np.floor((stop - start) / step + 1e-6)) + 1
    values = (start + step * np.arange(count)).astype(np.float64)
    return EnergyList(values, f"the range {text.strip()}", given=text.strip())


def from_array(values: Any) -> EnergyList:
    """Return energies given as numbers."""
    try:
        numbers = unmasked(values).astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            "energy holds something that is not a number, expected one number per image."
        ) from None
    if numbers.ndim != 1 and not (numbers.ndim == 2 and 1 in numbers.shape):
        raise InputError(f"energy has shape {numbers.shape}, expected one number per image.")
    return EnergyList(numbers.ravel(), "the given energies")


def from_text(path: Path, wanted: str | None = None) -> EnergyList:
    """Return the energies of a text file: the column that is named, the only one, or the one that can be energies."""
    table = read_table(path)
    if wanted is not None:
        values = evaluate(wanted, table, str(path))
        return EnergyList(
            values, f"{path}:{wanted}", unit_hint(wanted, path), f"{path}:{wanted}", unit=table.unit
        )
    roles = [role_of(name) for name in table.names]
    if (
        roles
        and "energy" not in roles
        and ("angle" in roles or roles[0] in ("i0", "it", "mu", "fluorescence"))
    ):
        values, hint, _ = energy_column(table, str(path))
        return EnergyList(values, str(path), hint, str(path))
    column = _column(table, path)
    hint = unit_hint(table.names[column] if table.names else "", path)
    return EnergyList(table.values[:, column], str(path), hint, str(path), unit=table.unit)


def unit_hint(column: str, path: Path) -> str:
    """Return the name of a column, and eV or keV of the name of its file; MeV there may mean anything."""
    return " ".join([column, *_UNIT.findall(path.stem)[:1]])


def _column(table: Table, path: Path) -> int:
    count = table.values.shape[1]
    named = [i for i, name in enumerate(table.names) if _NAMED.fullmatch(name.strip())]
    named = named or [i for i, name in enumerate(table.names) if role_of(name) == "energy"]
    if named:
        return named[0]
    first = table.values[:, 0]
    numbering = len(first) > 1 and any(np.array_equal(first, np.arange(len(first)) + s) for s in (0, 1))
    likely = likely_energies(table)
    if len(likely) > 1:
        listed = " and ".join(table.names[i] if table.names else f"column {i + 1}" for i in likely)
        raise DataFileError(
            f"{listed} of {path} could both be energies; name the right one after the file, as in "
            f"energy={path.name}:{table.names[likely[0]] if table.names else f'column {likely[0] + 1}'}."
        )
    if likely:
        return likely[0]
    if numbering and count == 1:
        raise DataFileError(
            f"{path} holds the numbers {first[0]:g} to {first[-1]:g}, which count the images and are no energies; "
            "give the energies in eV or keV."
        )
    return 1 if numbering else 0


def find_sidecar(folder: Path, stem: str, counts: Sequence[int], label: str) -> EnergyList | None:
    """Return the energies of a text file beside the images, or None if there is none.

    It is one with "energ" in its name, or named like the images, that holds as many numbers as there are images, the
    first of `counts`, or as another axis of them is long that may be energy.

    Raises
    ------
    DataFileError
        If several such files differ, or those there are have another number of energies.
    """
    named, same, rest = _candidates(folder, stem)
    fits: list[EnergyList] = []
    others: list[EnergyList] = []
    faults: list[DataFileError] = []
    for path in (*named, *same):
        try:
            found = from_text(path)
        except DataFileError as error:
            if path in named:
                faults.append(error)
            continue
        if found.values.size in counts:
            fits.append(found)
        elif path in named:
            others.append(found)
    fits = [found for found in fits if found.values.size == counts[0]] or fits
    fits = [found for found in fits if Path(found.label).name.startswith(stem)] or fits
    if fits:
        if not all(np.array_equal(found.values, fits[0].values, equal_nan=True) for found in fits):
            names = " and ".join(Path(found.label).name for found in fits[:3])
            raise DataFileError(f"{label}: the energies could be those of {names}; say which with energy=.")
        return EnergyList(fits[0].values, fits[0].label, fits[0].hint, why="a text file beside the images")
    if not named and (only := _only_list(rest, counts[0])) is not None:
        return only
    if others:
        raise DataFileError(
            f"{label} has {counts[0]} images but {Path(others[0].label).name} beside it holds "
            f"{others[0].values.size} energies; there must be one energy per image, give the right list with energy=."
        )
    if faults:
        raise faults[0]
    return None


_NAMED_FILE = re.compile(r".*(energ|(^|[^a-z])eng([^a-z]|$)).*", re.IGNORECASE)
MOST_LISTS, MOST_LIST_BYTES = 50, 2**20


def _candidates(folder: Path, stem: str) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the text files named after energies, those named like the images, and the others.

    What is named like another file of the folder belongs to that.
    """
    try:
        within = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError:
        return [], [], []
    files = [path for path in within if path.suffix.lower() in SIDECAR_SUFFIXES]
    stems = [path.stem for path in within if path not in files]
    files = [path for path in files if _owner(path.stem, stems, stem) in ("", stem)]
    named = [path for path in files if _NAMED_FILE.match(path.name)]
    same = [path for path in files if path.stem == stem and path not in named]
    return named, same, [path for path in files if path not in named and path not in same]


def _owner(name: str, stems: Sequence[str], own: str) -> str:
    """Return the longest of the names of images that a name begins with, "" if there is none."""
    return max((stem for stem in {*stems, own} if name.startswith(stem)), key=len, default="")


def _only_list(files: Sequence[Path], count: int) -> EnergyList | None:
    """Return the energies of the only text file that holds `count` numbers in order over an absorption edge."""
    fits = []
    for path in files[:MOST_LISTS]:
        try:
            found = from_text(path) if path.stat().st_size < MOST_LIST_BYTES else None
        except (DataFileError, OSError):
            continue
        if found is not None and found.values.size == count and could_be_scan(found.values):
            fits.append(found)
    if len(fits) != 1:
        return None
    why = "proposed: the only text file beside the images that holds as many numbers, over an absorption edge"
    return EnergyList(fits[0].values, fits[0].label, fits[0].hint, why=why)


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts names as people do: a2 before a10."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.split(r"(\d+)", name) if part
    ]


def merged_warnings(energy: NDArray[np.float64], groups: Sequence[tuple[int, ...]]) -> list[str]:
    """Say whether images were sorted, and which were averaged; `energy` (N,) in the order of the images."""
    said = []
    if np.any(np.diff(energy) < 0):
        falling = bool(np.all(np.diff(energy) <= 0))
        said.append(
            f"the energies {'descend' if falling else 'do not ascend'} in the file; images were sorted by energy"
        )
    repeated = [group for group in groups if len(group) > 1]
    if repeated:
        listed = ", ".join(f"{energy[group[0]]:.2f} eV ({len(group)} images)" for group in repeated[:5])
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        said.append(
            f"{len(energy)} images were taken at {len(groups)} different energies; "
            f"images of equal energy were averaged: {listed}{more}"
        )
    return said
