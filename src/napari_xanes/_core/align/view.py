"""What of the frames is looked at to see their drift: a region, what a mask leaves, values or their gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, shift

from napari_xanes._core.base.arrays import inside_of
from napari_xanes._core.base.checks import check_roi
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Roi
from napari_xanes._core.data.stack import Float32, FrameReader

On = Literal["values", "gradient"]
ViewReader = Callable[[int], Float32]

SMALLEST = 16
"""px; regions smaller than this hold too little to compare."""

BLUR = 1.0
"""px, standard deviation of the Gaussian whose derivative makes the gradient."""

RIM = 2.0
"""px over which a mask fades, so that its own outline is not what is compared."""

MASK_ROUNDS = 3
"""How often the drift inside a mask is measured to know where to put the mask."""

MARGIN = 8
"""px around a mask that are kept in view."""


@dataclass(frozen=True)
class RegionView:
    """Reads a region (y0, y1, x0, x1) of frames, all rows of it (y, or z of a volume) or some."""

    read: FrameReader
    roi: Roi
    shape: tuple[int, ...]
    """Of what is looked at of a frame."""
    packed: int = 1
    """How many rows lie together in the source, which are best read together."""

    @classmethod
    def whole(cls, look: ViewReader, example: int) -> RegionView:
        """Return how to read rows of frames that are made whole, of the shape of one of them."""
        shape = look(example).shape
        return cls(lambda i, rows: look(i)[rows], (0, shape[-2], 0, shape[-1]), shape, shape[0])

    def __call__(self, i: int) -> Float32:
        return self.rows(i, slice(0, self.shape[0]))

    def rows(self, i: int, rows: slice) -> Float32:
        """Return rows start:stop of the region of a frame."""
        y0, y1, x0, x1 = self.roi
        if len(self.shape) > 2:
            return self.read(i, rows)[:, y0:y1, x0:x1]
        return self.read(i, slice(y0 + rows.start, y0 + rows.stop))[:, x0:x1]


def view(
    read: FrameReader, shape: tuple[int, ...], roi: Roi | None, on: On = "values", packed: int = 1
) -> tuple[ViewReader, Roi]:
    """Return how to read the region of a frame, and the region (y0, y1, x0, x1), all of the frame for None.

    `packed` rows lie together in the source, which are best read together.
    """
    y0, y1, x0, x1 = check_roi(roi, shape[1:])
    if min(y1 - y0, x1 - x0) < SMALLEST:
        raise InputError(
            f"{'the image' if roi is None else 'roi'} is {y1 - y0} x {x1 - x0} px, at least "
            f"{SMALLEST} x {SMALLEST} are needed to measure drift; choose a larger region."
        )
    region = RegionView(read, (y0, y1, x0, x1), (*shape[1:-2], y1 - y0, x1 - x0), packed)
    if on == "values":
        return region, region.roi
    return lambda i: np.asarray(gaussian_gradient_magnitude(region(i), BLUR), np.float32), region.roi


def check_mask(mask: NDArray[Any], image_shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask as bool, or say why it does not fit."""
    inside: NDArray[np.bool_] = inside_of(mask) != 0
    if inside.shape != image_shape:
        raise InputError(
            f"the mask has shape {inside.shape}, the images {image_shape}; they must be the same."
        )
    if not inside.any():
        raise InputError(
            "the mask is empty, so there is nothing to measure drift by; paint or choose another."
        )
    return inside


def roi_around(mask: NDArray[np.bool_], shifts: NDArray[np.float64]) -> Roi:
    """Return the region in which what is inside the mask is seen in all frames, by shifts (E, n) in px."""
    height, width = mask.shape[-2:]
    plane = np.any(mask, axis=0) if mask.ndim == 3 else mask
    known = shifts[np.isfinite(shifts).all(axis=1)][:, -2:]
    reach = np.ceil(np.abs(known).max(axis=0)).astype(int) + MARGIN
    (y0, y1), (x0, x1) = (_widened(at, int(r)) for at, r in zip(plane.nonzero(), reach, strict=True))
    return max(y0, 0), min(y1, height), max(x0, 0), min(x1, width)


def _widened(at: NDArray[np.intp], reach: int) -> tuple[int, int]:
    """Return the span of some pixels with a margin, at least as long as a region must be."""
    first, last = int(at.min()), int(at.max())
    reach = max(reach, (SMALLEST - (last - first)) // 2 + 1)
    return first - reach, last + reach + 1


def masked(look: ViewReader, mask: NDArray[np.bool_], roi: Roi, shifts: NDArray[np.float64]) -> ViewReader:
    """Return how to read frames in which only what is inside the mask is left, which moves with the sample.

    The mask is where the sample is in the reference; `shifts` (E, n) in px say about where it is in each frame.
    Outside, frames are the mean of what is inside.
    """
    y0, y1, x0, x1 = roi
    soft = gaussian_filter(mask.astype(np.float32), RIM)[..., y0:y1, x0:x1]

    def look_inside(i: int) -> Float32:
        frame = look(i)
        move = np.round(np.where(np.isfinite(shifts[i]), shifts[i], 0))
        weight = shift(soft, move, order=0)
        valid = np.isfinite(frame) & (weight > 0)
        total = weight[valid].sum()
        if total == 0:
            return np.full_like(frame, np.nan)
        level = np.float32((weight[valid] * frame[valid]).sum() / total)
        return np.asarray(level + weight * (frame - level), np.float32)

    return look_inside
