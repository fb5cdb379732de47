"""What a result was made from: the recipe, and the files with their sizes and times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.files import shown
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.runs.result_file import read_fact


def made_from(recipe: Recipe, scans: Sequence[Path], source: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe and the sizes and times of all files that go in, as json can write them.

    The reader's `source` names the files that it found by itself, such as energies beside the images.
    """
    texts = [
        value
        for one in source.get("combined", [source])
        for value in one.values()
        if isinstance(value, str) and os.path.isabs(value)
    ]
    found = [Path(part) for text in texts for part in (text, text.partition(":/")[0])]  # file.h5:/dataset
    files = [
        *_scan_files(*scans),
        *_step_files(recipe),
        *(path for path in found if path.is_file()),
    ]
    return {**_asked_for(recipe), "files": {str(path.resolve()): _stamp(path) for path in files}}


def check_unchanged(made: dict[str, Any]) -> None:
    """Refuse what was made of files that are not any more what they were when it was begun."""
    for name, stamp in made["files"].items():
        path = Path(name)
        if not path.is_file() or _stamp(path) != stamp:
            raise DataFileError(
                f"{shown(path)} was changed while it was read, so the maps would be of two states; nothing was "
                "written, run it again when the file is complete."
            )


def is_made_of(recipe: Recipe, scans: Sequence[Path], target: Path) -> bool:
    """Whether a result is of this recipe and of files that are still as they were."""
    saved = read_fact(target, "made_from")
    asked = _asked_for(recipe)
    if not isinstance(saved, dict) or {key: saved.get(key) for key in ("recipe", "stack")} != asked:
        return False
    needed = {str(path.resolve()) for path in (*_scan_files(*scans), *_step_files(recipe))}
    return needed <= saved["files"].keys() and all(
        os.path.isfile(path) and _stamp(Path(path)) == stamp for path, stamp in saved["files"].items()
    )


def _asked_for(recipe: Recipe) -> dict[str, Any]:
    table = recipe.to_dict()
    table.pop("output", None)
    return {"recipe": table, "stack": recipe.output.stack}


def _scan_files(*scans: Path) -> list[Path]:
    files: list[Path] = []
    for scan in scans:
        files += sorted(path for path in scan.iterdir() if path.is_file()) if scan.is_dir() else [scan]
    return files


def _step_files(recipe: Recipe) -> list[Path]:
    return [Path(path) for _, params in recipe.steps for paths in params.files().values() for path in paths]


def _stamp(path: Path) -> list[int]:
    try:
        about = path.stat()
    except OSError as error:
        raise DataFileError(f"{shown(path)} cannot be read: {error.strerror}.") from None
    return [about.st_size, about.st_mtime_ns]
