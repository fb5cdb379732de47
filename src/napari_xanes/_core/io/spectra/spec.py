"""SPEC files: several scans in one text file, of which those over energy are spectra.

Layout: certified scientific software, "spec" data files; a scan begins with ``#S number command`` and names its
columns in ``#L``.
"""

from __future__ import annotations

import re
from pathlib import Path

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.column_roles import role_of
from napari_xanes._core.io.formats import SpectraFormat
from napari_xanes._core.io.spectra.columns import spectra_of_table
from napari_xanes._core.io.spectrum import Spectrum, as_references
from napari_xanes._core.io.table import Table, read_lines, table_of

_SCAN = re.compile(r"#S\s+(\d+)\s+(.*)")


def energy_scans(lines: list[str], label: str) -> tuple[dict[str, Table], tuple[str, ...]]:
    """Return the scans over energy by their numbers, and a sentence on those that were left out.

    Raises
    ------
    DataFileError
        If there is none.
    """
    starts = [i for i, line in enumerate(lines) if _SCAN.match(line)]
    scans: dict[str, Table] = {}
    left: list[str] = []
    for first, last in zip(starts, [*starts[1:], len(lines)], strict=True):
        match = _SCAN.match(lines[first])
        assert match is not None
        number, body = match[1], lines[first:last]
        if not any(line and line[0] not in "#%" for line in body):
            left.append(f"{number} (empty)")
            continue
        table = table_of(body, f"{label}, scan {number}")
        over = table.names[0] if table.names else ""
        if not any(role_of(name) in ("energy", "angle") for name in table.names):
            left.append(f"{number} (over {over or 'what it does not say'})")
            continue
        repeats = sum(key == number or key.startswith(f"{number} (") for key in scans)
        scans[f"{number} ({repeats + 1})" if repeats else number] = table
    if not scans:
        raise DataFileError(
            f"{label} holds {len(starts)} scans and none is over energy: scan {', '.join(left)}; give a scan of energies."
        )
    return scans, (f"scan {', '.join(left)} is no scan of energies and was left out",) * bool(left)


def _spectra(path: Path, wanted: str | None) -> list[Spectrum]:
    """Return the spectra of the scans over energy, named after their numbers where there are several."""
    scans, notes = energy_scans(read_lines(path), str(path))
    if wanted is not None:
        number, _, rest = wanted.partition(":")
        if number in scans:
            scans, wanted = {number: scans[number]}, rest or None
    alone = len(scans) == 1
    found: list[Spectrum] = []
    for number, table in scans.items():
        name = path.stem if alone else f"{path.stem} scan {number}"
        found += spectra_of_table(path, table, wanted, name, notes, "" if alone else f", scan {number}")
    return found


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file begins as SPEC's do."""
    return re.search(rb"(?m)^#(F |S\s+\d+\s)", start) is not None and b"\0" not in start


def read(path: Path, energy_unit: str | None) -> list[Reference]:
    """Return the scans over energy as references."""
    return as_references(_spectra(path, None), energy_unit)


def read_named(path: Path, wanted: str, energy_unit: str | None) -> list[Reference]:
    """Return the scan of a number, or a column or formula of columns of each scan, or "number:column"."""
    return as_references(_spectra(path, wanted), energy_unit)


FORMAT = SpectraFormat("SPEC", (".spec", ".spc"), recognise=recognise, read=read, read_named=read_named)
