"""Formulas of columns, such as ``ln(I0/I1)`` or ``(sca1+sca2)/I0``, as the user names them behind a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.table import Table

_MOST_LISTED = 20

Values = NDArray[np.float64]


def evaluate(formula: str, table: Table, label: str) -> Values:
    """Return the values of a column, or of a formula of columns with ``ln( )``, ``/``, ``+`` and brackets.

    Raises
    ------
    DataFileError
        If a part of it is no column of the table.
    """
    values = {name.lower(): table.values[:, i] for i, name in reversed(list(enumerate(table.names)))}
    values |= {f"column {i + 1}": column for i, column in enumerate(table.values.T)}
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _value(formula.strip().lower(), values, {})
    if found is None:
        names = table.names or [f"column {i + 1}" for i in range(table.values.shape[1])]
        raise DataFileError(
            f"'{formula}' is neither a column of {label} nor a formula of them; it has {listed(names)}."
        )
    return found


def _value(text: str, columns: dict[str, Values], known: dict[str, Values | None]) -> Values | None:
    """Return what a part of a formula is worth, None if it means nothing; names may hold any sign themselves."""
    if text in columns:
        return columns[text]
    if text not in known:
        known[text] = None
        known[text] = _worked_out(text, columns, known)
    return known[text]


def _worked_out(text: str, columns: dict[str, Values], known: dict[str, Values | None]) -> Values | None:
    for sign in "+/":
        for at in _outside_brackets(text, sign):
            left = _value(text[:at].strip(), columns, known)
            right = _value(text[at + 1 :].strip(), columns, known)
            if left is not None and right is not None:
                return left + right if sign == "+" else left / right
    if text.startswith("ln(") and text.endswith(")"):
        inner = _value(text[3:-1].strip(), columns, known)
        return None if inner is None else np.log(inner)
    if text.startswith("(") and text.endswith(")"):
        return _value(text[1:-1].strip(), columns, known)
    return None


def _outside_brackets(text: str, sign: str) -> list[int]:
    """Return where a sign stands outside all brackets, last first."""
    depth, found = 0, []
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == sign and depth == 0:
            found.append(i)
    return found[::-1]


def listed(names: Sequence[str]) -> str:
    """Return names in words, the first twenty of them."""
    return ", ".join(names[:_MOST_LISTED]) + (
        f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    )
