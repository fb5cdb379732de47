"""Zeiss .xrm images and .txrm series (OLE containers): images, energies, pixel size and the reference image.

Streams: ``ImageInfo`` tells width, height, type (5 is uint16, 10 is float32), energies in eV and pixel size in µm of
each image, ``ImageData1/Image1`` and so on hold the images a hundred to a storage, ``ReferenceData/Image`` the image
without sample.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.lazy import AnyArray, Stacked, gathered
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.frames import Frames, check_shape
from napari_xanes._core.io.names import FLAT_NAME
from napari_xanes._core.io.opened import Opened, Wanted

_TYPES: dict[int, np.dtype[Any]] = {5: np.dtype("<u2"), 10: np.dtype("<f4")}
_IN_NAME = re.compile(r"(?<![\d.])(\d{2,6}(?:\.\d+)?)[ _-]?eV", re.IGNORECASE)
_PER_STORAGE = 100
_TURNED_DEG = 0.5


class _Ole:
    """An OLE file that is opened when it is first needed, and read by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._start(path)

    def _start(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(state["path"])

    def read(self, stream: str) -> bytes | None:
        """Return a stream, None if there is none."""
        import olefile

        with self._lock:
            try:
                if self._file is None:
                    self._file = olefile.OleFileIO(self.path)
                if not self._file.exists(stream):
                    return None
                return bytes(self._file.openstream(stream).read())
            except (OSError, ValueError, IndexError) as error:
                raise DataFileError(
                    f"{self.path}: {stream} cannot be read ({error}); the file is damaged or its copying was not finished."
                ) from error

    def numbers(self, stream: str, dtype: str) -> AnyArray:
        """Return the numbers of a stream, none if it is missing."""
        raw = self.read(stream) or b""
        size = np.dtype(dtype).itemsize
        return np.frombuffer(raw[: len(raw) // size * size], dtype)

    def whole(self, stream: str) -> int:
        """Return a whole number that must be there."""
        found = self.numbers(stream, "<i4")
        if not found.size:
            raise DataFileError(
                f"{self.path} has no {stream}, so it is no Zeiss image; give an .xrm or .txrm file."
            )
        return int(found[0])


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open an image or a series of images over energy.

    Raises
    ------
    DataFileError
        If the file is damaged, holds reconstructed slices, or is a series over angles.
    """
    ole = _Ole(path)
    width, height = ole.whole("ImageInfo/ImageWidth"), ole.whole("ImageInfo/ImageHeight")
    count = max(ole.whole("ImageInfo/ImagesTaken"), 1)
    check_shape(path, (count, height, width))
    dtype = _type(path, ole.whole("ImageInfo/DataType"))
    energy = _energies(path, ole, count)
    _refuse_angles(path, ole, count, energy)
    data = Frames(path, (count, height, width), dtype, _Image(ole, "", dtype, height, width))
    opened = Opened(data, path.stem, [path], str(path))
    opened.energy = energy if wanted.energy is None else None
    size = ole.numbers("ImageInfo/PixelSize", "<f4")
    opened.pixel_size_um = round(float(size[0]), 9) if size.size and size[0] > 0 else None
    opened.flat = _reference(path, ole, height, width)
    if opened.flat is None and not wanted.one_of_many and wanted.flat is None:
        _add_beside(opened, height, width)
    return opened


def _add_beside(opened: Opened, height: int, width: int) -> None:
    """Take up the reference images beside a series, which are named after it and as references."""
    path = opened.files[0]
    marks = tuple(path.stem + mark for mark in "_-. ")
    named = [
        other
        for other in sorted(path.parent.glob("*.*xrm"))
        if other.stem.startswith(marks) and FLAT_NAME.fullmatch(other.stem[len(path.stem) :])
    ]
    if not named:
        return
    parts = [open_scan(other, Wanted(one_of_many=True)).data for other in named]
    if any(tuple(part.shape[1:]) != (height, width) for part in parts):
        opened.warnings.append(
            f"{named[0].name} is a reference by its name, but its images are of another shape"
        )
        return
    frames = [gathered(part, [(i,)]) for part in parts for i in range(part.shape[0])]
    what = named[0].name + (" and others" if len(named) > 1 else "")
    opened.flat = Stacked(frames, (height, width)), what


def _type(path: Path, number: int) -> np.dtype[Any]:
    if number not in _TYPES:
        raise DataFileError(
            f"{path} holds values of Zeiss type {number}, expected 5 (uint16) or 10 (float32); save it again as 16 bit."
        )
    return _TYPES[number]


class _Image:
    """Reads an image of a file; a class, so that it can be sent to another process."""

    def __init__(self, ole: _Ole, stream: str, dtype: np.dtype[Any], height: int, width: int) -> None:
        self.ole, self.stream, self.dtype, self.shape = ole, stream, dtype, (height, width)

    def __call__(self, index: int) -> AnyArray:
        stream = self.stream or f"ImageData{index // _PER_STORAGE + 1}/Image{index + 1}"
        raw = self.ole.read(stream)
        if raw is None:
            raise DataFileError(
                f"{self.ole.path} has no {stream}; the series was stopped before, give a whole one."
            )
        return np.frombuffer(raw, self.dtype, self.shape[0] * self.shape[1]).reshape(self.shape)


def _energies(path: Path, ole: _Ole, count: int) -> EnergyList | None:
    """Return the energies of the header; where it has 0, the one in the name of a single image."""
    found = ole.numbers("ImageInfo/Energy", "<f4")[:count].astype(np.float64)
    if found.size == count and (found > 0).all():
        return EnergyList(found, f"{path.name}:ImageInfo/Energy", "energy eV")
    named = _IN_NAME.findall(path.stem)
    if count == 1 and len(named) == 1:
        return EnergyList(np.array([float(named[0])]), f"the name {path.name}, as its header has none", "eV")
    return None


def _refuse_angles(path: Path, ole: _Ole, count: int, energy: EnergyList | None) -> None:
    """Refuse projections for tomography: they are images over angle, at one energy."""
    angles = ole.numbers("ImageInfo/Angles", "<f4")[:count]
    if count < 2 or angles.size < count or np.ptp(angles) < _TURNED_DEG:
        return
    at = ole.numbers("ImageInfo/Energy", "<f4")[:count]
    at = at[at > 0]
    if energy is None or np.ptp(energy.values) == 0:
        where = f" at {at[0]:.1f} eV" if at.size else ""
        raise DataFileError(
            f"{path} is a tomography series: {count} projections from {angles.min():.1f} to {angles.max():.1f} degrees"
            f"{where}, and no scan of energies; reconstruct one volume per energy and give their folder."
        )


def _reference(path: Path, ole: _Ole, height: int, width: int) -> tuple[Any, str] | None:
    """Return the image without sample that was taken with the series, if it is of the same shape."""
    if ole.read("ReferenceData/DataType") is None or ole.read("ReferenceData/Image") is None:
        return None
    dtype = _type(path, ole.whole("ReferenceData/DataType"))
    if len(ole.read("ReferenceData/Image") or b"") != height * width * dtype.itemsize:
        return None
    image = _Image(ole, "ReferenceData/Image", dtype, height, width)
    return Frames(path, (1, height, width), dtype, image), "ReferenceData/Image"


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file is an OLE container of the names that Zeiss gives; Office writes such containers too."""
    return start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") and path.suffix.lower() in (".xrm", ".txrm")


FORMAT = ScanFormat("Zeiss XRM", (".xrm", ".txrm"), recognise=recognise, open=open_scan)
