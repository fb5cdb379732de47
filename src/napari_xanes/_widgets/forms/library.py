"""Which spectra the chosen reference files hold; files are read again only when they have changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.references import read_references


def spectra_in(paths: Sequence[str]) -> list[Reference]:
    """Return the spectra of files; a file that cannot be read holds none, of which the run says why."""
    found: list[Reference] = []
    for path in paths:
        try:
            changed = Path(path.partition(":/")[0]).stat().st_mtime_ns
        except OSError:
            changed = 0
        found += _read(path, changed)
    return found


def names_in(paths: Sequence[str]) -> list[str]:
    """Return the names of the spectra of files, in their order."""
    return [one.name for one in spectra_in(paths)]


@lru_cache(maxsize=64)
def _read(path: str, changed: int) -> tuple[Reference, ...]:
    try:
        return tuple(read_references(path))
    except XanesError:
        return ()
