"""Spectra of known compounds, and their values at the energies of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.checks import in_window
from napari_xanes._core.base.door import check_fields
from napari_xanes._core.base.errors import InputError


@dataclass(frozen=True, eq=False)
class Reference:
    """Absorption of a known compound.

    Parameters
    ----------
    name : str
        The compound.
    energy : array (n,)
        Photon energies, eV, strictly ascending.
    mu : array (n,)
        Absorption at these energies, finite.
    source : str
        The file it came from.
    notes : tuple of str
        What was done to it when it was read, a sentence each.

    Raises
    ------
    InputError
        If there are fewer than two energies, or shapes, order or values are wrong.
    """

    name: str
    energy: NDArray[np.float64]
    mu: NDArray[np.float64]
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, "name", "energy", "mu")
        energy, mu = (np.asarray(unmasked(v), dtype=np.float64) for v in (self.energy, self.mu))
        object.__setattr__(self, "energy", energy)
        object.__setattr__(self, "mu", mu)
        if energy.ndim != 1 or energy.shape != mu.shape or energy.size < 2:
            raise InputError(
                f"reference '{self.name}' has energies {energy.shape} and values {mu.shape}, "
                "expected two lists of the same length, at least 2."
            )
        if not (np.isfinite(energy).all() and np.isfinite(mu).all() and (energy > 0).all()):
            raise InputError(
                f"reference '{self.name}' holds values that are not finite; leave those rows out."
            )
        if not (np.diff(energy) > 0).all():
            raise InputError(f"the energies of reference '{self.name}' do not ascend; sort them.")


def interpolate_reference(
    reference: Reference, energy: ArrayLike, *, extrapolate: str | None = None
) -> NDArray[np.float64]:
    """Return the reference at the given energies, interpolated linearly.

    Parameters
    ----------
    reference : Reference
    energy : array (E,)
        eV.
    extrapolate : {None, "hold"}
        What to do with energies beyond the reference: refuse, or hold its end values.

    Returns
    -------
    array (E,)

    Raises
    ------
    InputError
        If energies lie outside the reference, by more than they are shown with, and `extrapolate` is None.
    """
    if extrapolate not in (None, "hold"):
        raise InputError(f"extrapolate is {extrapolate!r}, expected None or 'hold'.")
    wanted = np.atleast_1d(np.asarray(energy, dtype=np.float64))
    first, last = float(reference.energy[0]), float(reference.energy[-1])
    outside = wanted[~in_window(wanted, (first, last))]
    if outside.size and extrapolate is None:
        raise InputError(
            f"reference '{reference.name}' covers {first:.2f} to {last:.2f} eV, but {outside.size} of the "
            f"{wanted.size} energies lie outside, {outside[0]:.2f} to {outside[-1]:.2f} eV; choose an energy_range "
            "within the reference or hold its end values with extrapolate='hold'."
        )
    return np.interp(wanted, reference.energy, reference.mu)
