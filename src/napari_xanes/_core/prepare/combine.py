"""Scans of the same view put together: parts of an edge taken one after the other, or repeats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_xanes._core.base.door import public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.lazy import AnyArray, LazyArray, gathered
from napari_xanes._core.data.stack import EnergyStack, pieces, rows_are_cheap
from napari_xanes._core.prepare.energies import energy_groups
from napari_xanes._core.prepare.flat_field import BeamDivision, beam_changes, beam_reader, mean_dark


@public
def combine_scans(scans: Sequence[EnergyStack], *, tolerance: float = 0.02) -> EnergyStack:
    """Return several scans of the same view as one, their energies in order.

    Parameters
    ----------
    scans : sequence of EnergyStack
        Of one image shape and one signal.  Counts are divided each by its own flats.
    tolerance : float
        Frames whose energies differ by no more than this, in eV, are averaged, at their mean energy.

    Returns
    -------
    EnergyStack
        Lazy: frames are read when they are asked for.  Of counts with flats, the transmission.

    Raises
    ------
    InputError
        If there is no scan, or shapes, signals or pixel sizes differ, or some counts have flats and some have not.
    """
    if not all(isinstance(one, EnergyStack) for one in scans):
        raise InputError("combine_scans takes scans that are open; open each file with read_stack first.")
    if not scans:
        raise InputError("combine_scans got no scan; give at least one.")
    first = scans[0]
    for one in scans[1:]:
        for what, a, b in (
            ("images of", first.image_shape, one.image_shape),
            ("the signal", first.signal, one.signal),
            ("pixels of (um)", first.pixel_size_um, one.pixel_size_um),
            ("flats:", first.flat is not None, one.flat is not None),
        ):
            if a != b:
                raise InputError(
                    f"{one.name or 'a scan'} has {what} {b}, {first.name or 'the first'} {a}; only scans alike can be "
                    "combined, so bring them to the same first."
                )
    divided = first.signal == "counts" and first.flat is not None
    energy = np.concatenate([one.energy for one in scans])
    order = np.argsort(energy, kind="stable")
    groups = [order[group] for group in energy_groups(energy[order], tolerance)]
    frames = _Concatenated(scans, divided)
    return EnergyStack(
        data=gathered(
            frames,
            [tuple(sorted(group.tolist())) for group in groups],
            counts=not divided and first.signal == "counts",
        ),
        energy=np.array([energy[group].mean() for group in groups]),
        signal="transmission" if divided else first.signal,
        pixel_size_um=first.pixel_size_um,
        name=" + ".join(one.name for one in scans),
        source={"combined": [one.source for one in scans], "tolerance": tolerance},
        warnings=(*(f"{one.name}: {text}" for one in scans for text in one.warnings), *_repeated(groups)),
    )


def _repeated(groups: Sequence[AnyArray]) -> list[str]:
    """Say so where frames of several scans were averaged."""
    count = sum(len(group) > 1 for group in groups)
    if not count:
        return []
    text = (
        f"{count} energies are in more than one scan, and their frames were averaged as they are; if the sample moved "
        "between the scans, align each to the same frame first"
    )
    return [text]


class _Concatenated(LazyArray):
    """The frames of scans one after the other, divided by their flats or not."""

    def __init__(self, scans: Sequence[EnergyStack], divided: bool) -> None:
        self.where = [(scan, i) for scan in scans for i in range(scan.shape[0])]
        types = {np.dtype(np.float32) if divided else np.dtype(scan.data.dtype) for scan in scans}
        cheap = all(rows_are_cheap(scan.data) for scan in scans)
        super().__init__((len(self.where), *scans[0].image_shape), np.result_type(*types), cheap_rows=cheap)
        self.pieces = (1, max(pieces(scan.data)[1] for scan in scans))
        self.divisions = {
            id(scan): BeamDivision(
                beam_reader(scan.flat, scan.shape[0], scan.image_shape),
                mean_dark(scan.dark, scan.image_shape),
                changes=beam_changes(scan.flat, scan.shape[0], scan.image_shape),
            )
            for scan in scans
            if divided and scan.flat is not None
        }

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of a frame."""
        scan, i = self.where[index]
        if id(scan) not in self.divisions:
            return np.asarray(scan.data[i, rows]).astype(self.dtype, copy=False)
        frame = scan.read(i, rows)
        self.divisions[id(scan)](frame, i, rows)
        return frame
