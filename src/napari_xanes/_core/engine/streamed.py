"""Per-pixel arithmetic over an array that may be unread: the same pieces, so the same bits, a band of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.blas import one_blas_thread
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.as_dask import Blocks, as_dask
from napari_xanes._core.data.stack import FloatArray, rows_are_cheap
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.passes import is_by_frame, reading_bands, repeated

Values = Any
"""A NumPy array (E, ...) or `Unread`."""


def run_kernels(kernels: Sequence[blocks.PixelKernel], mu: Values) -> list[dict[str, FloatArray]]:
    """Apply kernels to every spectrum, and return their maps; the spectra stay as they are."""
    if not isinstance(mu, Unread):
        return blocks.run_kernels(kernels, mu)
    maps = blocks.allocate_maps(kernels, mu.shape[1:], mu.dtype)
    width, scratch = prod(mu.shape[2:]), blocks.Scratch()

    def work(band: slice) -> None:
        first = band.start * width
        spectra = mu[:, band].reshape(len(mu), -1)
        for chunk in chunks_of(mu.shape, band):
            part = spectra[:, chunk.start - first : chunk.stop - first]
            y = scratch.like(part)
            np.copyto(y, part)
            blocks.apply_kernels(kernels, y, maps, chunk)

    blocks.run(work, bands_of(mu))
    return maps


def frames_of(mu: Values, frames: slice | NDArray[np.intp]) -> Values:
    """Return some of the energies, unread if the array is."""
    return mu.take(frames) if isinstance(mu, Unread) else mu[frames]


def run_changing(kernel: blocks.PixelKernel, mu: Values) -> tuple[dict[str, FloatArray], Any]:
    """Apply a kernel to every spectrum, and return its maps and the changed spectra.

    Of what was not read, these are a dask array, a block of which is computed from the spectra of its rows; where the kernel
    can `remember`, a single frame is computed from itself.
    """
    if not isinstance(mu, Unread):
        out = np.empty_like(mu)
        (maps,) = blocks.run_kernels([kernel], mu, out=out)
        return maps, out
    if hasattr(kernel, "remember"):
        kernel.remember()
    (maps,) = run_kernels([kernel], mu)
    again, unit = repeated(kernel, maps, known=True), blocks.chunk_rows(mu.shape[1:], len(mu))

    def changed(frames: NDArray[np.intp], rows: slice) -> NDArray[Any]:
        """Return rows of some frames, computed in the pieces that the maps were."""
        band = slice(rows.start // unit * unit, min(-(-rows.stop // unit) * unit, mu.shape[1]))
        alone = len(frames) == 1 and is_by_frame(again)
        values = np.array(mu[slice(frames[0], frames[0] + 1) if alone else slice(None), band])
        flat, first = values.reshape(len(values), -1), band.start * prod(mu.shape[2:])
        with one_blas_thread:
            for chunk in chunks_of(mu.shape, band):
                part = flat[:, chunk.start - first : chunk.stop - first]
                if alone:
                    again.frame(int(frames[0]), part[0], chunk)
                else:
                    blocks.apply_kernels([kernel], part, [{}], chunk)
        inside = slice(rows.start - band.start, rows.stop - band.start)
        return (values if alone else values[frames])[:, inside]

    rows = max(band.stop - band.start for band in bands_of(mu))
    return maps, as_dask(Blocks(changed, mu.shape, mu.dtype), (len(mu), rows, *mu.shape[2:]))


def bands_of(mu: Unread) -> list[slice]:
    """Return the bands of rows that an array is read in, each a whole number of the pieces that are worked on."""
    return reading_bands(mu.shape[1:], len(mu), cheap=rows_are_cheap(mu), workers=None)


def chunks_of(shape: Sequence[int], band: slice) -> list[slice]:
    """Return the pieces of a band of rows of a stack (E, ...), as ranges of the flattened image."""
    first, there = band.start * prod(shape[2:]), (band.stop - band.start, *shape[2:])
    return [slice(first + chunk.start, first + chunk.stop) for chunk in blocks.pixel_chunks(there, shape[0])]


def spectra_by_bands(mu: Values) -> Iterator[tuple[slice, FloatArray]]:
    """Yield ranges of the flattened image and their spectra (E, n), not to be written to."""
    n, width = mu.shape[0], prod(mu.shape[2:])
    if not isinstance(mu, Unread):
        yield slice(0, prod(mu.shape[1:])), mu.reshape(n, -1)
        return
    for band in bands_of(mu):
        yield slice(band.start * width, band.stop * width), mu[:, band].reshape(n, -1)


def median_of(mu: Values, what: Callable[[FloatArray], NDArray[np.float64]]) -> float:
    """Return the median of the numbers that a function makes of spectra (E, n), none of them negative; NaN if there are none.

    The bit patterns of such numbers are in the order of the numbers.  So of those that are never in memory at once,
    the middle ones are found 16 bits a pass, by counting.
    """
    if not isinstance(mu, Unread):
        numbers = what(mu.reshape(len(mu), -1))
        return float(np.median(numbers)) if numbers.size else np.nan

    def patterns() -> Iterator[NDArray[np.uint64]]:
        for _, spectra in spectra_by_bands(mu):
            yield np.ascontiguousarray(what(spectra), np.float64).view(np.uint64)

    prefixes, ranks = [0, 0], [0, 0]
    for shift in (48, 32, 16, 0):
        counts = {prefix: np.zeros(2**16, np.int64) for prefix in prefixes}
        for part in patterns():
            first = part >> np.uint64(shift)
            for prefix, into in counts.items():
                digits = first[first >> np.uint64(16) == prefix] & np.uint64(2**16 - 1)
                into += np.bincount(digits.astype(np.int64), minlength=2**16)
        if shift == 48:
            total = int(counts[0].sum())
            ranks = [(total - 1) // 2, total // 2]
            if not total:
                return np.nan
        for k, prefix in enumerate(prefixes):
            below = np.cumsum(counts[prefix])
            digit = int(np.searchsorted(below, ranks[k], side="right"))
            ranks[k] -= int(below[digit - 1]) if digit else 0
            prefixes[k] = prefix << 16 | digit
    return float(np.mean(np.array(prefixes, np.uint64).view(np.float64)))
