"""Columns of text: Athena exports, XDI, beamline scans, spreadsheets.

A reference is absorption over energy.  Which column that is, is decided by the names in the header; raw counts
are turned into absorption, and columns that are no absorption (I0, sigma, time) are never taken for it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.formats import SpectraFormat
from napari_xanes._core.io.table import Table, looks_like_text, read_table
from napari_xanes._core.io.units import sorted_groups, to_ev

_ROLES = {
    "energy": r"energy|e|ev|kev|mono.?energy.*|energy.?\(?k?ev\)?|photon.?energy.*|x_eng",
    "mu": r"x?mu|mu[ _]?(trans|fluor|ref|t|f|e)?|mu\(e\)|x?mu\d?|norm(alized)?|flat|absorbance|absorption|od|xanes",
    "i0": r"i_?0|io|monitor|i_?zero",
    "it": r"i_?t|i_?1|i_?trans(mitted)?|i_?transmission",
    "if": r"i_?f|ifluor|fluor(escence)?|iff",
    "other": r"sigma.*|std.*|err(or)?s?|d?mu_?err|.*uncertainty|.*time.*|dwell.*|ring.*|bkg|background|pre|post|"
    r"pre_?edge|post_?edge|index|point|i_?2|i_?r|iref|irefer(ence)?|theta|angle|encoder.*|der|deriv.*|k|chi|counts?",
}


def read_columns(path: Path, energy_unit: str | None) -> list[Reference]:
    """Return the spectra of a text file."""
    table = read_table(path)
    if table.values.shape[1] < 2:
        raise DataFileError(
            f"{path} has one column of numbers, expected energy and absorption in two columns."
        )
    roles = [_role(name) for name in table.names]
    column = roles.index("energy") if "energy" in roles else 0
    spectra, notes = _spectra(path, table, roles, column)
    return [_reference(name, table, column, mu, notes, path, energy_unit) for name, mu in spectra.items()]


def _role(name: str) -> str:
    words = name.strip().lower()
    bare = re.sub(r"[\s_]*[(\[]?(k?ev|a\.?u\.?|counts)[)\]]?$", "", words) or words
    for role, pattern in _ROLES.items():
        if re.fullmatch(pattern, words) or re.fullmatch(pattern, bare):
            return role
    return "spectrum"


def _spectra(
    path: Path, table: Table, roles: list[str], energy_column: int
) -> tuple[dict[str, NDArray[np.float64]], tuple[str, ...]]:
    """Return the spectra by name, and what is to be said about them."""
    values, others = table.values, [i for i in range(table.values.shape[1]) if i != energy_column]
    if not roles:
        if len(others) > 1:
            raise DataFileError(
                f"{path} has {len(others) + 1} columns without names, so which is the absorption cannot be told; "
                "name them in a header line, or save energy and absorption as two columns."
            )
        return {path.stem: values[:, others[0]]}, ()
    chosen = [i for i in others if roles[i] == "mu"]
    if not chosen and "i0" in roles and ("it" in roles or "if" in roles):
        return _from_counts(path, table, roles)
    chosen = chosen or [i for i in others if roles[i] == "spectrum"]
    if not chosen:
        raise DataFileError(
            f"{path} has the columns {', '.join(table.names)}, none of which is an absorption spectrum; "
            "save energy and absorption as two columns."
        )
    if len(chosen) == 1:
        return {path.stem: values[:, chosen[0]]}, ()
    names = [table.names[i] for i in chosen]
    if len(set(names)) < len(names):
        names = [f"{name} ({i + 1})" for name, i in zip(names, chosen, strict=True)]
    return {name: values[:, i] for name, i in zip(names, chosen, strict=True)}, ()


def _from_counts(
    path: Path, table: Table, roles: list[str]
) -> tuple[dict[str, NDArray[np.float64]], tuple[str, ...]]:
    """Return absorption from the counts before and after the sample, or its fluorescence."""
    before = table.values[:, roles.index("i0")]
    transmitted = "it" in roles
    column = roles.index("it" if transmitted else "if")
    after, name, i0 = table.values[:, column], table.names[column], table.names[roles.index("i0")]
    with np.errstate(divide="ignore", invalid="ignore"):
        mu = np.log(before / after) if transmitted else after / before
    formula = f"ln({i0}/{name})" if transmitted else f"{name}/{i0}"
    return {path.stem: mu}, (f"the columns are raw counts, absorption is {formula}",)


def _reference(
    name: str,
    table: Table,
    column: int,
    mu: NDArray[np.float64],
    notes: tuple[str, ...],
    path: Path,
    energy_unit: str | None,
) -> Reference:
    energy = table.values[:, column]
    good = np.isfinite(energy) & np.isfinite(mu)
    if good.sum() < 2:
        raise DataFileError(
            f"{path} has {good.sum()} rows with numbers for '{name}', at least 2 energies are needed."
        )
    if not good.all():
        notes = (*notes, f"{(~good).sum()} of {good.size} rows without a finite value were left out")
    hint = table.names[column] if table.names else ""
    energies = to_ev(energy[good], str(path), energy_unit, hint)
    groups, values = sorted_groups(energies.values), mu[good]
    if len(groups) < good.sum():
        notes = (
            *notes,
            f"{good.sum()} rows at {len(groups)} different energies: equal energies were averaged",
        )
    return Reference(
        name,
        energies.values[[group[0] for group in groups]],
        np.array([values[list(group)].mean() for group in groups]),
        str(path),
        (*notes, *energies.warnings, f"energies in {energies.unit}"),
    )


FORMAT = SpectraFormat(
    "columns of text",
    (".txt", ".dat", ".csv", ".xdi", ".nor", ".xmu", ".asc"),
    recognise=lambda path, start: looks_like_text(start),
    read=read_columns,
    general=True,
)
