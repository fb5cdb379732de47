"""Which columns of a measurement are energy and absorption, and how counts become absorption.

What a header declares is obeyed.  What it leaves open is either plain from the curves, and then said, or asked for: the
user names a column or a formula of columns, such as ``ln(I0/I1)`` or ``(sca1+sca2)/I0``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.column_formula import Values, evaluate, listed
from napari_xanes._core.io.column_roles import (
    DETECTOR,
    RELATIVE_ENERGY,
    Role,
    detector_set,
    group_of,
    role_of,
)
from napari_xanes._core.io.curve_shape import LEAST_POINTS, edge_shape
from napari_xanes._core.io.plausible import could_be_scan
from napari_xanes._core.io.table import Table
from napari_xanes._core.io.units import HC_EV_ANGSTROM, KEV_BELOW, WAVELENGTHS

_D_SPACING = re.compile(r"(?:d[_ ]?spacing\s*[:=]|\bD\s*=)\s*(\d+\.\d+)", re.IGNORECASE)
_WAVELENGTH = re.compile(
    r"(?:wave.?length|lambda)[\s_]*[(\[_]?\s*(angstroms?|å|a|nm|pm)[)\]]?", re.IGNORECASE
)
_COUNTS = 20.0
"""Neither absorption nor a normalised spectrum reaches this."""


@dataclass(frozen=True, eq=False)
class ColumnSpectrum:
    """A spectrum of a table: its name ("" for the only one of a file), its values, and what is to be said of it."""

    name: str
    mu: Values
    notes: tuple[str, ...] = ()


def likely_energies(table: Table) -> list[int]:
    """Return the columns whose numbers could be the energies of a scan: in order over an edge, and no counting of rows.

    Numbers that would be keV, as absorption and angles would, come after those that are eV.
    """
    counts = [np.arange(len(table.values)) + start for start in (0, 1)]
    likely = [
        i
        for i, column in enumerate(table.values.T)
        if (not table.names or role_of(table.names[i]) in ("energy", "unknown"))
        and could_be_scan(column[np.isfinite(column)])
        and not any(np.array_equal(column, one) for one in counts)
    ]
    in_ev = [i for i in likely if np.nanmin(table.values[:, i]) >= KEV_BELOW]
    return in_ev or likely


def energy_column(table: Table, label: str) -> tuple[Values, str, tuple[str, ...]]:
    """Return the energies in the unit of the file, their name, and what is to be said.

    Raises
    ------
    DataFileError
        If no column is or can become energy.
    """
    roles = [role_of(name) for name in table.names]
    if "energy" in roles:
        column = roles.index("energy")
        return table.values[:, column], f"{table.names[column]} {table.unit}".strip(), ()
    if "angle" in roles:
        column = roles.index("angle")
        return _from_angle(table, column, label)
    if (wavelengths := _from_wavelength(table)) is not None:
        return wavelengths
    relative = [name for name in table.names if RELATIVE_ENERGY.fullmatch(name.strip())]
    if relative:
        raise DataFileError(
            f"{label} gives '{relative[0]}', energies relative to the edge, and no photon energies; add the energy of the "
            "edge to them and name that column 'energy'."
        )
    if roles and roles[0] != "unknown":
        raise DataFileError(
            f"{label} has the columns {listed(table.names)}, none of which is energy by its name; "
            "name that column 'energy' in the header."
        )
    return _first_column(table, label)


def _first_column(table: Table, label: str) -> tuple[Values, str, tuple[str, ...]]:
    """Return the first column, or the only one that could be energies where the first cannot, and what is to be said."""
    if not table.names and any(_D_SPACING.search(line) for line in table.header):
        raise DataFileError(
            f"{label} names a d-spacing in its header but not its columns, so its first one may be an angle; name the columns "
            "in a line above the numbers."
        )
    likely, column = likely_energies(table), 0
    said: tuple[str, ...] = ()
    if likely and 0 not in likely and len(likely) == 1:
        column = likely[0]
        said = (f"energies are those of column {column + 1}, the only one in order over an absorption edge",)
    elif table.names:
        said = (f"energies are those of the first column, {table.names[0]}",)
    named = f"{table.names[column] if table.names else ''} {table.unit}".strip()
    return table.values[:, column], named, said


def _from_wavelength(table: Table) -> tuple[Values, str, tuple[str, ...]] | None:
    """Return energies from a column that is named wavelength and has a unit of length; None if there is none."""
    for column, name in enumerate(table.names):
        match = _WAVELENGTH.fullmatch(name.strip())
        if match is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                energy = HC_EV_ANGSTROM / (table.values[:, column] * WAVELENGTHS[match[1].lower()])
            return energy, "energy eV", (f"energies from the wavelengths '{name}'",)
    return None


def _from_angle(table: Table, column: int, label: str) -> tuple[Values, str, tuple[str, ...]]:
    name = table.names[column]
    found = [m for line in table.header if (m := _D_SPACING.search(line))]
    if not found:
        raise DataFileError(
            f"{label} gives the angle '{name}' and no energy, and its header names no d-spacing to convert it with; "
            "write a line 'Mono.d_spacing: 3.1356' into the header, or energies instead of angles."
        )
    spacing = float(found[-1][1])
    degrees = table.values[:, column] * (1e-3 if "mdeg" in name.lower() else 1.0)
    energy = HC_EV_ANGSTROM / (2 * spacing * np.sin(np.radians(degrees)))
    return energy, "energy eV", (f"energies from the angle '{name}' and the d-spacing {spacing:g} Å",)


def curves_of(table: Table, energy: Values, label: str, wanted: str | None = None) -> list[ColumnSpectrum]:
    """Return the spectra of a table.

    Parameters
    ----------
    table : Table
    energy : array (n,)
    label : str
        The file, for errors.
    wanted : str, optional
        Name of a column, or a formula of columns.

    Raises
    ------
    DataFileError
        If there is none, or it is left open which it is.
    """
    if wanted is not None:
        return [ColumnSpectrum(wanted, evaluate(wanted, table, label), (f"absorption is {wanted}",))]
    roles = [role_of(name) for name in table.names]
    if not roles:
        return _unnamed(table, energy, label)
    declared = [i for i, role in enumerate(roles) if role == "mu"] or [
        i for i, role in enumerate(roles) if role == "reference mu"
    ]
    grouped = _groups(table)
    if grouped:
        return grouped
    if declared:
        curves = _declared(table, declared)
        if len(curves) == 1:
            _refuse_doubtful(table, roles, energy, curves[0].mu, declared, label)
        return curves
    counted = _from_counts(table, roles, energy, label)
    return counted or _unknown(table, roles, energy, label)


def _unnamed(table: Table, energy: Values, label: str) -> list[ColumnSpectrum]:
    others = [i for i in range(table.values.shape[1]) if not np.array_equal(table.values[:, i], energy)]
    if len(others) != 1:
        raise DataFileError(
            f"{label} has {table.values.shape[1]} columns without names, so which is the absorption cannot be told; "
            f"name them in a header line, or name one after the file, as in {_short(label)}:column {(others or [1])[-1] + 1}."
        )
    return [ColumnSpectrum("", table.values[:, others[0]])]


def _groups(table: Table) -> list[ColumnSpectrum]:
    """Return one spectrum a group for names such as "NiO.norm" and "NiO.flat"."""
    forms: dict[str, dict[str, int]] = {}
    for i, name in enumerate(table.names):
        group, form = group_of(name)
        if group:
            forms.setdefault(group, {})[form] = i
    chosen = {group: _preferred(list(columns)) for group, columns in forms.items()}
    return [
        ColumnSpectrum(
            group, table.values[:, forms[group][form]], (f"absorption is {form}",) * (len(forms[group]) > 1)
        )
        for group, form in chosen.items()
        if form is not None
    ]


def _preferred(forms: Sequence[str]) -> str | None:
    """Return the form to take of a spectrum that stands there in several: not corrected before normalised, not flattened."""
    order = ("xmu", "mu", "norm", "normalized", "flat", "flattened")
    known = [form for form in order if form in forms]
    return known[0] if known else None


def _declared(table: Table, columns: list[int]) -> list[ColumnSpectrum]:
    """Return the columns that are absorption by their names."""
    names = [table.names[i] for i in columns]
    if len(columns) == 1:
        return [ColumnSpectrum("", table.values[:, columns[0]])]
    kinds = [re.sub(r"[^a-z]", "", name.lower()) for name in names]
    if len(set(kinds)) < len(kinds):  # mu1, mu2, ...: several samples
        return [
            ColumnSpectrum(name, table.values[:, i]) for name, i in zip(_unique(names), columns, strict=True)
        ]
    first = _preferred([name.lower() for name in names])
    chosen = next((i for i in columns if table.names[i].lower() == first), columns[0])
    others = ", ".join(name for name in names if name != table.names[chosen])
    return [
        ColumnSpectrum(
            "", table.values[:, chosen], (f"absorption is {table.names[chosen]}; the file has {others} too",)
        )
    ]


def _refuse_doubtful(
    table: Table, roles: list[Role], energy: Values, mu: Values, declared: list[int], label: str
) -> None:
    """Ask where a column is absorption by its name and shows no edge, but another one does."""
    if _shape(energy, mu) not in ("falls", "no edge", "empty"):
        return
    for formula in _formulas(table.names, roles):
        if _shape(energy, evaluate(formula, table, label)) == "rises":
            names = " and ".join(table.names[i] for i in declared)
            raise DataFileError(
                f"{names} of {label} is absorption by its name but does not rise at an edge, while {formula} does; name "
                f"the one you mean after the file, as in {_short(label)}:{formula}."
            )


def _from_counts(table: Table, roles: list[Role], energy: Values, label: str) -> list[ColumnSpectrum]:
    """Return absorption from counts, in transmission or fluorescence; nothing if there are no such columns."""
    formulas = _formulas(table.names, roles)
    if not formulas:
        return []
    curves = {formula: evaluate(formula, table, label) for formula in formulas}
    shapes = {formula: _shape(energy, mu) for formula, mu in curves.items()}
    rising = [formula for formula in formulas if shapes[formula] == "rises"]
    open_question = "unknown" in roles and not rising and len(energy) >= LEAST_POINTS
    if open_question and not any(shape == "too few" for shape in shapes.values()):
        return []
    sensible = rising or (formulas if len(formulas) == 1 or "too few" in shapes.values() else [])
    if not sensible or (len(sensible) > 1 and not sensible[0].startswith("ln(")):
        seen = "each of them shows an edge" if rising else "none of them shows an edge"
        raise DataFileError(
            f"the absorption of {label} could be {' or '.join(sensible or formulas)}, and {seen}; name it after the file, "
            f"as in {_short(label)}:{formulas[0]}."
        )
    chosen = sensible[0]
    notes = [f"the columns are raw counts, absorption is {chosen}"]
    if "/" not in chosen:
        notes.append("there is no I0 among the columns to divide by")
    notes += [
        f"the file also has {formula}"
        + ("" if shapes[formula] in ("rises", "too few") else ", without an edge")
        for formula in formulas
        if formula != chosen
    ]
    return [ColumnSpectrum("", curves[chosen], tuple(notes))]


def _shape(energy: Values, mu: Values) -> str:
    """Return the shape of a curve, "empty" if most of it is no number."""
    return edge_shape(energy, mu) if np.isfinite(mu).mean() > 0.5 else "empty"


def _formulas(names: tuple[str, ...], roles: list[Role]) -> list[str]:
    """Return how absorption can be had from the counts: transmission first, then each set of fluorescence channels."""
    i0 = names[roles.index("i0")] if "i0" in roles else None
    formulas = []
    if i0 is not None and "it" in roles:
        formulas.append(f"ln({i0}/{names[roles.index('it')]})")
    sets: dict[str, list[str]] = {}
    for name, role in zip(names, roles, strict=True):
        if role == "fluorescence":
            sets.setdefault(detector_set(name), []).append(name)
    for channels in sets.values():
        total = channels[0] if len(channels) == 1 else f"({'+'.join(channels)})"
        formulas.append(f"{total}/{i0}" if i0 is not None else total)
    return formulas


def _unknown(table: Table, roles: list[Role], energy: Values, label: str) -> list[ColumnSpectrum]:
    """Return the columns with names of their own, if they look like spectra across one edge."""
    columns = [
        i
        for i, role in enumerate(roles)
        if role == "unknown" and not np.array_equal(table.values[:, i], energy, equal_nan=True)
    ]
    shapes = [edge_shape(energy, table.values[:, i]) for i in columns]
    channels = [i for i in columns if DETECTOR.fullmatch(table.names[i].lower())]
    counts = any(np.nanmax(np.abs(table.values[:, i]), initial=0.0) > _COUNTS for i in columns)
    alone = len(columns) == 1 and "i0" not in roles
    edges = all(shape in ("rises", "too few") for shape in shapes)
    if columns and not channels and (not counts or alone or (edges and "i0" not in roles)):
        names = [""] if len(columns) == 1 else _unique([table.names[i] for i in columns])
        return [ColumnSpectrum(name, table.values[:, i]) for name, i in zip(names, columns, strict=True)]
    raise DataFileError(_question(table, roles, energy, label, [table.names[i] for i in columns]))


def _question(table: Table, roles: list[Role], energy: Values, label: str, offered: list[str]) -> str:
    """Return the sentence that asks which column is meant, with an example that is likely."""
    names = listed(table.names)
    offered = offered or [
        n for n, role in zip(table.names, roles, strict=True) if role not in ("energy", "angle")
    ]
    if not offered:
        return (
            f"{label} has the columns {names}, none of which is an absorption spectrum; "
            "save energy and absorption as two columns."
        )
    i0 = next((name for name, role in zip(table.names, roles, strict=True) if role == "i0"), None)
    examples = [f"{name}/{i0}" if i0 else name for name in offered]
    examples += [f"ln({i0}/{name})" for name in offered] if i0 else []
    examples += [f"ln({offered[0]}/{name})" for name in offered[1:]]
    rising = [e for e in examples if edge_shape(energy, evaluate(e, table, label)) == "rises"]
    return (
        f"{label} has the columns {names}, and which of them is the absorption cannot be told; name a column or a "
        f"formula of columns after the file, as in {_short(label)}:{(rising or examples[-1:])[0]}."
    )


def _unique(names: list[str]) -> list[str]:
    return names if len(set(names)) == len(names) else [f"{name} ({i})" for i, name in enumerate(names, 2)]


def _short(label: str) -> str:
    """Return a file as it is named before a column: "a.spec:3" for scan 3 of it."""
    return label.replace("\\", "/").rsplit("/", 1)[-1].replace(", scan ", ":")
