"""Scans in many files: one image or volume, and maybe one energy, in each, whatever their format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.lazy import Stacked
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.opened import Opened, Wanted


def open_series(paths: Sequence[Path], kind: ScanFormat, wanted: Wanted) -> Opened:
    """Open files with one image or volume each; where the first has them, there all others must have them."""
    wanted = replace(wanted, one_of_many=True)
    parts: list[Opened] = []
    for path in paths:
        part = kind.open(path, wanted)
        if parts:
            _check_alike(parts[0], part)
        elif part.energy is not None:
            wanted = replace(wanted, images=part.images, energy=part.energy.given)
        else:
            wanted = replace(wanted, images=part.images)
        parts.append(part)
    first = parts[0]
    data = Stacked([part.data for part in parts], tuple(first.data.shape[1:]))
    opened = Opened(data, paths[0].stem, list(paths), "", first.images)
    opened.pixel_size_um = next((part.pixel_size_um for part in parts if part.pixel_size_um), None)
    opened.energy = _energies(parts)
    return opened


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
    return EnergyList(values, where, first.hint, first.given)
