"""The unit of energies, declared or told from the numbers; and which order energies belong in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.io.plausible import units_that_fit

EnergyUnit = Literal["eV", "keV", "MeV", "meV"]
EV_PER = {"eV": 1.0, "keV": 1e3, "MeV": 1e6, "meV": 1e-3}
HC_EV_ANGSTROM = 12398.419843320026
"""Planck constant times speed of light."""
JOULES_PER_EV = 1.602176634e-19
WAVELENGTHS = {"angstrom": 1.0, "angstroms": 1.0, "å": 1.0, "a": 1.0, "nm": 10.0, "pm": 0.01}
"""Units of wavelengths, in ångström."""
_MEGA_OR_MILLI = re.compile(r"(?<![a-z])mev(?![a-z])", re.IGNORECASE)

KEV_BELOW = 120.0
"""Numbers below this are keV: no element has a K edge above 120 keV, few have one below 120 eV."""
SURE_BELOW = 50.0
MIXED_RATIO = 50.0
PLAUSIBLE_EV = (20.0, 200_000.0)
SAME_EV = 1e-6
"""Energies nearer to each other than this are equal: numbers like 8.34 keV do not survive arithmetic exactly."""


@dataclass(frozen=True, eq=False)
class Energies:
    """Energies in eV in the order of their file, their unit there, and what is to be said about it."""

    values: NDArray[np.float64]
    unit: EnergyUnit
    warnings: tuple[str, ...] = ()


def to_ev(
    values: NDArray[np.float64], label: str, unit: str | None = None, hint: str = "", declared: str = ""
) -> Energies:
    """Return energies in eV.

    Parameters
    ----------
    values : array (E,)
        As the file has them.
    label : str
        Where they came from, for the error.
    unit : {"eV", "keV"}, optional
        The unit, if it is known; else it is told from the numbers.
    hint : str
        Name of the column or dataset, which may hold the unit: MeV or meV, or eV or keV where the numbers leave a doubt.
    declared : {"", "eV", "keV", "MeV", "meV", "mev"}
        The unit that the file declares; it holds unless the numbers cannot be of it.  "mev" is MeV or meV.

    Raises
    ------
    InputError
        If a number is not finite or not positive, if units are mixed, or the unit cannot be.
    """
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if bad.size:
        raise InputError(
            f"energy {bad[0] + 1} of {values.size} of {label} is {values[bad[0]]}; "
            "every energy must be a positive number, mend the list."
        )
    low, high = float(values.min()), float(values.max())
    if high / low > MIXED_RATIO:
        raise InputError(
            f"the energies of {label} go from {low:g} to {high:g}, as if eV and keV were mixed; "
            "write all of them in one unit."
        )
    warnings: tuple[str, ...] = ()
    if unit is not None and unit not in ("eV", "keV"):
        raise InputError(f"energy_unit is {unit!r}, expected 'eV' or 'keV'.")
    if unit is None:
        unit, doubt = _declared_or_told(low, high, label, hint, declared)
        warnings = (doubt,) * bool(doubt)
    in_ev = (
        values / 1000.0 if unit == "meV" else values * EV_PER[unit]
    )  # 8333000 meV are 8333 eV to the last bit
    if in_ev.min() < PLAUSIBLE_EV[0] or in_ev.max() > PLAUSIBLE_EV[1]:
        raise InputError(
            f"the energies of {label}, {low:g} to {high:g}, cannot be {unit} of an X-ray scan; "
            "give the other energy_unit or mend the list."
        )
    return Energies(in_ev, cast("EnergyUnit", unit), warnings)


def _declared_or_told(
    low: float, high: float, label: str, hint: str, declared: str
) -> tuple[EnergyUnit, str]:
    """Return the declared unit if the energies can be of it, else what the numbers tell, and what is to be said."""
    if (exotic := next(iter(_MEGA_OR_MILLI.findall(f"{declared} {hint}")), "")) and declared not in (
        "eV",
        "keV",
    ):
        return _mega_or_milli(low, high, label, exotic), ""
    told, doubt = _told(low, high, label, hint)
    if declared not in ("eV", "keV"):
        return told, doubt
    factor = 1000.0 if declared == "keV" else 1.0
    if PLAUSIBLE_EV[0] <= low * factor and high * factor <= PLAUSIBLE_EV[1]:
        return ("keV" if declared == "keV" else "eV"), ""
    return (
        told,
        f"the energies of {label} are declared as {declared}, which {low:g} to {high:g} cannot be; {told} was taken",
    )


def _mega_or_milli(low: float, high: float, label: str, written: str) -> EnergyUnit:
    """Return which of MeV and meV is meant by how it is written, or where that is open by the numbers."""
    possible: tuple[EnergyUnit, ...] = ("MeV", "meV")
    for unit in possible:
        fits = PLAUSIBLE_EV[0] <= low * EV_PER[unit] and high * EV_PER[unit] <= PLAUSIBLE_EV[1]
        if fits and written in (unit, *({written} - set(possible))):
            return unit
    raise InputError(
        f"the energies of {label} are declared as {written}, which {low:g} to {high:g} cannot be for an X-ray scan; "
        "give energy_unit, or mend the list."
    )


def _told(low: float, high: float, label: str, hint: str) -> tuple[EnergyUnit, str]:
    """Return the unit of energies, and a sentence of doubt where the numbers could be either."""
    unit: EnergyUnit = "keV" if high < KEV_BELOW else "eV"
    if low < PLAUSIBLE_EV[0] or high >= KEV_BELOW:
        return unit, ""
    fitting = units_that_fit(low, high)
    if len(fitting) == 1:
        return ("keV" if fitting[0] == "keV" else "eV"), ""
    if high < SURE_BELOW:
        return unit, ""
    if (named := _unit_in(hint)) is not None:
        return named, ""
    return unit, (
        f"the energies of {label}, {low:g} to {high:g}, were taken for {unit}; if they are eV, "
        "say so with energy_unit"
    )


def _unit_in(text: str) -> EnergyUnit | None:
    lower = text.lower()
    return "keV" if "kev" in lower else "eV" if "ev" in lower else None


def sorted_groups(energy: NDArray[np.float64]) -> list[tuple[int, ...]]:
    """Return, for ascending energies without duplicates, the indices of the images that belong to each.

    Energies within `SAME_EV` are equal.
    """
    order = np.argsort(energy, kind="stable")
    groups: list[list[int]] = []
    for i in order.tolist():
        if groups and energy[i] - energy[groups[-1][0]] <= SAME_EV:
            groups[-1].append(i)
        else:
            groups.append([i])
    return [tuple(group) for group in groups]
