"""Numbers in names: the energies that file names and labels of images tell, and the order of the files of a scan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.io.energies import EnergyList, natural_key
from napari_xanes._core.io.plausible import OTHER_NAME, could_be_scan, energy_unit_of
from napari_xanes._core.io.units import EV_PER

_WITH_UNIT = re.compile(r"(?<![\d.])(\d+(?:[.,p]\d+)?)[\s_\-]?([km]?ev)(?![a-z])", re.IGNORECASE)
_UNDERSCORE = re.compile(r"(?<![\d.])(\d+_\d+)[\s_\-]?([km]?ev)(?![a-z])", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.p]\d+)?")
FLAT_NAME = re.compile(
    r"(.*[^a-z])?(ref|refs|reference|flat|flats|bkg|white|ff|i0|(open|empty)[ _-]?(beam|flat|field)s?|bright_?field|blank)"
    r"([^a-z].*)?|[^a-z\d]*(open|empty)",
    re.IGNORECASE,
)
"""Of other names with open or empty in them many are samples, such as open circuit and empty cell."""
DARK_NAME = re.compile(r"(.*[^a-z])?(dark|darks|dk|df)([^a-z].*)?", re.IGNORECASE)
FLAT_DATASET = re.compile(r".*(img_?bkg|flat|white|bkg|open_?beam).*", re.IGNORECASE)
DARK_DATASET = re.compile(r".*dark.*", re.IGNORECASE)
OTHER_UNIT = re.compile(
    r"[ _]?(K|C|°C?|deg|s|ms|min|h|nm|um|µm|mm|mA|A|V|bar|T|Hz|pct|%)(?![a-z])", re.IGNORECASE
)
"""What stands behind numbers that are no energies."""
LEAST_EV, MOST_EV = 30.0, 150_000.0


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a name, decimals after a point or a p together with what is before."""
    return _NUMBER.findall(text)


def pattern_of(text: str) -> str:
    """Return a name with # for each number: files of one scan share it."""
    return _NUMBER.sub("#", text)


def energies_in(texts: Sequence[str], where: str) -> EnergyList | None:
    """Return the energies that names or labels tell, one for each; None if they do not.

    Numbers before eV or keV are energies.  Numbers without a unit are a proposal, where a single one changes from name
    to name, in steps that do not just count, over an absorption edge.
    """
    for pattern in (_WITH_UNIT, _UNDERSCORE):
        found = _with_unit(texts, pattern)
        if found is not None:
            return EnergyList(found[0], where, found[1], None, f"told by {where}", found[1])
    plain = _without_unit(texts)
    if plain is None:
        return None
    why = f"proposed: the only numbers in {where} that change, over an absorption edge"
    return EnergyList(plain, where, "", None, why)


def _with_unit(texts: Sequence[str], pattern: re.Pattern[str]) -> tuple[NDArray[np.float64], str] | None:
    rows = [pattern.findall(text) for text in texts]
    count = len(rows[0]) if rows else 0
    if not count or any(len(row) != count for row in rows):
        return None
    columns = [[_value(row[k][0]) for row in rows] for k in range(count)]
    changing = [k for k in range(count) if len(set(columns[k])) > 1] or ([0] if count == 1 else [])
    units = {_unit(row[k][1]) for row in rows for k in changing}
    if len(changing) != 1 or len(units) != 1:
        return None
    unit, values = units.pop(), np.array(columns[changing[0]])
    if unit.lower() == "mev":  # whether they can be that is told later
        return values, unit
    in_ev = values * EV_PER[unit]
    if not (in_ev.min() >= LEAST_EV and in_ev.max() <= MOST_EV):
        return None
    return values, unit


def _unit(text: str) -> str:
    """Return a unit as it is written properly; MeV and meV as they stand."""
    return energy_unit_of(text) or text


def _value(text: str) -> float:
    return float(re.sub(r"[p_,]", ".", text, flags=re.IGNORECASE))


def _without_unit(texts: Sequence[str]) -> NDArray[np.float64] | None:
    if len({pattern_of(text) for text in texts}) != 1 or len(texts) < 3:
        return None
    columns = list(zip(*(numbers_in(text) for text in texts), strict=True))
    words = _NUMBER.split(texts[0])
    likely, decimals = [], -1
    for k, (word, column) in enumerate(zip(words, columns, strict=False)):
        values = np.array([_value(text) for text in column])
        distinct = np.unique(values)
        if (
            k == decimals
            or distinct.size < len(texts)
            or OTHER_NAME.search(word)
            or _only_counts(distinct, column)
        ):
            continue
        if could_be_scan(np.sort(values)) and not OTHER_UNIT.match(words[k + 1]):
            after = _decimals(columns, words, k)
            decimals = k + 1 if after is not None else decimals
            likely.append(values if after is None else values + after)
    return likely[0] if len(likely) == 1 else None


def _decimals(columns: Sequence[Sequence[str]], words: Sequence[str], k: int) -> NDArray[np.float64] | None:
    """Return what stands after an underscore as the decimals of a number, if it is as long in all names and no count."""
    if k + 1 >= len(columns) or words[k + 1] != "_" or "." in columns[k][0]:
        return None
    after = columns[k + 1]
    width = len(after[0])
    counts = np.unique([_value(text) for text in after])
    if (
        width > 3
        or any(len(text) != width or not text.isdecimal() for text in after)
        or _only_counts(counts, after)
    ):
        return None
    return np.array([int(text) / 10**width for text in after])


def _only_counts(distinct: NDArray[np.float64], column: Sequence[str]) -> bool:
    """Whether numbers count the images: one by one, also after the point, as 1.9 and 1.10 do."""
    if np.all(distinct % 1 == 0) and np.all(np.diff(distinct) == 1):
        return True
    parts = [re.split(r"[.p]", text) for text in column]
    after = sorted(int(part[1]) for part in parts if len(part) == 2)
    uneven = len({len(part[1]) for part in parts if len(part) == 2}) > 1
    return uneven and len(after) == len(column) and all(b - a == 1 for a, b in pairwise(after))


# -- order --------------------------------------------------------------------------------------------


def in_order(files: Sequence[Path]) -> list[Path]:
    """Return the files of one scan in order: by the energies in their names, else as people count."""
    told = energies_in([file.stem for file in files], "the file names")
    if told is not None:
        pairs = sorted(
            zip(told.values.tolist(), files, strict=True),
            key=lambda pair: (pair[0], natural_key(pair[1].name)),
        )
        return [file for _, file in pairs]
    counted = sorted(files, key=lambda file: natural_key(file.name))
    if _count_up([natural_key(file.name) for file in counted]):
        return counted
    return sorted(
        files, key=lambda file: ([_value(n) for n in numbers_in(file.stem)], natural_key(file.name))
    )


def _count_up(keys: Sequence[Sequence[tuple[int, int | str]]]) -> bool:
    """Whether whole numbers, read part by part, give each name its place: they count up, or none has decimals."""
    numbers = [tuple(part for kind, part in key if kind == 0) for key in keys]
    last = [row[-1] for row in numbers if row]
    return len(last) == len(numbers) and all(
        int(b) - int(a) in (0, 1) or int(b) in (0, 1) for a, b in pairwise(last)
    )


def several_scans(files: Sequence[Path]) -> list[str]:
    """Return how the names of several scans begin, if files that share a pattern are not of one; else nothing.

    In one scan, each number of the names is constant, another in every file, or follows from the energy; after the
    energy, repeats may be counted.
    """
    rows = [numbers_in(file.stem) for file in files]
    columns = list(zip(*rows, strict=True))
    changing = [k for k, column in enumerate(columns) if len(set(column)) > 1]
    if len(changing) < 2:
        return []
    unique = [k for k in changing if len(set(columns[k])) == len(files)]
    told = energies_in([file.stem for file in files], "")
    if told is not None and np.unique(told.values).size == len(files) and len(unique) == 0:
        return []  # an energy of two parts, before and after an underscore
    energy = None if told is None else _energy_column(told.values, columns)
    for k in changing:
        if k in unique or k == energy:
            continue
        if energy is not None and (
            k > energy or len(set(zip(columns[k], columns[energy], strict=True))) == len(set(columns[energy]))
        ):
            continue
        if unique and k > min(unique):
            continue
        return _beginnings(files, k)
    return [] if unique or energy is not None else _beginnings(files, changing[0])


def _energy_column(values: NDArray[np.float64], columns: Sequence[Sequence[str]]) -> int | None:
    """Return which number of the names is the energy."""
    for k, column in enumerate(columns):
        if np.array_equal([_value(text) for text in column], values):
            return k
    return None


def _beginnings(files: Sequence[Path], slot: int) -> list[str]:
    found: dict[str, None] = {}
    for file in files:
        ends = [match.end() for match in _NUMBER.finditer(file.stem)]
        found.setdefault(file.stem[: ends[slot]])
    return list(found)
