"""The beam's brightness taken from the images themselves: from where there is no sample.

What an empty region shows at each energy is I0: counts are divided by it, transmission is set to one there and optical
density to zero.  So scans without flats become absorption, and a beam that flickered between flat and image is
put right.  The brightest pixels of a frame are bright by noise as well, so those that are measured in a frame are
chosen by other frames than it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import valid_mean
from napari_xanes._core.base.checks import check_roi
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, Roi, field
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import EnergyStack, Float32, Signal
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.prepare.beam import warn_of_jumps

LOOKED_AT = 32
"""Frames, spread over the energies, whose mean shows where it is empty."""


class InternalI0Params(Params):
    """Parameters of the brightness from an empty region."""

    roi: Roi | None = field(
        None,
        "Region",
        "Rows and columns (y0, y1, x0, x1) without sample. Empty: the brightest pixels, as many as Fraction of pixels says.",
        unit="px",
        widget="roi",
        example=[0, 40, 0, 200],
    )
    share: float = field(
        0.02,
        "Fraction of pixels",
        "Fraction of the pixels that are surely without sample, the brightest of the mean frame.",
        gt=0,
        le=0.9,
    )


@dataclass(frozen=True, eq=False)
class EmptyPixels:
    """Where the beam is taken from.

    Attributes
    ----------
    empty : array of bool, image shape
        Pixels taken as without sample, in frames of even or of odd number.
    mean : array, image shape
        Mean of the frames that were looked at, in the stack's own values; NaN where none is valid.
    """

    empty: NDArray[np.bool_]
    mean: NDArray[np.float64]


def empty_pixels(
    stack: EnergyStack, params: InternalI0Params, *, progress: Progress = no_progress
) -> EmptyPixels:
    """Return which pixels `internal_i0_step` takes as without sample.

    Raises InputError if no frame holds a valid number, or the region lies outside.
    """
    chain = Chain(stack, in_memory=False)
    even, odd = _empty_pixels(chain, params, progress)
    n = stack.energy.size
    some = np.unique(np.linspace(0, n - 1, min(n, LOOKED_AT)).round().astype(int))
    return EmptyPixels(even | odd, valid_mean(stack.read(i) for i in some.tolist()))


def internal_i0_step(
    chain: Chain, params: InternalI0Params, progress: Progress
) -> tuple[InternalI0Params, Found]:
    """Divide every frame by what the empty pixels show in it; optical density is lessened by it."""
    if chain.signal == "counts" and chain.stack.flat is not None:
        raise InputError(
            "internal_i0 comes after flat_field where there are flats; put flat_field before it."
        )
    read = chain.frames(progress)
    absorbs = chain.signal == "optical_density"
    empty = _empty_pixels(chain, params, progress)
    level = np.full(chain.energy.size, np.nan)
    spans = [np.flatnonzero(e.reshape(len(e), -1).any(axis=1)) for e in empty]
    rows = [slice(int(span[0]), int(span[-1]) + 1) for span in spans]

    def measure(i: int) -> None:
        part = rows[i % 2]
        values = read(i, part)[empty[i % 2][part]].astype(np.float64)
        valid = values[np.isfinite(values)]
        level[i] = valid.mean() if valid.size else np.nan

    blocks.run(
        measure, range(level.size), progress=progress, text="Measuring the beam", workers=chain.workers
    )
    lost = ~(np.isfinite(level) if absorbs else level > 0)
    if lost.all():
        raise InputError("the region taken as empty shows no light at any energy; choose another.")
    found = Found(
        {
            "pixels": int(empty[0].sum()),
            "level": [None if gone else float(v) for gone, v in zip(lost, level, strict=True)],
        }
    )
    if lost.any():
        text = f"{int(lost.sum())} of {lost.size} frames show no light in the empty region and are invalid"
        found.warn(text)
    if not absorbs:
        warn_of_jumps(level, chain.energy, found)
    factor = np.where(lost, np.nan, level).astype(np.float32)
    signal: Signal = "optical_density" if absorbs else "transmission"

    def read_even(index: int, part: slice = slice(None)) -> Float32:
        frame = read(index, part)
        if absorbs:
            frame -= factor[index]
        else:
            frame /= factor[index]
        return frame

    chain.wrap(read_even, signal)
    return params, found


def _empty_pixels(
    chain: Chain, params: InternalI0Params, progress: Progress
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where there is no sample, image shape: to be measured in frames of even and of odd number."""
    if params.roi is not None:
        empty = np.zeros(chain.image_shape, bool)
        y0, y1, x0, x1 = check_roi(params.roi, chain.image_shape)
        empty[..., y0:y1, x0:x1] = True
        return empty, empty
    n = chain.energy.size
    read = chain.frames()
    halves = [np.arange(first, n, 2) for first in ((1, 0) if n > 1 else (0, 0))]
    some = [
        half[np.unique(np.linspace(0, half.size - 1, min(half.size, LOOKED_AT // 2)).round().astype(int))]
        for half in halves
    ]
    done = 0

    def frames(chosen: NDArray[np.intp]) -> Iterator[Float32]:
        nonlocal done
        for i in chosen.tolist():
            progress(done, some[0].size + some[1].size, "Looking for empty pixels")
            done += 1
            yield read(i, slice(None))

    sign = -1 if chain.signal == "optical_density" else 1
    bright = [sign * valid_mean(frames(chosen)) for chosen in some]
    known = [image for image in bright if not np.isnan(image).all()]
    if not known:
        raise InputError("no frame holds a valid number, so there is no empty region; check the file.")
    even, odd = bright if len(known) == 2 else (known[0], known[0])
    return _brightest(even, params.share), _brightest(odd, params.share)


def _brightest(image: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    brightest: NDArray[np.bool_] = image >= np.nanquantile(image, 1 - share)
    return brightest


INTERNAL_I0 = Step(
    name="internal_i0",
    title="I0 from an empty region",
    does="correct the brightness by a region without sample",
    params=InternalI0Params,
    run=internal_i0_step,
    order=20,
    takes=("counts", "transmission", "optical_density"),
    gives="transmission",
    whole_frames=True,
    after=("flat_field",),
)
