"""Stacks that are packed so that frames or rows cannot be read by themselves: each piece is unpacked once.

A frame compressed as one chunk is unpacked whole for a few of its rows, and a file whose chunks run along the energies for
a single frame.  Such stacks are unpacked before work: into memory as they are stored, or where they do not fit into a
scratch file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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


def fits_memory(data: ArrayLike, taken: int = 0) -> bool:
    """Whether awkward data are unpacked into memory, of which so many bytes are taken before."""
    return is_awkward(data) and stored_bytes(data) < PART_OF_MEMORY * (free_memory() - taken)


def flats_of_frames(stack: EnergyStack) -> list[ArrayLike]:
    """Return the flats if there is one for each frame, read with it again and again."""
    return [stack.flat] if stack.flat is not None and stack.flat.shape == stack.shape else []


def held_bytes(stack: EnergyStack) -> int:
    """Return the bytes of what is unpacked into memory: flats of single frames, and frames where there is room besides."""
    flats = sum(stored_bytes(flat) for flat in flats_of_frames(stack) if fits_memory(flat))
    return flats + (stored_bytes(stack.data) if fits_memory(stack.data, flats) else 0)


def scratch_bytes(stack: EnergyStack, steps: Sequence[tuple[str, Params]]) -> int:
    """Return the bytes of what does not fit into memory and is read more than once, and so unpacked into a scratch file."""
    flats = [flat for flat in flats_of_frames(stack) if is_awkward(flat)]
    scratch = sum(stored_bytes(flat) for flat in flats if not fits_memory(flat))
    taken = sum(map(stored_bytes, flats)) - scratch
    return scratch + (stored_bytes(stack.data) if _needs_scratch(stack, steps, taken) else 0)


def _needs_scratch(stack: EnergyStack, steps: Sequence[tuple[str, Params]], taken: int = 0) -> bool:
    again = pieces(stack.data)[0] == 1 or any(STEPS[name].moves_pixels for name, _ in steps)
    return is_awkward(stack.data) and not fits_memory(stack.data, taken) and again


@contextmanager
def unpacked(
    stack: EnergyStack, steps: Sequence[tuple[str, Params]], progress: Progress, workers: int | None
) -> Iterator[EnergyStack]:
    """Give a stack of the same numbers whose rows are read quickly, itself if they are already."""
    check_scratch(stack, scratch_bytes(stack, steps))
    with ExitStack() as files:

        def unpack(data: ArrayLike) -> ArrayLike:
            if fits_memory(data):
                return _in_memory(data, progress, workers)
            folder = files.enter_context(scratch_folder(tempfile.gettempdir()))
            return _in_file(data, folder / "frames", progress, workers)

        for flat in filter(is_awkward, flats_of_frames(stack)):
            stack = stack.replace(flat=unpack(flat))
        if fits_memory(stack.data) or _needs_scratch(stack, steps):
            stack = stack.replace(data=unpack(stack.data))
        yield stack


def check_scratch(stack: EnergyStack, n_bytes: int) -> None:
    """Refuse a stack whose scratch files, of so many bytes, would not fit."""
    try:
        check_disk(n_bytes, Path(tempfile.gettempdir()) / "frames")
    except ResourceError as error:
        raise ResourceError(
            f"{stack.name or 'the stack'} is packed so that it has to be unpacked first, and does not fit into memory: "
            f"{error} TMPDIR names the folder."
        ) from None


def _in_file(data: ArrayLike, path: Path, progress: Progress, workers: int | None) -> PlainFrames:
    shape = tuple(data.shape)
    with open(path, "wb", buffering=0) as file:
        _unpack(data, partial(_put_into_file, file.fileno(), shape), progress, workers)
    return PlainFrames(path, shape, data.dtype, 0)


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
