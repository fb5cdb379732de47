"""Athena projects: groups of spectra as Perl text or JSON, packed with gzip or not.

Each group has ``@args`` (or ``args``), a list of names and values in turn, and lists of numbers: ``x`` the energies in eV,
``y`` the absorption, or ``i0`` and ``signal`` where there is no ``y``.  The shift of the energy scale that was chosen in
Athena, ``bkg_eshift``, is not part of ``x`` and is added.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.formats import SpectraFormat
from napari_xanes._core.io.spectrum import Spectrum, as_references
from napari_xanes._core.io.table import MAX_BYTES

_STRING = r"'((?:[^'\\]|\\.)*)'?"  # one that does not end goes to the end of its line
_TOKEN = re.compile(rf"{_STRING}|([-+]?[\d.]+(?:[eE][-+]?\d+)?)|(\{{[^{{}}]*\}}|\[[^\[\]]*\])|(undef)")
_MARKS = (b"# Athena project file", b"_____header1", b"_____journal")


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file is an Athena project, packed or not."""
    if start[:2] == b"\x1f\x8b":
        try:
            start = zlib.decompressobj(31).decompress(start, 4096)
        except zlib.error:
            return path.suffix.lower() == ".prj"
    return any(mark in start for mark in _MARKS)


def read_project(path: Path) -> list[Spectrum]:
    """Return the spectra of a project, named like its groups; groups that are no absorption are left out.

    Raises
    ------
    DataFileError
        If it is damaged, or holds no absorption.
    """
    text = _text(path)
    try:
        groups = _json_groups(text) if text.lstrip().startswith("{") else _perl_groups(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataFileError(f"{path} is a damaged Athena project ({error}); save it again.") from error
    found = [(args, _absorption(arrays)) for args, arrays in groups]
    spectra = [
        _spectrum(path, number, args, *curve)
        for number, (args, curve) in enumerate(found, 1)
        if curve is not None
    ]
    if not spectra:
        raise DataFileError(f"{path} is an Athena project with {len(groups)} groups, and none is absorption.")
    return _told_apart(spectra)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = zlib.decompressobj(31).decompress(raw, MAX_BYTES)
        except (zlib.error, gzip.BadGzipFile) as error:
            raise DataFileError(f"{path} cannot be unpacked ({error}); copy it again.") from error
    return raw.decode("utf-8", errors="replace")


def _perl_groups(text: str) -> list[tuple[dict[str, str], dict[str, NDArray[np.float64]]]]:
    """Return (args, arrays) of the groups: lines ``@name = (...);`` between ``$old_group`` and ``[record]``."""
    groups: list[tuple[dict[str, str], dict[str, NDArray[np.float64]]]] = []
    args: dict[str, str] = {}
    arrays: dict[str, NDArray[np.float64]] = {}
    for line in text.splitlines():
        if line.startswith("$old_group"):
            args, arrays = {}, {}
        elif line.startswith("[record]"):
            groups.append((args, arrays))
        elif match := re.match(r"@(\w+)\s*=\s*\((.*)\);\s*$", line):
            words = [_unquoted(token) for token in _TOKEN.finditer(match[2])]
            if match[1] == "args":
                args = dict(zip(words[::2], words[1::2], strict=False))
            elif match[1] in ("x", "y", "i0", "signal"):
                arrays[match[1]] = np.array([float(word) for word in words])
    return groups


def _unquoted(token: re.Match[str]) -> str:
    if token[1] is not None:
        return re.sub(r"\\(.)", r"\1", token[1])
    return token[2] or token[3] or ""


def _json_groups(text: str) -> list[tuple[dict[str, str], dict[str, NDArray[np.float64]]]]:
    """Return (args, arrays) of the groups in the order that the project keeps."""
    project: dict[str, Any] = json.loads(text)
    order = [name for name in project.get("_____order", []) if name in project]
    names = order or [name for name in project if not name.startswith("_____")]
    groups = []
    for name in names:
        args = project[name]["args"]
        if isinstance(args, list):
            args = dict(zip(args[::2], args[1::2], strict=False))
        arrays = {
            key: np.array([float(value) for value in project[name][key]])
            for key in ("x", "y", "i0", "signal")
            if project[name].get(key)
        }
        groups.append(({key: str(value) for key, value in args.items()}, arrays))
    return groups


def _absorption(
    arrays: dict[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]] | None:
    """Return energies, absorption and how it was made; None if the group is something else."""
    x, y, notes = arrays.get("x"), arrays.get("y"), ()
    if y is None and "i0" in arrays and "signal" in arrays and arrays["i0"].size == arrays["signal"].size:
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log(arrays["i0"] / arrays["signal"])
        return None if x is None or x.size != y.size else (x, y, ("absorption is ln(i0/signal)",))
    if x is None or y is None or x.size != y.size or x.size < 2:
        return None
    return x, y, notes


def _spectrum(
    path: Path,
    number: int,
    args: dict[str, str],
    energy: NDArray[np.float64],
    mu: NDArray[np.float64],
    notes: tuple[str, ...],
) -> Spectrum:
    name = args.get("label") or f"{path.stem} {number}"
    shift = float(args.get("bkg_eshift") or 0.0)
    if shift:
        notes = (*notes, f"the energy scale is shifted by {shift:+g} eV as in the project")
    return Spectrum(name, energy, mu, str(path), "energy eV", notes, shift)


def _told_apart(spectra: list[Spectrum]) -> list[Spectrum]:
    """Give groups of one name numbers."""
    from dataclasses import replace

    names = [one.name for one in spectra]
    return [
        one
        if names.count(one.name) == 1
        else replace(one, name=f"{one.name} ({names[: i + 1].count(one.name)})")
        for i, one in enumerate(spectra)
    ]


def read(path: Path, energy_unit: str | None) -> list[Reference]:
    """Return the groups of a project as references."""
    return as_references(read_project(path), energy_unit)


FORMAT = SpectraFormat("Athena project", (".prj",), recognise=recognise, read=read)
