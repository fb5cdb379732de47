"""Components: the few spectra of which all others are sums, and maps of how much of each is where.

Principal components (PCA) are read off the covariance of the energies.  Non-negative components (NMF) are found
by scikit-learn on at most `SAMPLE_PIXELS` pixels; their maps are then exact non-negative least squares of every
pixel, of the data as they are.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from napari_xanes._core.base.door import Count, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.groups.covariance import Float64, Spectra, alone, check_number, principal_axes
from napari_xanes._core.groups.source import spectra_of
from napari_xanes._core.solve.least_squares import MOST_CONSTRAINED, FitKernel, design

Method = Literal["pca", "nmf"]

logger = logging.getLogger("napari_xanes")

SAMPLE_PIXELS = 10_000

MOST_ROUNDS = 1000
"""Of NMF."""

MOST_NEGATIVE = 0.1
"""Greatest norm of the values below zero, relative to the norm of all, that passes for noise."""


@dataclass(frozen=True, eq=False)
class Components:
    """What `decompose` returns; n components.

    A spectrum is the sum over the components of map times spectrum, with PCA plus `mean`.

    Attributes
    ----------
    method : {"pca", "nmf"}
    maps : array (n, ...)
        Amount of each component in each pixel; NaN outside the mask and where the spectrum is invalid.
    spectra : array (n, E)
        PCA: length 1, the largest entry positive.  NMF: mean over the energies 1, so that a map is the mean
        absorption by that component.  NaN at lost images.
    explained : array (n,)
        PCA: share of the variance.  NMF: share of the sum of all components.
    scree : array (e,)
        Share of the variance along every principal axis, also those not kept, with NMF too: noise makes a flat tail,
        and as many components are worth keeping as stand above it.
    mean : array (E,)
        Mean spectrum of the valid pixels.
    relative_error : float
        Norm of what the components leave over, divided by the norm of the valid data.
    clipped : float
        NMF: share of the values that were below zero and counted as zero while the spectra were sought; 0 with PCA.
    invalid : int
        Pixels inside the mask that are NaN at an energy used.
    """

    method: Method
    maps: FloatArray
    spectra: Float64
    explained: Float64
    scree: Float64
    mean: Float64
    relative_error: float
    clipped: float
    invalid: int


@public
def decompose(
    mu: StackLike,
    n_components: int,
    *,
    method: Method = "pca",
    energy: ArrayLike | None = None,
    energy_range: Window | None = None,
    mask: ArrayLike | None = None,
    progress: Progress = no_progress,
    workers: Count | None = None,
) -> Components:
    """Write all spectra as sums of a few.

    Parameters
    ----------
    mu : array (E, ...)
        Spectra, energy first; not changed.  Images that are NaN everywhere are left out.
    n_components : int
        Number of components; at most 8 with NMF.
    method : {"pca", "nmf"}
        "pca": orthogonal differences from the mean spectrum, most of the variance first; they are no spectra of
        compounds.  "nmf": spectra and amounts that are not negative, the largest first; without further knowledge
        they are not unique, a mixture of two compounds may take the place of one.  Values below zero must be noise:
        they count as zero while the spectra are sought, which `Components.clipped` tells, and as they are in the maps.
    energy : array (E,), optional
        Photon energies in eV, ascending; needed for `energy_range`.
    energy_range : (float, float), optional
        Only energies lo <= E <= hi are looked at; spectra are NaN at the others.
    mask : array of bool, optional
        Pixels to take, shape of one image.
    progress : callable, optional
        Called with (done, total, text).
    workers : int, optional
        Number of threads; the result does not depend on it.

    Returns
    -------
    Components

    Raises
    ------
    InputError
        If shapes do not fit, no pixel is valid, all spectra are the same, there are more components than the data
        have, or, with NMF, values are below zero by more than noise.

    References
    ----------
    M. Lerotic et al., Ultramicroscopy 100, 35 (2004), doi:10.1016/j.ultramic.2004.01.008; D. D. Lee and H. S. Seung,
    Nature 401, 788 (1999), doi:10.1038/44565.
    """
    options: Any = {"energy_range": energy_range, "mask": mask, "progress": progress, "workers": workers}
    check_method(method)
    return components_of(spectra_of(mu, energy=energy, **options), n_components, method)


def check_method(method: str) -> None:
    """Refuse an unknown method."""
    if method not in get_args(Method):
        raise InputError(f"method is {method!r}, expected 'pca' or 'nmf'.")


def components_of(spectra: Spectra, n_components: int, method: Method) -> Components:
    """Write all spectra as sums of a few; see `decompose`."""
    energies, pixels = spectra.used.size, spectra.count
    most = min(energies, pixels - 1) if method == "pca" else min(energies, pixels, MOST_CONSTRAINED)
    reason = f"there are {energies} energies and {pixels} valid pixels"
    if method == "nmf":
        reason += f" and nmf takes at most {MOST_CONSTRAINED}"
    n = check_number(n_components, "n_components", most, reason)
    if not spectra.variance > 0:
        raise InputError(
            "all valid spectra are the same, so there is nothing to decompose; choose another mask."
        )
    return (_principal if method == "pca" else _non_negative)(spectra, n)


def _principal(spectra: Spectra, n: int) -> Components:
    variances, axes = principal_axes(spectra.covariance, spectra.count)
    scree = variances / spectra.variance
    left = max(0.0, spectra.variance - float(variances[:n].sum()))
    return Components(
        method="pca",
        maps=spectra.project(axes[:n], spectra.mean),
        spectra=spectra.placed(axes[:n]),
        explained=scree[:n],
        scree=scree,
        mean=spectra.placed(spectra.mean),
        relative_error=float(np.sqrt(left / spectra.mean_square)),
        clipped=0.0,
        invalid=spectra.invalid,
    )


def _non_negative(spectra: Spectra, n: int) -> Components:
    sample = spectra.sample(SAMPLE_PIXELS, 0) + spectra.center[spectra.used]
    clipped = _clip(sample)
    found = _find_spectra(sample, n)
    maps, error = _amounts(spectra, found)
    totals: Float64 = np.nansum(maps, axis=1, dtype=np.float64)
    order = np.argsort(-totals, kind="stable")
    return Components(
        method="nmf",
        maps=maps[order].reshape(n, *spectra.image_shape),
        spectra=spectra.placed(found[order]),
        explained=totals[order] / totals.sum(),
        scree=principal_axes(spectra.covariance, spectra.count)[0] / spectra.variance,
        mean=spectra.placed(spectra.mean),
        relative_error=float(np.sqrt(error / (spectra.count * spectra.mean_square))),
        clipped=clipped,
        invalid=spectra.invalid,
    )


def _clip(sample: FloatArray) -> float:
    """Set values below zero to zero, in place, and return their share; refuse what is not noise."""
    below = sample < 0
    strength = np.linalg.norm(sample[below]) / np.linalg.norm(sample)
    if strength > MOST_NEGATIVE:
        raise InputError(
            f"values below zero have {strength:.0%} of the norm of the spectra, nmf takes {MOST_NEGATIVE:.0%} as noise; "
            "mask empty pixels, give optical density or normalised data, or choose method 'pca'."
        )
    sample[below] = 0
    return float(below.mean())


def _find_spectra(sample: FloatArray, n: int) -> Float64:
    """Return n non-negative spectra (n, e) of mean 1 from samples (pixels, e) without negative values.

    The start puts the mean of the data into both factors, which is right for data of about one only; so they are
    brought to a mean of one, and the scale of the data is of no account.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    level = sample.mean(dtype=np.float64)
    if not level > 0:
        raise InputError("no value of mu is above zero, so nmf finds nothing; check the data, or use 'pca'.")
    model = NMF(n, init="nndsvda", max_iter=MOST_ROUNDS, random_state=0)
    scaled = (sample / level).astype(sample.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in words of this program
        alone(lambda: model.fit(scaled))
    if model.n_iter_ >= MOST_ROUNDS:
        logger.warning(
            "nmf still improved after %d rounds, so its components are not the best; choose fewer.",
            MOST_ROUNDS,
        )
    found: Float64 = np.asarray(model.components_, dtype=np.float64)
    mean = found.mean(axis=1, keepdims=True)
    if not (mean > 0).all():
        raise InputError(
            f"nmf found only {np.count_nonzero(mean)} of {n} components in mu; choose a smaller n_components."
        )
    found /= mean
    return found


def _amounts(spectra: Spectra, found: Float64) -> tuple[FloatArray, float]:
    """Return maps (n, N) of non-negative amounts, and the sum of squares that they leave over."""
    n, energies = found.shape
    names = [f"component {k + 1}" for k in range(n)]
    basis = design(np.arange(1.0, energies + 1), list(found), names, ())
    kernel = FitKernel(basis, np.arange(energies), "nonnegative", None)
    dtype = spectra.center.dtype
    maps, errors = np.empty((n, spectra.valid.size), dtype), np.zeros(len(spectra.bands))
    center = spectra.center[spectra.used][:, None]

    def fit(band: int) -> None:
        for pixels, _, y in spectra.pieces(band):
            y += center
            out = {name: np.empty((*lead, y.shape[1]), dtype) for name, lead in kernel.maps.items()}
            kernel(y, out)
            valid = spectra.valid[pixels]
            out["coefficients"][:, ~valid] = np.nan
            maps[:, pixels] = out["coefficients"]
            errors[band] += out["error"][valid].sum(dtype=np.float64)

    spectra.run(fit, "Maps of components")
    return maps, float(errors.sum())
