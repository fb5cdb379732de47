"""Spectra of known compounds from files, whatever their format."""

from __future__ import annotations

from pathlib import Path

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.formats import spectra_format


def read_references(*paths: str | Path, energy_unit: str | None = None) -> list[Reference]:
    """Read reference spectra from files.

    Parameters
    ----------
    *paths : path
        Text of two columns (energy and absorption; named after the file), or several spectra side by side, named by
        the header.  Columns I0 and It in the header give ln(I0/It).
    energy_unit : {"eV", "keV"}, optional
        Told from the numbers if not given.

    Returns
    -------
    list of Reference
        In the order of the files and columns; energies in eV, ascending, equal energies averaged.

    Raises
    ------
    DataFileError
        If a file is missing, is of no known format, or has no column that is a spectrum.
    InputError
        If its energies are not positive or mix units.
    """
    if len(paths) == 1 and isinstance(paths[0], (list, tuple)):
        paths = tuple(paths[0])
    if not paths:
        raise InputError("no reference file was given, expected at least one.")
    files = [Path(path) for path in paths]
    return [reference for file in files for reference in spectra_format(file).read(file, energy_unit)]
