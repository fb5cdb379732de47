"""Columns of text: Athena exports, XDI, beamline scans, spreadsheets.

Which column is what is decided in `napari_xanes._core.io.columns`.
"""

from __future__ import annotations

from pathlib import Path

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.columns import curves_of, energy_column
from napari_xanes._core.io.formats import SpectraFormat
from napari_xanes._core.io.spectrum import Spectrum, as_references
from napari_xanes._core.io.table import Table, read_table


def spectra_of_table(
    path: Path, table: Table, wanted: str | None, stem: str, notes: tuple[str, ...] = (), where: str = ""
) -> list[Spectrum]:
    """Return the spectra of a table, the only one named `stem`.

    Raises
    ------
    DataFileError
        If there is none, or it is left open which columns they are.
    """
    label = f"{path}{where}"
    if table.values.shape[1] < 2:
        raise DataFileError(
            f"{label} has one column of numbers, expected energy and absorption in two columns."
        )
    energy, hint, said = energy_column(table, label)
    curves = curves_of(table, energy, label, wanted)
    plain = wanted is not None and wanted.lower() in (name.lower() for name in table.names)
    return [
        Spectrum(
            curve.name if curve.name and (wanted is None or plain) else stem,
            energy,
            curve.mu,
            label,
            hint,
            (*notes, *curve.notes, *said),
        )
        for curve in curves
    ]


def read(path: Path, energy_unit: str | None) -> list[Reference]:
    """Return the spectra of a text file."""
    return as_references(spectra_of_table(path, read_table(path), None, path.stem), energy_unit)


def read_named(path: Path, wanted: str, energy_unit: str | None) -> list[Reference]:
    """Return the spectrum of a column or of a formula of columns."""
    return as_references(spectra_of_table(path, read_table(path), wanted, path.stem), energy_unit)


FORMAT = SpectraFormat(
    "columns of text",
    (".txt", ".dat", ".csv", ".xdi", ".nor", ".xmu", ".asc", ".e", ".fio"),
    read=read,
    read_named=read_named,
    general=True,
)
