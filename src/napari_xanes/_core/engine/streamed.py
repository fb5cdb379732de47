"""Per-pixel arithmetic over an array that may be unread: the same pieces, so the same bits, a band of rows at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.computed import as_dask
from napari_xanes._core.data.stack import FloatArray, rows_are_cheap
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.passes import reading_bands

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
        for chunk in chunks_of(mu.shape[1:], band):
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

    Of what was not read, these are a dask array, a block of which is computed from the spectra of its rows.
    """
    if not isinstance(mu, Unread):
        changed = np.empty_like(mu)
        (maps,) = blocks.run_kernels([kernel], mu, out=changed)
        return maps, changed
    (maps,) = run_kernels([kernel], mu)
    bands = bands_of(mu)
    rows = max(band.stop - band.start for band in bands)
    return maps, as_dask(_Changed(kernel, mu, bands), (len(mu), rows, *mu.shape[2:]))


class _Changed:
    """The spectra of an array as a kernel leaves them."""

    def __init__(self, kernel: blocks.PixelKernel, mu: Unread, bands: Sequence[slice]) -> None:
        self._kernel, self._mu, self._bands = kernel, mu, bands
        self.shape, self.dtype, self.ndim = mu.shape, mu.dtype, mu.ndim

    def __getitem__(self, key: Any) -> NDArray[Any]:
        frames, rows, *rest = key
        wanted = np.arange(self.shape[1])[rows]
        low, high = int(wanted.min()), int(wanted.max()) + 1
        parts = [self._band(band) for band in self._bands if band.start < high and band.stop > low]
        first = next(band.start for band in self._bands if band.stop > low)
        whole = np.concatenate(parts, axis=1)
        return np.asarray(whole[(frames, wanted - first, *rest)])

    def _band(self, band: slice) -> NDArray[Any]:
        spectra = np.array(self._mu[:, band])
        flat, first = spectra.reshape(len(spectra), -1), band.start * prod(self.shape[2:])
        with blocks.one_blas_thread:
            for chunk in chunks_of(self.shape[1:], band):
                part = flat[:, chunk.start - first : chunk.stop - first]
                blocks.apply_kernels([self._kernel], part, [{}], chunk)
        return spectra


def bands_of(mu: Unread) -> list[slice]:
    """Return the bands of rows that an array is read in, each a whole number of the pieces that are worked on."""
    return reading_bands(mu.shape[1:], len(mu), cheap=rows_are_cheap(mu), workers=None)


def chunks_of(image_shape: Sequence[int], band: slice) -> list[slice]:
    """Return the pieces of a band of rows, as ranges of the flattened image."""
    chunks, width = blocks.pixel_chunks(image_shape), prod(image_shape[1:])
    starts = [chunk.start for chunk in chunks]
    return chunks[bisect_left(starts, band.start * width) : bisect_left(starts, band.stop * width)]


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
    the middle ones are found by counting their first bits, and sorting those that have these in common.
    """
    if not isinstance(mu, Unread):
        numbers = what(mu.reshape(len(mu), -1))
        return float(np.median(numbers)) if numbers.size else np.nan

    def patterns() -> Iterator[NDArray[np.uint64]]:
        for _, spectra in spectra_by_bands(mu):
            yield np.ascontiguousarray(what(spectra), np.float64).view(np.uint64)

    prefixes, ranks = [0, 0], [0, 0]
    for shift in (48, 32):
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
    alike: dict[int, list[NDArray[np.uint64]]] = {prefix: [] for prefix in prefixes}
    for part in patterns():
        for prefix, kept in alike.items():
            kept.append(part[part >> np.uint64(32) == prefix])
    middle = [np.sort(np.concatenate(alike[p]))[rank] for p, rank in zip(prefixes, ranks, strict=True)]
    return float(np.mean(np.array(middle).view(np.float64)))
