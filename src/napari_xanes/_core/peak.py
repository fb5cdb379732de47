"""Peak position and height, such as of the white line: the true maximum of a smoothing spline in every pixel.

A pixel's maximum is looked for in the cubic beside its highest spline value.  The control points of the other cubics
bound them from above, so it is known where that was not enough; there, all of them are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core import blocks
from napari_xanes._core._validate import check_mu, check_window, window_indices
from napari_xanes._core.chain import Chain, Found, NamedMap, count_invalid
from napari_xanes._core.errors import InputError
from napari_xanes._core.params import Params, Window, field
from napari_xanes._core.progress import Progress
from napari_xanes._core.sampling import sampled_spectra
from napari_xanes._core.smoothing_choice import check_smoothing, choose_for_position
from napari_xanes._core.smoothing_spline import LEAST_ENERGIES, FloatArray, SmoothingSpline, as_rows

MANY_AT_BOUNDARY = 0.05
"""Share of the valid pixels with their maximum at an end of the window from which on the user is told."""

MANY_INVALID = 0.5
"""Share of all pixels without a result from which on the user is told."""


class PeakParams(Params):
    """Parameters of the peak maps."""

    window: Window = field(
        ...,
        "Window",
        "Energies in which the peak lies, in every pixel: from its rising side to its falling side.",
        unit="eV",
        widget="window",
        example=[8340.0, 8360.0],
    )
    smoothing: float | None = field(
        None,
        "Smoothing",
        "Weight of the roughness of the spline: 0 goes through every point, more is smoother. "
        "Empty: what finds peaks best at the data's noise.",
        unit="eV³",
        ge=0,
        example=1.0,
    )


@dataclass(frozen=True, eq=False)
class PeakMap:
    """What `peak_map` returns.

    Attributes
    ----------
    energy : array (...)
        Energy of the maximum in eV; NaN in invalid pixels, the end of the window where the maximum lies there.
    height : array (...)
        The spline's value there.
    at_boundary : array of bool (...)
        Where the highest value is at an end of the window, which is then no peak.
    smoothing : float
        The weight of the roughness used, eV^3.
    n_invalid : int
        Number of pixels that are not a number somewhere in the window.
    """

    energy: FloatArray
    height: FloatArray
    at_boundary: NDArray[np.bool_]
    smoothing: float
    n_invalid: int


def peak_map(mu: ArrayLike, energy: ArrayLike, window: Window, *, smoothing: float | None = None) -> PeakMap:
    """Find the highest point of every spectrum in a window: of its cubic smoothing spline, not of its samples.

    Parameters
    ----------
    mu : array
        Absorption, energy first: (E,), (E, N), (E, Y, X) or (E, Z, Y, X); not changed.  Images that are NaN
        everywhere are left out.
    energy : array (E,)
        Photon energies in eV, ascending; they need not be evenly spaced.
    window : (float, float)
        Where the peak lies in eV, lo <= E <= hi; at least 5 energies.
    smoothing : float, optional
        Weight in eV^3 of the integral of the squared second derivative against the sum of squared residuals, as
        `lam` of `scipy.interpolate.make_smoothing_spline`.  By default the one that finds peaks with the smallest
        rms error in trials: mean spectra of groups of pixels with noise like that of the data.  Where there are too
        few pixels for that, the one with the least generalised cross-validation score.

    Returns
    -------
    PeakMap
        In float32 an energy near 8 keV is rounded to 0.001 eV.

    Raises
    ------
    InputError
        If the window holds fewer than 5 energies or no valid number, or the smoothing is negative.

    References
    ----------
    C. H. Reinsch, Numer. Math. 10, 177 (1967), doi:10.1007/BF02162161; P. Craven and G. Wahba, Numer. Math. 31, 377
    (1978), doi:10.1007/BF01404567.
    """
    values, energies = check_mu(mu, energy)
    sample = sampled_spectra(values)
    inside = peak_energies(energies, window, usable_frames(sample))
    rows = as_rows(inside)
    spline = SmoothingSpline(energies[inside])
    weight = choose_smoothing(spline, energies[inside], smoothing, sample[inside])
    kernel = PeakKernel(spline, energies[inside], slice(None), weight)
    (maps,) = blocks.run_kernels([kernel], values[rows])
    peak = maps["peak_energy"]
    at_boundary = np.asarray(maps["peak_at_boundary"] == 1)
    return PeakMap(
        energy=peak[()],
        height=maps["peak_height"][()],
        at_boundary=at_boundary[()],
        smoothing=weight,
        n_invalid=count_invalid(peak),
    )


def usable_frames(sample: FloatArray) -> NDArray[np.bool_]:
    """Return which frames of sampled spectra (E, n) hold a valid number, or say that none does."""
    usable: NDArray[np.bool_] = np.any(np.isfinite(sample), axis=1)
    if not usable.any():
        raise InputError("mu holds no valid number; check what it was made from.")
    return usable


def peak_energies(energy: NDArray[np.float64], window: Window, usable: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the indices of the energies in the window, at least as many as a spline needs."""
    return window_indices(
        energy, check_window(window, "window"), "window", at_least=LEAST_ENERGIES, usable=usable
    )


def choose_smoothing(
    spline: SmoothingSpline, energy: NDArray[np.float64], given: float | None, spectra: FloatArray
) -> float:
    """Return the smoothing that is given, or the one that finds the peaks of spectra (m, n) best."""
    if given is not None:
        return check_smoothing(given)

    def locate(smoothing: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        kernel = PeakKernel(spline, energy, slice(None), smoothing)
        out = {name: np.empty(y.shape[1]) for name in kernel.maps}
        kernel(y, out)
        return np.where(out["peak_at_boundary"] == 0, out["peak_energy"], np.nan)

    return choose_for_position(spline, spectra, locate)


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
    ) -> None:
        value, slope, h = spline.values(smoothing), spline.slopes(smoothing), spline.steps[:, None]
        control = [value, h * slope[:-1] / 3, h * slope[1:] / 3]
        self._rows, self._m = rows, energy.size
        self._operators: dict[Any, FloatArray] = {
            np.dtype(t): np.vstack(control).astype(t) for t in (np.float32, np.float64)
        }
        self._energy, self._steps = energy, spline.steps
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
        self._fill(out, piece, at, height)

    def _fill(
        self, out: Mapping[str, FloatArray], piece: NDArray[np.intp], at: FloatArray, height: FloatArray
    ) -> None:
        ends = ((piece == 0) & (at <= 0)) | ((piece == self._m - 2) & (at >= 1))
        invalid = ~np.isfinite(height)
        energy = out["peak_energy"]
        np.copyto(energy, self._energy[piece] + at * self._steps[piece], casting="same_kind")
        out["peak_height"][...] = height
        out["peak_at_boundary"][...] = ends
        for one in out.values():
            one[invalid] = np.nan


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
    c, d = 3 * left[piece, columns], 3 * right[piece, columns]
    a, b = 3 * (c + d) - 6 * rise, 6 * rise - 4 * c - 2 * d
    with np.errstate(divide="ignore", invalid="ignore"):
        at = 2 * c / (np.sqrt(b * b - 4 * a * c) - b)
    at = np.where((at >= 0) & (at <= 1), at, 0)
    height = f0 + at * (c + at * (b / 2 + at * a / 3))
    end = np.maximum(f0, f0 + rise)
    beside = end > height
    at = np.where(beside, rise > 0, at).astype(f.dtype)
    return at, np.where(beside, end, height)


def peak_step(chain: Chain, params: PeakParams, progress: Progress) -> tuple[PeakParams, Found]:
    """Add the peak maps to the chain: "peak_energy", "peak_height", "peak_at_boundary"."""
    if chain.signal not in ("normalized", "optical_density"):
        raise InputError(
            f"peak needs normalised spectra or optical density, the data are {chain.signal}; "
            "put optical_density, and normalize if heights are to be compared, before it."
        )
    found: Found = {}
    inside = peak_energies(chain.energy, params.window, chain.usable_energies(found))
    spline = SmoothingSpline(chain.energy[inside])
    spectra = chain.sample().spectra[inside]
    smoothing = choose_smoothing(spline, chain.energy[inside], params.smoothing, spectra)
    found["degrees_of_freedom"] = spline.freedom(smoothing)
    kernel = PeakKernel(spline, chain.energy[inside], as_rows(inside), smoothing)

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        units = {"peak_energy": "eV", "peak_height": chain.signal.replace("_", " ")}
        maps = {name: NamedMap(raw[name], name, units.get(name, "")) for name in kernel.maps}
        invalid, total = count_invalid(raw["peak_energy"]), raw["peak_energy"].size
        ends = int(np.nansum(raw["peak_at_boundary"], dtype=np.float64))
        warnings = []
        if invalid > MANY_INVALID * total:
            warnings.append(
                f"{invalid} of {total} pixels are not a number somewhere in the window of the peak"
            )
        if ends > MANY_AT_BOUNDARY * (total - invalid):
            lo, hi = params.window
            warnings.append(
                f"{ends} of {total - invalid} valid pixels are highest at an end of the window ({lo:g}, {hi:g}) eV and show "
                "no peak; move the window, or mask pixels without the element"
            )
        return maps, with_warnings(found, {"invalid_pixels": invalid, "boundary_pixels": ends}, warnings)

    chain.add_kernel(kernel, collect, found)
    return params.model_copy(update={"smoothing": smoothing}), found


def with_warnings(found: Found, facts: Found, warnings: list[str]) -> Found:
    """Return facts with new warnings after those that `found` has already."""
    return facts | ({"warnings": [*found.get("warnings", []), *warnings]} if warnings else {})
