"""Passes over volumes, and over frames that are packed in their files: slabs of rows, of which each is read once.

All threads work on one slab, first on its frames and then on its pixels, so that rows around it, which alignment needs,
are kept in memory once and not read again for the next.  Maps do not depend on how high the slabs are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np

from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.kept_rows import KeptRows, kept_rows
from napari_xanes._core.data.stack import EnergyStack, FrameReader
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.once import Facts
from napari_xanes._core.engine.passes import RawMaps, run_bands

SLAB_BYTES = 48 * 2**20
"""Of a slab of images, float32."""
MOST_BYTES = 512 * 2**20
"""What a slab of volumes and the rows around it take at most, where so much is free and a few planes take less."""
ROWS_AROUND = 8
"""What the longest interpolation needs besides the rows that it gives."""
FEW = 4
"""Planes from which on a slab is not made thinner to save memory."""


@runtime_checkable
class MapSink(Facts, Protocol):
    """Where maps of volumes are put slab by slab, and read from afterwards.

    What a run that was ended has left there is not made again.
    """

    rows: int
    """Planes that are best put at once."""

    def begin(self, image_shape: Sequence[int], like: RawMaps) -> None:
        """Begin a pass; `like` are maps of no planes, one mapping for each kernel."""

    def carry_out(self, work: SlabPass, progress: Progress, workers: int | None) -> None:
        """Have all planes of the pass put that are not there."""

    def holds(self, planes: slice) -> bool:
        """Whether the maps of some planes are there."""

    def put(self, planes: slice, maps: RawMaps, kept: Mapping[str, blocks.FloatArray]) -> None:
        """Write the maps of some planes, and what kernels keep of them besides."""

    def kept(self) -> Iterable[tuple[slice, Mapping[str, blocks.FloatArray]]]:
        """Return what kernels have kept of planes."""

    def blank(self, planes: int) -> RawMaps:
        """Return maps of the pass for so many planes, not filled."""

    def maps(self) -> RawMaps:
        """Return the maps of the pass."""


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
    kept: KeptRows | None,
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
    kept : KeptRows, optional
        Without it frames are read in bands of rows.
    sink : MapSink, optional
        Where the maps of each slab of volumes are put; without it they are kept in memory.
    cheap : bool
        Whether a few rows of a frame are read quickly.
    """
    n, image_shape = shape[0], tuple(shape[1:])
    height = slab_height(kept, image_shape, n) if kept else 0
    if kept is None or not height:
        return run_bands(kernels, read, shape, cheap=cheap, wanted=wanted, progress=progress, workers=workers)
    work = SlabPass(kernels, read, n, image_shape, kept)
    if sink is None or len(image_shape) < 3:
        maps = blocks.allocate_maps(kernels, image_shape, wanted=wanted)
        megabytes = height * prod(image_shape[1:]) * n * 4 / 2**20
        whole = slice(0, image_shape[0])  # in slabs that are whole numbers of the pieces of an image
        slabs = [(whole, slab) for slab in blocks.row_blocks(image_shape, n, megabytes=megabytes)]
        work.run(slabs, maps, progress=progress, workers=workers)
        return maps
    sink.begin(image_shape, blocks.allocate_maps(kernels, (0, *image_shape[1:]), wanted=wanted))
    sink.carry_out(work, progress, workers)
    width, keeps = prod(image_shape[1:]), blocks.kept_by(kernels)
    for planes, kept_there in sink.kept():
        for name, values in kept_there.items():
            keeps[name].put_part(slice(planes.start * width, planes.stop * width), values)
    return sink.maps()


@dataclass(frozen=True, eq=False)
class SlabPass:
    """A pass over the planes of volumes, or a part of them."""

    kernels: Sequence[blocks.PixelKernel]
    read: FrameReader
    n: int
    image_shape: tuple[int, ...]
    kept: KeptRows

    def into(self, sink: MapSink, planes: slice, progress: Progress, workers: int | None) -> None:
        """Put the maps of those of some planes that are not there yet, whole numbers of chunks at once."""
        height, rows = max(1, slab_height(self.kept, self.image_shape, self.n)), sink.rows
        tall = max(rows, height - height % rows)
        width, keeps, maps = prod(self.image_shape[1:]), blocks.kept_by(self.kernels), sink.blank(tall)

        def put(group: slice) -> None:
            pixels = slice(group.start * width, group.stop * width)
            first = [_first(kernel, group.stop - group.start) for kernel in maps]
            sink.put(group, first, {name: one.part(pixels) for name, one in keeps.items()})

        groups = [group for group in _slabs(planes, tall) if not sink.holds(group)]
        slabs = [(group, slab) for group in groups for slab in _slabs(group, min(height, tall))]
        self.run(slabs, maps, put, progress=progress, workers=workers)

    def run(
        self,
        slabs: Sequence[tuple[slice, slice]],
        maps: RawMaps,
        put: Callable[[slice], None] | None = None,
        *,
        progress: Progress,
        workers: int | None,
    ) -> None:
        """Fill the maps of groups of planes by their slabs; `put` puts each group before the next takes its place."""
        width = prod(self.image_shape[1:])
        chunks = blocks.pixel_chunks(self.image_shape, self.n)
        inside = [[c for c in chunks if s.start * width <= c.start < s.stop * width] for _, s in slabs]
        spectra = np.empty((self.n, max((s.stop - s.start for _, s in slabs), default=0) * width), np.float32)
        scratch = blocks.Scratch()
        done, total = 0, self.n * len(slabs) + sum(map(len, inside))

        def report(part: int, _total: int, _text: str) -> None:
            progress(done + part, total, "Computing maps")

        with self.kept.keeping() as keeping:
            for (group, slab), pieces in zip(slabs, inside, strict=True):
                first, rows = slab.start * width, slab.stop - slab.start

                def fill(i: int, slab: slice = slab, rows: int = rows) -> None:
                    with self.kept.keeping(keeping):
                        spectra[i, : rows * width] = self.read(i, slab).reshape(-1)
                    keeping.leave(rows)

                def work(chunk: slice, first: int = first, begin: int = group.start * width) -> None:
                    part = spectra[:, chunk.start - first : chunk.stop - first]
                    y = scratch.like(part)
                    np.copyto(y, part)
                    at = slice(chunk.start - begin, chunk.stop - begin)
                    blocks.apply_kernels(self.kernels, y, maps, chunk, at=at)

                blocks.run(fill, range(self.n), progress=report, workers=workers)
                keeping.end_band(rows)
                done += self.n
                blocks.run(work, pieces, progress=report, workers=workers)
                done += len(pieces)
                if put is not None and slab.stop == group.stop:
                    put(group)


def _slabs(planes: slice, height: int) -> list[slice]:
    return [slice(a, min(a + height, planes.stop)) for a in range(planes.start, planes.stop, height)]


def _first(maps: Mapping[str, blocks.FloatArray], rows: int) -> dict[str, blocks.FloatArray]:
    """Return the first planes of maps of volumes."""
    return {name: one[..., :rows, :, :] for name, one in maps.items()}
