"""MRC stacks of images (the MRC2014 layout): the numbers lie plainly behind a header of 1024 bytes.

The format has no energies: they are those of a text file beside it, or given.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.frames import PlainFrames, check_shape
from napari_xanes._core.io.opened import Opened, Wanted

_MODES = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
_HEADER = 1024
_STACKED_VOLUMES = range(401, 631)


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open a stack of images, or of volumes.

    Raises
    ------
    DataFileError
        If it is cut off, or holds values of a type that is not known.
    """
    with open(path, "rb") as file:
        head = file.read(_HEADER)
    order = ">" if head[212:213] == b"\x11" else "<"
    numbers = np.frombuffer(head, f"{order}i4", 24)
    (width, height, depth, mode), extended = (int(n) for n in numbers[:4]), int(numbers[23])
    if mode not in _MODES:
        raise DataFileError(
            f"{path} holds MRC values of mode {mode}, expected one of {', '.join(map(str, _MODES))}."
        )
    check_shape(path, (depth, height, width))
    shape: tuple[int, ...] = (depth, height, width)
    planes = int(numbers[9])
    if int(numbers[22]) in _STACKED_VOLUMES and 0 < planes < depth and depth % planes == 0:
        shape = (depth // planes, planes, height, width)
    if wanted.one_of_many and len(shape) == 3 and depth > 1:
        shape = (1, *shape)  # a volume
    data = PlainFrames(path, shape, f"{order}{_MODES[mode]}", _HEADER + extended)
    opened = Opened(data, path.stem, [path], str(path))
    cell = np.frombuffer(head, f"{order}f4", 3, offset=40)
    if numbers[7] > 0 and cell[0] > 0 and cell[0] != numbers[7]:
        opened.pixel_size_um = round(float(cell[0]) / int(numbers[7]) * 1e-4, 9)  # from ångström
    return opened


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file has the mark of MRC2014, or the suffix and the size of an older one."""
    return start[208:212] in (b"MAP ", b"MAP\0") and path.suffix.lower() in (
        ".mrc",
        ".st",
        ".mrcs",
        ".ali",
        ".rec",
    )


FORMAT = ScanFormat("MRC", (".mrc", ".mrcs", ".st", ".ali", ".rec"), recognise=recognise, open=open_scan)
