"""Passes over the pixels of a stack: kernels run over bands of rows, of a stack in memory or as a reader gives them.

The arithmetic and its pieces are the same for both, so are the results.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.stack import Float32, FrameReader
from napari_xanes._core.engine import blocks

RawMaps = list[dict[str, blocks.FloatArray]]
"""The maps of each kernel, by the kernel's names for them."""

Collect = Callable[[Mapping[str, NDArray[Any]]], tuple[dict[str, NamedMap], Found]]
"""Turns a kernel's raw maps into named maps and what is found in them."""


@dataclass(frozen=True, eq=False)
class Pending:
    """A kernel that waits for a pass, who names its maps, and the entry of the history that they belong to."""

    kernel: blocks.PixelKernel
    collect: Collect | None = None
    entry: int | None = None


class Repeated:
    """A kernel whose maps were taken in an earlier pass: it changes the spectra again, its maps go nowhere.

    Parameters
    ----------
    known : mapping of arrays (*leading, n), optional
        Of all pixels, what the maps named in the kernel's `remembered` hold, by which its ``frame(index, y, known)`` changes
        a single frame.
    """

    maps: Mapping[str, tuple[int, ...]] = {}
    writes = True

    def __init__(
        self, kernel: blocks.PixelKernel, known: Mapping[str, blocks.FloatArray] | None = None
    ) -> None:
        self.kernel, self.known = kernel, known
        self.reads = blocks.images_read(kernel)

    def frame(self, index: int, y: blocks.FloatArray, pixels: slice) -> None:
        """Change the values (n,) of some pixels in one frame, in place."""
        assert self.known is not None
        there = {name: one[..., pixels] for name, one in self.known.items()}
        there |= {name: image.reshape(-1)[pixels] for name, image in self.reads.items()}
        kernel: Any = self.kernel
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            kernel.frame(index, y, there)

    def __call__(self, y: blocks.FloatArray, out: Mapping[str, blocks.FloatArray]) -> None:
        spare = {name: np.empty((*lead, y.shape[1]), y.dtype) for name, lead in self.kernel.maps.items()}
        self.kernel(y, {**out, **spare})


def repeated(kernel: blocks.PixelKernel, raw: Mapping[str, blocks.FloatArray], *, known: bool) -> Repeated:
    """Return a kernel that is to be repeated, with what its maps say of all pixels if that is to be `known`."""
    if isinstance(kernel, Repeated):
        return kernel
    names: Sequence[str] | None = getattr(kernel, "remembered", None)
    if names is None or not known:
        return Repeated(kernel)
    return Repeated(kernel, {name: raw[name].reshape(*kernel.maps[name], -1) for name in names})


def is_by_frame(kernel: blocks.PixelKernel) -> bool:
    """Whether a kernel can change a frame without the others."""
    return isinstance(kernel, Repeated) and kernel.known is not None


class MaskKernel:
    """Makes spectra outside a mask NaN."""

    maps: Mapping[str, tuple[int, ...]] = {}
    writes = True
    remembered = ()

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self.reads = {"inside": mask}

    def __call__(self, y: blocks.FloatArray, out: Mapping[str, blocks.FloatArray]) -> None:
        np.copyto(y, np.nan, where=~out["inside"].astype(bool))

    def frame(self, index: int, y: blocks.FloatArray, known: Mapping[str, blocks.FloatArray]) -> None:
        y[~known["inside"].astype(bool)] = np.nan


def apply_repeated(
    kernels: Sequence[blocks.PixelKernel], spectra: Float32, pixels: slice | NDArray[np.intp]
) -> None:
    """Change spectra of some pixels as kernels do whose maps nobody wants."""
    blocks.apply_kernels(kernels, spectra, [{}] * len(kernels), pixels)


def read_array(data: Float32, index: int, rows: slice = slice(None)) -> Float32:
    """Return rows of a frame of a stack in memory as a fresh array."""
    return data[index, rows].copy()


def read_band(read: FrameReader, n: int, rows: slice, row_shape: Sequence[int]) -> Float32:
    """Return the spectra (E, pixels) of a band of rows."""
    spectra = np.empty((n, (rows.stop - rows.start) * prod(row_shape)), np.float32)
    for i in range(n):
        spectra[i] = read(i, rows).reshape(-1)
    return spectra


def load(read: FrameReader, target: Float32, progress: Progress, workers: int | None) -> None:
    """Read every frame into `target` (E, ...)."""

    def one(i: int) -> None:
        target[i] = read(i, slice(None))

    blocks.run(one, range(len(target)), progress=progress, text="Preparing frames", workers=workers)


def run_bands(
    kernels: Sequence[blocks.PixelKernel],
    read: FrameReader,
    shape: Sequence[int],
    *,
    cheap: bool,
    wanted: Callable[[str], bool],
    progress: Progress,
    workers: int | None,
) -> RawMaps:
    """Run kernels over bands of rows as the reader gives them; only maps are kept."""
    n, image_shape = shape[0], tuple(shape[1:])
    maps = blocks.allocate_maps(kernels, image_shape, wanted=wanted)
    width = prod(image_shape[1:])
    chunks = blocks.pixel_chunks(image_shape, n)
    starts = [chunk.start for chunk in chunks]

    def work(band: slice) -> None:
        first, last = band.start * width, band.stop * width
        y = read_band(read, n, band, image_shape[1:])
        for chunk in chunks[bisect_left(starts, first) : bisect_left(starts, last)]:
            blocks.apply_kernels(kernels, y[:, chunk.start - first : chunk.stop - first], maps, chunk)

    bands = reading_bands(image_shape, n, cheap=cheap, workers=workers)
    blocks.run(work, bands, progress=progress, text="Computing maps", workers=workers)
    return maps


def reading_bands(image_shape: Sequence[int], n: int, *, cheap: bool, workers: int | None) -> list[slice]:
    """Return the bands that are read: as large as memory allows where each has every frame unpacked anew."""
    if cheap:
        return blocks.row_blocks(image_shape, n)
    share = 0.25 * free_memory() / 2**20 / (workers or blocks.default_workers())
    return blocks.row_blocks(image_shape, n, megabytes=max(blocks.BAND_MEGABYTES, share))
