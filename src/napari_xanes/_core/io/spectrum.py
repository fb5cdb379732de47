"""A spectrum as a file holds it, and how it becomes a reference: energies in eV and in order, doubts said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.curve_shape import edge_shape
from napari_xanes._core.io.units import sorted_groups, to_ev


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Absorption over energy, as read.

    Attributes
    ----------
    name : str
    energy, mu : array (n,)
        Any order; may hold values that are not finite.
    source : str
        The file, for people.
    hint : str
        Name of the energies, which may hold their unit.
    notes : tuple of str
        What was done to it.
    shift_ev : float
        To be added to the energies.
    """

    name: str
    energy: NDArray[np.float64]
    mu: NDArray[np.float64]
    source: str
    hint: str = ""
    notes: tuple[str, ...] = ()
    shift_ev: float = 0.0


def as_references(spectra: list[Spectrum], energy_unit: str | None) -> list[Reference]:
    """Return spectra as references: without lost values, energies in eV and ascending, equal ones averaged.

    Raises
    ------
    DataFileError
        If fewer than two rows are left.
    InputError
        If energies are not positive, or mix units.
    """
    return [_reference(one, energy_unit) for one in spectra]


def _reference(one: Spectrum, energy_unit: str | None) -> Reference:
    energy, mu, notes = one.energy, one.mu, one.notes
    good = np.isfinite(energy) & np.isfinite(mu)
    if good.sum() < 2:
        raise DataFileError(
            f"{one.source} has {good.sum()} rows with numbers for '{one.name}', at least 2 energies are needed."
        )
    if not good.all():
        notes = (*notes, f"{(~good).sum()} of {good.size} rows without a finite value were left out")
    in_ev = to_ev(energy[good], one.source, energy_unit, one.hint)
    energies = in_ev.values + one.shift_ev
    groups, values = sorted_groups(energies), mu[good]
    if len(groups) < good.sum():
        notes = (
            *notes,
            f"{good.sum()} rows at {len(groups)} different energies: equal energies were averaged",
        )
    energy = energies[[group[0] for group in groups]]
    mu = np.array([values[list(group)].mean() for group in groups])
    notes = (*notes, *in_ev.warnings, f"energies in {in_ev.unit}", *_shape_note(energy, mu))
    return Reference(one.name, energy, mu, one.source, notes)


def _shape_note(energy: NDArray[np.float64], mu: NDArray[np.float64]) -> tuple[str, ...]:
    """Say if a curve does not look like absorption."""
    shape = edge_shape(energy, mu)
    if shape == "falls":
        return ("the curve falls at its edge, as what is transmitted does; absorption would rise",)
    return ("the curve shows no edge; is it absorption?",) if shape == "no edge" else ()
