"""The energy scale put right: by an offset or an edge whose energy is known, and equal energies made one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import valid_mean
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines
from napari_xanes._core.engine.step import Step


class ShiftEnergyParams(Params):
    """Parameters of the shift of the energy scale."""

    offset: float | None = field(
        None, "Offset", "Added to all energies. Empty: from measured and true.", unit="eV", example=-0.6
    )
    measured: float | None = field(
        None,
        "Measured",
        "Energy at which something known was found, such as the edge of a foil. Empty: the offset is added.",
        unit="eV",
        example=8333.6,
    )
    true: float | None = field(
        None, "True", "Where it should be. Empty: the offset is added.", unit="eV", example=8333.0
    )


class MergeEnergiesParams(Params):
    """Parameters of the merging of energies."""

    tolerance: float = field(
        0.02,
        "Tolerance",
        "Frames within so much of one another become one. Align before, if the sample moved.",
        unit="eV",
        gt=0,
    )


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
    found = Found({"offset": float(offset)})
    if abs(offset) > 20:
        found.warn(f"the energies were shifted by {offset:g} eV, more than a monochromator is usually off")
    return ShiftEnergyParams(offset=float(offset)), found


def energy_groups(energy: NDArray[np.float64], tolerance: float) -> list[NDArray[np.intp]]:
    """Return the indices of ascending energies in groups, each no wider than the tolerance."""
    starts, first = [], -np.inf
    for i, value in enumerate(energy.tolist()):
        if value - first > tolerance:
            starts.append(i)
            first = value
    return np.split(np.arange(energy.size), starts[1:])


def merge_energies_step(
    chain: Chain, params: MergeEnergiesParams, progress: Progress
) -> tuple[MergeEnergiesParams, Found]:
    """Make frames of nearly one energy one frame, the mean of their valid pixels at their mean energy."""
    if chain.signal == "counts" and chain.stack.flat is not None:
        raise InputError(
            "merge_energies comes after flat_field, as each frame has its flat; put flat_field before it."
        )
    read = chain.frames(progress)
    groups = energy_groups(chain.energy, params.tolerance)
    energy = np.array([chain.energy[group].mean() for group in groups])

    def read_merged(index: int, rows: slice = slice(None)) -> Float32:
        group = groups[index].tolist()
        if len(group) == 1:
            return read(group[0], rows)
        return valid_mean(read(member, rows) for member in group).astype(np.float32)

    chain.wrap(read_merged, energy=energy)
    return params, Found({"merged": int(sum(map(len, groups)) - len(groups))})


def _shift_energy_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    if "offset" in given:
        return [f"energy = energy + {given['offset']!r}"]
    return [f"energy = energy + ({given['true']!r} - {given['measured']!r})"]


SHIFT_ENERGY = Step(
    name="shift_energy",
    title="Energy shift",
    does="correct the energy scale",
    params=ShiftEnergyParams,
    run=shift_energy_step,
    order=50,
    whole_frames=True,
    code=_shift_energy_code,
)


MERGE_ENERGIES = Step(
    name="merge_energies",
    title="Merge energies",
    does="make one frame of frames at the same energy",
    params=MergeEnergiesParams,
    run=merge_energies_step,
    order=60,
    whole_frames=True,
)
