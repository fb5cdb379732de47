"""K-means in the few dimensions in which spectra differ.

The principal axes come from the covariance of the whole stack, the centres from scikit-learn's k-means, started
several times, on at most `SAMPLE_PIXELS` pixels in these dimensions; from there k-means goes on with all pixels
until the centres hardly move.  Centres span as many dimensions as there are clusters less one, so little is lost
by leaving out the others, in which there is mostly noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.engine import blocks
from napari_xanes._core.groups.covariance import Float64, Spectra, principal_axes

DIMENSIONS = 6
"""Principal axes kept; one fewer than there are clusters where that is more."""

SAMPLE_PIXELS = 25_000

STARTS = 5
"""Starts of k-means, of which the best is kept; from one start it often ends in a worse minimum."""

SILHOUETTE_PIXELS = 2000

PASSES = 200
"""Most passes over all pixels; each is over their few coordinates, not over the stack."""

SETTLED = 3e-4
"""How far the centres may still move in the last pass, in units of the spread of all spectra."""

LONGEST_STEP = 5.0
"""Centres move farther than to the mean of their pixels, at most so many times, where they have moved slowly."""

SETTLE_CHUNK = 32_768
"""Pixels that are worked on at once in a pass over coordinates."""


@dataclass(frozen=True, eq=False)
class Space:
    """The principal axes (d, e) in which clusters are sought, and where sampled pixels lie in them (n, d)."""

    axes: FloatArray
    scores: FloatArray
    left_out: float  # variance along the other axes


@dataclass(frozen=True, eq=False)
class Best:
    """The best of several runs of k-means on the sample: centres (n, d) and mean square distance to them."""

    centers: FloatArray
    spread: float
    silhouette: float


def reduce(spectra: Spectra, n: int, seed: int) -> Space:
    """Return the principal axes that tell up to `n` clusters apart, and a sample of pixels in them."""
    if seed < 0:
        raise InputError(f"seed is {seed}, expected a whole number from 0 on.")
    variances, axes = principal_axes(spectra.covariance, spectra.count)
    kept = max(DIMENSIONS, n - 1)
    scores = spectra.sample(SAMPLE_PIXELS, seed, axes[:kept])
    return Space(axes[:kept].astype(scores.dtype), scores, float(variances[kept:].sum()))


def find_centers(space: Space, n: int, seed: int, spectra: Spectra) -> Best:
    """Return the centres (n, d) of the best of several runs of k-means on the sample."""
    from sklearn.cluster import KMeans

    scores = space.scores
    different = len(np.unique(scores, axis=0)) if n > 1 else 1
    if different < n:
        raise InputError(
            f"n_clusters is {n}, but there are only {different} different spectra; choose fewer clusters."
        )
    starts = np.random.SeedSequence(seed).generate_state(STARTS)
    runs: list[Any] = [None] * STARTS
    controller = ThreadpoolController()

    def one_start(i: int) -> None:
        with controller.limit(limits=1, user_api="openmp"):  # its sums depend on the number of threads
            runs[i] = KMeans(n, n_init=1, random_state=int(starts[i])).fit(scores)

    text = f"k-means, {n} clusters"
    blocks.run(one_start, range(STARTS), progress=spectra.progress, text=text, workers=spectra.workers)
    best = min(runs, key=lambda run: float(run.inertia_))
    different = np.unique(best.labels_).size
    if different < n:
        raise InputError(
            f"n_clusters is {n}, but there are only {different} different spectra; choose fewer clusters."
        )
    few = np.linspace(0, len(scores) - 1, min(len(scores), SILHOUETTE_PIXELS)).round().astype(np.intp)
    silhouette = _silhouette(scores[few], best.labels_[few])
    return Best(best.cluster_centers_, float(best.inertia_) / len(scores), silhouette)


def _silhouette(scores: FloatArray, labels: NDArray[np.integer[Any]]) -> float:
    """Return the mean over pixels of (b - a) / max(a, b); a, b: mean distance to the own and the nearest other cluster."""
    from scipy.spatial.distance import cdist

    found, which, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if found.size < 2:
        return float("nan")
    total = np.zeros((len(scores), found.size))
    for start in range(0, len(scores), 250):
        distances = cdist(scores[start : start + 250], scores)
        for k in range(found.size):
            total[start : start + 250, k] = distances[:, which == k].sum(axis=1)
    pixels = np.arange(len(scores))
    own = total[pixels, which] / np.maximum(sizes[which] - 1, 1)
    total /= sizes
    total[pixels, which] = np.inf
    other = total.min(axis=1)
    value = np.divide(other - own, np.maximum(own, other), out=np.zeros_like(own), where=sizes[which] > 1)
    return float(value.mean())


def settle(spectra: Spectra, space: Space, centers: FloatArray) -> NDArray[np.int32]:
    """Go on with k-means from the sample's centres (n, d) with all pixels; return their labels, 1 to n, 0 if invalid."""
    n, valid = len(centers), spectra.valid
    if n == 1:
        return valid.astype(np.int32)
    scores, centers = _in_plane(spectra, space, centers)
    chunks = [slice(i, i + SETTLE_CHUNK) for i in range(0, valid.size, SETTLE_CHUNK)]
    sums, sizes = np.zeros((len(chunks), *centers.shape)), np.zeros((len(chunks), n))

    def distances(z: FloatArray) -> FloatArray:
        """Half the square distance of pixels (d, m) from the centres, less what is common to all (n, m)."""
        distance: FloatArray = (centers**2).sum(axis=1, keepdims=True) / 2 - centers @ z
        return distance

    def gather(i: int) -> None:
        z = scores[:, chunks[i]]
        distance = distances(z)
        member = (distance == distance.min(axis=0)) & valid[chunks[i]]
        weight = member.astype(z.dtype)
        sums[i], sizes[i] = weight @ z.T, weight.sum(axis=1)

    def label(i: int) -> None:
        labels[chunks[i]] = np.where(valid[chunks[i]], distances(scores[:, chunks[i]]).argmin(axis=0) + 1, 0)

    step, before = 1.0, np.zeros(centers.shape)
    for done in range(PASSES):
        spectra.progress(done, PASSES, "k-means of all pixels")
        blocks.run(gather, range(len(chunks)), workers=spectra.workers)
        size = sizes.sum(axis=0)[:, None]
        move = np.where(size > 0, sums.sum(axis=0) / np.maximum(size, 1) - centers, 0)
        if (move**2).sum() <= SETTLED**2 * spectra.variance:
            break
        step = _step_length(step, before, move) if done else 1.0
        centers = (centers + step * move).astype(scores.dtype)
        before = move
    labels = np.empty(valid.size, np.int32)
    blocks.run(label, range(len(chunks)), workers=spectra.workers)
    return labels


def _in_plane(spectra: Spectra, space: Space, centers: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return coordinates of all pixels (n - 1, N), 0 if invalid, and centres (n, n - 1) in the plane of the centres.

    Which centre is nearest shows there, so nothing else is kept.
    """
    plane = np.linalg.qr((centers[1:] - centers[0]).T.astype(np.float64))[0]
    scores = spectra.project(plane.T @ space.axes, spectra.center[spectra.used].astype(np.float64))
    scores = scores.reshape(len(scores), -1)
    scores[:, ~spectra.valid] = 0
    return scores, centers @ plane.astype(scores.dtype)


def _step_length(step: float, before: Float64, move: Float64) -> float:
    """Return how far to go along the next move; k-means creeps where clusters touch.

    B. M. Irons and R. C. Tuck, Int. J. Numer. Methods Eng. 1, 275 (1969), doi:10.1002/nme.1620010306.
    """
    bend = move - before
    wanted = -step * (before * bend).sum() / max(float((bend**2).sum()), 1e-300)
    return float(np.clip(wanted, 1, LONGEST_STEP))


def _members(labels: NDArray[np.int32], n: int, dtype: Any) -> FloatArray:
    """Return 1 where a pixel belongs to a cluster, else 0, (n, pixels)."""
    member: FloatArray = (labels == np.arange(1, n + 1)[:, None]).astype(dtype)
    return member


def mean_of_clusters(spectra: Spectra, labels: NDArray[np.int32], n: int) -> Float64:
    """Return the mean spectrum (n, E) of the pixels of each label (N,), of what is valid at energies not used."""
    others = np.setdiff1d(np.arange(spectra.center.size), spectra.used)
    sums = np.zeros((len(spectra.bands), n, spectra.center.size))
    numbers = np.zeros(sums.shape)

    def one_band(band: int) -> None:
        for pixels, raw, y in spectra.pieces(band):
            member = _members(labels[pixels] * spectra.valid[pixels], n, y.dtype)
            sums[band][:, spectra.used] += member @ y.T
            numbers[band][:, spectra.used] += member.sum(axis=1)[:, None]
            if others.size:
                rest = raw[others] - spectra.center[others, None]
                finite = np.isfinite(rest)
                sums[band][:, others] += member @ np.where(finite, rest, 0).T
                numbers[band][:, others] += member @ finite.T.astype(y.dtype)

    spectra.run(one_band, "Mean spectra of clusters")
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: a lost image
        means: Float64 = spectra.center + sums.sum(axis=0) / numbers.sum(axis=0)
    return means
