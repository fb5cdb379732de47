"""Noise taken out of frames before their spectra are looked at, at the price of detail."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, median_filter

from napari_xanes._core.base.arrays import as_float32
from napari_xanes._core.base.checks import check_choice
from napari_xanes._core.base.door import Axes, Positive, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.as_dask import computed
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call
from napari_xanes._core.engine.step import Step

Method = Literal["median", "nonlocal_means"]

PATCH, DISTANCE = 5, 6
"""Of the non-local means: side of the patches that are compared, and how far away they may be, px."""


class DenoiseParams(Params):
    """Parameters of the removal of noise."""

    method: Method = field(
        "median",
        "Method",
        "median: of each pixel's neighbourhood, which keeps steps and takes out single wrong pixels; nonlocal_means: mean "
        "of places that look alike, which keeps more detail and takes longer.",
    )
    size: int = field(3, "Size", "Side of the neighbourhood of the median, odd.", unit="px", ge=3, le=31)
    strength: float = field(
        0.8,
        "Strength",
        "Of the non-local means: differences that count as noise, in standard deviations of the noise.",
        gt=0,
        rare=True,
    )


@public
def denoise(
    images: StackLike, *, method: Method = "median", size: int = 3, strength: Positive = 0.8, axes: Axes = 2
) -> Float32:
    """Return images with less noise.

    The median is of the valid pixels around each; non-local means are those of A. Buades, B. Coll and J.-M. Morel,
    Proc. CVPR 2005, 60 (doi:10.1109/CVPR.2005.38), with the noise of each image measured in it.

    Parameters
    ----------
    images : array (..., Y, X), or (..., Z, Y, X) with axes=3
        Each image is filtered by itself.
    method : {"median", "nonlocal_means"}
    size : int
        Side of the median's neighbourhood in px, odd.
    strength : float
        Of the non-local means, in standard deviations of the noise.
    axes : int
        Number of image axes.

    Returns
    -------
    array
        float32; invalid pixels (NaN or infinite) are NaN and take no part.  A dask array where `images` was one, or of
        zarr, h5py, a memory map: computed where it is looked at.

    Raises
    ------
    InputError
        If the method is not known, the size is even, or there are too few axes.
    """
    check_choice("method", method, Method)
    _check_size(size)
    values: Any = images if isinstance(images, Unread) and images.ndim > axes else as_float32(images)
    if values.ndim < axes or not values.size:
        raise InputError(f"images have shape {values.shape}, expected at least {axes} axes, and pixels.")
    if isinstance(values, Unread):
        whole = values.ndim == axes + 1  # else rows are images of their own

        def smoothed(frames: Any, index: int, rows: slice) -> Float32:
            frame: Float32 = denoise(
                frames[index, slice(None) if whole else rows],
                method=method,
                size=size,
                strength=strength,
                axes=axes,
            )
            return frame[rows if whole else slice(None)]

        return computed(smoothed, values, cheap_rows=not whole)
    flat = values.reshape(-1, *values.shape[values.ndim - axes :])
    out: Float32 = np.empty_like(flat)
    for result, image in zip(out, flat, strict=True):
        result[...] = _median(image, size) if method == "median" else _nonlocal_means(image, strength)
    return out.reshape(values.shape)


def denoise_step(chain: Chain, params: DenoiseParams, progress: Progress) -> tuple[DenoiseParams, Found]:
    """Add the filter to the chain, frame by frame."""
    _check_size(params.size)
    read, height, reach = chain.frames(progress), chain.image_shape[0], params.size // 2

    def read_median(index: int, rows: slice = slice(None)) -> Float32:
        start, stop, _ = rows.indices(height)
        lo, hi = max(start - reach, 0), min(stop + reach, height)
        return _median(read(index, slice(lo, hi)), params.size)[start - lo : stop - lo]

    def read_nonlocal(index: int, rows: slice = slice(None)) -> Float32:
        return _nonlocal_means(read(index, slice(None)), params.strength)[rows]

    if params.method == "median":
        chain.wrap(read_median)
    else:
        chain.wrap(read_nonlocal, cheap_rows=False)
    return params, Found({})


def noise_of_image(image: NDArray[Any]) -> float:
    """Return the standard deviation of the noise that pixels do not share, from how they differ from their neighbours."""
    middle = image[..., 1:-1] - (image[..., :-2] + image[..., 2:]) / 2
    valid = middle[np.isfinite(middle)]
    return float(1.4826 / np.sqrt(1.5) * np.median(np.abs(valid))) if valid.size else 0.0


def _check_size(size: int) -> None:
    if size < 3 or size % 2 == 0:
        raise InputError(f"size is {size}, expected an odd number of pixels from 3 on.")


def _median(image: Float32, size: int) -> Float32:
    """Return the median of the valid pixels around every valid pixel; at borders, of the image mirrored."""
    valid = np.isfinite(image)
    if valid.all():
        return np.asarray(median_filter(image, size, mode="reflect"), np.float32)
    if not valid.any():
        return np.full_like(image, np.nan)
    out: Float32 = median_filter(np.where(valid, image, 0), size, mode="reflect").astype(np.float32)
    half = size // 2
    padded = np.pad(np.where(valid, image, np.nan), half, mode="symmetric")
    near = valid & binary_dilation(~valid, np.ones((size,) * image.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size,) * image.ndim)[near]
    out[near] = np.nanmedian(windows.reshape(len(windows), -1), axis=1)
    out[~valid] = np.nan
    return out


def _nonlocal_means(image: Float32, strength: float) -> Float32:
    """Return the non-local means; invalid pixels count as their nearest valid one meanwhile."""
    valid = np.isfinite(image)
    if not valid.any():
        return np.full_like(image, np.nan)
    if not valid.all():
        nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
        image = image[tuple(nearest)]
    sigma = noise_of_image(image)
    if sigma == 0:
        return np.where(valid, image, np.nan).astype(np.float32)
    from skimage.restoration import denoise_nl_means  # long to load

    smooth = denoise_nl_means(
        image, PATCH, DISTANCE, h=strength * sigma, sigma=sigma, fast_mode=True, preserve_range=True
    )
    return np.where(valid, smooth, np.nan).astype(np.float32)


def _denoise_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    return call("images", "nx.denoise", "images", "axes=images.ndim - 1", **given)


DENOISE = Step(
    name="denoise",
    title="Denoise",
    does="smooth every frame",
    params=DenoiseParams,
    run=denoise_step,
    order=100,
    whole_frames=True,
    code=_denoise_code,
)
