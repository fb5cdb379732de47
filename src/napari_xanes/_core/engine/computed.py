"""A stack that is computed where it is looked at: a plane, or the spectra of some pixels, by the steps of a chain.

What is kept of it is bounded: the planes and the spectra that were looked at last, of all such stacks together.  What a
step has found in all pixels (`Repeated.known`) lets it change one frame without the others.  The numbers are those of
the stack in memory to the last bit, as the same pieces go through the same arithmetic.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from math import prod
from threading import Lock
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_xanes._core.base.errors import ResourceError
from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.data.kept_rows import KeptRows
from napari_xanes._core.data.lazy import LazyArray
from napari_xanes._core.data.stack import Float32, FrameReader
from napari_xanes._core.engine import blocks, passes
from napari_xanes._core.engine.judge import Sample, summarize
from napari_xanes._core.engine.passes import MaskKernel, Repeated
from napari_xanes._core.engine.sampling import sampled_pixels

PART_OF_FREE = 0.125
MOST_BYTES = 2**30
"""What was looked at takes at most so much of the memory that is free, and at most so many bytes."""
OF_A_VOLUME = 0.4
"""Of the memory that is free, for a volume that is looked at whole: whoever draws it makes a copy."""
NEAR_BYTES = 32 * 2**20
"""Of the spectra around a pixel of images; of volumes, of which whole planes have to be read, half of what is kept."""

Pixels = Sequence[NDArray[np.intp]]
"""Indices of pixels along each image axis."""

_numbers, _lock = count(), Lock()
_gone: deque[int] = deque()
"""Numbers of stacks that are gone and of which something may be kept still."""


@lru_cache(maxsize=1)
def looked_at() -> LRUCache[tuple[Any, ...], Float32]:
    """Return what is kept of all stacks; made when it is needed first, by the memory that is free then."""
    return LRUCache(int(min(MOST_BYTES, PART_OF_FREE * free_memory())), getsizeof=lambda one: int(one.nbytes))


def _forget(number: int) -> None:
    """Forget what is kept of a stack that is gone: now, or when it is looked for what is kept next.

    Garbage may be collected, and a stack go, in a thread that holds the lock, which must not wait for itself.
    """
    _gone.append(number)
    if _lock.acquire(blocking=False):
        try:
            _forget_gone()
        finally:
            _lock.release()


def _forget_gone() -> None:
    """Forget what is kept of stacks that are gone; only for whoever holds the lock."""
    while _gone:
        number = _gone.popleft()
        for key in [key for key in looked_at() if key[0] == number]:
            del looked_at()[key]


class ComputedStack(LazyArray):
    """An array (E, ...) of float32 that computes what it is asked for; what it gives is not to be written to.

    Parameters
    ----------
    read : FrameReader
        Gives frames after the steps that make frames of frames.
    shape : sequence of int
        (E, ...).
    kernels : sequence of Repeated
        What changes the spectra then.
    kept : KeptRows, optional
        What `read` reads from, if a pass is to keep rows of it.
    cheap_rows : bool
        Whether a few rows of a frame are read quickly.
    sample : Sample, optional
        Spectra spread over the frame, as a chain takes them.

    Attributes
    ----------
    why : str
        Why it is not held in memory, in words.
    wait : callable
        Has a plane computed that somebody wants to see; a window lives on meanwhile.
    """

    def __init__(
        self,
        read: FrameReader,
        shape: Sequence[int],
        kernels: Sequence[Repeated] = (),
        *,
        kept: KeptRows | None = None,
        cheap_rows: bool = True,
        sample: Sample | None = None,
    ) -> None:
        super().__init__(shape, np.float32, cheap_rows=cheap_rows)
        self.read, self.kernels, self.kept, self.sample = read, tuple(kernels), kept, sample
        self.image_shape = self.shape[1:]
        self.why = ""
        self.wait: Callable[[Callable[[], Float32]], Float32] = lambda make: make()
        self._number = next(_numbers)
        weakref.finalize(self, _forget, self._number)

    def __deepcopy__(self, memo: Any) -> ComputedStack:
        """Return the same: nobody can write to it."""
        return self

    @property
    def by_frame(self) -> bool:
        """Whether a frame can be computed without the others."""
        return all(map(passes.is_by_frame, self.kernels))

    def masked(self, inside: NDArray[np.bool_]) -> ComputedStack:
        """Return the stack with NaN outside of a mask."""
        sample, kernel = self.sample, Repeated(MaskKernel(inside), {})
        if sample is not None:
            spectra = sample.spectra.copy()
            passes.apply_repeated([kernel], spectra, sampled_pixels(self.image_shape))
            sample = None if not np.isfinite(spectra).any() else summarize(spectra, "")
        kernels = (*self.kernels, kernel)
        masked = ComputedStack(
            self.read, self.shape, kernels, kept=self.kept, cheap_rows=self.cheap_rows, sample=sample
        )
        masked.why = self.why
        return masked

    # -- planes ---------------------------------------------------------------------------------------

    def read_rows(self, index: int, rows: slice) -> Float32:
        """Return rows start:stop of a frame, from what was looked at last if they are there."""
        start, stop, _ = rows.indices(self.image_shape[0])
        whole = self._whole(start, stop)
        self._check_fits(4 * (whole.stop - whole.start) * prod(self.image_shape[1:]))
        made = self._once(
            ("rows", index, whole.start, whole.stop), lambda: self.wait(lambda: self.frame(index, whole))
        )
        return made[start - whole.start : max(stop, start) - whole.start]

    def _check_fits(self, n_bytes: int) -> None:
        """Refuse a volume that does not fit into memory, as views in 3D ask for."""
        if n_bytes > MOST_BYTES and n_bytes > OF_A_VOLUME * (free := free_memory()):
            raise ResourceError(
                f"a volume of this stack takes {n_bytes / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free; look at maps in 3D, "
                "or crop or bin the stack before."
            )

    def _whole(self, start: int, stop: int) -> slice:
        """Return the rows of the whole pieces of the image in which some rows lie."""
        unit = blocks.chunk_rows(self.image_shape, self.shape[0])
        return slice(start // unit * unit, min(-(-stop // unit) * unit, self.image_shape[0]))

    def frame(self, index: int, rows: slice = slice(None), workers: int | None = None) -> Float32:
        """Return rows of a frame, computed anew; whole pieces of the image are."""
        start, stop, _ = rows.indices(self.image_shape[0])
        whole = self._whole(start, stop)
        first, last, n = whole.start, whole.stop, self.shape[0]
        out = np.empty((max(last - first, 0), *self.image_shape[1:]), np.float32)
        bands = [
            slice(first + band.start, first + band.stop)
            for band in blocks.row_blocks(out.shape, n, megabytes=n * blocks.BAND_MEGABYTES)
            if out.size
        ]

        def work(band: slice) -> None:
            out[band.start - first : band.stop - first] = self._band_of_frame(index, band)

        blocks.run(work, bands, workers=workers)
        return out[start - first : max(stop, start) - first]

    def _band_of_frame(self, index: int, band: slice) -> Float32:
        if not self.by_frame:
            frame: Float32 = spectra_of_rows(self.read, self.kernels, self.shape, band)[index]
            return frame.reshape(-1, *self.image_shape[1:])
        rows = self.read(index, band)
        values = rows.reshape(-1)
        begin = band.start * prod(self.image_shape[1:])
        for piece in blocks.pixel_chunks(rows.shape, self.shape[0]):
            for kernel in self.kernels:
                kernel.frame(index, values[piece], slice(begin + piece.start, begin + piece.stop))
        return values.reshape(rows.shape)

    # -- spectra --------------------------------------------------------------------------------------

    def spectra(self, pixels: Pixels) -> Float32:
        """Return the spectra (E, n) of some pixels; those around them are kept."""
        flat = np.ravel_multi_index(tuple(pixels), self.image_shape)
        out = np.empty((self.shape[0], flat.size), np.float32)
        near = self._near(flat)
        for start in np.unique(near).tolist():
            here = near == start
            out[:, here] = self._spectra_near(start)[:, flat[here] - start]
        return out

    def has_spectra(self, pixels: Pixels) -> bool:
        """Whether the spectra of some pixels are kept."""
        starts = np.unique(self._near(np.ravel_multi_index(tuple(pixels), self.image_shape))).tolist()
        with _lock:
            return all((self._number, "spectra", start) in looked_at() for start in starts)

    def _lines(self) -> int:
        """Return how many lines of an image, or of a plane, are read around a pixel: whole pieces of the image."""
        unit, line = (
            blocks.chunk_rows(self.image_shape[-2:], self.shape[0]),
            4 * self.shape[0] * self.image_shape[-1],
        )
        most = NEAR_BYTES if len(self.image_shape) == 2 else int(looked_at().maxsize) // 2
        return int(min(max(unit, most // line // unit * unit), self.image_shape[-2]))

    def _near(self, flat: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the first of the pixels that are read with each (n,)."""
        plane, together = prod(self.image_shape[-2:]), self._lines() * self.image_shape[-1]
        near: NDArray[np.intp] = flat // plane * plane + flat % plane // together * together
        return near

    def _spectra_near(self, start: int) -> Float32:
        """Return the spectra (E, n) of pixels that are read together."""
        width, plane = prod(self.image_shape[1:]), prod(self.image_shape[-2:])
        stop = min(start + self._lines() * self.image_shape[-1], (start // plane + 1) * plane)
        rows = slice(start // width, -(-stop // width))
        inside = slice(start - rows.start * width, stop - rows.start * width)

        def read() -> Float32:
            spectra = np.empty((self.shape[0], stop - start), np.float32)

            def one(i: int) -> None:
                spectra[i] = self.read(i, rows).reshape(-1)[inside]

            blocks.run(one, range(self.shape[0]))
            lines = (stop - start) // self.image_shape[-1]
            for piece in blocks.pixel_chunks((lines, self.image_shape[-1]), self.shape[0]):
                at = slice(start + piece.start, start + piece.stop)
                passes.apply_repeated(self.kernels, spectra[:, piece], at)
            return spectra

        return self._once(("spectra", start), read)

    def _once(self, what: tuple[Any, ...], make: Callable[[], Float32]) -> Float32:
        """Return what is kept under a name, or make and keep it."""
        key = (self._number, *what)
        with _lock:
            _forget_gone()
            if key in looked_at():
                found: Float32 = looked_at()[key]
                return found
        made: Float32 = make()
        made.flags.writeable = False
        with _lock:
            if made.nbytes <= looked_at().maxsize:
                looked_at()[key] = made
        return made


def spectra_of_rows(
    read: FrameReader, kernels: Sequence[Repeated], shape: Sequence[int], rows: slice
) -> Float32:
    """Return the spectra (E, pixels) of rows, whole pieces of the image, after kernels whose maps nobody wants."""
    spectra = passes.read_band(read, shape[0], rows, shape[2:])
    begin = rows.start * prod(shape[2:])
    for piece in blocks.pixel_chunks((rows.stop - rows.start, *shape[2:]), shape[0]):
        at = slice(begin + piece.start, begin + piece.stop)
        passes.apply_repeated(kernels, spectra[:, piece], at)
    return spectra
