"""Pixels that lie: hot or dead ones of the detector, at all energies, and flashes of single frames.

A bad pixel stands alone.  It is told by its distance from the second most extreme of its neighbours, which lines,
rims and steps of a sample do not exceed, in units of the spread of these neighbours or of the frame's noise,
whichever is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import as_float32, valid_mean
from napari_xanes._core.base.door import Positive, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, field
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.as_dask import computed
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call
from napari_xanes._core.engine.step import Step
from napari_xanes._core.prepare.denoise import noise_of_image

Bool = NDArray[np.bool_]
Reader = Callable[[int], Float32]

SPREAD = 1.7
"""From the second smallest to the second largest of eight values with noise of one, on average."""

LOOKED_AT = 32
"""Frames, spread over the energies, whose means show what is bad at all energies."""

MANY = 0.01
"""Share of bad pixels above which the limit is likely too low."""


class BadPixelsParams(Params):
    """Parameters of the removal of bad pixels."""

    static: bool = field(True, "Hot and dead pixels", "Look for pixels that are wrong at all energies.")
    flashes: bool = field(
        True, "Flashes", "Look for pixels that are wrong in single frames, as of stray X-rays."
    )
    limit: float = field(
        8.0,
        "Limit",
        "Standard deviations of the noise by which a bad pixel stands out from its neighbours.",
        unit="sigma",
        gt=0,
    )
    replace: bool = field(
        False,
        "Replace",
        "Give bad pixels the median of their good neighbours. Otherwise they are invalid, a flash with its whole spectrum.",
    )


@dataclass(frozen=True, eq=False)
class BadPixels:
    """Images without bad pixels, and which those were.

    Attributes
    ----------
    images : array (E, ...)
        float32; bad pixels are NaN, or the median of their good neighbours.  A dask array where they came as one, or of
        zarr, h5py, a memory map: computed where it is looked at.
    hot, dead : array (...), bool
        Pixels that are too bright, or too dark or stuck, at all energies.
    flashes : array (E,), int
        Number of further bad pixels of each frame.
    """

    images: Float32
    hot: Bool
    dead: Bool
    flashes: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Found:
    hot: Bool
    dead: Bool
    where: list[NDArray[np.intp]]  # of each frame, flat indices of all bad pixels
    values: list[Float32]  # what is put there
    flashes: NDArray[np.intp]

    def put_right(self, rows: Float32, index: int, first: int) -> None:
        """Replace the bad pixels of some rows of a frame, in place, the first of whose pixels is `first` of the frame."""
        where = self.where[index]
        at = slice(*np.searchsorted(where, (first, first + rows.size)))
        rows.reshape(-1)[where[at] - first] = self.values[index][at]


@public
def remove_bad_pixels(
    images: StackLike,
    *,
    static: bool = True,
    flashes: bool = True,
    limit: Positive = 8.0,
    replace: bool = False,
) -> BadPixels:
    """Make bad pixels invalid, or give them the median of their good neighbours.

    Parameters
    ----------
    images : array (E, Y, X) or (E, Z, Y, X)
        Counts, transmission or optical density.
    static : bool
        Look for pixels that are too bright, too dark or stuck at all energies.
    flashes : bool
        Look for pixels of single frames, such as hit by a cosmic ray.
    limit : float
        Standard deviations of the noise by which a pixel stands out.
    replace : bool
        Whether a bad pixel becomes the median of its good neighbours, rather than NaN.

    Returns
    -------
    BadPixels

    Raises
    ------
    InputError
        If the images are no stack, or the limit is not above 0.
    """
    stack: Any = images.astype(np.float32) if isinstance(images, Unread) else as_float32(images)
    if stack.ndim not in (3, 4) or not stack.size:
        raise InputError(f"images have shape {stack.shape}, expected (energy, y, x) or (energy, z, y, x).")
    params = BadPixelsParams(static=static, flashes=flashes, limit=limit, replace=replace)
    bad = _find(lambda i: stack[i], len(stack), params)
    width = int(np.prod(stack.shape[2:]))

    def clean(frames: Any, index: int, rows: slice) -> Float32:
        frame = np.array(frames[index, rows])
        bad.put_right(frame, index, rows.start * width)
        return frame

    if isinstance(stack, Unread):
        return BadPixels(computed(clean, stack), bad.hot, bad.dead, bad.flashes)
    out = stack.copy()
    for index, frame in enumerate(out):
        bad.put_right(frame, index, 0)
    return BadPixels(out, bad.hot, bad.dead, bad.flashes)


def bad_pixels_step(
    chain: Chain, params: BadPixelsParams, progress: Progress
) -> tuple[BadPixelsParams, Found]:
    """Find bad pixels in all frames and add their removal to the chain."""
    read = chain.frames(progress)
    bad = _find(lambda i: read(i, slice(None)), chain.energy.size, params, progress, chain.workers)
    width = int(np.prod(chain.image_shape[1:]))

    def read_clean(index: int, rows: slice = slice(None)) -> Float32:
        frame = read(index, rows)
        bad.put_right(frame, index, rows.indices(chain.image_shape[0])[0] * width)
        return frame

    chain.wrap(read_clean)
    found = Found(
        {
            "hot_pixels": int(bad.hot.sum()),
            "dead_pixels": int(bad.dead.sum()),
            "flashes": int(bad.flashes.sum()),
            "replaced" if params.replace else "made_invalid": int(sum(map(len, bad.where))),
        }
    )
    share = max(map(len, bad.where)) / bad.hot.size
    if share > MANY:
        found.warn(f"{share:.1%} of the pixels of a frame are bad, which is a lot; raise the limit")
    return params, found


def spikes(image: Float32, limit: float) -> tuple[Bool, Bool]:
    """Return which pixels stand above, and below, all but one of their neighbours, by `limit` of the noise."""
    second_high, second_low = _second_largest(image), -_second_largest(-image)
    with np.errstate(invalid="ignore"):
        scale = np.maximum((second_high - second_low) / SPREAD, noise_of_image(image))
        scale = np.float32(limit) * np.where(np.isfinite(scale), scale, np.inf)
        return image - second_high > scale, second_low - image > scale


def _second_largest(image: Float32) -> Float32:
    """Return the second largest of the valid neighbours of every pixel, -inf where there are not two."""
    padded = np.pad(np.where(np.isnan(image), -np.inf, image), 1, mode="reflect")
    first = np.full(image.shape, -np.inf, np.float32)
    second = first.copy()
    for offset in product((0, 1, 2), repeat=image.ndim):
        if offset != (1,) * image.ndim:
            neighbor = padded[tuple(slice(o, o + n) for o, n in zip(offset, image.shape, strict=True))]
            np.maximum(second, np.minimum(first, neighbor), out=second)
            np.maximum(first, neighbor, out=first)
    return second


def _find(
    read: Reader,
    n: int,
    params: BadPixelsParams,
    progress: Progress = no_progress,
    workers: int | None = None,
) -> _Found:
    frame = read(0)
    hot = dead = np.zeros(frame.shape, bool)
    if params.static:
        hot, dead = _static(read, n, params.limit)
    where: list[NDArray[np.intp]] = [np.empty(0, np.intp)] * n
    values: list[Float32] = [np.empty(0, np.float32)] * n
    flashes = np.zeros(n, np.intp)
    always = hot | dead

    def look(i: int) -> None:
        image = read(i)
        bad = always
        if params.flashes:
            high, low = spikes(np.where(always, np.nan, image).astype(np.float32), params.limit)
            flashes[i] = np.count_nonzero(high | low)
            bad = always | high | low
        where[i] = np.flatnonzero(bad)
        values[i] = (
            _neighbors_median(image, bad) if params.replace else np.full(where[i].size, np.nan, np.float32)
        )

    blocks.run(look, range(n), progress=progress, text="Looking for bad pixels", workers=workers)
    return _Found(hot, dead, where, values, flashes)


def _static(read: Reader, n: int, limit: float) -> tuple[Bool, Bool]:
    """Return which pixels are hot, and which dead or stuck, in two means of frames spread over the energies."""
    chosen = np.unique(np.linspace(0, n - 1, min(n, LOOKED_AT)).round().astype(int)).tolist()
    first = read(chosen[0])
    changes = np.zeros(first.shape, bool)

    def frames(part: list[int]) -> Iterator[Float32]:
        for i in part:
            frame = read(i)
            np.logical_or(changes, frame != first, out=changes)
            yield frame

    halves = [part for part in (chosen[::2], chosen[1::2]) if part]  # a flash is in one of them only
    found = [spikes(valid_mean(frames(part)).astype(np.float32), limit) for part in halves]
    hot, low = (np.logical_and.reduce(masks) for masks in zip(*found, strict=True))
    stuck = ~changes if len(chosen) > 2 and np.mean(changes) > 1 - MANY else np.zeros_like(low)
    return hot, (low | stuck) & ~hot


def _neighbors_median(image: Float32, bad: Bool) -> Float32:
    """Return the median of the good neighbours of every bad pixel (n,), NaN where there are none."""
    good: NDArray[Any] = np.pad(np.where(bad, np.nan, image), 1, constant_values=np.nan)
    at = np.argwhere(bad)
    near = [good[tuple((at + offset).T)] for offset in product((0, 1, 2), repeat=image.ndim)]
    ordered = np.sort(np.array(near, np.float32).reshape(3**image.ndim, -1), axis=0)  # NaN comes last
    count = np.isfinite(ordered).sum(axis=0)
    column = np.arange(ordered.shape[1])
    middle = (ordered[np.maximum(count - 1, 0) // 2, column] + ordered[count // 2, column]) / 2
    return np.where(count > 0, middle, np.nan).astype(np.float32)


def _bad_pixels_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    return call("images", "nx.remove_bad_pixels", "images", then=".images", **given)


BAD_PIXELS = Step(
    name="bad_pixels",
    title="Bad pixels",
    does="find hot, dead and flashing pixels",
    params=BadPixelsParams,
    run=bad_pixels_step,
    order=30,
    whole_frames=True,
    code=_bad_pixels_code,
)
