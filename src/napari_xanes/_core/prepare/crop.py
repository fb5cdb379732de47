"""Less of a scan: a region of it, fewer and larger pixels, or without frames that went wrong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import unmasked, valid_mean
from napari_xanes._core.base.checks import check_roi, check_window, in_window
from napari_xanes._core.base.door import Axes, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, Roi, Window, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.as_dask import computed
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines
from napari_xanes._core.engine.judge import named_energies
from napari_xanes._core.engine.step import Step


class CropParams(Params):
    """Parameters of the crop."""

    roi: Roi | None = field(
        None,
        "Region",
        "Rows and columns (y0, y1, x0, x1) that are kept. Empty: the whole frame.",
        unit="px",
        widget="roi",
        example=[100, 400, 150, 500],
    )
    energy_range: Window | None = field(
        None,
        "Energy range",
        "Energies that are kept. Empty: all.",
        unit="eV",
        widget="window",
        example=[8200.0, 8600.0],
    )


class BinParams(Params):
    """Parameters of the binning."""

    factor: int = field(2, "Factor", "Pixels along each axis that become one.", unit="px", ge=2, le=64)


class DropParams(Params):
    """Parameters of leaving frames out."""

    energies: tuple[float, ...] = field(
        (), "Energies", "Frames at these energies become invalid.", unit="eV", example=[8350.5]
    )
    windows: tuple[Window, ...] = field(
        (),
        "Windows",
        "Frames in these windows become invalid.",
        unit="eV",
        widget="windows",
        example=[[8340.0, 8342.0]],
    )


@public
def bin_pixels(images: StackLike, factor: int, *, axes: Axes = 2) -> NDArray[np.floating[Any]]:
    """Return images with `factor` pixels along each of the last `axes` axes made one: the mean of the valid ones.

    Parameters
    ----------
    images : array (..., Y, X), or (..., Z, Y, X) with axes=3
    factor : int
        1 or more; rows and columns left over at the end are dropped.
    axes : int
        Number of image axes.

    Returns
    -------
    array
        float32, or float64 if that was given; NaN where none of the pixels is valid.  A dask array where `images` was
        one, or of zarr, h5py, a memory map: computed where it is looked at.

    Raises
    ------
    InputError
        If fewer than `factor` pixels lie along an axis.

    Examples
    --------
    >>> import numpy as np
    >>> bin_pixels(np.arange(8.0).reshape(1, 2, 4), 2)
    array([[[2.5, 4.5]]])
    """
    unread = isinstance(images, Unread) and images.ndim > axes
    values: Any = images if unread else unmasked(images)
    if values.dtype != np.float64:
        double = values.dtype.newbyteorder("=") == np.float64
        values = values.astype(np.float64 if double else np.float32)
    if values.ndim < axes or min(values.shape[values.ndim - axes :]) < factor or factor < 1:
        raise InputError(
            f"images of shape {values.shape} cannot be binned by {factor}; choose a smaller factor."
        )
    if isinstance(values, Unread):
        return _binned_unread(values, factor, axes)
    kept = [n // factor * factor for n in values.shape[values.ndim - axes :]]
    every = [[slice(start, n, factor) for start in range(factor)] for n in kept]
    keys: list[tuple[Any, ...]] = [(..., *slices) for slices in product(*every)]
    return valid_mean(values[key] for key in keys).astype(values.dtype)


def _binned_unread(values: Unread, factor: int, axes: int) -> NDArray[np.floating[Any]]:
    """Return frames binned when they are looked at."""
    along = factor if values.ndim == axes + 1 else 1  # else rows are images of their own
    shape = (*values.shape[: values.ndim - axes], *(n // factor for n in values.shape[values.ndim - axes :]))

    def small(frames: Any, index: int, rows: slice) -> NDArray[np.floating[Any]]:
        part = frames[index, rows.start * along : rows.stop * along]
        binned: NDArray[np.floating[Any]] = bin_pixels(part, factor, axes=axes)
        return binned

    return computed(small, values, shape=shape, dtype=values.dtype)


def crop_step(chain: Chain, params: CropParams, progress: Progress) -> tuple[CropParams, Found]:
    """Keep a region of the frames and a range of the energies."""
    read = _after_flats(chain, "crop", progress)
    y0, y1, x0, x1 = check_roi(params.roi, chain.image_shape)
    kept = np.ones(chain.energy.size, bool)
    if params.energy_range is not None:
        kept = in_window(chain.energy, check_window(params.energy_range, "energy_range"))
        if not kept.any():
            raise InputError(
                f"energy_range {params.energy_range} eV holds none of the energies, {chain.energy[0]:g} to "
                f"{chain.energy[-1]:g} eV; choose another."
            )
    indices, thickness = np.flatnonzero(kept), chain.thickness
    volume = len(chain.image_shape) == 3

    def read_part(index: int, rows: slice = slice(None)) -> Float32:
        source = int(indices[index])
        if volume:
            return np.ascontiguousarray(read(source, rows)[:, y0:y1, x0:x1])
        start, stop, _ = rows.indices(y1 - y0)
        return np.ascontiguousarray(read(source, slice(y0 + start, y0 + stop))[:, x0:x1])

    chain.wrap(
        read_part, energy=chain.energy[indices], image_shape=(*chain.image_shape[:-2], y1 - y0, x1 - x0)
    )
    chain.thickness = None if thickness is None else thickness[..., y0:y1, x0:x1]
    return params, Found({"frames_left_out": int((~kept).sum())})


def bin_step(chain: Chain, params: BinParams, progress: Progress) -> tuple[BinParams, Found]:
    """Make pixels larger: less noise, less memory, less detail."""
    read = _after_flats(chain, "bin", progress)
    factor, axes, thickness = params.factor, len(chain.image_shape), chain.thickness
    if min(chain.image_shape) < factor:
        raise InputError(
            f"frames of {chain.image_shape} pixels cannot be binned by {factor}; choose a smaller factor."
        )
    shape = tuple(n // factor for n in chain.image_shape)

    def read_binned(index: int, rows: slice = slice(None)) -> Float32:
        start, stop, _ = rows.indices(shape[0])
        return np.asarray(
            bin_pixels(read(index, slice(start * factor, stop * factor)), factor, axes=axes), np.float32
        )

    size = chain.pixel_size_um
    left = [n % factor for n in chain.image_shape]
    chain.wrap(read_binned, image_shape=shape, pixel_size_um=None if size is None else size * factor)
    chain.thickness = None if thickness is None else bin_pixels(thickness, factor, axes=axes)
    return params, Found({"pixels_left_over": left})


def drop_energies_step(chain: Chain, params: DropParams, progress: Progress) -> tuple[DropParams, Found]:
    """Make frames invalid, which later steps then leave out; nothing is deleted."""
    dropped = np.zeros(chain.energy.size, bool)
    for window in params.windows:
        dropped |= in_window(chain.energy, check_window(window, "windows"))
    for energy in params.energies:
        near = int(np.argmin(np.abs(chain.energy - energy)))
        spacing = float(np.median(np.diff(chain.energy))) if chain.energy.size > 1 else np.inf
        if abs(chain.energy[near] - energy) > spacing / 2:
            raise InputError(
                f"there is no frame at {energy:g} eV; the nearest is at {chain.energy[near]:g} eV."
            )
        dropped[near] = True
    if dropped.all():
        raise InputError("all frames would be left out; choose fewer energies.")
    read = chain.frames(progress)

    def read_kept(index: int, rows: slice = slice(None)) -> Float32:
        frame = read(index, rows)
        if dropped[index]:
            frame.fill(np.nan)
        return frame

    chain.wrap(read_kept)
    return params, Found(
        {"dropped": int(dropped.sum()), "dropped_energies": named_energies(chain.energy[dropped])}
    )


def _after_flats(chain: Chain, name: str, progress: Progress) -> Callable[[int, slice], Float32]:
    """Return the reader of frames, or say that flats must be divided by first, which are of the whole frame."""
    if chain.signal == "counts" and chain.stack.flat is not None:
        raise InputError(
            f"{name} comes after flat_field, as the flats are of the whole frame; put flat_field before it."
        )
    return chain.frames(progress)


def _drop_energies_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    lines = ["images = np.array(images, dtype=np.float32)"]
    lines += [f"images[np.argmin(np.abs(energy - {one!r}))] = np.nan" for one in given.get("energies", ())]
    lines += [
        f"images[(energy >= {lo!r}) & (energy <= {hi!r})] = np.nan" for lo, hi in given.get("windows", ())
    ]
    return lines


def _crop_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    lines = []
    if given.get("energy_range"):
        lo, hi = given["energy_range"]
        lines = [
            f"kept = (energy >= {lo!r}) & (energy <= {hi!r})",
            "images, energy = images[kept], energy[kept]",
        ]
    if given.get("roi"):
        y0, y1, x0, x1 = given["roi"]
        lines.append(f"images = images[..., {y0}:{y1}, {x0}:{x1}]")
    return lines


def _bin_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    return [f"images = nx.bin_pixels(images, {given.get('factor', 2)}, axes=images.ndim - 1)"]


DROP_ENERGIES = Step(
    name="drop_energies",
    title="Leave frames out",
    does="make frames invalid that later steps are not to use",
    params=DropParams,
    run=drop_energies_step,
    order=70,
    whole_frames=True,
    code=_drop_energies_code,
)


CROP = Step(
    name="crop",
    title="Crop",
    does="keep a region and a range of energies",
    params=CropParams,
    run=crop_step,
    order=80,
    whole_frames=True,
    moves_pixels=True,
    after=("flat_field",),
    code=_crop_code,
)


BIN = Step(
    name="bin",
    title="Bin",
    does="make neighbouring pixels one",
    params=BinParams,
    run=bin_step,
    order=90,
    whole_frames=True,
    moves_pixels=True,
    after=("flat_field",),
    code=_bin_code,
)
