"""What the linear-combination fit returns, for all pixels and for one."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.as_dask import computed
from napari_xanes._core.fit.verdict import FitDiagnosis

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class PixelModel:
    """The fit of one pixel: energies (n,), measured and fitted values (n,), components (K, n), background (n,)."""

    energy: NDArray[np.float64]
    measured: FloatArray
    fitted: FloatArray
    components: FloatArray
    background: FloatArray


@dataclass(frozen=True, eq=False)
class ReferenceFit:
    """What `fit_references` returns; K references, maps of the images' shape, NaN in invalid pixels.

    Attributes
    ----------
    names : tuple of str
        The references, in order.
    coefficients : array (K, ...)
        Weight of each reference.
    fractions : array (K, ...)
        Coefficients divided by their sum; NaN where the sum is not positive (or not significant).
    sigma : array (K, ...)
        Standard error of each fraction, from the noise given or else from residuals: of its own pixel, and with few
        energies of others.  How noise is spread over the energies is learned from many pixels.  Where coefficients are held at zero, the others have the error of the smaller fit, and those held the one-sided
        width that the data leave them.
    error : array (...)
        Sum over the fitted energies of (y - fit)^2.
    rms : array (...)
        Root of the mean squared residual.
    r_factor : array (...)
        Sum of squared residuals over sum of (mu - b)^2, b being the background alone fitted to mu, if there is one; so it is
        the same whatever pedestal a background takes up.
    energy : array (n,)
        The energies that were fitted, eV.
    condition_number : float
        Of the references and background as fitted, columns of equal length: how much noise is amplified.
    weights : array (n,) or None
        Weights of these energies, their mean one, if there are any.
    reduced_chi_square : array (...) or None
        Weighted squared residuals over noise^2 and degrees of freedom, about one for a good fit; with noise given.
    iterations, primal_residual, dual_residual : array (...) or None
        Of solver "admm": iterations of each pixel and the residuals it stopped at.
    n_unconverged : int
        Number of pixels for which its iterations did not do.
    amount_sigma : array (K, ...) or None
        Standard error of each amount, if it was asked for: of the coefficients, or, where `normalization` has a
        `thickness_sigma`, of the fractions times its thickness.
    diagnosis : FitDiagnosis or None
        What the fit left, and why; None where there are too few pixels or energies to tell.
    warnings : tuple of str
        What makes the fit doubtful, a sentence each.
    """

    names: tuple[str, ...]
    coefficients: FloatArray
    fractions: FloatArray
    sigma: FloatArray
    error: FloatArray
    rms: FloatArray
    r_factor: FloatArray
    energy: NDArray[np.float64]
    condition_number: float
    _mu: Any = attribute(repr=False)
    _fitted: NDArray[np.intp] = attribute(repr=False)
    _basis: tuple[NDArray[np.float64], NDArray[np.float64]] = attribute(repr=False)
    weights: NDArray[np.float64] | None = None
    reduced_chi_square: FloatArray | None = None
    iterations: FloatArray | None = None
    primal_residual: FloatArray | None = None
    dual_residual: FloatArray | None = None
    n_unconverged: int = 0
    amount_sigma: FloatArray | None = None
    diagnosis: FitDiagnosis | None = None
    warnings: tuple[str, ...] = ()

    def fitted_spectra(self) -> Any:
        """Return the spectra at the energies that were fitted (n, ...), as a dask array if they were not read."""
        if isinstance(self._mu, Unread):
            fitted = self._mu.take(self._fitted)
            return computed(lambda frames, i, rows: frames[i, rows], fitted, dtype=fitted.dtype)
        return self._mu[self._fitted]

    def model(self, index: int | tuple[int, ...] = ()) -> PixelModel:
        """Return the fit of one pixel, given its index in the maps, such as ``(y, x)``."""
        pixel: Any = (slice(None), *(index if isinstance(index, tuple) else (index,)))
        y = self._mu[pixel][self._fitted].astype(np.float64)
        background, references = self._basis
        components = references.T * self.coefficients[pixel][:, None].astype(np.float64)
        rest = y - components.sum(axis=0)
        curve = background @ self._background_of(rest) if background.size else np.zeros_like(y)
        return PixelModel(self.energy, y, components.sum(axis=0) + curve, components, curve)

    def _background_of(self, rest: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coefficients (B,) of the background of what the references leave (n,)."""
        root = np.ones_like(rest) if self.weights is None else np.sqrt(self.weights)
        found: NDArray[np.float64] = np.linalg.pinv(self._basis[0] * root[:, None]) @ (rest * root)
        return found
