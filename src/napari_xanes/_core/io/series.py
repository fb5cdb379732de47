"""Scans in many files: one image or volume, and maybe one energy, in each, whatever their format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.lazy import Stacked, gathered
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.opened import Opened, Wanted

FEW_PLANES = 10
"""So few images in a file may be repeats as well as a volume."""


def open_series(paths: Sequence[Path], kind: ScanFormat, wanted: Wanted) -> Opened:
    """Open files with one image or volume each; where the first has them, there all others must have them."""
    wanted = replace(wanted, one_of_many=True)
    parts: list[Opened] = []
    for path in paths:
        part = kind.open(path, wanted)
        if part.data.shape[0] != 1:
            raise DataFileError(
                f"{path} holds {part.data.shape[0]} images, expected one image or volume in each of {len(paths)} files; "
                "it may be a scan by itself: open it alone."
            )
        if parts:
            _check_alike(parts[0], part)
        elif part.energy is not None:
            wanted = replace(wanted, images=part.images, energy=part.energy.given or wanted.energy)
        else:
            wanted = replace(wanted, images=part.images)
        parts.append(part)
    first = parts[0]
    data = Stacked([part.data for part in parts], tuple(first.data.shape[1:]))
    opened = Opened(data, paths[0].stem, list(paths), "", first.images)
    opened.pixel_size_um = next((part.pixel_size_um for part in parts if part.pixel_size_um), None)
    opened.pixel_size_why = first.pixel_size_why
    opened.energy = _energies(parts)
    opened.holds, opened.signal = first.holds, first.signal
    opened.flat = _calibrations([part.flat for part in parts], first)
    opened.dark = _calibrations([part.dark for part in parts], first)
    if len(first.data.shape) == 4 and first.data.shape[1] < FEW_PLANES:
        parts[0].warnings.append(
            f"each file holds {first.data.shape[1]} images, taken for the planes of a volume; if they are repeats, average "
            "them in their files first"
        )
    opened.warnings = list(dict.fromkeys(said for part in parts for said in part.warnings))[:3]
    return opened


def _calibrations(
    found: Sequence[tuple[ArrayLike, str] | None], first: Opened
) -> tuple[ArrayLike, str] | None:
    """Return the flats or darks of the files, averaged in each, one for each image."""
    every = [one for one in found if one is not None]
    if not every:
        return None
    if len(every) < len(found):
        raise DataFileError(
            f"{len(every)} of {len(found)} files of the scan hold {every[0][1]}, and the others do not, beginning with "
            f"{first.files[0].name if found[0] is None else 'another one'}; give files that all have it."
        )
    shape = tuple(every[0][0].shape[-2:])
    arrays = [
        data if data.ndim == 2 else gathered(data, [tuple(range(data.shape[0]))], counts=True)
        for data, _ in every
    ]
    if any(tuple(array.shape[-2:]) != shape for array in arrays):
        raise DataFileError(
            f"{every[0][1]} has different shapes in the files of the scan; all must have the same."
        )
    return Stacked(arrays, shape), every[0][1]


def _check_alike(first: Opened, part: Opened) -> None:
    shape, expected = tuple(part.data.shape[1:]), tuple(first.data.shape[1:])
    if shape != expected:
        raise DataFileError(
            f"{part.files[0]} has shape {shape} but {first.files[0].name} has {expected}; "
            "all images of a scan must have the same shape."
        )
    if first.energy is not None and part.energy is None:
        raise DataFileError(
            f"{part.files[0]} has no energy {first.energy.given or ''}, unlike {first.files[0].name} and others."
        )


def _energies(parts: Sequence[Opened]) -> EnergyList | None:
    first = parts[0].energy
    if first is None:
        return None
    values = np.concatenate([part.energy.values for part in parts if part.energy is not None])
    where = f"{first.given} in each file" if first.given else f"{first.label} and the other files"
    return EnergyList(values, where, first.hint, first.given, first.why, first.unit)
