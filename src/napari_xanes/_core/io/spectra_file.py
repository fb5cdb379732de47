"""Spectra made here, such as the means of clusters, as a text file that `read_references` takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.csv_cells import csv_text
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.files import write_text


def write_spectra(
    path: str | Path, energy: NDArray[np.float64], spectra: Mapping[str, NDArray[np.floating]]
) -> int:
    """Write spectra side by side to a CSV file, the energies in eV first, names in the first line.

    Parameters
    ----------
    path : path
        What stood there is replaced.
    energy : array (E,)
        eV.
    spectra : mapping of str to array (E,)
        Energies at which one of them is not a number are left out.

    Returns
    -------
    int
        How many energies were left out.

    Raises
    ------
    InputError
        If fewer than 2 energies are left.
    DataFileError
        If the file cannot be written.
    """
    table = np.column_stack([energy, *spectra.values()])
    whole = np.isfinite(table).all(axis=1)
    if whole.sum() < 2:
        raise InputError(
            f"{int(whole.sum())} of {whole.size} energies have a value in all {len(spectra)} spectra, at least 2 are "
            "needed; leave out the spectrum that is empty."
        )
    names = ["energy", *(" ".join(name.replace(",", " ").split()) for name in spectra)]
    rows = ([f"{value:.10g}" for value in row] for row in table[whole])
    write_text(path, csv_text([names, *rows], lineterminator="\n"))
    return int((~whole).sum())
