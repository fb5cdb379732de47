"""What a solution leaves of the spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.engine.blocks import Scratch
from napari_xanes._core.solve.design import Constraint, Design, FloatArray

PIECE, ALIGNED = 1024, 64
"""Spectra of which residuals are made at once, so that they stay in a core's cache beside the spectra; of which they are a multiple."""


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
        if self._weights is None:
            error, left = self._by_pieces(data, projected, picked)
            return error, error + explained, error, left  # Pythagoras, which spares a pass over the data
        residual = self._scratch.like(data)
        error = np.empty(data.shape[1], data.dtype)
        self._subtract(data, projected, residual, error)
        left = None if picked is None or not picked.size else residual.take(picked, axis=1)
        np.square(residual, out=residual)
        above = data - self._q[:, :first] @ projected[:first] if first else data
        return error, np.einsum("ij,ij->j", above, above), self._weights @ residual, left

    def _by_pieces(
        self, data: FloatArray, projected: FloatArray, picked: NDArray[np.intp] | None
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return the sums of squares (n,), and the residuals of the pixels that are picked."""
        n = data.shape[1]
        size = min(-(-n // max(-(-n // PIECE), 1) // ALIGNED) * ALIGNED, n) or 1
        scratch, error = self._scratch.like(data[:, :size]), np.empty(n, data.dtype)
        starts = range(0, n, size)
        left, found = None, np.zeros(len(starts) + 1, np.intp)
        if picked is not None and picked.size:
            left = np.empty((len(data), picked.size), data.dtype)
            found = np.searchsorted(picked, [*starts, n])
        for start, first, end in zip(starts, found, found[1:], strict=False):
            piece = slice(start, min(start + size, n))
            residual = scratch[:, : piece.stop - start]
            self._subtract(data[:, piece], projected[:, piece], residual, error[piece])
            if left is not None and picked is not None and end > first:
                np.take(residual, picked[first:end] - start, axis=1, out=left[:, first:end], mode="clip")
        return error, left

    def _subtract(
        self, data: FloatArray, projected: FloatArray, residual: FloatArray, error: FloatArray
    ) -> None:
        np.matmul(self._q, projected, out=residual)
        np.subtract(data, residual, out=residual)
        np.einsum("ij,ij->j", residual, residual, out=error)
