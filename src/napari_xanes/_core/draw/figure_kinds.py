"""The kinds of files that figures are written to; apart from what draws them, which is long to load."""

from __future__ import annotations

from pathlib import Path

from napari_xanes._core.base.errors import InputError

FORMATS = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""Extensions, and what is not to be written into the file, so that one result gives one file."""


def check_figure_path(path: Path) -> None:
    """Refuse a file name that does not say which kind of figure is wanted."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"{path} ends in '{path.suffix}', expected one of {', '.join(FORMATS)}, which says the kind of figure."
        )
