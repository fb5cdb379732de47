"""Stacks that are packed so that frames or rows cannot be read by themselves: each piece is unpacked once.

A frame compressed as one chunk is unpacked whole for a few of its rows, and a file whose chunks run along the energies for
a single frame.  Such stacks are unpacked before work: into memory as they are stored, or where they do not fit into a
scratch file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from napari_xanes._core.base.errors import ResourceError
from napari_xanes._core.base.files import check_disk, scratch_folder
from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.kept_rows import KeptRows
from napari_xanes._core.data.lazy import AnyArray
from napari_xanes._core.data.stack import ArrayLike, EnergyStack, pieces, read_block, rows_are_cheap
from napari_xanes._core.engine import blocks
from napari_xanes._core.io.frames import PlainFrames
from napari_xanes._core.recipe.steps import STEPS

PART_OF_MEMORY = 0.4
"""Of what is free, for a stack as it is stored."""


def stored_bytes(data: ArrayLike) -> int:
    """Return the bytes of unpacked data, as they are stored."""
    return int(prod(data.shape) * np.dtype(data.dtype).itemsize)


def is_awkward(data: ArrayLike) -> bool:
    """Whether to read rows, or frames, again would unpack most of the data again."""
    packed = not rows_are_cheap(data) or pieces(data)[0] > 1
    return packed and data.ndim > 2 and not isinstance(data, np.ndarray)


def fits_memory(data: ArrayLike) -> bool:
    """Whether awkward data are unpacked into memory."""
    return is_awkward(data) and stored_bytes(data) < PART_OF_MEMORY * free_memory()


def needs_scratch(stack: EnergyStack, steps: Sequence[tuple[str, Params]]) -> bool:
    """Whether a stack that does not fit into memory is read more than once, and so unpacked into a scratch file."""
    again = pieces(stack.data)[0] == 1 or any(STEPS[name].moves_pixels for name, _ in steps)
    return is_awkward(stack.data) and not fits_memory(stack.data) and again


@contextmanager
def unpacked(
    stack: EnergyStack, steps: Sequence[tuple[str, Params]], progress: Progress, workers: int | None
) -> Iterator[EnergyStack]:
    """Give a stack of the same numbers whose rows are read quickly, itself if they are already."""
    flat = stack.flat
    if flat is not None and flat.shape == stack.shape and fits_memory(flat):
        stack = stack.replace(flat=_in_memory(flat, progress, workers))
    if fits_memory(stack.data):
        yield stack.replace(data=_in_memory(stack.data, progress, workers))
    elif needs_scratch(stack, steps):
        check_scratch(stack)
        with scratch_folder(tempfile.gettempdir()) as folder:
            path = folder / "frames"
            with open(path, "wb", buffering=0) as file:
                _unpack(stack.data, partial(_put_into_file, file.fileno(), stack.shape), progress, workers)
            yield stack.replace(data=PlainFrames(path, stack.shape, stack.data.dtype, 0))
    else:
        yield stack


def check_scratch(stack: EnergyStack) -> None:
    """Refuse a stack whose scratch file would not fit."""
    try:
        check_disk(stored_bytes(stack.data), Path(tempfile.gettempdir()) / "frames")
    except ResourceError as error:
        raise ResourceError(
            f"{stack.name or 'the stack'} is packed so that it has to be unpacked first, and does not fit into memory: "
            f"{error} TMPDIR names the folder."
        ) from None


def _in_memory(data: ArrayLike, progress: Progress, workers: int | None) -> AnyArray:
    out = np.empty(data.shape, data.dtype)

    def put(frames: slice, rows: slice, block: AnyArray) -> None:
        out[frames, rows] = block

    _unpack(data, put, progress, workers)
    return out


def _put_into_file(file: int, shape: tuple[int, ...], frames: slice, rows: slice, block: AnyArray) -> None:
    for i, part in zip(range(frames.start, frames.stop), block, strict=True):
        left = memoryview(np.ascontiguousarray(part).data).cast("B")
        at = (i * shape[1] + rows.start) * (part.nbytes // len(part))
        while left:
            done = os.pwrite(file, left, at)
            left, at = left[done:], at + done


def _unpack(
    data: ArrayLike, put: Callable[[slice, slice, AnyArray], None], progress: Progress, workers: int | None
) -> None:
    """Read every piece of the data once and put it where it belongs."""
    kept, (n, height) = KeptRows(data), data.shape[:2]
    tasks = [
        (slice(i, min(i + kept.group, n)), slice(row, min(row + kept.unit, height)))
        for row in range(0, height, kept.unit)
        for i in range(0, n, kept.group)
    ]

    def read(task: tuple[slice, slice]) -> None:
        put(*task, read_block(data, *task))

    blocks.run(read, tasks, progress=progress, text="Unpacking frames", workers=workers)
