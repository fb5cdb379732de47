"""Spectra of known compounds from files, whatever their format.

A file that holds several spectra gives all of them, to be chosen by name; ``file:name`` reads one of them.
"""

from __future__ import annotations

from pathlib import Path

from napari_xanes._core.base.door import public
from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.formats import spectra_format
from napari_xanes._core.io.opened import absolute


@public
def read_references(*paths: str | Path, energy_unit: str | None = None) -> list[Reference]:
    """Read reference spectra from files.

    Parameters
    ----------
    *paths : path
        Columns as text (energy and absorption, named after the file; or several spectra side by side, named by the
        header; or counts, which become ln(I0/It) or fluorescence over I0), XDI, SPEC with a scan for each spectrum,
        KEK 9809, an Athena project, or NXxas.  "file:name" takes one spectrum of several, one scan of a SPEC file by
        its number, one column, or a formula of columns: "scan.dat:ln(mcs3/mcs4)".
    energy_unit : {"eV", "keV"}, optional
        Told from the numbers if not given.

    Returns
    -------
    list of Reference
        In the order of the files and columns; energies in eV, ascending, equal energies averaged.  `notes` says what
        was done, and if a curve does not rise at an edge.

    Raises
    ------
    DataFileError
        If a file is missing, cannot be read, or it is left open which of its columns is a spectrum.
    InputError
        If its energies are not positive or mix units.
    """
    if len(paths) == 1 and isinstance(paths[0], (list, tuple)):
        paths = tuple(paths[0])
    if not paths:
        raise InputError("no reference file was given, expected at least one.")
    return [one for path in paths for one in _read_file(*split_name(path), energy_unit)]


def split_name(path: str | Path) -> tuple[Path, str | None]:
    """Return the file, and what is named of it behind a colon."""
    text = str(path)
    whole = absolute(path)
    if whole.exists() or ":" not in text:
        return whole, None
    for at in [i for i, character in enumerate(text) if character == ":" and i > 1]:
        file = absolute(text[:at])
        if file.is_file() and text[at + 1 :].strip():
            return file, text[at + 1 :].strip()
    return whole, None


def _read_file(path: Path, wanted: str | None, energy_unit: str | None) -> list[Reference]:
    kind = spectra_format(path)
    if wanted is None:
        return kind.read(path, energy_unit)
    if kind.read_named is not None:
        return kind.read_named(path, wanted, energy_unit)
    spectra = kind.read(path, energy_unit)
    chosen = [one for one in spectra if one.name.lower() == wanted.lower()]
    if not chosen:
        raise DataFileError(
            f"{path} has no spectrum '{wanted}'; it has {', '.join(one.name for one in spectra)}."
        )
    return chosen
