"""Flats, darks and beam spectra that lie beside a scan in files of their own: proposed, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.io.formats import is_text, scan_suffixes
from napari_xanes._core.io.read import read_stack

NAMES = {
    "flat": re.compile(
        r"(?<![a-z])(flats?|white|bkg|background|open[_ ]?beam|empty)(?![a-z])", re.IGNORECASE
    ),
    "dark": re.compile(r"(?<![a-z])(darks?|offset)(?![a-z])", re.IGNORECASE),
    "I0": re.compile(r"(?<![a-z])(i[_ ]?0|izero|i[_ ]?zero|incident)(?![a-z0-9]*\d)", re.IGNORECASE),
}
MOST_FILES = 12
"""So many files of a folder that are named so are looked at."""
BRIGHT = 0.95
"""Quantile of the first frames that shows what the beam is at most."""


@dataclass(frozen=True)
class Companion:
    """Files that lie beside a scan and fit it.

    Attributes
    ----------
    title : str
        Their names.
    given : dict
        Keywords of `read_stack`: ``flat``, and ``dark`` where there is one.
    reason : str
        Why they are proposed.
    match : float
        What the brightest pixels are, in units of the beam; 1 if both were counted alike.
    """

    title: str
    given: dict[str, str]
    reason: str
    match: float

    def settings(self) -> str:
        """Return how a recipe's [input] names them, from beside the scan."""
        return ", ".join(f'{key} = "{Path(file).name}"' for key, file in self.given.items())


def find_companions(stack: EnergyStack) -> list[Companion]:
    """Return flats (with darks) and beam spectra beside a scan of counts that has none, the likeliest first.

    Only files whose names say what they are, and whose shape and energies fit, are proposed.
    """
    path = stack.source.get("path")
    if stack.signal != "counts" or stack.flat is not None or not isinstance(path, str):
        return []
    found = {what: list(_named(Path(path), what)) for what in NAMES}
    darks = [file for file in found["dark"] if _with(stack, dark=file, signal="counts") is not None]
    dark = {"dark": str(darks[0])} if darks else {}
    made = []
    for what in ("flat", "I0"):
        for file in found[what]:
            given = {"flat": str(file), **(dark if what == "flat" else {})}
            if (read := with_companion(stack, given)) is not None:
                made.append(_companion(read, what, file, given))
    return sorted(made, key=lambda one: (not one.given.get("dark"), abs(np.log(one.match))))


def with_companion(stack: EnergyStack, given: dict[str, Any]) -> EnergyStack | None:
    """Return a scan opened again with flats or a beam spectrum of other files; None if they do not fit.

    Parameters
    ----------
    given : dict
        Keywords of `read_stack`.
    """
    read = _with(stack, **{key: Path(value) for key, value in given.items()}, signal="counts")
    return None if read is None or read.flat is None else read


def is_named_i0(path: str) -> bool:
    """Whether the name of a file says that it holds a beam spectrum."""
    return bool(NAMES["I0"].search(Path(path).stem))


def _with(stack: EnergyStack, **given: Any) -> EnergyStack | None:
    known = ("images", "energy", "dark", "energy_unit", "pixel_size_um", "axis")
    before = {key: stack.source.get(key) for key in known}
    if "energy_values" in stack.source:
        before["energy"] = stack.source["energy_values"]
    try:
        return read_stack(stack.source["path"], **{**before, **given}).replace(name=stack.name)
    except XanesError:
        return None


def _named(scan: Path, what: str) -> Iterator[Path]:
    """Yield the files beside a scan whose names say that they are flats, darks or I0."""
    suffixes = scan_suffixes()
    count = 0
    for file in sorted(scan.parent.iterdir()):
        if file == scan or not file.is_file() or not NAMES[what].search(file.stem) or count == MOST_FILES:
            continue
        text = file.suffix.lower() not in suffixes and is_text(file)
        if text if what == "I0" else file.suffix.lower() in suffixes:
            count += 1
            yield file


def _companion(read: EnergyStack, what: str, file: Path, given: dict[str, str]) -> Companion:
    match = _brightness(read)
    title = " and ".join(Path(one).name for one in given.values())
    flat: Any = read.flat
    if what == "I0":
        size = f"a beam spectrum of {flat.shape[0]} energies"
    else:
        size = f"{flat.shape[0]} images of the same size" if flat.ndim > 2 else "an image of the same size"
    alike = f"the brightest pixels of the scan are {match:.2f} times as bright"
    return Companion(title, given, f"beside the scan, {size}; {alike}", match)


def _brightness(read: EnergyStack) -> float:
    """Return what the brightest pixels of a frame in the middle are, in units of the beam."""
    i = read.energy.size // 2
    flat: Any = read.flat
    if flat.ndim == 1:
        beam = float(flat[i])
    else:
        beam = float(np.nanmedian(flat[i] if flat.ndim > 2 and len(flat) > i else np.asarray(flat)))
    bright = float(np.nanquantile(read.read(i), BRIGHT))
    return bright / beam if beam > 0 and bright > 0 else 1e-3
