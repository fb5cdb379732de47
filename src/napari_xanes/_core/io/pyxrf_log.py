"""The log that PyXRF writes beside stacks of element maps: the energy of each frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from napari_xanes._core.io.energies import EnergyList

NAME = "maps_log_tiff.txt"
_FRAME = re.compile(
    r"Frame\s+(\d+):.*incident energy\s*=\s*([\d.]+)\s*keV(?:.*corrected to\s*([\d.]+)\s*keV)?", re.IGNORECASE
)
MOST_BYTES, LONGEST_LINE = 2**22, 1000


def logged_energies(folder: Path, count: int) -> EnergyList | None:
    """Return the energies of a log beside `count` images, as corrected there; None if it has none, or of others."""
    path = folder / NAME
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return None
    rows = [
        (int(match[1]), float(match[3] or match[2]))
        for line in path.read_text("utf-8", "replace").splitlines()
        if (match := _FRAME.search(line[:LONGEST_LINE])) is not None
    ]
    if len(rows) != count or [number for number, _ in rows] != list(range(1, count + 1)):
        return None
    values = np.array([energy for _, energy in rows])
    return EnergyList(values, str(path), "keV", why="the log of PyXRF beside the images", unit="keV")
