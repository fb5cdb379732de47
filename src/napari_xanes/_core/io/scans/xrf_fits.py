"""Element maps of PyXRF and XRF-Maps (MAPS): one HDF5 file per energy, whose fits of fluorescence hold a map per element.

An element is chosen by its name, as in ``images="Ni_K"``, else it is the one whose edge is at the energies of the scan.
Maps are divided by a scaler, ``images="Ni_K/i0"``; by the ion chamber if one is called so, and that is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.edges import edge_energies
from napari_xanes._core.data.lazy import AnyArray
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.frames import Frames
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.scans.hdf5 import contents
from napari_xanes._core.io.units import EV_PER

FITS = (
    ("/xrfmap/detsum/xrf_fit", "/xrfmap/detsum/xrf_fit_name"),
    ("/MAPS/XRF_Analyzed/NNLS/Counts_Per_Sec", "/MAPS/XRF_Analyzed/NNLS/Channel_Names"),
    ("/MAPS/XRF_Analyzed/Fitted/Counts_Per_Sec", "/MAPS/XRF_Analyzed/Fitted/Channel_Names"),
    ("/MAPS/XRF_Analyzed/ROI/Counts_Per_Sec", "/MAPS/XRF_Analyzed/ROI/Channel_Names"),
    ("/MAPS/XRF_fits", "/MAPS/channel_names"),
    ("/MAPS/XRF_roi", "/MAPS/channel_names"),
)
"""Maps (element, y, x) and the names of the elements; fits before regions of the spectrum."""
SCALERS = (
    ("/xrfmap/scalers/val", "/xrfmap/scalers/name"),
    ("/MAPS/Scalers/Values", "/MAPS/Scalers/Names"),
    ("/MAPS/scalers", "/MAPS/scaler_names"),
)
BEAM = re.compile(r"i_?0|us_?ic|ion_?chamber(_?0)?|i_?0_?ic", re.IGNORECASE)
"""Names of scalers that are the beam before the sample."""
NO_SCALER = "none"
MONO = re.compile(r".*(mono|incident)_?.*(energy|e)\b.*|.*energy.*mono.*|.*:energy.*|monoE", re.IGNORECASE)
LONGEST_NAME = 200
NEAR = 0.06
"""How far the energies of a scan may be from the edge that it is of, as a part of it."""


@dataclass(frozen=True)
class _Map:
    """Where a map is, and what it is divided by: a scaler, at an index of its first or its last axis."""

    maps: str
    index: int
    scalers: str = ""
    scaler: int = 0
    last: bool = False


class _Reader:
    """Reads one map; a class, so that it can be sent to another process."""

    def __init__(self, path: Path, where: _Map) -> None:
        self.path, self.where = path, where

    def __call__(self, index: int) -> AnyArray:
        from napari_xanes._core.io.hdf5 import open_hdf5

        where = self.where
        with open_hdf5(self.path) as file:
            image = np.asarray(file[where.maps][where.index], dtype=np.float32)
            if not where.scalers:
                return image
            stored = file[where.scalers]
            beam = np.asarray(stored[..., where.scaler] if where.last else stored[where.scaler], np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(beam > 0, image / beam, np.float32(np.nan))


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open the map of an element as one image of a series.

    Raises
    ------
    DataFileError
        If it cannot be told which element is meant, or there is no such element or scaler.
    """
    from napari_xanes._core.io.hdf5 import open_hdf5

    with open_hdf5(path) as file:
        maps, names = _first(file, FITS)
        elements = _names(file, names)
        energy = _energy(path, file)
        element, given = _chosen(path, elements, wanted.images, energy)
        scalers, listed = _first(file, SCALERS)
        beams = _names(file, listed) if scalers else []
        scaler, said = _scaler(path, element, beams, given)
        where = _Map(maps, elements.index(element))
        if scaler is not None:
            last = file[scalers].ndim == 3 and file[scalers].shape[-1] == len(beams) != file[scalers].shape[0]
            where = _Map(maps, where.index, scalers, beams.index(scaler), last)
        shape = tuple(int(n) for n in file[maps].shape[1:])
        size = _pixel_size(file)
    data = Frames(path, (1, *shape), np.float32, _Reader(path, where))
    opened = Opened(data, path.stem, [path], str(path), f"{element}/{scaler or NO_SCALER}")
    opened.energy = energy if wanted.energy is None else None
    opened.pixel_size_um, opened.signal = size, "optical_density"
    opened.warnings = said
    return opened


def _first(file: Any, places: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    return next(((data, names) for data, names in places if data in file and names in file), ("", ""))


def _names(file: Any, place: str) -> list[str]:
    from napari_xanes._core.base.hdf5_heaps import check_lengths
    from napari_xanes._core.io.hdf5_tree import text_of

    check_lengths(file[place])
    return [text_of(name).strip() for name in np.ravel(file[place][()])]


def _chosen(
    path: Path, elements: list[str], wanted: str | None, energy: EnergyList | None
) -> tuple[str, str | None]:
    """Return the element and the scaler that was named."""
    listed = ", ".join(elements)
    if wanted is not None:
        name, _, scaler = wanted.strip("/").partition("/")
        if name not in elements:
            raise InputError(f"{path} has no map of {name}; it holds {listed}.")
        return name, scaler or None
    at = None if energy is None else float(energy.values[0]) * EV_PER.get(energy.unit, 1.0)
    near = sorted((_distance(name, at), name) for name in elements) if at is not None else []
    found = [(apart, name) for apart, name in near if apart < NEAR]
    if not found or (len(found) > 1 and found[1][0] < 2 * found[0][0]):
        raise DataFileError(
            f"{path} holds maps of {listed}; name the element with images=, as in images='{elements[0]}', or "
            f"images='{elements[0]}/<scaler>' to divide by a scaler."
        )
    return found[0][1], None


def _distance(name: str, energy: float) -> float:
    """Return how far an energy is from an edge of the element of a map, such as Ni_K, W_L or Ni, as a part of it."""
    symbol, _, shell = name.partition("_")
    edges = [
        edge
        for (element, level), edge in edge_energies().items()
        if element == symbol and level.startswith(shell or "K") and edge > 0
    ]
    return min((abs(energy / edge - 1) for edge in edges), default=np.inf)


def _scaler(path: Path, element: str, names: list[str], given: str | None) -> tuple[str | None, list[str]]:
    """Return the scaler to divide by, and what is to be said of it."""
    if given == NO_SCALER:
        return None, []
    if given is not None:
        if given not in names:
            listed = ", ".join(names) or "none"
            raise InputError(f"{path} has no scaler {given}; it holds {listed}.")
        return given, []
    beam = [name for name in names if BEAM.fullmatch(name)]
    if len(beam) == 1:
        said = f"the maps of {element} were divided by the scaler {beam[0]}; images='{element}/{NO_SCALER}' leaves them"
        return beam[0], [said]
    others = f"; its scalers are {', '.join(names)}" if names else ""
    return None, [
        f"the maps of {element} were not divided by the beam{others}: images='{element}/<scaler>' divides"
    ]


def _energy(path: Path, file: Any) -> EnergyList | None:
    """Return the energy of a file: of PyXRF's metadata, or of a motor that XRF-Maps recorded."""
    from napari_xanes._core.io.hdf5_attributes import readable_attrs

    found: dict[str, Any] = {}
    if "/xrfmap/scan_metadata" in file:
        found |= readable_attrs(file["/xrfmap/scan_metadata"])
    for names, values in (
        ("/MAPS/Scan/Extra_PVs/Names", "/MAPS/Scan/Extra_PVs/Values"),
        ("/MAPS/extra_pvs_names", "/MAPS/extra_pvs_values"),
        ("/MAPS/Scan/Extra_PVs_Names", "/MAPS/Scan/Extra_PVs_Values"),
    ):
        if names in file and values in file:
            found |= dict(zip(_names(file, names), _names(file, values), strict=False))
    for name, value in found.items():
        number = _number(value)
        if (
            number is not None
            and MONO.fullmatch(name[:LONGEST_NAME])
            and (1 < number < 130 or 200 < number < 130_000)
        ):
            values_: NDArray[np.float64] = np.array([number])
            unit = "keV" if number < 130 else "eV"
            return EnergyList(values_, f"{path.name}:{name}", name, None, "recorded with the scan", unit)
    return None


def _number(value: Any) -> float | None:
    from napari_xanes._core.io.hdf5_tree import text_of

    try:
        return float(text_of(value))
    except ValueError:
        return None


def _pixel_size(file: Any) -> float | None:
    """Return the step of the axes of XRF-Maps, which are in mm, where it is the same along both."""
    steps = []
    for name in ("/MAPS/Scan/x_axis", "/MAPS/Scan/y_axis", "/MAPS/x_axis", "/MAPS/y_axis"):
        if name in file and file[name].size > 1:
            axis = np.ravel(file[name][()]).astype(float)
            steps.append(abs(axis[-1] - axis[0]) / (axis.size - 1) * 1e3)
    alike = len(steps) == 2 and 0 < min(steps) and max(steps) < 1.01 * min(steps) and max(steps) < 900
    return round(float(steps[0]), 6) if alike else None


def recognise(path: Path, start: bytes) -> bool:
    """Whether an HDF5 file holds fits of PyXRF or XRF-Maps."""
    if not start.startswith(b"\x89HDF\r\n\x1a\n"):
        return False
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            return _first(file, FITS) != ("", "")
    except (OSError, RuntimeError, ValueError):
        return False


FORMAT = ScanFormat(
    "PyXRF and XRF-Maps fits",
    (".h50", ".h51", ".h52", ".h53"),
    recognise=recognise,
    open=open_scan,
    parts=True,
    contents=contents,
)
