"""Where a stack came from and why it was taken so: what json can write, and `read_stack` can read again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from napari_xanes._core.data.stack import Signal
from napari_xanes._core.io.calibration import Calibration
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.opened import Opened
from napari_xanes._core.io.units import Energies


@dataclass(frozen=True)
class Asked:
    """What the user said besides the places of images, energies, flats and darks."""

    energy_unit: str | None
    pixel_size_um: float | None
    axis: str | None
    complex_as: str | None


def source_of(
    opened: Opened,
    found: EnergyList,
    in_ev: Energies,
    calibrations: tuple[Calibration | None, Calibration | None],
    signal: Signal,
    asked: Asked,
) -> dict[str, Any]:
    """Return where images, energies, flats and darks are, and the reasons; `calibrations` are flats and darks."""
    states = [file.stat() for file in opened.files]
    newest = max(state.st_mtime for state in states)
    flats, darks = calibrations
    source: dict[str, Any] = {
        "path": opened.path,
        "images": opened.images,
        "energy": found.given,
        "flat": None if flats is None else flats.given,
        "dark": None if darks is None else darks.given,
        "energy_unit": asked.energy_unit,
        "signal": signal,
        "pixel_size_um": asked.pixel_size_um,
        "size": sum(state.st_size for state in states),
        "modified": datetime.fromtimestamp(newest, tz=UTC).isoformat(timespec="seconds"),
        "file_energy_unit": in_ev.unit,
        "energy_source": found.label,
        "energy_reason": found.why,
        "flat_reason": None if flats is None else flats.why,
        "dark_reason": None if darks is None else darks.why,
        "pixel_size_reason": _pixel_size_reason(opened, asked),
        "axis": asked.axis,
        "complex_as": asked.complex_as,
    }
    if found.label == "the given energies":
        source["energy_values"] = found.values.tolist()
    return source


def _pixel_size_reason(opened: Opened, asked: Asked) -> str | None:
    if asked.pixel_size_um is not None:
        return "as given"
    return opened.pixel_size_why if opened.pixel_size_um is not None else None
