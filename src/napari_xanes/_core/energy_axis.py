"""The energy scale put right: by an offset, or by an edge whose energy is known."""

from __future__ import annotations

import numpy as np

from napari_xanes._core.chain import Chain, Found
from napari_xanes._core.errors import InputError
from napari_xanes._core.params import Params, field
from napari_xanes._core.progress import Progress


class ShiftEnergyParams(Params):
    """Parameters of the shift of the energy scale."""

    offset: float | None = field(
        None, "Offset", "Added to all energies. Empty: from measured and true.", unit="eV", example=-0.6
    )
    measured: float | None = field(
        None,
        "Measured",
        "Energy at which something known was found, such as e0 of a foil.",
        unit="eV",
        example=8333.6,
    )
    true: float | None = field(None, "True", "Where it should be.", unit="eV", example=8333.0)


def shift_energy_step(
    chain: Chain, params: ShiftEnergyParams, progress: Progress
) -> tuple[ShiftEnergyParams, Found]:
    """Add an offset to all energies."""
    pair = (params.measured, params.true)
    if params.offset is not None and pair != (None, None):
        raise InputError("shift_energy has an offset and a measured or true energy; give one or the other.")
    offset = params.offset
    if offset is None:
        if params.measured is None or params.true is None:
            raise InputError("shift_energy needs an offset, or a measured and a true energy.")
        offset = params.true - params.measured
    energy = chain.energy + offset
    if not (np.isfinite(offset) and energy[0] > 0):
        raise InputError(f"an offset of {offset:g} eV would make energies zero or negative.")
    chain.wrap(chain.frames(progress), energy=energy)
    found: Found = {"offset": float(offset)}
    if abs(offset) > 20:
        found["warnings"] = [
            f"the energies were shifted by {offset:g} eV, more than a monochromator is usually off"
        ]
    return ShiftEnergyParams(offset=float(offset)), found
