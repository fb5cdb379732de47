"""The exports beside a result: a list of them with sizes and checksums is in the result, and only they are ever replaced.

While they are put in their place, a list stands beside them as well, so that whatever ends the program, the next run
knows which of the files are its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.files import check_no_link, scratch_folder, shown, sync_file, write_text
from napari_xanes._core.data.result import Result
from napari_xanes._core.runs.export import export_maps, export_names
from napari_xanes._core.runs.result_file import is_result_file, load_result, read_fact

FACT = "exports"
"""Under which name the list is among the ``extra`` of a result."""
UNDER_WAY = ".napari-xanes-exports.json"
SUFFIXES = (".tif", ".csv")

Stamp = list[Any]
"""Size and SHA-256 of a file."""
Listed = dict[str, list[Stamp]]
"""What the program's own files may be, by name."""


def exports_folder(target: Path) -> Path:
    """Return the folder of the exports of a result."""
    return target.with_name(f"{target.stem}_maps")


def check_own(target: Path) -> None:
    """Refuse with a DataFileError exports that would replace files which this program did not write."""
    folder = exports_folder(target)
    check_no_link(folder, "folder")
    if folder.exists() and not folder.is_dir():
        raise DataFileError(f"{shown(folder)} is a file, expected a folder for the exports; move it away.")
    own = _own(target)
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.suffix.lower() in SUFFIXES and (
            not path.is_file() or _stamp(path) not in own.get(path.name, ())
        ):
            raise DataFileError(
                f"{shown(path)} was not written by this program, or was changed since; move it away, or choose another --out."
            )


def are_complete(target: Path, formats: Sequence[str]) -> bool:
    """Whether the exports of a result are there in these formats, all and whole."""
    saved = read_fact(target, FACT) or {"formats": [], "files": {}}
    folder = exports_folder(target)
    return set(formats) <= set(saved["formats"]) and all(
        (folder / name).is_file() and _stamp(folder / name) == stamp for name, stamp in saved["files"].items()
    )


def replace_exports(result: Result, target: Path, formats: Sequence[str]) -> dict[str, Any]:
    """Write exports in place of those that are there; returns the list for the result, which is to be saved next.

    Raises
    ------
    DataFileError
        If a file of another program stands in the way, or one cannot be written.
    """
    check_own(target)
    folder, own = exports_folder(target), _own(target)
    if not formats and not own:
        return {"formats": [], "files": {}}
    with scratch_folder(target.parent) as scratch:
        paths = export_maps(result, scratch, formats)
        stamps = {path.name: _stamp(path) for path in paths}
        under_way = {
            name: [*own.get(name, ()), *([stamps[name]] if name in stamps else ())] for name in own | stamps
        }
        write_text(folder / UNDER_WAY, json.dumps(under_way))
        for path in paths:
            path.replace(folder / path.name)
    for name in own.keys() - stamps.keys():
        (folder / name).unlink(missing_ok=True)
    sync_file(folder)
    return {"formats": list(dict.fromkeys(formats)), "files": stamps}


def all_in_place(target: Path) -> None:
    """Remove the list beside the exports, once that in the result is written."""
    folder = exports_folder(target)
    (folder / UNDER_WAY).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)


def _own(target: Path) -> Listed:
    """Return what the program has written beside a result, as far as it is known."""
    own: Listed = {}
    saved = read_fact(target, FACT)
    if isinstance(saved, dict):
        own = {name: [stamp] for name, stamp in saved["files"].items()}
    elif is_result_file(target):  # of before there were lists: by their names
        folder = exports_folder(target)
        names = [name for name in export_names(load_result(target)) if (folder / name).is_file()]
        own = {name: [_stamp(folder / name)] for name in names}
    try:
        under_way = json.loads((exports_folder(target) / UNDER_WAY).read_bytes())
        for name, stamps in under_way.items():
            if Path(name).name == name:
                own[name] = [*own.get(name, ()), *stamps]
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    return {name: stamps for name, stamps in own.items() if Path(name).name == name}


def _stamp(path: Path) -> Stamp:
    sums = sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(2**20):
                sums.update(piece)
        return [path.stat().st_size, sums.hexdigest()]
    except OSError as error:
        raise DataFileError(f"{shown(path)} cannot be read: {error.strerror}.") from None
