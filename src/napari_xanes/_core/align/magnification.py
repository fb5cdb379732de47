"""Magnification that changes in proportion to the energy, as that of a zone plate does, measured with the drift.

The focal length of a zone plate is proportional to the energy, so the scale of the images changes linearly with it.
Parts of the frame away from the centre then drift apart, in proportion to their distance from it: the drift of four
quarters gives the scale of every frame, and one line through all of them the change with energy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.affine import transformed_rows
from napari_xanes._core.align.search import measure_drift
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.drift import ReferenceFrame
from napari_xanes._core.data.stack import Float32

Float64 = NDArray[np.float64]

ROUNDS = 2
"""The first is bent by large changes of scale, the second sees what it left."""

LEAST = 64
"""px; a side of the region must be at least this long to be parted."""


@dataclass(frozen=True, eq=False)
class Magnified:
    """What `measure_magnified` finds: matrices (E, 3, 3), confidence (E,), reference, relative change of scale per eV, errors (E, 2)."""

    matrices: Float64
    confidence: Float64
    reference: ReferenceFrame
    per_ev: float
    sigma: Float64


def measure_magnified(
    look: Callable[[int], Float32],
    energy: Float64,
    reference: ReferenceFrame,
    *,
    progress: Progress = no_progress,
    workers: int | None = None,
) -> Magnified:
    """Return the drift of frames whose scale changes linearly with energy, about the middle of the region.

    Parameters
    ----------
    look : callable
        ``look(i)`` gives the region of frame i, float32 (Y, X).
    energy : array (E,)
        eV.
    reference : int, "previous" or "mean"
        Its scale is 1; the mean energy's for "mean", the first's for "previous".

    Raises
    ------
    InputError
        If the region is too small to be parted.
    """
    shape = look(0).shape
    if min(shape) < LEAST:
        raise InputError(
            f"the region is {shape[0]} x {shape[1]} px, at least {LEAST} x {LEAST} are needed to measure magnification."
        )
    where = (
        energy[reference]
        if isinstance(reference, int)
        else energy[0]
        if reference == "previous"
        else energy.mean()
    )
    middle = (np.array(shape) - 1) / 2
    per_ev = 0.0
    for _ in range(ROUNDS):
        scaled = _scaled(look, shape, middle, 1 + per_ev * (energy - where))
        per_ev += _change(scaled, shape, energy, reference, progress, workers)
    scales = 1 + per_ev * (energy - where)
    found = measure_drift(
        _scaled(look, shape, middle, scales), energy.size, reference, progress=progress, workers=workers
    )
    matrices = np.full((energy.size, 3, 3), np.nan)
    for matrix, scale, shift in zip(matrices, scales, found.shifts, strict=True):
        if np.isfinite(shift).all():
            matrix[...] = _scale_about(middle - shift, scale)
            matrix[:2, 2] += shift
    return Magnified(matrices, found.confidence, found.reference, per_ev, found.sigma)


def _scale_about(center: Float64, scale: float) -> Float64:
    matrix = np.diag([scale, scale, 1.0])
    matrix[:2, 2] = (1 - scale) * center
    return matrix


def _scaled(
    look: Callable[[int], Float32], shape: tuple[int, ...], middle: Float64, scales: Float64
) -> Callable[[int], Float32]:
    """Return how to read frames with their scale taken back."""

    def read(i: int) -> Float32:
        if scales[i] == 1:
            return look(i)
        matrix = _scale_about(middle, scales[i])
        return transformed_rows(lambda rows: look(i)[rows], shape, matrix, slice(None), "cubic")

    return read


def _change(
    look: Callable[[int], Float32],
    shape: tuple[int, ...],
    energy: Float64,
    reference: ReferenceFrame,
    progress: Progress,
    workers: int | None,
) -> float:
    """Return the relative change of scale per eV that the drift of the quarters of the frame shows."""
    halves = [(slice(0, n // 2), slice(n - n // 2, n)) for n in shape]
    quarters = [(rows, columns) for rows in halves[0] for columns in halves[1]]
    centers = np.array([[(part.start + part.stop - 1) / 2 for part in quarter] for quarter in quarters])
    arms = centers - centers.mean(axis=0)
    shifts, sure = [], []
    for quarter in quarters:
        moved = measure_drift(
            partial(_part, look, quarter),
            energy.size,
            reference,
            progress=progress,
            workers=workers,
        )
        shifts.append(moved.shifts)
        sure.append(moved.confidence)
    apart = np.array(shifts) - np.mean(shifts, axis=0)  # (4, E, 2)
    scale = np.einsum("kea,ka->e", apart, arms) / np.sum(arms**2)
    weight = np.min(sure, axis=0) ** 2
    used = np.isfinite(scale) & (weight > 0)
    if used.sum() < 3:
        return 0.0
    return _line(energy[used], scale[used], weight[used])


def _part(look: Callable[[int], Float32], part: tuple[slice, slice], i: int) -> Float32:
    return np.ascontiguousarray(look(i)[part])


def _line(x: Float64, y: Float64, weight: Float64) -> float:
    """Return the slope of a line, points far from it counting less."""
    slope, used = 0.0, weight
    for _ in range(10):
        mean_x, mean_y = np.average(x, weights=used), np.average(y, weights=used)
        slope = float((used * (x - mean_x) * (y - mean_y)).sum() / (used * (x - mean_x) ** 2).sum())
        rest = np.abs(y - mean_y - slope * (x - mean_x))
        limit = 2 * 1.4826 * np.median(rest)
        used = weight * np.minimum(1, limit / np.maximum(rest, 1e-30)) if limit > 0 else weight
    return slope
