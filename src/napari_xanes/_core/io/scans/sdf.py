"""SDF: a header (.hdr) with the images of a scanning microscope as text (.xim), one file per energy, region and channel.

Names of the images: ``scan_a000.xim``, the letter for the channel, three digits for the energy and, where there are
several regions, one more for the region; a single image has no digits for the energy.
"""

from __future__ import annotations

import re
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
from napari_xanes._core.io.sdf_header import parse_header
from napari_xanes._core.io.table import read_lines

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class _Images:
    """Reads the image of an energy."""

    def __init__(self, files: list[Path], shape: tuple[int, int]) -> None:
        self.files, self.shape = files, shape

    def __call__(self, index: int) -> AnyArray:
        path = self.files[index]
        try:
            values = np.fromstring(path.read_text(), dtype=np.float32, sep=" ")
        except (OSError, ValueError) as error:
            raise DataFileError(f"{path} cannot be read ({error}); copy it again.") from error
        if values.size != self.shape[0] * self.shape[1]:
            raise DataFileError(
                f"{path} holds {values.size} numbers, expected {self.shape[0]} rows of {self.shape[1]} as its header says; "
                "the scan was stopped there, or the file was changed."
            )
        return values.reshape(self.shape)


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open the stack or image that a header, or a folder with one header, describes.

    Raises
    ------
    DataFileError
        If it is no scan of images over energy, or its images are missing.
    """
    path = _headers(path)[0] if path.is_dir() else path
    scan = _definition(path)
    regions = [region for region in scan.get("Regions", []) if isinstance(region, dict)]
    region, channel, said = _chosen(path, scan, regions, wanted.images)
    shape = _shape(path, scan, regions[region])
    energy = _energies(path, scan)
    files, missing = _files(
        path, region if len(regions) > 1 else None, channel, None if energy is None else energy.size
    )
    if missing:
        said.append(
            f"{missing} of {missing + len(files)} images of {path.name} are missing; the scan was stopped"
        )
    check_shape(path, (len(files), *shape))
    data = Frames(path, (len(files), *shape), np.float32, _Images(files, shape))
    opened = Opened(data, path.stem, [path, *files], str(path), wanted.images)
    opened.pixel_size_um, said_of_size = _pixel_size(regions[region])
    said += [said_of_size] if said_of_size else []
    if energy is not None and wanted.energy is None:
        opened.energy = EnergyList(
            energy[: len(files)], f"{path.name}, StackAxis", str(scan["StackAxis"].get("Unit", "eV"))
        )
    opened.warnings += said
    return opened


def _headers(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.hdr") if p.is_file() and recognise(p, _start(p)))


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(1024)


def _definition(path: Path) -> dict[str, Any]:
    try:
        header = parse_header("\n".join(read_lines(path)))
    except ValueError as error:
        raise DataFileError(f"{path} is a damaged SDF header ({error}); copy it again.") from error
    scan = header.get("ScanDefinition")
    if not isinstance(scan, dict) or not scan.get("Regions"):
        raise DataFileError(f"{path} defines no scan with regions, expected the header of a STXM scan.")
    return {**scan, "Channels": scan.get("Channels") or header.get("Channels") or [{}]}


def _chosen(
    path: Path, scan: dict[str, Any], regions: list[dict[str, Any]], wanted: str | None
) -> tuple[int, int, list[str]]:
    """Return region and channel from words such as "region 2" or "region 2, counter1"; the first if none are given."""
    channels = [str(channel.get("Name", "")) for channel in scan["Channels"]]
    region, channel, said = 0, 0, []
    for word in [word.strip() for word in (wanted or "").split(",") if word.strip()]:
        number = re.fullmatch(r"region (\d+)", word.lower())
        if number and 1 <= int(number[1]) <= len(regions):
            region = int(number[1]) - 1
        elif word in channels:
            channel = channels.index(word)
        else:
            raise DataFileError(
                f"{path} has no '{word}'; it has {len(regions)} regions ('region 1', ...) and the channels {', '.join(channels)}."
            )
    if len(regions) > 1 and "region" not in (wanted or ""):
        said.append(f"region 1 of {len(regions)} was opened; another is chosen with images='region 2'")
    if len(channels) > 1 and channels[channel] not in (wanted or ""):
        said.append(
            f"channel {channels[0]} of {', '.join(channels)} was opened; another is chosen with images='{channels[1]}'"
        )
    return region, channel, said


def _shape(path: Path, scan: dict[str, Any], region: dict[str, Any]) -> tuple[int, int]:
    axes = [region.get("QAxis", {}), region.get("PAxis", {})]
    names = [str(axis.get("Name", "")) for axis in axes]
    kind = str(scan.get("Type", ""))
    if any(not axis.get("Points") for axis in axes) or "Energy" in names or "Image" not in kind:
        raise DataFileError(
            f"{path} is a scan of type '{kind or 'unknown'}' over {' and '.join(n for n in names if n)}, and no image over "
            "two directions of the sample; give an image scan or a stack of them."
        )
    return len(axes[0]["Points"]), len(axes[1]["Points"])


def _energies(path: Path, scan: dict[str, Any]) -> AnyArray | None:
    """Return the energies of the stack, None for a single image."""
    axis = scan.get("StackAxis") or {}
    points = axis.get("Points") or []
    if len(points) < 2 and "Stack" not in str(scan.get("Flags", "")):
        return None
    name = str(axis.get("Name", ""))
    if "energy" not in name.lower():
        raise DataFileError(
            f"{path} is a stack over '{name}' ({axis.get('Unit', '')}), and no scan of energies; give a stack over energy."
        )
    return np.asarray(points, dtype=np.float64)


def _files(path: Path, region: int | None, channel: int, count: int | None) -> tuple[list[Path], int]:
    """Return the images of a region and channel, and how many are missing at the end."""
    tail = "" if region is None else str(region)
    middles = [""] if count is None else [f"{i:03d}" for i in range(count)]
    files = [path.with_name(f"{path.stem}_{_LETTERS[channel]}{middle}{tail}.xim") for middle in middles]
    there = [file.is_file() for file in files]
    if not there[0]:
        raise DataFileError(
            f"{path} is the header of a scan whose images are not beside it: {files[0].name} is missing; copy the .xim files too."
        )
    whole = there.index(False) if False in there else len(files)
    if any(there[whole:]):
        raise DataFileError(
            f"{files[whole].name} of {path} is missing, but later images are there; copy it too."
        )
    return files[:whole], len(files) - whole


def _pixel_size(region: dict[str, Any]) -> tuple[float | None, str]:
    """Return the distance of the points in µm, if it is the same in both directions, else what is to be said."""
    steps = []
    for name in ("PAxis", "QAxis"):
        points = np.asarray(region[name]["Points"], dtype=np.float64)
        unit = str(region[name].get("Unit", "um"))
        factor = LENGTHS.get(unit.lower())
        if points.size < 2 or factor is None:
            return (
                None,
                f"the pixel size is not known, as {name} has {points.size} points in '{unit}'; give it with pixel_size_um=",
            )
        steps.append(abs(float(points[-1] - points[0])) / (points.size - 1) * factor)
    if abs(steps[0] - steps[1]) <= 0.01 * max(steps) and steps[0] > 0:
        return round(float(np.mean(steps)), 6), ""
    said = f"pixels are {steps[0]:g} x {steps[1]:g} um and not square"
    return None, f"{said}, so no size is taken; give one with pixel_size_um="


def recognise(path: Path, start: bytes) -> bool:
    """Whether a header is SDF's; other programs write .hdr too."""
    return path.suffix.lower() == ".hdr" and b"ScanDefinition" in start


def is_folder_of_one(folder: Path) -> bool:
    """Whether a folder holds one such scan and nothing else of it."""
    return len(_headers(folder)) == 1 and any(folder.glob("*.xim"))


FORMAT = ScanFormat(
    "SDF (STXM)", (".hdr",), recognise=recognise, open=open_scan, folder=is_folder_of_one, parts=True
)
