"""Which spectra the chosen reference files hold; files are read again only when they have changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.references import read_references, split_name


def spectra_in(paths: Sequence[str]) -> list[Reference]:
    """Return the spectra of files; a file that cannot be read holds none."""
    read = [_read(path, _changed(path)) for path in paths]
    return [one for found in read if not isinstance(found, str) for one in found]


def refusals_in(paths: Sequence[str]) -> list[str]:
    """Return why files hold no spectra, a sentence for each of them."""
    return [said for path in paths if isinstance(said := _read(path, _changed(path)), str)]


def names_in(paths: Sequence[str]) -> list[str]:
    """Return the names of the spectra of files, in their order."""
    return [one.name for one in spectra_in(paths)]


def _changed(path: str) -> int:
    try:
        return split_name(path)[0].stat().st_mtime_ns
    except (OSError, XanesError):
        return 0


@lru_cache(maxsize=64)
def _read(path: str, changed: int) -> tuple[Reference, ...] | str:
    try:
        return tuple(read_references(path))
    except XanesError as error:
        return str(error)
