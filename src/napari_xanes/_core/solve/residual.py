"""What a solution leaves of the spectra."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, sgemm

from napari_xanes._core.engine.blocks import Scratch
from napari_xanes._core.solve.design import Constraint, Design, FloatArray

# not kept by a `Residual`, which goes to the processes of a cluster: a routine cannot be pickled
_ADD_PRODUCT = {np.dtype(np.float32): sgemm, np.dtype(np.float64): dgemm}


class Keeper(Protocol):
    """Keeps what is left of some pixels: which of those with given numbers, and their residuals and coefficients."""

    every: Any

    def picked(self, numbers: NDArray[Any]) -> NDArray[np.intp]: ...
    def put(
        self, numbers: NDArray[Any], residuals: FloatArray, coefficients: FloatArray, errors: FloatArray
    ) -> None: ...


class Residual:
    """Projections of spectra on the fitted columns, and what a solution leaves of them, in one precision."""

    def __init__(self, basis: Design, constraint: Constraint, dtype: Any) -> None:
        k = basis.references.shape[1]
        q = basis.q
        self._weights: FloatArray | None = None
        if basis.weights is not None:
            root = np.sqrt(basis.weights)[:, None]
            self._weights = basis.weights.astype(dtype)
            q, self._q = q * root, (q / root).astype(dtype)
        else:
            self._q = q.astype(dtype)
        self._q_rows = np.ascontiguousarray(q.T.astype(dtype))
        self._r = basis.r[-k:, -k:].astype(dtype)
        self._free = constraint == "none"
        self._scratch = Scratch()

    def project(self, data: FloatArray) -> FloatArray:
        """Return the (weighted) spectra in the coordinates of Q (B + K, n)."""
        projected = np.empty((len(self._q_rows), data.shape[1]), data.dtype)
        for row, out in zip(self._q_rows, projected, strict=True):
            np.dot(row, data, out=out)  # a vector at a time: a thin matrix product is slower
        return projected

    def __call__(
        self, data: FloatArray, projected: FloatArray, x: FloatArray, picked: NDArray[np.intp] | None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
        """Return the sums of squared residuals and of squared data less background, and of weighted squared residuals, each (n,).

        And the residuals of the pixels that are picked.
        """
        first = len(projected) - len(x)
        explained = np.einsum("ij,ij->j", projected[first:], projected[first:])  # besides the background
        if not self._free:  # otherwise the fitted curve is the projection itself
            z = projected[-len(x) :]
            fitted = self._r @ x
            np.subtract(z, fitted, out=z)
            explained -= np.einsum("ij,ij->j", z, z)
            z[...] = fitted
        residual = self._subtract(data, projected)
        left = None if picked is None or not picked.size else residual.take(picked, axis=1)
        error: FloatArray = np.einsum("ij,ij->j", residual, residual)
        if self._weights is None:
            return error, error + explained, error, left  # Pythagoras, which spares a pass over the data
        np.square(residual, out=residual)
        above = data - self._q[:, :first] @ projected[:first] if first else data
        return error, np.einsum("ij,ij->j", above, above), self._weights @ residual, left

    def _subtract(self, data: FloatArray, projected: FloatArray) -> FloatArray:
        """Return the spectra less the fitted curves (e, n), in an array that the next call uses again."""
        residual = self._scratch.like(data)
        np.copyto(residual, data)
        curves = {"alpha": -1.0, "a": projected.T, "b": self._q.T}
        left: FloatArray = _ADD_PRODUCT[data.dtype](**curves, beta=1.0, c=residual.T, overwrite_c=True).T
        return left
