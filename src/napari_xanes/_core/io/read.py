"""Open a scan, whatever its format: images, energies, flats and darks put together into an `EnergyStack`.

Nothing is loaded here but a few frames, from which it is told what the values are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike as Numbers

from napari_xanes._core.base.arrays import marks_of, measured
from napari_xanes._core.base.door import Positive, public
from napari_xanes._core.base.errors import DataFileError, InputError, XanesError
from napari_xanes._core.base.files import shown
from napari_xanes._core.data.lazy import gathered
from napari_xanes._core.data.stack import SIGNALS, EnergyStack, Signal
from napari_xanes._core.io import energies as lists
from napari_xanes._core.io.calibration import Calibration, open_calibration
from napari_xanes._core.io.complex_images import make_real
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import scan_format
from napari_xanes._core.io.opened import Opened, Wanted, absolute, find_file
from napari_xanes._core.io.permuted import settle_axis
from napari_xanes._core.io.provenance import Asked, source_of
from napari_xanes._core.io.pyxrf_log import logged_energies
from napari_xanes._core.io.signal import Glance, already_divided, glance, same_scale, tell_signal
from napari_xanes._core.io.sources import open_images, open_list
from napari_xanes._core.io.units import sorted_groups, to_ev

logger = logging.getLogger("napari_xanes")

PathLike = str | Path

MOST_CORRECTION_EV = 8.0
"""Energies in file names and in a list that differ by less are the same, before and after a calibration."""


@public
def read_stack(
    path: PathLike | Sequence[PathLike],
    *,
    energy: Numbers | PathLike | None = None,
    images: str | None = None,
    flat: PathLike | None = None,
    dark: PathLike | None = None,
    energy_unit: str | None = None,
    signal: Signal | None = None,
    pixel_size_um: Positive | None = None,
    axis: int | str | None = None,
    complex_as: str | None = None,
) -> EnergyStack:
    """Open a scan; images are read when they are needed, and no file stays open.

    Parameters
    ----------
    path : path or list of paths
        TIFF or HDF5/NeXus file with a stack, or a folder or list of files with one image or volume each.
    energy : array, path or str, optional
        One number per image, a text file, a dataset name, or "start:stop:step" (stop included).  By itself it is
        found in the file, or in a text file beside it.
    images : str, optional
        Dataset of the images in an HDF5 file.
    flat, dark : path or str, optional
        Images without sample and without beam: dataset name, file, or "file.h5:/dataset".  A text file given as
        `flat` is a beam spectrum.
    energy_unit : {"eV", "keV"}, optional
        Told from the numbers if not given.
    signal : {"counts", "transmission", "optical_density", "normalized"}, optional
        What the values are; told from the values if not given.
    pixel_size_um : float, optional
        Taken from the file if not given.
    axis : int or str, optional
        Which axis of the images in the file is energy, counted from 0; or a letter for each axis out of e, z, y and x,
        such as "yxe".  As the file declares, else the first one, if not given.
    complex_as : {"optical_density", "phase"}, optional
        What is taken of complex images, as of ptychography: -2 ln of their amplitude, or their phase in radians.

    Returns
    -------
    EnergyStack
        Energies in eV, ascending; images of equal energy are averaged.  `warnings` says what was noticed.

    Raises
    ------
    DataFileError
        If a file is missing, damaged, or does not hold what was asked for.
    InputError
        If energies, flats or options do not fit the images.
    """
    _check_options(energy_unit, signal, pixel_size_um)
    opened = _open(path, images or None, energy, flat, dark, axis)
    make_real(opened, complex_as or None)
    found = _energies(opened, energy)
    _settle_axis(opened, found, axis)
    n = opened.data.shape[0]
    in_ev = to_ev(found.values, found.label, energy_unit, found.hint, found.unit)
    groups = sorted_groups(in_ev.values)
    if len(groups) == 1 and n > 1:
        raise DataFileError(
            f"all {n} energies of {found.label} are {in_ev.values[0]:g} eV; a scan needs different ones, give the right list."
        )
    sorted_energy = in_ev.values[[group[0] for group in groups]]
    flats = open_calibration(opened, flat or None, "flat", sorted_energy, groups)
    darks = open_calibration(opened, dark or None, "dark", sorted_energy, groups)
    seen = glance(gathered(opened.data, [group[:1] for group in groups]), opened.name)  # in order of energy
    told, flats, said = _signal(opened, seen, signal or opened.signal, flats)
    if told == "counts":
        said += _unmeasured(opened, seen)
    if told != "counts":
        darks = None
    asked = Asked(energy_unit, pixel_size_um, None if axis is None else str(axis), complex_as or None)
    source = source_of(opened, found, in_ev, (flats, darks), told, asked)
    warnings = (
        *opened.warnings,
        *in_ev.warnings,
        *_said_of(found),
        *lists.merged_warnings(in_ev.values, groups),
        *said,
        *((flats.doubt,) if flats is not None and flats.doubt else ()),
    )
    stack = EnergyStack(
        data=gathered(opened.data, groups, counts=told == "counts"),
        energy=sorted_energy,
        signal=told,
        flat=None if flats is None else flats.data,
        dark=None if darks is None else darks.data,
        pixel_size_um=pixel_size_um or opened.pixel_size_um,
        name=opened.name,
        source=source,
        warnings=warnings,
    )
    logger.info("%s: %d energies in %s from %s, %s", stack.name, n, in_ev.unit, found.label, told)
    return stack


def _check_options(energy_unit: str | None, signal: str | None, pixel_size_um: float | None) -> None:
    if energy_unit not in (None, "eV", "keV"):
        raise InputError(f"energy_unit is {energy_unit!r}, expected 'eV' or 'keV'.")
    if signal is not None and signal not in SIGNALS:
        raise InputError(f"signal is {signal!r}, expected one of {', '.join(SIGNALS)}.")
    if pixel_size_um is not None and not (np.isfinite(pixel_size_um) and pixel_size_um > 0):
        raise InputError(f"pixel_size_um is {pixel_size_um!r}, expected a positive number of micrometres.")


def _open(
    path: PathLike | Sequence[PathLike],
    images: str | None,
    energy: Any,
    flat: PathLike | None,
    dark: PathLike | None,
    axis: int | str | None,
) -> Opened:
    words = str(energy) if isinstance(energy, (str, Path)) and str(energy) else None
    named = words if words is None or lists.from_range(words) is None else ""
    wanted = Wanted(images, named, _text(flat), _text(dark), None if axis == "" else axis)
    if isinstance(path, (str, Path)) or not isinstance(path, Iterable):
        return open_images(absolute(path), wanted, lambda file: _can_be_scan(file, wanted, energy))
    return open_list([absolute(p) for p in path], wanted)


def _can_be_scan(path: Path, wanted: Wanted, energy: Any) -> bool:
    """Whether the images of a file, or any of those it holds, have an energy each."""
    try:
        kind = scan_format(path)
        held = kind.contents(path) if kind is not None and kind.contents and wanted.images is None else ()
    except XanesError:
        return False
    images = [wanted.images, *(one.name for one in held if len(one.shape) > 2)]
    return any(_have_energies(path, replace(wanted, images=name), energy) for name in images)


def _have_energies(path: Path, wanted: Wanted, energy: Any) -> bool:
    try:
        opened = open_images(path, wanted)
        found = _energies(opened, energy)
        _settle_axis(opened, found, wanted.axis)
    except XanesError:
        return False
    return found.values.size > 1


def _text(given: PathLike | None) -> str | None:
    return str(given) if given else None


def _settle_axis(opened: Opened, found: EnergyList, axis: int | str | None) -> None:
    """Bring the axis that is as long as the energies first, if need be and if it is plain."""
    count = found.values.size
    if opened.undeclared is not None and axis is None:
        label = opened.images or opened.name
        opened.data, said = settle_axis(opened.data, opened.undeclared, count, label)
        opened.warnings += said
    shape = opened.data.shape
    if count == shape[0]:
        return
    other = next((f", or say axis={i}, which has as many" for i, n in enumerate(shape) if n == count), "")
    raise DataFileError(
        f"{opened.name} has {shape[0]} images but {found.label} holds {count} energies; "
        f"there must be one energy per image, give the right ones with energy={other}."
    )


# -- energies -----------------------------------------------------------------------------------------


def _energies(opened: Opened, energy: Any) -> EnergyList:
    """Return the energies as the user says, or as they are found."""
    if energy is None or (isinstance(energy, (str, Path)) and not str(energy)):
        return opened.energy or _not_declared(opened)
    if not isinstance(energy, (str, Path)):
        return lists.from_array(energy)
    text = str(energy)
    if (found := lists.from_range(text)) is not None:
        return found
    if opened.energy is not None:
        return opened.energy  # the dataset that was named
    return _energies_of_file(opened, text)


def _not_declared(opened: Opened) -> EnergyList:
    """Return energies that the file does not declare: those of a text file beside it, else what it could mean."""
    counts = (opened.data.shape[0], *(opened.undeclared or ()))
    logged = logged_energies(opened.folder, counts[0])
    beside = logged or lists.find_sidecar(opened.folder, opened.files[0].stem, counts, opened.name)
    told = opened.proposed
    if beside is not None and told is not None and told.label == "the file names":
        return _agreed(beside, told)
    if beside is not None and not (told is not None and beside.why.startswith("proposed")):
        return beside
    if opened.proposed is not None:
        return opened.proposed
    if opened.fault is not None:
        raise opened.fault
    raise DataFileError(
        f"no energies were found for {opened.name}, neither in the file nor in a text file beside the images, in "
        f"{shown(opened.folder)}, with 'energ' in its name; give them with energy= (a file, a dataset, or start:stop:step)."
    )


def _agreed(beside: EnergyList, told: EnergyList) -> EnergyList:
    """Return the energies of files whose names tell them too: of the names if the list holds the same, else of the list.

    Raises
    ------
    DataFileError
        If the list and the names differ by more than a calibration does.
    """
    ours, theirs = (to_ev(one.values, one.label, None, one.hint, one.unit).values for one in (told, beside))
    if np.allclose(np.sort(ours), np.sort(theirs), rtol=0, atol=0.02):
        return replace(told, why=f"told by the file names and by {beside.label}")
    if np.abs(ours - theirs).max() <= MOST_CORRECTION_EV:
        return beside
    raise DataFileError(
        f"the energies in the file names, {ours[0]:g} to {ours[-1]:g} eV, are not those of {beside.label}, "
        f"{theirs[0]:g} to {theirs[-1]:g} eV; say which are right with energy=."
    )


def _said_of(found: EnergyList) -> list[str]:
    """Return the sentence on energies that are only proposed."""
    if not found.why.startswith("proposed"):
        return []
    return [
        f"the energies are those of {found.label} ({found.why}); if they are not, name the right ones with energy="
    ]


def _energies_of_file(opened: Opened, text: str) -> EnergyList:
    file, inside = find_file(opened, text, "energy")
    kind = scan_format(file)
    if kind is None or not kind.datasets:
        return lists.from_text(file, inside)
    if inside is None:
        raise DataFileError(f"{file} is an HDF5 file; name its dataset of energies as {file.name}:/dataset.")
    from napari_xanes._core.io.hdf5_energy import entry_energies
    from napari_xanes._core.io.hdf5_tree import Tree

    with Tree(file) as other:
        entry = other.named(inside)
        if entry is None:
            raise DataFileError(f"{file} has no dataset {inside}; it holds {other.describe()}.")
        found = entry_energies(entry, "as named")
    return replace(found, given=f"{file}:{inside}")


# -- what the values are ------------------------------------------------------------------------------


def _signal(
    opened: Opened, seen: Glance, given: Signal | None, flats: Calibration | None
) -> tuple[Signal, Calibration | None, list[str]]:
    """Return what the values are, the flats if they are still to be divided out, and what is to be said."""
    integer, volume = np.dtype(opened.data.dtype).kind in "iu", opened.data.ndim == 4
    sample = None if flats is None else measured(flats.data[0]).astype(np.float64).ravel()
    if given is not None:
        told, doubt = given, ""
    elif sample is not None and same_scale(seen.values, sample):
        told, doubt = "counts", ""
    else:
        told, doubt = tell_signal(seen, integer=integer, volume=volume, beam=sample is not None)
    if sample is None or flats is None:
        return told, flats, [doubt] * bool(doubt)
    if told == "counts":
        return told, flats, []
    divided = already_divided(seen.values, sample)
    scale = f" (median {np.median(seen.values):.3g}, flats {np.nanmedian(sample):.3g})" if divided else ""
    said = f"the images are {told.replace('_', ' ')} already{scale}; the flats {flats.given} are not applied again"
    return told, None, [said, *[doubt] * bool(doubt)]


def _unmeasured(opened: Opened, seen: Glance) -> list[str]:
    """Return the sentence on pixels whose counts are a detector's mark."""
    if not seen.unmeasured:
        return []
    marks = " or ".join(map(str, marks_of(opened.data.dtype)))
    said = f"{seen.unmeasured} pixels of a frame hold {marks}, a detector's mark for what was not measured or was too bright"
    return [f"{said}; they are invalid"]
