"""How a map changes from the rim of particles to their cores: profiles over the depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_xanes._core.base.door import Positive, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.regions.label import check_image, check_labels, check_pixel_size

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DepthProfile:
    """A map over the depth in particles, in B bins.

    Attributes
    ----------
    edges : array (B + 1,)
        Ends of the bins, 0 being the rim; 1 the deepest point of each particle, or in px.
    labels : array of int (n,)
        The particles' labels, ascending.
    mean, std : array (n, B)
        Mean and standard deviation of each particle's valid pixels in each bin; NaN where there is none.
    counts : array of int (n, B)
        How many these are.
    depth_px : array (n, B)
        Their mean depth in px.
    pooled_mean, pooled_std, pooled_counts, pooled_depth_px : array (B,)
        The same over the pixels of all particles that do not reach the border of the image.
    """

    edges: Float64
    labels: NDArray[np.int64]
    mean: Float64
    std: Float64
    counts: NDArray[np.int64]
    depth_px: Float64
    pooled_mean: Float64
    pooled_std: Float64
    pooled_counts: NDArray[np.int64]
    pooled_depth_px: Float64

    def table(self, name: str = "mean", *, pixel_size_um: float | None = None) -> dict[str, NDArray[Any]]:
        """Return the profile of the map `name` as columns, a row for each particle and bin.

        The rows of label 0 are of the pixels of all whole particles.
        """
        rows, bins = len(self.labels) + 1, len(self.edges) - 1
        depth_px = np.r_[self.pooled_depth_px, self.depth_px.ravel()]
        columns: dict[str, NDArray[Any]] = {
            "label": np.repeat(np.r_[0, self.labels], bins),
            "from": np.tile(self.edges[:-1], rows),
            "to": np.tile(self.edges[1:], rows),
            "depth_px": depth_px,
        }
        if pixel_size_um is not None:
            columns["depth_um"] = depth_px * pixel_size_um
        return columns | {
            name: np.r_[self.pooled_mean, self.mean.ravel()],
            f"{name}_std": np.r_[self.pooled_std, self.std.ravel()],
            "pixels": np.r_[self.pooled_counts, self.counts.ravel()],
        }


@dataclass(frozen=True, eq=False)
class CoreToRim:
    """What `core_to_rim` returns, for n particles.

    Attributes
    ----------
    relative : DepthProfile
        Over the depth divided by the greatest of the particle: 0 at the rim, 1 at the deepest point.
    absolute : DepthProfile
        Over the depth in px, from 0 to the greatest of all particles.
    depth : array of float32, shape of the labels
        Depth of each pixel in px, from the rim of its particle; NaN outside, and where no rim is in view.
    deepest_px : array (n,)
        Greatest depth in each particle, in px.
    cut : array of bool (n,)
        Whether the particle reaches the border of the image, so that its rim is not known there.
    invalid : array of int (n,)
        Pixels of each particle that were left out, being NaN.
    pixel_size_um : float or None
    """

    relative: DepthProfile
    absolute: DepthProfile
    depth: NDArray[np.float32]
    deepest_px: Float64
    cut: NDArray[np.bool_]
    invalid: NDArray[np.int64]
    pixel_size_um: float | None = None

    @property
    def deepest_um(self) -> Float64 | None:
        """Greatest depth in each particle in um, or None if the pixel's size is not known."""
        return None if self.pixel_size_um is None else self.deepest_px * self.pixel_size_um


@public
def core_to_rim(
    labels: ArrayLike, image: ArrayLike, *, bins: int = 10, pixel_size_um: Positive | None = None
) -> CoreToRim:
    """Return how a map changes with the depth in particles, in each and over all.

    Parameters
    ----------
    labels : array of int (Y, X) or (Z, Y, X)
        0 is outside; a mask is one particle.
    image : array, shape of `labels`
        The map; pixels that are not finite are left out and counted.
    bins : int
        Number of bins of equal width in depth.
    pixel_size_um : float, optional
        Size of a pixel in um.

    Returns
    -------
    CoreToRim

    Raises
    ------
    InputError
        If labels are not whole numbers, the map is of another shape, or there are fewer than 1 bins.

    Notes
    -----
    The depth of a pixel is the Euclidean distance of its centre to that of the nearest pixel that is not of its
    particle, less half a pixel, since the rim lies between the two.  Where particles touch there is a rim; the border of
    the image is none, hence particles that reach it are left out of the pooled profiles.

    References
    ----------
    Distance transform: C. R. Maurer, R. Qi and V. Raghavan, IEEE Trans. Pattern Anal. Mach. Intell. 25, 265 (2003),
    doi:10.1109/TPAMI.2003.1177156.
    """
    regions = check_labels(labels)
    values = check_image(image, regions.shape, "the map")
    check_pixel_size(pixel_size_um)
    if bins < 1:
        raise InputError(f"bins is {bins}, expected at least 1.")
    inside = np.nonzero(regions)
    ids, which = np.unique(regions[inside].astype(np.int64), return_inverse=True)
    numbered = np.zeros(regions.shape, np.int32)
    numbered[inside] = which + 1
    depth, cut = _depths(numbered)
    deepest = ndimage.maximum(depth, numbered, np.arange(1, ids.size + 1)) if ids.size else np.zeros(0)
    deepest = np.asarray(deepest, dtype=np.float64)
    x, depths = values[inside], depth[inside].astype(np.float64)
    pixels = _Pixels(ids, ~cut, which, x, depths).valid()
    farthest = np.fmax.reduce(deepest, initial=0) or 1.0
    return CoreToRim(
        pixels.profile(pixels.depth / deepest[pixels.which], np.linspace(0, 1, bins + 1)),
        pixels.profile(pixels.depth, np.linspace(0, farthest, bins + 1)),
        depth,
        deepest,
        cut,
        np.bincount(which[~np.isfinite(x)], minlength=ids.size),
        pixel_size_um,
    )


def _depths(numbered: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the depth of every pixel in its particle 1..n, NaN outside; and which particles reach the border."""
    depth = np.full(numbered.shape, np.nan, np.float32)
    boxes = ndimage.find_objects(numbered)
    cut = np.zeros(len(boxes), bool)
    for k, box in enumerate(boxes):
        own = numbered[box] == k + 1
        outside = [(int(b.start > 0), int(b.stop < n)) for b, n in zip(box, numbered.shape, strict=True)]
        cut[k] = not np.all(outside)
        padded = np.pad(own, outside)
        if not padded.all():
            inner = tuple(slice(first, first + n) for (first, _), n in zip(outside, own.shape, strict=True))
            depth[box][own] = ndimage.distance_transform_edt(padded)[inner][own] - 0.5
    return depth, cut


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Pixels of particles: which of `ids` each is of, its value and depth; and which particles are whole."""

    ids: NDArray[np.int64]
    whole: NDArray[np.bool_]
    which: NDArray[np.intp]
    values: Float64
    depth: Float64

    def valid(self) -> _Pixels:
        good = np.isfinite(self.values) & np.isfinite(self.depth)
        return _Pixels(self.ids, self.whole, self.which[good], self.values[good], self.depth[good])

    def profile(self, position: Float64, edges: Float64) -> DepthProfile:
        """Return the profile over a position of each pixel."""
        n, bins = self.ids.size, edges.size - 1
        at = np.clip(np.searchsorted(edges, position, side="right") - 1, 0, bins - 1)
        every = np.ones(at.size, bool)
        each = [a.reshape(n, bins) for a in self._binned(self.which * bins + at, n * bins, every)]
        return DepthProfile(edges, self.ids, *each, *self._binned(at, bins, self.whole[self.which]))

    def _binned(self, index: NDArray[np.intp], n: int, chosen: NDArray[np.bool_]) -> tuple[Any, ...]:
        """Return mean, standard deviation, number and mean depth of chosen pixels by their index below n."""
        index, x, depth = index[chosen], self.values[chosen], self.depth[chosen]
        counts = np.bincount(index, minlength=n)
        with np.errstate(invalid="ignore", over="ignore"):  # 0 / 0 is NaN: a bin without pixels
            mean = np.bincount(index, x, n) / counts
            std = np.sqrt(np.bincount(index, (x - mean[index]) ** 2, n) / counts)
            return mean, std, counts, np.bincount(index, depth, n) / counts
