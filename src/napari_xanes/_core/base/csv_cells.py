"""Text in tables for spreadsheets, which take a cell that begins like a formula for one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_xanes._core.base.files import write_text

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(value: Any) -> Any:
    """Return a cell, one that begins like a formula and is no number with an apostrophe before: so it stays text."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def csv_text(rows: Iterable[Iterable[Any]], delimiter: str = ",", lineterminator: str = "\r\n") -> str:
    """Return rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=lineterminator)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def write_csv(path: str | Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows, the names of the columns first, to a CSV file that appears whole or not at all."""
    write_text(path, csv_text(rows))
