"""How work runs over pixels: in which pieces, on how many threads, with progress and cancelling.

Nothing else in the project starts threads for numerics.  BLAS is held to one thread meanwhile (see `base.blas`), because
the pieces are the parallelism.

The pieces depend on the stack's shape alone, never on memory, threads or where the data lie: so a result
is the same to the last bit in memory, streamed from a file, in the window and on the command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from itertools import islice
from math import prod
from threading import local
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.blas import one_blas_thread
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.base.unread import only_thread

CHUNK_PIXELS = 4096
"""Pixels that are worked on at once: with 100 energies in float32 they fill 1.6 MB, about a core's cache."""

FULL = 100
"""Energies below which more pixels are worked on at once, up to `MOST_FOLD` as many, as what is done once a piece counts for more."""
MOST_FOLD = 4

BAND_MEGABYTES = 12.0
"""Of a band of rows that is read at once, in float32."""

T = TypeVar("T")
FloatArray = NDArray[np.floating[Any]]


class PixelKernel(Protocol):
    """A step that sees whole spectra of a few pixels.

    Called with spectra ``y`` (E, n), a copy that it may change in place if its `writes` says so, and with one
    view (*leading, n) for each of its `maps` to fill.  If it has a mapping ``reads`` of images, their values in
    these pixels (n,) come along by name; a mapping ``optional`` of names of its maps to the kind of result that alone
    needs them lets these be left out where nobody wants that kind; maps named in ``flags`` are of bool.  What it keeps of single pixels besides
    is told by ``keeps``, see `Keeps`.
    """

    maps: Mapping[str, tuple[int, ...]]
    writes: bool

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None: ...


class Keeps(Protocol):
    """What a kernel keeps of single pixels besides its maps, to be told for a range of pixels, and put back."""

    def part(self, pixels: slice) -> FloatArray:
        """Return what is kept of a range of pixels (k, n)."""

    def put_part(self, pixels: slice, values: FloatArray) -> None:
        """Keep what `part` returned elsewhere."""


def kept_by(kernels: Sequence[PixelKernel]) -> dict[str, Keeps]:
    """Return what kernels keep besides maps, by their places."""
    keeps = {str(place): getattr(kernel, "keeps", None) for place, kernel in enumerate(kernels)}
    return {place: one for place, one in keeps.items() if one is not None}


class Scratch(local):
    """An array for passing results, one a thread and kept, because fresh memory costs more than the arithmetic.

    Spectra are copied into one before work: in a stack the energies of a pixel lie an image apart, often a
    power of two, which caches bear badly.
    """

    array: FloatArray | None = None

    def __reduce__(self) -> tuple[type[Scratch], tuple[()]]:
        """Begin without an array in another process."""
        return Scratch, ()

    def like(self, y: FloatArray) -> FloatArray:
        """Return an array of the shape and type of `y`, its content arbitrary."""
        if self.array is None or self.array.shape != y.shape or self.array.dtype != y.dtype:
            self.array = np.empty(y.shape, y.dtype)
        return self.array


def default_workers() -> int:
    """Return the number of threads used when none is asked for."""
    return max(1, min(os.cpu_count() or 1, 8))


def chunk_pixels(n_energies: int) -> int:
    """Return how many pixels are worked on at once."""
    return min(max(FULL * CHUNK_PIXELS // max(n_energies, 1), CHUNK_PIXELS), MOST_FOLD * CHUNK_PIXELS)


def pixel_chunks(image_shape: Sequence[int], n_energies: int) -> list[slice]:
    """Split the flattened image into ranges of about `chunk_pixels`.

    Rows are kept whole where they are short, and no range goes on into the next plane of a volume, so
    that every band of `row_blocks` is a whole number of them.
    """
    if len(image_shape) > 2:
        plane, size = pixel_chunks(image_shape[1:], n_energies), prod(image_shape[1:])
        return [slice(z + c.start, z + c.stop) for z in range(0, image_shape[0] * size, size) for c in plane]
    width = image_shape[-1] if image_shape else 1
    total, most = prod(image_shape), chunk_pixels(n_energies)
    if width >= most:
        return [
            slice(line + start, line + min(start + most, width))
            for line in range(0, total, width)
            for start in range(0, width, most)
        ]
    size = most // max(width, 1) * width
    return [slice(start, min(start + size, total)) for start in range(0, total, max(size, 1))]


def chunk_rows(image_shape: Sequence[int], n_energies: int) -> int:
    """Return of how many rows every band is a multiple, so that it is a whole number of `pixel_chunks`."""
    most = chunk_pixels(n_energies)
    return {1: most, 2: max(1, most // max(image_shape[-1], 1))}.get(len(image_shape), 1)


def row_blocks(image_shape: Sequence[int], n_energies: int, *, megabytes: float | None = None) -> list[slice]:
    """Split the image into bands of rows of about `megabytes` (12) in float32, each a whole number of chunks.

    Rows are the first image axis: y, or z of a volume.
    """
    row_bytes = prod(image_shape[1:]) * n_energies * 4
    rows_wanted = max(1, int((megabytes or BAND_MEGABYTES) * 2**20 / max(row_bytes, 1)))
    unit = chunk_rows(image_shape, n_energies)
    rows = max(unit, rows_wanted // unit * unit)
    return [slice(a, min(a + rows, image_shape[0])) for a in range(0, image_shape[0], rows)]


def run(
    work: Callable[[T], None],
    items: Sequence[T],
    *,
    progress: Progress = no_progress,
    text: str = "",
    workers: int | None = None,
) -> None:
    """Call `work` with every item on a pool of threads (one, or one item: in the calling thread), reporting from it.

    The first exception (also one raised by `progress`, which is how work is cancelled) stops what has not
    begun, waits for what has, and comes out here.
    """
    count = workers or default_workers()
    total, done = len(items), 0
    progress(0, total, text)
    if count == 1 or total == 1:
        with one_blas_thread, only_thread() if count == 1 else nullcontext():
            for done, item in enumerate(items, 1):
                work(item)
                progress(done, total, text)
        return
    queue = iter(items)
    with one_blas_thread, ThreadPoolExecutor(count) as pool:
        pending: set[Future[None]] = {pool.submit(work, item) for item in islice(queue, 2 * count)}
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    done += 1
                    progress(done, total, text)
                pending |= {pool.submit(work, item) for item in islice(queue, len(finished))}
        finally:
            for future in pending:
                future.cancel()


def run_kernels(
    kernels: Sequence[PixelKernel],
    mu: FloatArray,
    *,
    out: FloatArray | None = None,
    progress: Progress = no_progress,
    text: str = "",
    workers: int | None = None,
    wanted: Callable[[str], bool] = lambda kind: True,
) -> list[dict[str, FloatArray]]:
    """Apply kernels, one after the other, to every spectrum of `mu` in memory.

    Parameters
    ----------
    kernels : sequence of PixelKernel
        Each sees the spectra as the one before it left them.
    mu : array
        (E, ...), C-contiguous; not written to unless `out` is `mu`.
    out : array, optional
        Where the changed spectra go, like `mu`.  Without it only maps are kept.
    wanted : callable, optional
        Whether a kind of result is wanted, for maps that a kernel says are optional.

    Returns
    -------
    list of dict
        The maps of each kernel, shape (*leading, ...).
    """
    maps = allocate_maps(kernels, mu.shape[1:], mu.dtype, wanted)
    source = mu.reshape(mu.shape[0], -1)
    target = source if out is mu else (None if out is None else out.reshape(source.shape))
    chunks = pixel_chunks(mu.shape[1:], len(mu))
    together = max(1, min(8, len(chunks) // (2 * (workers or default_workers()))))
    groups = [chunks[i : i + together] for i in range(0, len(chunks), together)]
    scratch = Scratch()

    def work(group: Iterable[slice]) -> None:
        for chunk in group:
            y = scratch.like(source[:, chunk]) if target is None else target[:, chunk]
            if target is not source:
                np.copyto(y, source[:, chunk])
            apply_kernels(kernels, y, maps, chunk)

    run(work, groups, progress=progress, text=text, workers=workers)
    return maps


def allocate_maps(
    kernels: Sequence[PixelKernel],
    image_shape: Sequence[int],
    dtype: Any = np.float32,
    wanted: Callable[[str], bool] = lambda kind: True,
) -> list[dict[str, FloatArray]]:
    """Return an array (*leading, *image_shape) for every map of every kernel that is wanted, to be filled."""
    kept: list[dict[str, FloatArray]] = []
    for kernel in kernels:
        optional: Mapping[str, str] = getattr(kernel, "optional", {})
        names = [name for name in kernel.maps if name not in optional or wanted(optional[name])]
        flags: Collection[str] = getattr(kernel, "flags", ())
        types = {name: np.bool_ if name in flags else dtype for name in names}
        kept.append({name: np.empty((*kernel.maps[name], *image_shape), types[name]) for name in names})
    return kept


def apply_kernels(
    kernels: Sequence[PixelKernel],
    y: FloatArray,
    maps: Sequence[Mapping[str, FloatArray]],
    pixels: slice | NDArray[np.intp],
    before: dict[str, FloatArray] | None = None,
    at: slice | None = None,
) -> None:
    """Run the kernels over spectra `y` (E, n) of the given flat pixels, in place, filling `maps`.

    Maps of a part of the image only are filled `at` those places of theirs.
    A kernel also sees those maps of the kernels before it that it names in `follows`; `before` holds maps of kernels that
    ran over the same spectra already, and is added to.
    """
    before = {} if before is None else before
    for kernel, arrays in zip(kernels, maps, strict=True):
        views = {
            name: _flat(arrays[name], lead)[..., pixels if at is None else at]
            if name in arrays
            else np.empty((*lead, y.shape[1]), y.dtype)  # for a map that nobody keeps
            for name, lead in kernel.maps.items()
        }
        views |= {name: image.reshape(-1)[pixels] for name, image in images_read(kernel).items()}
        views |= {name: before[name] for name in getattr(kernel, "follows", ()) if name in before}
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # what is invalid becomes NaN
            kernel(y, views)
        before.update((name, views[name]) for name in kernel.maps)


def images_read(kernel: PixelKernel) -> Mapping[str, NDArray[Any]]:
    """Return the images that a kernel reads besides the spectra."""
    return getattr(kernel, "reads", {})


def _flat(array: FloatArray, lead: tuple[int, ...]) -> FloatArray:
    return array.reshape(*lead, -1)
