"""Open what a path stands for: a file, a folder or a list of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.lazy import gathered
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io.energies import natural_key
from napari_xanes._core.io.formats import (
    ScanFormat,
    need_scan_format,
    scan_format,
    scan_formats,
    scan_suffixes,
    scan_titles,
)
from napari_xanes._core.io.names import (
    DARK_DATASET,
    DARK_NAME,
    FLAT_DATASET,
    FLAT_NAME,
    energies_in,
    in_order,
    pattern_of,
    several_scans,
)
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.permuted import order_of, permuted
from napari_xanes._core.io.series import open_series
from napari_xanes._core.io.unread import not_read

SUM = "SUM_"
"""How PyXRF begins the name of the sum of a stack, which lies beside it."""


def open_images(path: Path, wanted: Wanted, is_scan: Callable[[Path], bool] | None = None) -> Opened:
    """Open a file or folder; `is_scan` says which files of a folder without a series can be a scan by themselves."""
    if path.is_dir() and scan_format(path) is None:
        return _open_folder(path, wanted, is_scan)
    kind = need_scan_format(path)
    _check_named(path, kind, wanted)
    opened = kind.open(path, wanted)
    if wanted.axis is not None and not kind.axes:
        order = order_of(wanted.axis, opened.data.shape, path.name)
        opened.data = permuted(opened.data, order)
    return opened


def open_list(paths: Sequence[Path], wanted: Wanted) -> Opened:
    """Open a list of files with one image or volume each, in the order given."""
    if not paths:
        raise InputError("the list of files is empty, expected one file per energy.")
    if len(paths) == 1:
        return open_images(paths[0], wanted)
    kinds = [need_scan_format(path) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if not kind.single:
            raise DataFileError(
                f"{path} is a whole scan ({kind.title}), expected one image or volume in each file; "
                "open such files one by one and combine them."
            )
        if kind is not kinds[0]:
            raise DataFileError(
                f"{paths[0].name} and {path.name} are of different formats; give files of one format."
            )
    _check_named(paths[0], kinds[0], wanted)
    if wanted.axis is not None:
        raise InputError(
            "axis says where energies are in one file; files with one image each have none, leave it empty."
        )
    opened = open_series(paths, kinds[0], wanted)
    opened.path = [str(path) for path in paths]
    if opened.energy is None and opened.proposed is None:
        opened.proposed = energies_in([path.stem for path in paths], "the file names")
    return opened


def _check_named(path: Path, kind: ScanFormat, wanted: Wanted) -> None:
    if wanted.images is None or kind.datasets or kind.parts:
        return
    titles = " or ".join(other.title for other in scan_formats() if other.datasets)
    raise InputError(
        f"images is '{wanted.images}', but {path.name} is no {titles} file and has no datasets; leave it empty."
    )


def _open_folder(folder: Path, wanted: Wanted, is_scan: Callable[[Path], bool] | None) -> Opened:
    """Open the series of files in a folder, or the one that is a scan; others are left out, and that is said."""
    suffixes = scan_suffixes()
    within = sorted(
        (path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()),
        key=lambda path: natural_key(path.name),
    )
    files = [path for path in within if path.suffix.lower() in suffixes]
    sums = {path for path in files if path.name.startswith(SUM) and folder / path.name[len(SUM) :] in files}
    files = [path for path in files if path not in sums]
    if not files:
        raise DataFileError(f"{folder} {_nothing_in(within)}")
    groups = _groups(files)
    if (only := _only_scan(groups, is_scan)) is not None:
        opened = open_images(only, wanted)
        listed = _listed([path for path in files if path != only])
        said = f"{only.name} was taken, the only file in {folder.name} with an image for each energy"
        opened.warnings.append(f"{said}; left out: {listed}")
        return opened
    series = _series(folder, files, groups)
    opened = open_list(series, wanted)
    opened.path, opened.name = str(folder), folder.name
    left = [path for path in files if path not in series]
    left = _add_calibrations(opened, left, series)
    if left:
        opened.warnings.append(
            f"{len(left)} of {len(files)} files in {folder.name} left out, with another file-name pattern: {_listed(left)}"
        )
    return opened


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(path.name for path in files[:3]) + (", ..." if len(files) > 3 else "")


def _add_calibrations(opened: Opened, left: Sequence[Path], series: Sequence[Path]) -> list[Path]:
    """Take up flats and darks that lie among the images and are named so; return the files that are still left."""
    rest = list(left)
    for what, pattern in (("flat", FLAT_NAME), ("dark", DARK_NAME)):
        found = [path for path in left if pattern.fullmatch(path.stem) and path.suffix == series[0].suffix]
        groups = {pattern_of(path.stem) for path in found}
        if len(groups) != 1:
            continue
        if getattr(opened, what) is not None:
            opened.warnings.append(
                f"{len(found)} files like {found[0].name} are {what}s by their names; the {what}s in the files of the images "
                f"are used instead"
            )
            rest = [path for path in rest if path not in found]
            continue
        try:
            part = open_list(in_order(found), Wanted())
        except DataFileError:
            continue
        if part.data.shape[1:] != opened.data.shape[1:] or part.data.ndim != 3:
            continue
        data, how = (part.data, "averaged") if what == "dark" else _per_energy(opened, part)
        several = f"{len(found)} files like {found[0].name}, {how}"
        setattr(opened, what, (data, several if len(found) > 1 else found[0].name))
        rest = [path for path in rest if path not in found]
    return rest


def _per_energy(opened: Opened, flats: Opened) -> tuple[ArrayLike, str]:
    """Return the flats of each image where names tell the energies of both, else all flats."""
    ours, theirs = opened.energy or opened.proposed, flats.energy or flats.proposed
    if ours is not None and theirs is not None and ours.unit == theirs.unit:
        own = [tuple(np.flatnonzero(np.abs(theirs.values - e) <= 1e-6 * e).tolist()) for e in ours.values]
        if all(own):
            return gathered(flats.data, own, counts=True), "those of each energy"
    return flats.data, "in their order if there is one for each image, else averaged"


def _nothing_in(files: Sequence[Path]) -> str:
    """Return the end of the sentence on a folder without images."""
    for path in files:
        if (known := not_read(path)) is not None:
            return f"holds no images that are read here; {path.name} {known}"
    return f"holds no files of images, expected {scan_titles()}."


def _groups(files: Sequence[Path]) -> list[list[Path]]:
    """Return files whose names differ only in their numbers, the largest group first; flats and darks if there are no others."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(pattern_of(path.stem) + path.suffix.lower(), []).append(path)
    samples = [group for group in groups.values() if not _is_calibration(group[0].stem)] or groups.values()
    return sorted(samples, key=len, reverse=True)


def _only_scan(ranked: Sequence[Sequence[Path]], is_scan: Callable[[Path], bool] | None) -> Path | None:
    """Return the one file that can be a scan, where there are several and no series."""
    if is_scan is None or len(ranked) == 1 or len(ranked[0]) > 1:
        return None
    scans = [path for (path,) in ranked if is_scan(path)]
    return scans[0] if len(scans) == 1 else None


def _series(folder: Path, files: Sequence[Path], ranked: Sequence[Sequence[Path]]) -> list[Path]:
    """Return the files of the largest group in order."""
    if len(ranked) > 1 and len(ranked[0]) == len(ranked[1]):
        raise DataFileError(
            f"{folder} holds {len(files)} files but no clear series: {ranked[0][0].name}, {ranked[1][0].name}, ...; "
            "give one file, or a folder with only the images of the scan."
        )
    if begin := several_scans(ranked[0]):
        listed = ", ".join(begin[:4]) + (", ..." if len(begin) > 4 else "")
        raise DataFileError(
            f"{folder} holds files of several scans or parts, whose names begin with {listed}; give the files of one as a "
            "list, or put each scan in a folder of its own."
        )
    return in_order(ranked[0])


def _is_calibration(stem: str) -> bool:
    named = (FLAT_DATASET, DARK_DATASET, FLAT_NAME, DARK_NAME)
    return any(pattern.fullmatch(stem) is not None for pattern in named)
