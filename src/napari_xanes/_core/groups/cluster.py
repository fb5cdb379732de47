"""Groups of pixels with like spectra: clusters, their mean spectra, and how many are enough.

How they are found is in `kmeans`; the arguments are checked in `valid_spectra`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.checks import check_energy
from napari_xanes._core.base.door import Count, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.groups.covariance import Float64, Spectra, alone, check_number
from napari_xanes._core.groups.kmeans import SAMPLE_PIXELS, find_centers, mean_of_clusters, reduce, settle
from napari_xanes._core.groups.source import spectra_of


@dataclass(frozen=True, eq=False)
class Clusters:
    """What `cluster_spectra` returns; n clusters, the largest first.

    Attributes
    ----------
    labels : array of int32, shape of one image
        1 to n; 0 outside the mask and where the spectrum is invalid.
    spectra : array (n, E)
        Mean spectrum of each cluster at all energies, also those not used; NaN where no pixel is valid.
    counts : array of int (n,)
        Pixels of each cluster.
    inertia : float
        Sum over pixels and the energies used of the square distance to the cluster's mean spectrum.
    silhouette : float
        How well clusters are apart, -1 to 1, the mean over a sample of pixels in the principal axes; NaN for one cluster.
    invalid : int
        Pixels inside the mask that are NaN at an energy used.
    """

    labels: NDArray[np.int32]
    spectra: Float64
    counts: NDArray[np.int64]
    inertia: float
    silhouette: float
    invalid: int

    def as_references(self, energy: ArrayLike, *, name: str = "cluster") -> list[Reference]:
        """Return the mean spectra as references of a fit, named "cluster 1" and so on.

        Parameters
        ----------
        energy : array (E,)
            Photon energies in eV; those of lost images are left out.
        name : str, optional
            What the references are called, before their number.
        """
        energies = check_energy(energy, self.spectra.shape[1], "the clusters' spectra")
        good = np.isfinite(self.spectra)
        return [
            Reference(f"{name} {k}", energies[keep], spectrum[keep], notes=(f"mean of {count} pixels",))
            for k, (spectrum, keep, count) in enumerate(
                zip(self.spectra, good, self.counts, strict=True), start=1
            )
        ]


@dataclass(frozen=True, eq=False)
class ClusterQuality:
    """What `cluster_quality` returns, for each number of clusters; both are estimated from a sample of pixels.

    Attributes
    ----------
    n_clusters : array of int (m,)
    inertia : array (m,)
        As in `Clusters`: it always falls with n, fast at first; where the curve bends (the elbow) n is enough.
    silhouette : array (m,)
        As in `Clusters`: highest where clusters are best apart.
    """

    n_clusters: NDArray[np.int64]
    inertia: Float64
    silhouette: Float64

    @property
    def best(self) -> int:
        """The number of clusters with the highest silhouette."""
        if not np.isfinite(self.silhouette).any():
            return int(self.n_clusters[0])
        return int(self.n_clusters[np.nanargmax(self.silhouette)])


@public
def cluster_spectra(
    mu: StackLike,
    n_clusters: int,
    *,
    energy: ArrayLike | None = None,
    energy_range: Window | None = None,
    mask: ArrayLike | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
    workers: Count | None = None,
) -> Clusters:
    """Group the pixels by their spectra, by k-means.

    Parameters
    ----------
    mu : array (E, ...)
        Spectra, energy first; not changed.  Normalise them first where their shape and not the amount of material
        is to tell.  Images that are NaN everywhere are left out.  Maps, one or several, are grouped as well when
        stacked (K, ...), K >= 1; scale them so that what differs equally counts equally.
    n_clusters : int
        Number of groups; `cluster_quality` helps to choose it.
    energy : array (E,), optional
        Photon energies in eV, ascending; needed for `energy_range`.
    energy_range : (float, float), optional
        Only energies lo <= E <= hi decide.
    mask : array of bool, optional
        Pixels to group, shape of one image.
    seed : int
        The same seed gives the same clusters, on any number of threads.
    progress : callable, optional
        Called with (done, total, text).
    workers : int, optional
        Number of threads.

    Returns
    -------
    Clusters

    Raises
    ------
    InputError
        If shapes do not fit, no pixel is valid, or there are fewer different spectra than clusters.

    References
    ----------
    S. P. Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982), doi:10.1109/TIT.1982.1056489; C. Ding and X. He, Proc. 21st
    Int. Conf. Machine Learning (2004), doi:10.1145/1015330.1015408; P. J. Rousseeuw, J. Comput. Appl. Math. 20, 53
    (1987), doi:10.1016/0377-0427(87)90125-7.
    """
    options: Any = {"energy_range": energy_range, "mask": mask, "progress": progress, "workers": workers}
    found: list[Clusters] = []

    def work() -> None:
        found.append(cluster(spectra_of(mu, energy=energy, thinned=True, **options), n_clusters, seed))

    alone(work)  # BLAS is held to one thread once, not in every pass
    return found[0]


@public
def cluster_quality(
    mu: StackLike,
    n_clusters: Iterable[int] = range(2, 9),
    *,
    energy: ArrayLike | None = None,
    energy_range: Window | None = None,
    mask: ArrayLike | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
    workers: Count | None = None,
) -> ClusterQuality:
    """Tell how good different numbers of clusters are; parameters and errors as in `cluster_spectra`.

    Parameters
    ----------
    mu : array (E, ...)
    n_clusters : iterable of int
        The numbers to try.

    Returns
    -------
    ClusterQuality
    """
    options: Any = {"energy_range": energy_range, "mask": mask, "progress": progress, "workers": workers}
    spectra = spectra_of(mu, energy=energy, thinned=True, **options)
    numbers = [_check_clusters(spectra, n) for n in n_clusters]
    if not numbers:
        raise InputError("n_clusters is empty, expected numbers of clusters such as range(2, 9).")
    space = reduce(spectra, max(numbers), seed)
    runs = [find_centers(space, n, seed, spectra) for n in numbers]
    return ClusterQuality(
        np.array(numbers),
        np.array([spectra.count * (run.spread + space.left_out) for run in runs]),
        np.array([run.silhouette for run in runs]),
    )


def cluster(spectra: Spectra, n_clusters: int, seed: int) -> Clusters:
    """Group the spectra; see `cluster_spectra`."""
    n = _check_clusters(spectra, n_clusters)
    space = reduce(spectra, n, seed)
    run = find_centers(space, n, seed, spectra)
    labels = settle(spectra, space, run.centers)
    means = mean_of_clusters(spectra, labels, n)
    sizes = np.bincount(labels, minlength=n + 1)[1:]
    order = np.argsort(-sizes, kind="stable")
    rank = np.zeros(n + 1, np.int32)
    rank[order + 1] = np.arange(1, n + 1)
    means = means[order]
    between = sizes[order] @ np.nan_to_num((means[:, spectra.used] - spectra.mean) ** 2).sum(axis=1)
    return Clusters(
        labels=rank[labels].reshape(spectra.image_shape),
        spectra=means,
        counts=sizes[order],
        inertia=max(0.0, float(spectra.count * spectra.variance - between)),
        silhouette=run.silhouette,
        invalid=spectra.invalid,
    )


def _check_clusters(spectra: Spectra, n_clusters: int) -> int:
    most = min(spectra.count, SAMPLE_PIXELS)
    return check_number(n_clusters, "n_clusters", most, f"{spectra.count} pixels are valid")
