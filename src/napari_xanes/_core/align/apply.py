"""The drift taken back: frames moved to where the reference shows the sample.

How a frame is moved is in `move`, how it is turned or scaled in `affine`.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.affine import transformed_rows
from napari_xanes._core.align.move import INTERPOLATIONS, Interpolation, moved_rows
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.checks import check_choice
from napari_xanes._core.base.door import Count, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.base.unread import Unread, is_lazy
from napari_xanes._core.data.as_dask import computed
from napari_xanes._core.data.drift import Drift
from napari_xanes._core.data.history import Entry
from napari_xanes._core.data.stack import EnergyStack, Float32, FrameReader
from napari_xanes._core.engine import blocks


@overload
def apply_drift(
    stack: EnergyStack, drift: Drift, *, interpolation: Interpolation = ..., workers: int | None = ...
) -> EnergyStack: ...


@overload
def apply_drift(
    stack: NDArray[Any], drift: Drift, *, interpolation: Interpolation = ..., workers: int | None = ...
) -> Float32: ...


@public
def apply_drift(
    stack: EnergyStack | StackLike,
    drift: Drift,
    *,
    interpolation: Interpolation = "lanczos",
    workers: Count | None = None,
) -> EnergyStack | Float32:
    """Put every frame where the reference is.

    Parameters
    ----------
    stack : EnergyStack or array
        Images (E, Y, X) or volumes (E, Z, Y, X); not written to.
    drift : Drift
        As `estimate_drift` returns it; a drift measured on one stack may be applied to another.
    interpolation : {"lanczos", "linear", "cubic"}
        8, 2 or 4 taps along each axis.  Shifts by whole pixels change no value.
    workers : int, optional
        Number of threads.

    Returns
    -------
    EnergyStack or array
        Like `stack`, float32; NaN where there is no data and in frames whose drift is not known.  A dask array where
        `stack` holds one, or one of zarr, h5py, a memory map, a file: computed where it is looked at.

    Raises
    ------
    InputError
        If the drift is not of this stack's frames.
    """
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    given = as_stack(stack)
    check_drift(drift, given.shape)

    def moved(frames: Any, index: int, rows: slice) -> Float32:
        read = given.replace(data=frames).peek
        return aligned_reader(read, given.image_shape, drift, interpolation)(index, rows)

    if is_lazy(given.data):
        out = computed(moved, Unread(given.data))
    else:
        read = aligned_reader(given.peek, given.image_shape, drift, interpolation)
        out = _moved(read, given.shape, workers)
    if not isinstance(stack, EnergyStack):
        return out
    params = AlignParams(interpolation=interpolation, matrices=known_drift(drift))
    entry = Entry("align", params.model_dump(mode="json", exclude_none=True))
    return stack.replace(data=out, flat=None, dark=None, history=(*stack.history, entry))


def _moved(read: FrameReader, shape: tuple[int, ...], workers: int | None) -> Float32:
    check_memory(4 * int(np.prod(shape)), f"the aligned stack {shape}")
    out = np.empty(shape, np.float32)

    def move(i: int) -> None:
        out[i] = read(i, slice(None))

    blocks.run(move, range(len(out)), text="Aligning", workers=workers)
    return out


def known_drift(drift: Drift) -> tuple[tuple[float, ...], ...]:
    """Return the matrices as a history keeps them: without their last row, none of a frame that is not known."""
    return tuple(tuple(m[:-1].ravel().tolist()) if np.isfinite(m).all() else () for m in drift.matrices)


def drift_from_numbers(numbers: tuple[tuple[float, ...], ...], n_axes: int) -> Drift:
    matrices = np.full((len(numbers), n_axes + 1, n_axes + 1), np.nan)
    for matrix, values in zip(matrices, numbers, strict=True):
        if values:
            if len(values) != n_axes * (n_axes + 1):
                raise InputError(
                    f"matrices hold {len(values)} numbers for a frame, expected {n_axes * (n_axes + 1)} or none."
                )
            matrix[:-1], matrix[-1] = np.reshape(values, (n_axes, -1)), np.eye(n_axes + 1)[-1]
    known = np.isfinite(matrices).all(axis=(1, 2)).astype(np.float64)
    return Drift(matrices, known, "mean")


def aligned_reader(
    read: FrameReader,
    image_shape: tuple[int, ...],
    drift: Drift,
    interpolation: Interpolation,
) -> FrameReader:
    shifts = drift.shifts.tolist()
    moves = drift.is_translation

    def read_aligned(index: int, rows: slice = slice(None)) -> Float32:
        if not moves:
            matrix = drift.matrices[index]
            return transformed_rows(lambda r: read(index, r), image_shape, matrix, rows, interpolation)
        return moved_rows(lambda r: read(index, r), image_shape, shifts[index], rows, interpolation)

    return read_aligned


def as_stack(stack: Any) -> EnergyStack:
    """Return an EnergyStack to read from; frames of a bare array are numbered in place of energies."""
    if isinstance(stack, EnergyStack):
        return stack
    array = stack if isinstance(stack, Unread) else unmasked(stack)
    if array.ndim not in (3, 4) or array.dtype.kind not in "fiub" or 0 in array.shape:
        raise InputError(
            f"stack has shape {array.shape} and type {array.dtype}, "
            "expected real numbers of shape (energy, y, x) or (energy, z, y, x)."
        )
    return EnergyStack(array, np.arange(1.0, len(array) + 1), "optical_density")


def check_drift(drift: Drift, shape: tuple[int, ...]) -> None:
    if not isinstance(drift, Drift):
        raise InputError(
            f"drift is a {type(drift).__name__}, expected a Drift; make one of shifts with Drift.from_shifts."
        )
    n, axes = drift.shifts.shape
    if (n, axes) != (shape[0], len(shape) - 1):
        raise InputError(
            f"the drift is of {n} frames with {axes} axes, the stack has shape {shape}; measure it on this stack."
        )
    if axes == 3 and not drift.is_translation:
        raise InputError("the drift turns or scales volumes, only translations of volumes can be applied.")
