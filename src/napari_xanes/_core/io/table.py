"""Columns of numbers in text files, in all the layouts that beamlines and spreadsheets write.

Only the reading of text into columns is here; their names are told by `column_names`, what they mean by
`column_roles` and `columns`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.files import read_bytes
from napari_xanes._core.io.column_names import SIGNS, column_names

MAX_BYTES = 64 * 2**20
"""A text table larger than this is no spectrum and no list of energies."""

MOST_LINES = 1_000_000
MOST_ROWS = 200_000
"""Of a text file, which may hold many scans, and of one table."""
LONGEST, MOST_CELLS = 2**20, 2_000_000
"""Of a line of numbers, and of the cells of one table."""

_END = "\x1a"
"""The mark that DOS programs put behind the last line."""
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_FORTRAN = re.compile(r"^([-+]?\d*(?:\.\d*)?)[dD](?=[-+]?\d+$)")
_BEFORE_UNIT = re.compile(r"([\"']?[-+]?[\d.,]+(?:[eE][-+]?\d+)?)\s*([kMm]?eV)\b")
"""A number and the unit of energies behind it, at the begin of a line."""
_REMARK, _LETTER = re.compile(r"\s[;#!]\s"), re.compile(r"[a-zA-Z]")
"""What begins a remark behind numbers, and what it holds."""
_ONE_OR_TWO = re.compile(r"[+-]?\d+,\d+")  # 8222,75


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers (rows, columns), the names of the columns (or none) and the lines before the numbers.

    `unit` is that of energies that stands behind each number, as in "8333.5 eV".
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    header: tuple[str, ...]
    unit: str = ""


def read_table(path: str | Path) -> Table:
    """Read the columns of numbers of a text file.

    Columns are separated by commas, semicolons, tabs or spaces; a header may have comment signs or not, and need
    not be UTF-8; missing values become NaN.

    Raises
    ------
    DataFileError
        If the file is missing, empty, not text, or a line among the numbers does not fit the others.
    """
    return table_of(read_lines(path), str(path))


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a text file without the blanks around them.

    Raises
    ------
    DataFileError
        If the file is missing, empty, too large or not text.
    """
    return [line.strip() for line in re.split(r"\r\n|\r|\n", _text(Path(path)).rstrip(_END + "\r\n\t "))]


def table_of(lines: list[str], label: str) -> Table:
    """Return the columns of numbers among lines of text; `label` says in errors which file it is.

    Raises
    ------
    DataFileError
        If there are none, or a line among them does not fit the others.
    """
    if len(lines) > MOST_ROWS:
        raise DataFileError(
            f"{label} has {len(lines)} lines, expected a table of at most {MOST_ROWS}; leave out what is no spectrum."
        )
    if sum(map(len, lines)) > 2 * MOST_CELLS and (cells := sum(map(_count, lines))) > MOST_CELLS:
        raise DataFileError(
            f"{label} has {cells} values, expected a table of at most {MOST_CELLS}; leave out what is no spectrum."
        )
    lines, unit = _without_units(lines, label)
    rows = [_numbers(line) for line in lines]
    widths = Counter(len(row) for row in rows if row)
    if not widths:
        raise DataFileError(f"{label} holds no line of numbers, expected columns of numbers as text.")
    width = max(widths, key=lambda n: (widths[n], n))
    start = next(
        i
        for i, row in enumerate(rows)
        if row and len(row) == width and not _belongs_to_header(lines, rows, i)
    )
    values = []
    for number, (line, row) in enumerate(zip(lines[start:], rows[start:], strict=True), start + 1):
        if not line or _is_comment(line):
            continue
        if row is None or len(row) != width:
            raise DataFileError(
                f"{label}, line {number} reads '{line[:40]}', expected {width} number{'s' * (width > 1)} "
                "as in the lines before; mend or remove that line."
            )
        values.append(row)
    header = tuple(lines[:start])
    names = column_names(header, width)
    if width == 2 and not names and all(_ONE_OR_TWO.fullmatch(line) for line in lines[start:] if line):
        raise DataFileError(
            f"{label}: '{lines[start]}' may be one number with a decimal comma or two numbers; "
            "write decimal points, or name the columns in a header line."
        )
    return Table(np.array(values, dtype=np.float64), names, header, unit)


def _without_units(lines: list[str], label: str) -> tuple[list[str], str]:
    """Return lines without the unit of energies behind their first number, and that unit.

    Raises
    ------
    DataFileError
        If they have several.
    """
    found = [_BEFORE_UNIT.match(line, 0, 100) for line in lines]
    units = sorted({match[2] for match in found if match is not None})
    if not units or sum(match is not None for match in found) < len([line for line in lines if line]) / 2:
        return lines, ""
    if len(units) > 1:
        raise DataFileError(f"{label} has energies in {' and '.join(units)}; write all of them in one unit.")
    bare = [
        line if match is None else match[1] + line[match.end() :]
        for line, match in zip(lines, found, strict=True)
    ]
    return bare, units[0]


def _belongs_to_header(lines: list[str], rows: list[list[float] | None], at: int) -> bool:
    """Whether a line of numbers stands alone under a title such as "Offsets:"."""
    after = rows[at + 1] if at + 1 < len(rows) else None
    return at > 0 and lines[at - 1].endswith(":") and lines[at - 1] != "Data:" and after is None


def looks_like_text(start: bytes) -> bool:
    """Whether the first bytes of a file are text."""
    return b"\0" not in start or start[:2] in (b"\xff\xfe", b"\xfe\xff")


def _text(path: Path) -> str:
    raw = read_bytes(path, "file", MAX_BYTES)
    if (lines := max(raw.count(b"\n"), raw.count(b"\r"))) > MOST_LINES:
        raise DataFileError(f"{path} has {lines} lines, expected a text file of at most {MOST_LINES}.")
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


def _is_comment(line: str) -> bool:
    """Whether a line is a remark; one that begins with a semicolon may also lack its first value."""
    return line[0] in SIGNS and not (
        line[0] == ";" and line.count(";") > 1 and not line.startswith((";;", "; "))
    )


def _numbers(line: str) -> list[float] | None:
    """Return the numbers of a line, or None if it holds anything else."""
    if not line or len(line) > LONGEST or _is_comment(line):
        return None
    remark = _REMARK.search(line)
    if remark is not None and _LETTER.search(line, remark.end()):
        line = line[: remark.start()]
    try:
        numbers = [_number(cell) for cell in _cells(line)]
    except ValueError:
        return None
    return numbers if any(np.isfinite(numbers)) or len(numbers) == 1 else None


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float(_FORTRAN.sub(r"\1e", cell.strip("\"'")))


def _count(line: str) -> int:
    """Return about how many cells a line has; those of lines that are too long for numbers do not count."""
    return 0 if len(line) > LONGEST else sum(map(line.count, ",;\t")) + len(line.split())


def _cells(line: str) -> list[str]:
    """Return the parts of a line between separators, with points for decimal commas."""
    spaced = line.split()
    if len(spaced) > 1 and _all_decimal_commas(spaced):
        return [cell.replace(",", ".") for cell in spaced]
    separated = ";" in line or "\t" in line
    if not separated and "," not in line:
        return spaced
    cells = [cell.strip() for cell in re.split(r"[;\t]" if separated else ",", line)]
    if separated and any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells):
        cells = [cell.replace(",", ".") for cell in cells]
    if cells[-1] == "":
        cells.pop()
    return [part for cell in cells for part in (cell.rstrip(",").split() or ["nan"])]


def _all_decimal_commas(cells: list[str]) -> bool:
    """Whether cells between spaces are numbers with decimal commas, or without decimals."""
    commas = [bool(_DECIMAL_COMMA.fullmatch(cell)) for cell in cells]
    return any(commas) and all(
        comma or re.fullmatch(r"[-+]?\d+", cell) for comma, cell in zip(commas, cells, strict=True)
    )
