"""The maxima of many smoothing splines at once.

A pixel's maximum is looked for in the cubic beside its highest spline value.  The control points of the other cubics
bound them from above, so it is known where that was not enough; there, all of them are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.engine import blocks
from napari_xanes._core.maps.errors import WindowErrors, combined, cubic
from napari_xanes._core.maps.spline import FloatArray, SmoothingSpline

ROUNDING = 16
"""Heights that differ by so many times the smallest relative step of numbers are the same."""


class PeakKernel:
    """The maximum of each pixel's spline; the spectra stay as they are.

    In a cubic piece of length h with values f0, f1 and slopes g0, g1, u = 0 to 1, the slope is A u^2 + B u + C with
    A = 6 (f0 - f1) + 3 h (g0 + g1), B = 6 (f1 - f0) - 2 h (2 g0 + g1), C = h g0; it falls through zero at
    u = 2 C / (sqrt(B^2 - 4 A C) - B).  The piece lies below the highest of f0, f0 + C / 3, f1 - h g1 / 3, f1.
    """

    writes = False
    maps: Mapping[str, tuple[int, ...]] = {"peak_energy": (), "peak_height": (), "peak_at_boundary": ()}

    def __init__(
        self,
        spline: SmoothingSpline,
        energy: NDArray[np.float64],
        rows: slice | NDArray[np.intp],
        smoothing: float,
        errors: WindowErrors | None = None,
    ) -> None:
        value, slope, h = spline.values(smoothing), spline.slopes(smoothing), spline.steps[:, None]
        control = [value, h * slope[:-1] / 3, h * slope[1:] / 3]
        self._rows, self._m = rows, energy.size
        self._operators: dict[Any, FloatArray] = {
            np.dtype(t): np.vstack(control).astype(t) for t in (np.float32, np.float64)
        }
        self._energy, self._steps = energy, spline.steps
        self._errors = errors
        if errors is not None:
            self.maps = {**self.maps, "peak_energy_sigma": (), "peak_height_sigma": ()}
            self._ends = errors.between(value[:-1], value[1:], slope[:-1], slope[1:])
        self._results, self._upper = blocks.Scratch(), blocks.Scratch()

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        m, columns = self._m, np.arange(y.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            operator = self._operators[y.dtype]
            result = self._results.like(np.broadcast_to(y[0], (len(operator), y.shape[1])))
            np.matmul(operator, y[self._rows], out=result)
            f, left, right = result[:m], result[m : 2 * m - 1], result[2 * m - 1 :]
            top = f.argmax(axis=0)
            piece = np.minimum(top, m - 2)
            piece -= (left[piece, columns] <= 0) & (piece > 0) & (top < m - 1)
            at, height = _maximum(f, left, right, piece, columns)
            # what the control points of the other pieces allow
            upper = np.add(f[:-1], left, out=self._upper.like(left))
            np.maximum(upper, f[1:] - right, out=upper)
            upper[piece, columns] = -np.inf
            unsure = np.flatnonzero(upper.max(axis=0) > height)
        if unsure.size:
            piece[unsure], at[unsure], height[unsure] = _best_piece(f, left, right, unsure)
        # what is flat but for rounding is highest at the first energy
        flat = f[0] >= height - ROUNDING * np.finfo(f.dtype).eps * np.abs(height)
        piece[flat], at[flat] = 0, 0
        self._fill(out, piece, at, height)
        if self._errors is not None:
            self._fill_errors(y[self._rows], out, (f, left, right), piece, at)

    def _fill_errors(
        self,
        y: FloatArray,
        out: Mapping[str, FloatArray],
        parts: tuple[FloatArray, FloatArray, FloatArray],
        piece: NDArray[np.intp],
        at: FloatArray,
    ) -> None:
        """Fill the errors: a slope that is off by s moves the maximum by s over the curvature there."""
        assert self._errors is not None
        a, b, _ = _slope_of(*parts, piece, np.arange(y.shape[1]))
        step = self._steps.astype(y.dtype)[piece]
        in_value, in_slope = cubic(at, step)
        noise = self._errors.noise(y)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = noise * combined(self._ends, piece, in_slope) / np.abs(2 * a * at + b)
            inside = np.isfinite(out["peak_height"]) & (out["peak_at_boundary"] == 0)
            out["peak_energy_sigma"][...] = np.where(inside, step * off, np.nan)
            out["peak_height_sigma"][...] = np.where(
                inside, noise * combined(self._ends, piece, in_value), np.nan
            )

    def _fill(
        self, out: Mapping[str, FloatArray], piece: NDArray[np.intp], at: FloatArray, height: FloatArray
    ) -> None:
        ends = ((piece == 0) & (at <= 0)) | ((piece == self._m - 2) & (at >= 1))
        invalid = ~np.isfinite(height)
        energy = out["peak_energy"]
        np.copyto(energy, self._energy[piece] + at * self._steps[piece], casting="same_kind")
        out["peak_height"][...] = height
        out["peak_at_boundary"][...] = ends
        for name in ("peak_energy", "peak_height", "peak_at_boundary"):
            out[name][invalid] = np.nan


def _best_piece(
    f: FloatArray, left: FloatArray, right: FloatArray, columns: NDArray[np.intp]
) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    """Return the piece with the highest maximum, where it is in there, and how high, looking at all pieces."""
    each = [
        _maximum(f, left, right, np.full(columns.size, j, np.intp), columns) for j in range(f.shape[0] - 1)
    ]
    heights = np.stack([height for _, height in each])
    best = heights.argmax(axis=0)
    at = np.stack([at for at, _ in each])
    pixel = np.arange(columns.size)
    return best, at[best, pixel], heights[best, pixel]


def _maximum(
    f: FloatArray, left: FloatArray, right: FloatArray, piece: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return where in each column's piece its cubic is highest, 0 to 1, and its value there.

    `left` and `right` are a third of a step times the slope at the begin and the end of each piece.
    """
    f0, rise = f[piece, columns], f[piece + 1, columns] - f[piece, columns]
    a, b, c = _slope_of(f, left, right, piece, columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = 2 * c / (np.sqrt(b * b - 4 * a * c) - b)
    at = np.where((at >= 0) & (at <= 1), at, 0)
    height = f0 + at * (c + at * (b / 2 + at * a / 3))
    end = np.maximum(f0, f0 + rise)
    beside = end > height
    at = np.where(beside, rise > 0, at).astype(f.dtype)
    return at, np.where(beside, end, height)


def _slope_of(
    f: FloatArray, left: FloatArray, right: FloatArray, piece: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return A, B, C of the slope of each column's piece."""
    rise = f[piece + 1, columns] - f[piece, columns]
    c, d = 3 * left[piece, columns], 3 * right[piece, columns]
    return 3 * (c + d) - 6 * rise, 6 * rise - 4 * c - 2 * d, c
