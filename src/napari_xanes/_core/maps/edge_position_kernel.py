"""The edges of many smoothing splines at once: where they cross a level, or are steepest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.engine import blocks
from napari_xanes._core.maps.errors import WindowErrors, combined, cubic
from napari_xanes._core.maps.spline import Float64, FloatArray, SmoothingSpline

CLOSER = 8
"""Steps of Newton's method, or halvings of the bracket where that leaves it; a handful is enough nearly always."""


class EdgeKernel(ABC):
    """One edge a pixel; the spectra stay as they are.

    Fills "edge_energy", and "without" if asked: whether a spectrum that is valid has no edge.
    """

    writes = False
    maps: Mapping[str, tuple[int, ...]] = {"edge_energy": (), "without": ()}

    def __init__(
        self,
        operator: Float64,
        energy: Float64,
        rows: slice | NDArray[np.intp],
        errors: WindowErrors | None = None,
    ) -> None:
        self._errors = errors
        if errors is not None:
            self.maps = {**self.maps, "edge_energy_sigma": ()}
        self._operators: dict[Any, FloatArray] = {
            np.dtype(t): operator.astype(t) for t in (np.float32, np.float64)
        }
        self._energy, self._steps, self._rows = energy, np.diff(energy), rows
        self._parts = blocks.Scratch()

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            operator = self._operators[y.dtype]
            parts = self._parts.like(np.broadcast_to(y[0], (len(operator), y.shape[1])))
            np.matmul(operator, y[self._rows], out=parts)
            known = np.isfinite(parts[0])
            parts = parts.reshape(-1, self._energy.size, y.shape[1])
            piece, at, found = self._find(parts)
            found &= known
            if self._errors is not None:
                off = self._errors.noise(y[self._rows]) * self._sigma(parts, piece, at)
                out["edge_energy_sigma"][...] = np.where(found, off, np.nan)
        energy = self._energy[piece] + at * self._steps[piece]
        out["edge_energy"][...] = np.where(found, energy, np.nan)
        if "without" in out:
            out["without"][...] = known & ~found

    @abstractmethod
    def _sigma(self, parts: FloatArray, piece: NDArray[np.intp], at: FloatArray) -> FloatArray:
        """Return the standard error of each edge (n,), for noise of one."""

    @abstractmethod
    def _find(self, parts: FloatArray) -> tuple[NDArray[np.intp], FloatArray, NDArray[np.bool_]]:
        """Return the interval of each edge, where it is in there from 0 to 1, and whether there is one."""


class HalfHeightKernel(EdgeKernel):
    """Where the spline rises through the level and the integral of spline less level is smallest.

    A lone excursion of noise, or a peak before the edge that reaches the level, adds or takes away little area.
    """

    def __init__(
        self,
        spline: SmoothingSpline,
        energy: Float64,
        rows: slice | NDArray[np.intp],
        smoothing: float,
        level: float,
        errors: WindowErrors | None = None,
    ) -> None:
        value, slope = spline.values(smoothing), spline.slopes(smoothing)
        area = np.zeros_like(value)  # by the trapezoidal rule up to each energy
        np.cumsum(spline.steps[:, None] * (value[:-1] + value[1:]) / 2, axis=0, out=area[1:])
        super().__init__(np.vstack([value, area, slope]), energy, rows, errors)
        if errors is not None:
            self._ends = errors.between(value[:-1], value[1:], slope[:-1], slope[1:])
        self._level, self._base = level, level * (energy - energy[0])

    def _find(self, parts: FloatArray) -> tuple[NDArray[np.intp], FloatArray, NDArray[np.bool_]]:
        f, area, slope = parts
        columns = np.arange(f.shape[1])
        area -= self._base[:, None].astype(f.dtype)
        node = area.argmin(axis=0)
        last = self._energy.size - 2
        piece = np.clip(node - (f[node, columns] >= self._level), 0, last)
        f0, f1 = (
            f[piece, columns] - f.dtype.type(self._level),
            f[piece + 1, columns] - f.dtype.type(self._level),
        )
        h = self._steps.astype(f.dtype)[piece]
        at = _root(f0, f1, h * slope[piece, columns], h * slope[piece + 1, columns])
        return piece, at, (f0 < 0) & (f1 >= 0)

    def _sigma(self, parts: FloatArray, piece: NDArray[np.intp], at: FloatArray) -> FloatArray:
        f, _, slope = parts
        columns, step = np.arange(f.shape[1]), self._steps.astype(f.dtype)[piece]
        in_value, in_slope = cubic(at.astype(f.dtype), step)
        ends = np.stack(
            [f[piece, columns], f[piece + 1, columns], slope[piece, columns], slope[piece + 1, columns]]
        )
        rise = np.einsum("in,in->n", in_slope, ends) / step
        sigma: FloatArray = combined(self._ends, piece, in_value) / np.abs(rise)
        return sigma


def _root(f0: FloatArray, f1: FloatArray, g0: FloatArray, g1: FloatArray) -> FloatArray:
    """Return where cubics with values f0 < 0 <= f1 and slopes g0, g1 at 0 and 1 are zero."""
    a, b = g0 + g1 - 2 * (f1 - f0), 3 * (f1 - f0) - 2 * g0 - g1
    low, high = np.zeros_like(f0), np.ones_like(f0)
    at = -f0 / (f1 - f0)
    for _ in range(CLOSER):
        value = f0 + at * (g0 + at * (b + at * a))
        low, high = np.where(value < 0, at, low), np.where(value < 0, high, at)
        newton = at - value / (g0 + at * (2 * b + at * 3 * a))
        at = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
    return at


class SteepestKernel(EdgeKernel):
    """Where the slope of the spline is largest: inside an interval, the curvature being a straight line there."""

    def __init__(
        self,
        spline: SmoothingSpline,
        energy: Float64,
        rows: slice | NDArray[np.intp],
        smoothing: float,
        errors: WindowErrors | None = None,
    ) -> None:
        bend = spline.curvatures(smoothing)
        super().__init__(np.vstack([spline.slopes(smoothing), bend]), energy, rows, errors)
        if errors is not None:
            self._ends = errors.between(bend[:-1], bend[1:])

    def _sigma(self, parts: FloatArray, piece: NDArray[np.intp], at: FloatArray) -> FloatArray:
        bend = parts[1]
        columns, step = np.arange(bend.shape[1]), self._steps.astype(bend.dtype)[piece]
        falls = (bend[piece + 1, columns] - bend[piece, columns]) / step
        sigma: FloatArray = combined(self._ends, piece, np.stack([1 - at, at])) / np.abs(falls)
        return sigma

    def _find(self, parts: FloatArray) -> tuple[NDArray[np.intp], FloatArray, NDArray[np.bool_]]:
        slope, bend = parts
        columns, last = np.arange(slope.shape[1]), self._energy.size - 1
        node = slope.argmax(axis=0)
        piece = np.clip(node - (bend[node, columns] < 0), 0, last - 1)
        b0, b1 = bend[piece, columns], bend[piece + 1, columns]
        at = np.clip(np.where(b0 > b1, b0 / (b0 - b1), 0), 0, 1)
        return piece, at.astype(slope.dtype), (node > 0) & (node < last) & (slope[node, columns] > 0)
