"""A part of a stack, in memory: what is seen of it, thinned, so that steps can be tried on it at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.stack import ArrayLike, EnergyStack


def excerpt(
    stack: EnergyStack,
    rows: slice,
    columns: slice,
    *,
    plane: int | None = None,
    progress: Progress = no_progress,
) -> EnergyStack:
    """Return some rows and columns of a stack, with its flats, darks and thickness.

    Parameters
    ----------
    stack : EnergyStack
        Images (E, Y, X) or volumes (E, Z, Y, X); never written to.
    rows, columns : slice
        What is kept; with steps, only every so many pixels.
    plane : int, optional
        Of volumes, the plane (z) that is kept: what comes out are volumes of one plane.
    progress : callable, optional
        ``progress(done, total, text)``; raises `Cancelled` to stop.

    Returns
    -------
    EnergyStack
        In memory, of the same energies and name.

    Raises
    ------
    InputError
        If nothing would be left, or a plane is given for images or none for volumes.
    """
    n_space = len(stack.image_shape)
    if (plane is None) != (n_space == 2):
        raise InputError(
            f"the stack has shape {stack.shape} and plane is {plane}; give a plane for volumes, and none for images."
        )
    if 0 in (len(range(*rows.indices(stack.shape[-2]))), len(range(*columns.indices(stack.shape[-1])))):
        raise InputError(f"rows {rows} and columns {columns} hold no pixel of {stack.image_shape}.")
    first = rows if plane is None else slice(plane, plane + 1)
    rest = (columns,) if plane is None else (rows, columns)

    def cut(images: ArrayLike, *frame: int) -> NDArray[Any]:
        start, stop, step = first.indices(images.shape[len(frame)])
        block = np.asarray(images[(*frame, slice(start, stop))])[::step]
        return np.array(block[(slice(None), *rest)])

    def part(images: ArrayLike | None) -> NDArray[Any] | None:
        if images is None or images.ndim < n_space:  # a beam spectrum is the same everywhere
            return None if images is None else np.asarray(images)
        if images.ndim == n_space:
            return cut(images)
        return np.stack([cut(images, i) for i in range(images.shape[0])])

    frames = []
    for i in range(stack.shape[0]):
        progress(i, stack.shape[0], "Reading what is seen")
        frames.append(cut(stack.data, i))
    return stack.replace(
        data=np.stack(frames),
        flat=part(stack.flat),
        dark=part(stack.dark),
        thickness=part(stack.thickness),
    )
