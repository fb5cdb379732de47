"""Passes over volumes, and over frames that are packed in their files: slabs of rows, of which each is read once.

All threads work on one slab, first on its frames and then on its pixels, so that rows around it, which alignment needs,
are kept in memory once and not read again for the next.  Maps do not depend on how high the slabs are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np

from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.kept_rows import KeptRows, kept_rows
from napari_xanes._core.data.stack import EnergyStack, FrameReader
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.passes import RawMaps, run_bands

SLAB_BYTES = 48 * 2**20
"""Of a slab of images, float32."""
MOST_BYTES = 768 * 2**20
"""What a slab of volumes and the rows around it take at most, where so much is free and a few planes take less."""
ROWS_AROUND = 8
"""What the longest interpolation needs besides the rows that it gives."""
FEW = 4
"""Planes from which on a slab is not made thinner to save memory."""


@runtime_checkable
class MapSink(Protocol):
    """Where maps of volumes are put slab by slab, and read from afterwards."""

    rows: int

    def put(
        self, slab: slice, image_shape: Sequence[int], maps: Sequence[Mapping[str, blocks.FloatArray]]
    ) -> None: ...

    def maps(self) -> RawMaps: ...


def slab_height(kept: KeptRows, image_shape: Sequence[int], n: int) -> int:
    """Return how many rows a slab has; 0 if those that must be kept around one do not fit into memory."""
    row: int = 4 * n * prod(image_shape[1:])
    around = bytes_around(kept)
    height = max(SLAB_BYTES // row, 1)
    if len(image_shape) > 2:
        height = min(max(height, ROWS_AROUND), max(FEW, (MOST_BYTES - around) // row))
    fitting: int = (int(0.4 * free_memory()) - around) // row
    return int(max(0, min(height, fitting, image_shape[0])))


def bytes_around(kept: KeptRows) -> int:
    """Return how many bytes of rows are kept from one slab to the next."""
    return int(min(kept.data.shape[1], ROWS_AROUND + 2 * kept.unit) * kept.row_bytes)


def working_bytes(stack: EnergyStack, workers: int | None) -> int:
    """Return about how many bytes a pass over a stack takes besides its maps."""
    n, kept = stack.shape[0], kept_rows(stack)
    row = 4 * n * prod(stack.image_shape[1:])
    height = slab_height(kept, stack.image_shape, n) if kept else 0
    if kept and height:
        return height * row + bytes_around(kept)
    band = blocks.row_blocks(stack.image_shape, n)[0]
    rows = 2 * (band.stop - band.start) * (workers or blocks.default_workers())
    return int(min(rows, 2 * stack.image_shape[0]) * row)


def run_slabs(
    kernels: Sequence[blocks.PixelKernel],
    read: FrameReader,
    shape: Sequence[int],
    *,
    kept: KeptRows,
    sink: MapSink | None = None,
    cheap: bool,
    wanted: Callable[[str], bool],
    progress: Progress,
    workers: int | None,
) -> RawMaps:
    """Run kernels over slabs as the reader gives them; only maps are kept.

    Parameters
    ----------
    read : callable
        Gives frames as they are by now, made of what `kept` gives.
    sink : MapSink, optional
        Where the maps of each slab are put; without it they are kept in memory.
    cheap : bool
        Whether a few rows of a frame are read quickly.
    """
    n, image_shape = shape[0], tuple(shape[1:])
    height = slab_height(kept, image_shape, n)
    if not height:
        return run_bands(kernels, read, shape, cheap=cheap, wanted=wanted, progress=progress, workers=workers)
    if sink is not None and height > sink.rows:
        height -= height % sink.rows
    width = prod(image_shape[1:])
    slabs = blocks.row_blocks(image_shape, n, megabytes=height * width * n * 4 / 2**20)
    chunks = blocks.pixel_chunks(image_shape)
    spectra = np.empty((n, (slabs[0].stop - slabs[0].start) * width), np.float32)
    of_slab = slice(0, slabs[0].stop) if sink is not None else slice(0, image_shape[0])
    maps = blocks.allocate_maps(kernels, (of_slab.stop, *image_shape[1:]), wanted=wanted)
    scratch = blocks.Scratch()
    done, total = 0, n * len(slabs) + len(chunks)

    def report(part: int, _total: int, _text: str) -> None:
        progress(done + part, total, "Computing maps")

    with kept.keeping():
        for slab in slabs:
            first, rows = slab.start * width, slab.stop - slab.start
            inside = [c for c in chunks if first <= c.start < slab.stop * width]

            def fill(i: int, slab: slice = slab, rows: int = rows) -> None:
                spectra[i, : rows * width] = read(i, slab).reshape(-1)
                kept.leave(rows)

            def work(chunk: slice, first: int = first) -> None:
                part = spectra[:, chunk.start - first : chunk.stop - first]
                y = scratch.like(part)
                np.copyto(y, part)
                at = None if sink is None else slice(chunk.start - first, chunk.stop - first)
                blocks.apply_kernels(kernels, y, maps, chunk, at=at)

            blocks.run(fill, range(n), progress=report, workers=workers)
            kept.end_band(rows)
            done += n
            blocks.run(work, inside, progress=report, workers=workers)
            done += len(inside)
            if sink is not None:
                sink.put(slab, image_shape, [_first(kernel, rows) for kernel in maps])
    return maps if sink is None else sink.maps()


def _first(maps: Mapping[str, blocks.FloatArray], rows: int) -> dict[str, blocks.FloatArray]:
    """Return the first planes of maps of volumes."""
    return {name: one[..., :rows, :, :] for name, one in maps.items()}
