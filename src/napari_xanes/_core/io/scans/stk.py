"""X1A .stk stacks: numbers of pixels and energies, positions, energies and dwell times, then the images, all big-endian."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.frames import MOST_FRAMES, PlainFrames
from napari_xanes._core.io.opened import Opened, Wanted


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open a stack.

    Raises
    ------
    DataFileError
        If the header does not fit the size of the file.
    """
    with open(path, "rb") as file:
        width, height, count = (int(n) for n in np.fromfile(file, ">i4", 3))
        x, y, energy, _dwell = (np.fromfile(file, ">f4", n) for n in (width, height, count, count))
        offset = file.tell()
    opened = Opened(PlainFrames(path, (count, height, width), ">f4", offset), path.stem, [path], str(path))
    if wanted.energy is None:
        opened.energy = EnergyList(energy.astype(np.float64), f"the header of {path.name}", "energy eV")
    steps = [abs(float(at[-1] - at[0])) / (at.size - 1) for at in (x, y) if at.size > 1]
    if len(steps) == 2 and min(steps) > 0 and abs(steps[0] - steps[1]) <= 0.01 * max(steps):
        opened.pixel_size_um = round(sum(steps) / 2, 6)
    return opened


def recognise(path: Path, start: bytes) -> bool:
    """Whether the size of a .stk file is what its header says; MetaMorph's .stk are TIFF."""
    if path.suffix.lower() != ".stk" or len(start) < 12:
        return False
    width, height, count = (int(n) for n in np.frombuffer(start[:12], ">i4"))
    if not all(0 < n <= MOST_FRAMES for n in (width, height, count)):
        return False
    return bool(path.stat().st_size >= 12 + 4 * (width + height + 2 * count + width * height * count))


FORMAT = ScanFormat("X1A stack", (".stk",), recognise=recognise, open=open_scan, single=False)
