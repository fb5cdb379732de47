"""Columns of numbers in text files, in all the layouts that beamlines and spreadsheets write.

Only the reading of text into columns is here; what the columns mean is decided by `energies` and `reference`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError

MAX_BYTES = 64 * 2**20
"""A text table larger than this is no spectrum and no list of energies."""

_COMMENT = "#%!*/"
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_ONE_OR_TWO = re.compile(r"[+-]?\d+,\d+")  # 8222,75


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers (rows, columns), the names of the columns (or none) and the lines before the numbers."""

    values: NDArray[np.float64]
    names: tuple[str, ...]
    header: tuple[str, ...]


def read_table(path: str | Path) -> Table:
    """Read the columns of numbers of a text file.

    Columns are separated by commas, semicolons, tabs or spaces; a header may have comment signs or not, and need
    not be UTF-8; missing values become NaN.

    Raises
    ------
    DataFileError
        If the file is missing, empty, not text, or a line among the numbers does not fit the others.
    """
    path = Path(path)
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", _text(path))]
    rows = [_numbers(line) for line in lines]
    widths = Counter(len(row) for row in rows if row)
    if not widths:
        raise DataFileError(f"{path} holds no line of numbers, expected columns of numbers as text.")
    width = max(widths, key=lambda n: (widths[n], n))
    start = next(i for i, row in enumerate(rows) if row and len(row) == width)
    values = []
    for number, (line, row) in enumerate(zip(lines[start:], rows[start:], strict=True), start + 1):
        if not line or line[0] in _COMMENT:
            continue
        if row is None or len(row) != width:
            raise DataFileError(
                f"{path}, line {number} reads '{line[:40]}', expected {width} number{'s' * (width > 1)} "
                "as in the lines before; mend or remove that line."
            )
        values.append(row)
    header = tuple(lines[:start])
    names = _column_names(header, width)
    if width == 2 and not names and all(_ONE_OR_TWO.fullmatch(line) for line in lines[start:] if line):
        raise DataFileError(
            f"{path}: '{lines[start]}' may be one number with a decimal comma or two numbers; "
            "write decimal points, or name the columns in a header line."
        )
    return Table(np.array(values, dtype=np.float64), names, header)


def looks_like_text(start: bytes) -> bool:
    """Whether the first bytes of a file are text."""
    return b"\0" not in start or start[:2] in (b"\xff\xfe", b"\xfe\xff")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataFileError(
                f"{path} has {path.stat().st_size / 2**20:.0f} MB, too many for a text file of numbers."
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataFileError(f"{path}: there is no such file.") from None
    except OSError as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not raw.strip():
        raise DataFileError(f"{path} is empty, expected columns of numbers as text.")
    if not looks_like_text(raw):
        raise DataFileError(f"{path} is not a text file, expected columns of numbers as text.")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _numbers(line: str) -> list[float] | None:
    """Return the numbers of a line, or None if it holds anything else."""
    if not line or line[0] in _COMMENT:
        return None
    separated = ";" in line or "\t" in line
    if separated or "," in line:
        cells = [cell.strip() for cell in re.split(r"[;\t]" if separated else ",", line)]
        if separated and any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells):
            cells = [cell.replace(",", ".") for cell in cells]
        if cells[-1] == "":
            cells.pop()
        cells = [part for cell in cells for part in (cell.rstrip(",").split() or ["nan"])]
    else:
        cells = line.split()
    try:
        numbers = [float(cell.strip("\"'")) for cell in cells]
    except ValueError:
        return None
    return numbers if any(np.isfinite(numbers)) or len(numbers) == 1 else None


def _column_names(header: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return the names of the columns: XDI's ``Column.N`` lines, or the line right above the numbers."""
    found: dict[int, str] = {}
    for line in header:
        if match := re.match(r"[#%!\s]*Column\.(\d+)\s*:\s*(.+)", line, re.IGNORECASE):
            found[int(match[1])] = match[2].split("||")[0].strip()
    if found.keys() >= set(range(1, width + 1)):
        return tuple(found[i] for i in range(1, width + 1))
    above = next((line for line in reversed(header) if line), "").lstrip(_COMMENT + " \t")
    for separator in (r"[,;\t]", r"\s{2,}", r"\s*\*\s+|\s{2,}", r"\s+"):
        cells = [cell.strip(" \"'*") for cell in re.split(separator, above) if cell.strip(" \"'*")]
        if len(cells) == width and any(c.isalpha() for c in above) and ":" not in cells[0]:
            return tuple(cells)
    return ()
