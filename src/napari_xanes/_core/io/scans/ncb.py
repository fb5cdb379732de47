"""aXis2000 .ncb stacks: plain numbers, and a text file .dat of the same name that says their shape, scale and energies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.frames import PlainFrames, Scaled, check_shape
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.table import read_lines


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open a stack.

    Raises
    ------
    DataFileError
        If the .dat file is missing or does not describe the numbers.
    """
    beside = next((path.with_suffix(s) for s in (".dat", ".DAT") if path.with_suffix(s).is_file()), None)
    if beside is None:
        raise DataFileError(
            f"{path} needs the file {path.stem}.dat beside it, which says shape and energies; copy it too."
        )
    lines = [line.split() for line in read_lines(beside) if line]
    try:
        width, height, scale = int(lines[0][0]), int(lines[0][1]), float(lines[0][2])
        (x0, x1), (y0, y1) = ((float(lines[k][0]), float(lines[k][1])) for k in (1, 2))
        count = int(lines[3][0])
        energy = np.array([float(line[0]) for line in lines[4 : 4 + count]])
    except (IndexError, ValueError) as error:
        raise DataFileError(
            f"{beside} does not describe a stack of aXis2000 ({error}); copy the right one."
        ) from error
    check_shape(path, (count, height, width))
    data = PlainFrames(path, (count, height, width), "<f4" if scale < 0 else "<i2", 0)
    opened = Opened(
        data if scale < 0 or scale == 1 else Scaled(data, scale), path.stem, [path, beside], str(path)
    )
    if wanted.energy is None:
        opened.energy = EnergyList(energy, beside.name, "energy eV")
    steps = abs(x1 - x0) / max(width - 1, 1), abs(y1 - y0) / max(height - 1, 1)
    if min(steps) > 0 and abs(steps[0] - steps[1]) <= 0.01 * max(steps):
        opened.pixel_size_um = round(sum(steps) / 2, 6)
    return opened


FORMAT = ScanFormat("aXis2000 stack", (".ncb",), open=open_scan, single=False)
