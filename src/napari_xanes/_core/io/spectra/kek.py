"""KEK 9809 files of the Photon Factory: counts over the angle of the monochromator.

The line "Mode" says what each column is: 1 the beam before the sample, 2 behind it, 3 fluorescence.  Energies are those
of the calculated angle, Angle(c), as the header's table of blocks has them.  The dark counts of the line "Offset" are
not taken off, as other programs do not.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.formats import SpectraFormat
from napari_xanes._core.io.spectra.columns import spectra_of_table
from napari_xanes._core.io.spectrum import as_references
from napari_xanes._core.io.table import Table, read_lines, table_of

_MODES = {1: "I0", 2: "It", 3: "If"}
_BEHIND_EV = 2.0


def kek_table(lines: list[str], label: str) -> tuple[Table, tuple[str, ...]]:
    """Return angle, I0 and the signals as a table that names its d-spacing, and what is to be said.

    Raises
    ------
    DataFileError
        If the header lacks the modes or the d-spacing.
    """
    at = next((i for i, line in enumerate(lines) if line.startswith("Mode")), None)
    mono = next((line for line in lines if line.startswith("Mono")), "")
    spacing = re.search(r"D\s*=\s*(\d+\.\d+)", mono)
    if at is None or spacing is None:
        raise DataFileError(
            f"{label} is a KEK 9809 file without {'the line Mode' if at is None else 'a d-spacing'}; save it again."
        )
    modes = [int(word) for word in lines[at].split()[1:]]
    start = at + 1 + lines[at + 1].startswith("Offset")
    table = table_of(lines[start:], label)
    if table.values.shape[1] != len(modes) + 1:
        raise DataFileError(
            f"{label} has {table.values.shape[1]} columns but its header tells of {len(modes) + 1}; save it again."
        )
    names = ["angle", "observed", "time", *(_MODES.get(mode, f"mode {mode} offset") for mode in modes[2:])]
    for name in set(_MODES.values()):
        if names.count(name) > 1:
            same = [i for i, other in enumerate(names) if other == name]
            for number, i in enumerate(same, 1):
                names[i] = f"{name}{number}" if name == "If" else f"{name} {number}"
    notes = _slip(table.values[:, 0], table.values[:, 1], float(spacing[1]))
    return Table(table.values, tuple(names), (mono,)), notes


def _slip(calculated: NDArray[np.float64], observed: NDArray[np.float64], spacing: float) -> tuple[str, ...]:
    """Say whether the monochromator was elsewhere than it was told."""
    with np.errstate(divide="ignore", invalid="ignore"):
        told, was = (12398.42 / (2 * spacing * np.sin(np.radians(a))) for a in (calculated, observed))
    worst = float(np.nanmax(np.abs(told - was)))
    said = f"the observed angles differ from the calculated ones by up to {worst:.1f} eV"
    return (said,) if np.isfinite(worst) and worst > _BEHIND_EV else ()


def _read(path: Path, wanted: str | None, energy_unit: str | None) -> list[Reference]:
    table, notes = kek_table(read_lines(path), str(path))
    return as_references(spectra_of_table(path, table, wanted, path.stem, notes), energy_unit)


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file begins as these do."""
    return start.lstrip().startswith(b"9809 ")


FORMAT = SpectraFormat(
    "KEK 9809",
    (),
    recognise=recognise,
    read=lambda path, energy_unit: _read(path, None, energy_unit),
    read_named=_read,
)
