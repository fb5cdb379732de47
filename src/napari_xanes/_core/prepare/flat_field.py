"""From detector counts to transmission: darks off, divided by the beam, frame by frame.

The beam is known from flats (images without sample) or from a spectrum I0(E).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import as_float32, marks_of, measured, not_measured, unmasked, valid_mean
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.base.words import of_pixels
from napari_xanes._core.data.as_dask import computed
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import ArrayLike, EnergyStack, Float32, Signal
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines
from napari_xanes._core.engine.sampling import sampled_values
from napari_xanes._core.engine.step import Step
from napari_xanes._core.prepare.beam import warn_of_jumps
from napari_xanes._core.prepare.optical_density import warn_of_darkness

BeamReader = Callable[[int, slice], Any]
"""``beam(i, rows)``: counts without sample of frame i, float32, as rows of an image or as one number."""


class FlatFieldParams(Params):
    """Nothing to choose: flats and darks come with the stack."""


@public
def flat_field(counts: StackLike, flat: StackLike, dark: StackLike | None = None) -> Float32:
    """Return the transmission (counts - dark) / (flat - dark).

    Parameters
    ----------
    counts : array
        Images with sample, shape (E, Y, X) or (E, Z, Y, X), or one image (Y, X).
    flat : array
        Images without sample: one per energy, shape of `counts`; one image; several images (N, Y, X) with
        N different from E, which are averaged; or a beam spectrum (E,).
    dark : array or float, optional
        Image without beam, several to be averaged, or one number.

    Returns
    -------
    array
        Transmission, float32, shape of `counts`; NaN where flat - dark is not above 0.  A dask array where `counts` was
        one, or of zarr, h5py, a memory map: computed where it is looked at.

    Raises
    ------
    InputError
        If shapes do not fit, or the dark is nowhere below the flat.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[[400.0, 200.0]], [[300.0, 100.0]]])  # two energies of a row of two pixels
    >>> flat_field(counts, flat=np.full((1, 2), 500.0), dark=np.full((1, 2), 100.0))[:, 0].tolist()
    [[0.75, 0.25], [0.5, 0.0]]
    """
    images: Any = counts if isinstance(counts, Unread) and counts.ndim > 2 else measured(counts)
    flat = flat if isinstance(flat, Unread) else measured(flat)
    single = images.ndim == 2
    stack = images[None] if single else images
    if stack.ndim not in (3, 4):
        raise InputError(
            f"counts have shape {images.shape}, expected (energy, y, x), (energy, z, y, x) or (y, x)."
        )
    dark_image = mean_dark(
        dark if dark is None or isinstance(dark, Unread) else unmasked(dark), stack.shape[1:]
    )
    beam = beam_reader(flat, stack.shape[0], stack.shape[1:])
    check_beam(beam, dark_image, stack.shape[0])
    divide = BeamDivision(beam, dark_image, changes=beam_changes(flat, stack.shape[0], stack.shape[1:]))

    def divided(frames: Any, index: int, rows: slice) -> Float32:
        frame = as_float32(measured(frames[index, rows])).copy()
        divide(frame, index, rows)
        return frame

    if isinstance(stack, Unread):
        return computed(divided, stack)
    out = as_float32(stack).copy()
    for i, frame in enumerate(out):
        divide(frame, i, slice(None))
    return out[0] if single else out


def mean_dark(dark: ArrayLike | None, image_shape: Sequence[int]) -> Float32 | np.float32:
    """Return the dark as one float32 image or one number; several are averaged."""
    if dark is None:
        return np.float32(0)
    if dark.ndim == 0:
        return np.float32(np.asarray(dark[()]))
    return _one_image(dark, tuple(image_shape), "dark")


def beam_reader(flat: ArrayLike, n: int, image_shape: Sequence[int]) -> BeamReader:
    """Return how to get the counts without sample of each frame; flats per energy are read when asked for."""
    shape, image_shape = tuple(flat.shape), tuple(image_shape)
    if shape == (n,):
        spectrum = measured(flat[:]).astype(np.float32)
        return lambda i, rows: spectrum[i]
    if shape == (n, *image_shape) and n > 1:
        return lambda i, rows: measured(flat[i, rows]).astype(np.float32)
    if len(shape) == 1:
        raise InputError(
            f"the beam spectrum has {shape[0]} values, the stack has {n} energies; there must be as many."
        )
    image = _one_image(flat, image_shape, "flat")
    return lambda i, rows: image[rows]


def _one_image(frames: ArrayLike, image_shape: tuple[int, ...], what: str) -> Float32:
    shape = tuple(frames.shape)
    if shape == image_shape:
        return as_float32(measured(frames[:]))
    if shape[1:] != image_shape or not shape[0]:
        raise InputError(
            f"the {what} has shape {shape}, the images {image_shape}; "
            f"give one {what} of the images' shape, or several with their number first."
        )
    return as_float32(valid_mean(measured(frames[i]) for i in range(shape[0])))


def check_beam(beam: BeamReader, dark: Float32 | np.float32, n: int) -> int:
    """Return how many pixels have no beam above the dark in the first, middle or last frame; refuse if all."""
    looked_at = sorted({0, n // 2, n - 1})
    bad = [_no_beam(beam(i, slice(None)), dark) for i in looked_at]
    seen = [b for b in bad if not b.all()]
    if not seen and all(_no_beam(beam(i, slice(None)), dark).all() for i in range(n)):
        level = np.ravel(beam(looked_at[0], slice(None)))
        raise InputError(
            f"the flat (median {np.median(level):.4g}) is nowhere above the dark (median {np.median(dark):.4g}), so there is no "
            "beam to divide by; check that flat and dark are not swapped, empty or NaN."
        )
    return int(np.any(seen, axis=0).sum()) if seen and np.ndim(seen[0]) else 0


def _no_beam(beam: Any, dark: Float32 | np.float32) -> Any:
    return ~_is_beam(beam - dark)


def _is_beam(open_beam: Any) -> Any:
    return (open_beam > 0) & (open_beam < np.inf)


class BeamDivision:
    """Turns counts into transmission in place; what depends on the flat alone is computed once.

    Where the beam is not above the dark the transmission is NaN.
    """

    def __init__(self, beam: BeamReader, dark: Float32 | np.float32, *, changes: bool) -> None:
        self._beam, self._dark = (beam if changes else None), dark
        self._gain = None if changes else _gain(beam(0, slice(None)), dark)

    def __call__(self, frame: Float32, index: int, rows: slice) -> None:
        dark = self._dark[rows] if isinstance(self._dark, np.ndarray) else self._dark
        frame -= dark
        if self._beam is None:
            assert self._gain is not None
            frame *= self._gain[rows]
        else:
            frame *= _gain(self._beam(index, rows), dark)


def _gain(beam: Any, dark: Any) -> Any:
    """Return by what counts are multiplied, NaN where the beam is not above the dark."""
    open_beam = beam - dark
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(_is_beam(open_beam), np.float32(1) / open_beam, np.float32(np.nan))


def beam_changes(flat: ArrayLike, n: int, image_shape: Sequence[int]) -> bool:
    """Whether there is a flat, or a number, for each of n frames, rather than one for all."""
    shape = tuple(flat.shape)
    return shape == (n,) or (shape == (n, *image_shape) and n > 1)


def beam_level(beam: BeamReader, dark: Float32 | np.float32, chain: Chain) -> NDArray[np.float64]:
    """Return the beam at each energy (E,), the median of a few rows less the dark; NaN where it is not known."""
    n = chain.image_shape[0]
    less: Any = dark

    def seen(i: int, rows: slice) -> Any:
        values = beam(i, rows) - (less[rows] if isinstance(less, np.ndarray) else less)
        return values[np.isfinite(values)]

    places = [slice(k * n // 8, k * n // 8 + max(1, n // 64)) for k in (4, 3, 5, 2, 6, 1, 7)]
    rows = next((one for one in places if seen(0, one).size), places[0])  # the middle may be a detector's gap
    levels = (seen(i, rows) for i in range(chain.energy.size))
    return np.array([np.median(level) if level.size else np.nan for level in levels], np.float64)


def flat_field_step(
    chain: Chain, params: FlatFieldParams, progress: Progress
) -> tuple[FlatFieldParams, Found]:
    """Add the division by the beam to the chain; what is transmission already is never divided again."""
    stack = chain.stack
    if chain.signal != "counts":
        return params, Found({"skipped": f"the data are {chain.signal.replace('_', ' ')} already"})
    check_flats(stack, chain.signal, params)
    assert stack.flat is not None
    read = chain.frames(progress)
    dark = mean_dark(stack.dark, chain.image_shape)
    beam = beam_reader(stack.flat, chain.energy.size, chain.image_shape)
    found = Found()
    blank = chain.blank_frames(found)
    if unmeasured := _unmeasured(stack):
        found["unmeasured_pixels"] = unmeasured
    if marks_of(stack.data.dtype):
        chain.usable_energies(found)  # names frames that hold nothing but marks
    black = chain.sample().spectra <= (sampled_values(dark) if isinstance(dark, np.ndarray) else dark)
    warn_of_darkness(float(black[~blank].mean()), found)
    if bad := check_beam(beam, dark, chain.energy.size):
        found["pixels_without_beam"] = bad
        text = f"{of_pixels(bad, prod(chain.image_shape))} have no beam above the dark and are invalid"
        found.warn(text)

    changes = beam_changes(stack.flat, chain.energy.size, chain.image_shape)
    if changes:
        warn_of_jumps(beam_level(beam, dark, chain), chain.energy, found)

    divide = BeamDivision(beam, dark, changes=changes)

    def read_transmission(index: int, rows: slice = slice(None)) -> Float32:
        frame = read(index, rows)
        divide(frame, index, rows)
        if blank[index]:
            frame.fill(np.nan)
        return frame

    chain.wrap(read_transmission, "transmission")
    return params, found


def check_flats(stack: EnergyStack, signal: Signal, params: FlatFieldParams) -> None:
    """Refuse counts without flats."""
    if signal == "counts" and stack.flat is None:
        raise InputError(
            "the stack holds counts but no flats; name the dataset or file with flat=..., "
            "or say signal=... if the values are transmission or optical density; fluorescence is optical density here and "
            "needs no -ln."
        )


def _unmeasured(stack: EnergyStack) -> int:
    """Return how many pixels of the first, middle or last frame hold a detector's mark for what it did not measure."""
    n = stack.energy.size
    if not marks_of(stack.data.dtype):
        return 0
    gaps = [not_measured(np.asarray(stack.data[i])) for i in sorted({0, n // 2, n - 1})]
    return max((int(gap.sum()) for gap in gaps if gap is not None), default=0)


def _flat_field_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    return ["images = nx.flat_field(images, stack.flat, stack.dark)"] if before.signal == "counts" else []


FLAT_FIELD = Step(
    name="flat_field",
    title="Flat field",
    does="divide by the beam, from counts to transmission",
    params=FlatFieldParams,
    run=flat_field_step,
    order=10,
    gives="transmission",
    whole_frames=True,
    code=_flat_field_code,
    check=check_flats,
    usual=True,
)
