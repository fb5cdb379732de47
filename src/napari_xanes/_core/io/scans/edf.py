"""ESRF .edf images: series of files with an image each, or files with one frame per energy.

fabio reads the headers; frames that are not packed are read from where they lie.  Energies are those of the headers: a key
of its own, or a motor or counter that is named so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.lazy import AnyArray
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.frames import Frames, check_shape
from napari_xanes._core.io.lengths import LENGTHS
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.plausible import ENERGY_NAME

NO_PHOTONS = re.compile(r".*(ring|machine|source|sr_?|undulator|offset|step|shift).*", re.IGNORECASE)
NAMES = ("mono", "nrj", "e", "ene", "en", "monoe")
LISTS = (("motor_mne", "motor_pos"), ("counter_mne", "counter_pos"))


@dataclass(frozen=True)
class _Place:
    """Where a frame lies; `start` is None if it must be unpacked."""

    start: int | None
    dtype: np.dtype[Any]


class _Reader:
    """Reads a frame; a class, so that it can be sent to another process."""

    def __init__(self, path: Path, shape: tuple[int, ...], places: list[_Place]) -> None:
        self.path, self.shape, self.places = path, shape, places

    def __call__(self, index: int) -> AnyArray:
        place = self.places[index]
        if place.start is None:
            with _opened(self.path) as image:
                return np.asarray(image.get_frame(index).data)
        with open(self.path, "rb") as file:
            values = np.fromfile(file, place.dtype, int(np.prod(self.shape)), offset=place.start)
        return values.reshape(self.shape)


def _opened(path: Path) -> Any:
    try:
        import fabio
    except ImportError:
        raise DataFileError(
            f"{path} is an ESRF .edf image, which needs fabio to be read; install it with "
            "pip install 'napari-xanes[formats]'."
        ) from None
    try:
        return fabio.open(str(path))
    except Exception as error:  # fabio raises anything on damaged files
        raise DataFileError(f"{path} cannot be read as an .edf image ({error}); copy it again.") from error


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open the frames of a file.

    Raises
    ------
    DataFileError
        If it is damaged or its frames differ in shape, or fabio is not installed.
    """
    headers, places, shapes = [], [], []
    with _opened(path) as image:
        for index in range(image.nframes):
            frame = image.get_frame(index)
            headers.append({str(key).lower(): str(value) for key, value in frame.header.items()})
            shapes.append(tuple(int(n) for n in frame.shape))
            places.append(_place(path, frame, headers[-1]))
    if len(set(shapes)) > 1:
        raise DataFileError(
            f"{path} holds frames of different shapes, {shapes[0]} and others; give one of each."
        )
    shape, count = shapes[0], len(shapes)
    check_shape(path, (count, *shape))
    dtype = np.result_type(*{place.dtype.newbyteorder("=") for place in places})
    opened = Opened(
        Frames(path, (count, *shape), dtype, _Reader(path, shape, places)), path.stem, [path], str(path)
    )
    if wanted.energy is None:
        opened.energy = _energies(path, headers)
    opened.pixel_size_um, opened.pixel_size_why, said = _pixel_size(headers[0])
    opened.warnings += [said] if said else []
    return opened


def _place(path: Path, frame: Any, header: dict[str, str]) -> _Place:
    dtype = np.dtype(frame.dtype)
    if header.get("compression", "none").lower() not in ("none", "uncompressedspecific", ""):
        return _Place(None, dtype)
    start, size = getattr(frame, "start", None), getattr(frame, "blobsize", 0)
    needed = int(np.prod(frame.shape)) * dtype.itemsize
    if start is None or size < needed:
        return _Place(None, dtype)
    if start + needed > path.stat().st_size:
        raise DataFileError(
            f"{path} is cut off: it has {path.stat().st_size} bytes, its header says {start + needed}; copy it again."
        )
    return _Place(
        int(start), dtype.newbyteorder(">" if "high" in header.get("byteorder", "").lower() else "<")
    )


def _energies(path: Path, headers: list[dict[str, str]]) -> EnergyList | None:
    """Return the energies that every header tells under the same name."""
    rows = [_named(header) for header in headers]
    for name in rows[0]:
        if all(name in row for row in rows):
            values = np.array([row[name] for row in rows])
            return EnergyList(values, f"{path.name}, {name} of the headers", name, None, "recognised by name")
    return None


def _pixel_size(header: dict[str, str]) -> tuple[float | None, str, str]:
    """Return the size of a pixel that a header states with its unit, why, and what is to be said of another."""
    for key, text in header.items():
        match = re.fullmatch(r"([\d.]+(?:e[-+]?\d+)?)\s*(\S*)", text.strip().lower())
        if not re.fullmatch(r".*pixel.?size.*|psize(_1)?|optic_used", key) or match is None:
            continue
        unit = match[2] or next(iter(re.findall(r"[_ (\[](nm|um|mm|m)[)\]]?$", key)), "")
        if unit in LENGTHS and float(match[1]) > 0:
            return round(float(match[1]) * LENGTHS[unit], 9), f"{key} of the header", ""
        said = f"{key} of the header is {text.strip()} without a unit and may be that of the detector, so it is not used"
        return None, "", f"{said}; give the size of a pixel with pixel_size_um="
    return None, "", ""


def _named(header: dict[str, str]) -> dict[str, float]:
    """Return the numbers of a header that are named photon energies."""
    found: dict[str, str] = dict(header)
    for names, values in LISTS:
        found |= dict(zip(header.get(names, "").split(), header.get(values, "").split(), strict=False))
    return {
        name: number
        for name, text in found.items()
        if (ENERGY_NAME.match(name) or name.lower() in NAMES)
        and not NO_PHOTONS.match(name)
        and (number := _number(text)) is not None
    }


def _number(text: str) -> float | None:
    match = re.fullmatch(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?:k?eV)?", text.strip())
    try:
        number = float(match[1]) if match else 0.0
    except ValueError:
        return None
    return number if number > 0 else None


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file begins with a header of EDF."""
    return path.suffix.lower() in (".edf", ".edf1") and start.lstrip()[:1] == b"{"


FORMAT = ScanFormat("ESRF EDF", (".edf",), recognise=recognise, open=open_scan)
