"""Peak position and height, such as of the white line: the true maximum of a smoothing spline in every pixel.

How much is smoothed is decided in `smoothing`; the maxima are found in `peak_kernel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import count_invalid
from napari_xanes._core.base.checks import check_mu, check_window, window_indices
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.params import Params, Window, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.unread import at_once
from napari_xanes._core.base.words import of_pixels
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.data.kinds import unit_of
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call, literal
from napari_xanes._core.engine.sampling import sampled_spectra
from napari_xanes._core.engine.step import Step
from napari_xanes._core.engine.streamed import frames_of, run_kernels
from napari_xanes._core.maps.errors import WindowErrors
from napari_xanes._core.maps.peak_kernel import PeakKernel
from napari_xanes._core.maps.smoothing import check_smoothing, choose_for_position
from napari_xanes._core.maps.spline import (
    LEAST_ENERGIES,
    FloatArray,
    SmoothingSpline,
    as_rows,
    for_choice,
    told_apart,
)
from napari_xanes._core.maps.window import usable_frames, warn_of_gaps

MANY_AT_BOUNDARY = 0.05
"""Share of the valid pixels with their maximum at an end of the window from which on the user is told."""


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
    uncertainty: bool = field(
        False,
        "Uncertainty",
        "Also map the standard error, from the noise of each pixel; what smoothing moves is not in it.",
        rare=True,
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
    energy_sigma, height_sigma : array (...) or None
        Standard errors, if they were asked for; NaN where the maximum lies at an end.
    """

    energy: FloatArray
    height: FloatArray
    at_boundary: NDArray[np.bool_]
    smoothing: float
    n_invalid: int
    energy_sigma: FloatArray | None = None
    height_sigma: FloatArray | None = None


@public
def peak_map(
    mu: StackLike,
    energy: ArrayLike,
    window: Window,
    *,
    smoothing: float | None = None,
    uncertainty: bool = False,
    jacobian: Jacobian | None = None,
) -> PeakMap:
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
    uncertainty : bool
        Whether standard errors are wanted.  They hold the noise, not what smoothing moves.
    jacobian : Jacobian, optional
        That of the `EdgeNormalization` that `mu` comes from, for the errors of its lines and step.

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

    Examples
    --------
    >>> import numpy as np
    >>> energy = np.linspace(8300, 8400, 51)
    >>> line = np.exp(-(((energy - 8350.5) / 6) ** 2))
    >>> round(float(peak_map(line, energy, (8340, 8360)).energy), 1)
    8350.5
    """
    values, energies = check_mu(mu, energy)
    sample = sampled_spectra(values)
    inside = peak_energies(energies, window, usable_frames(sample))
    rows = as_rows(inside)
    spline = SmoothingSpline(energies[inside])
    weight = choose_smoothing(energies[inside], smoothing, sample[inside])
    errors = WindowErrors(spline, inside, sample, jacobian) if uncertainty else None
    kernel = PeakKernel(spline, energies[inside], slice(None), weight, errors)
    (maps,) = run_kernels([kernel], frames_of(values, rows))
    peak = maps["peak_energy"]
    at_boundary = np.asarray(maps["peak_at_boundary"] == 1)
    return PeakMap(
        energy=peak[()],
        height=maps["peak_height"][()],
        at_boundary=at_boundary[()],
        smoothing=weight,
        n_invalid=count_invalid(peak),
        energy_sigma=maps["peak_energy_sigma"][()] if uncertainty else None,
        height_sigma=maps["peak_height_sigma"][()] if uncertainty else None,
    )


def peak_energies(energy: NDArray[np.float64], window: Window, usable: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the indices of the energies in the window, at least as many as a spline needs."""
    one_each = np.zeros(energy.size, bool)
    one_each[told_apart(energy, np.flatnonzero(usable))] = True
    return window_indices(
        energy, check_window(window, "window"), "window", at_least=LEAST_ENERGIES, usable=one_each
    )


def choose_smoothing(energy: NDArray[np.float64], given: float | None, spectra: FloatArray) -> float:
    """Return the smoothing that is given, or the one that finds the peaks of spectra (m, n) best."""
    if given is not None:
        return check_smoothing(given)
    energy, spectra, factor = for_choice(energy, spectra)
    spline = SmoothingSpline(energy)

    def locate(smoothing: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        kernel = PeakKernel(spline, energy, slice(None), smoothing)
        out = {name: np.empty(y.shape[1]) for name in kernel.maps}
        kernel(y, out)
        return np.where(out["peak_at_boundary"] == 0, out["peak_energy"], np.nan)

    return factor * choose_for_position(spline, spectra, locate)


def peak_step(chain: Chain, params: PeakParams, progress: Progress) -> tuple[PeakParams, Found]:
    """Add the peak maps to the chain: "peak_energy", "peak_height", "peak_at_boundary"."""
    found = Found()
    inside = peak_energies(chain.energy, params.window, chain.usable_energies(found))
    spline = SmoothingSpline(chain.energy[inside])
    spectra = chain.sample().spectra
    warn_of_gaps(found, spectra, inside)
    smoothing = choose_smoothing(chain.energy[inside], params.smoothing, spectra[inside])
    found["degrees_of_freedom"] = spline.freedom(smoothing)
    errors = WindowErrors(spline, inside, spectra, chain.handed(Jacobian)) if params.uncertainty else None
    found.warn(*(errors.doubts() if errors else ()))
    kernel = PeakKernel(spline, chain.energy[inside], as_rows(inside), smoothing, errors)

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        maps = {name: NamedMap(raw[name], name, unit_of(name, chain.signal)) for name in kernel.maps}
        energy, at_boundary = raw["peak_energy"], raw["peak_at_boundary"]
        ends_of = np.nansum(at_boundary, dtype=np.float64)
        told = at_once({"invalid": np.isnan(energy).sum(), "ends": ends_of})
        invalid, ends, total = int(told["invalid"]), int(told["ends"]), energy.size
        warnings = []
        if ends > MANY_AT_BOUNDARY * (total - invalid):
            lo, hi = params.window
            warnings.append(
                f"{of_pixels(ends, total - invalid, 'valid pixels')} are highest at an end of the window ({lo:g}, {hi:g}) eV and show "
                "no peak; move the window, or mask pixels without the element"
            )
        return maps, Found({"invalid_pixels": invalid, "boundary_pixels": ends}, warnings)

    chain.add_kernel(kernel, collect)
    return params.model_copy(update={"smoothing": smoothing}), found


def _peak_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    window, sigma = literal(given.pop("window")), bool(given.get("uncertainty"))
    carried = ("jacobian=edge.jacobian",) if sigma and before.normalized_here else ()
    return [
        *call("peak", "nx.peak_map", "images", "energy", window, *carried, **given),
        'maps |= {"peak_energy": peak.energy, "peak_height": peak.height}',
        *(f'maps["peak_{part}_sigma"] = peak.{part}_sigma' for part in ("energy", "height") if sigma),
    ]


PEAK = Step(
    name="peak",
    title="Peak",
    does="find the highest point of every spectrum",
    params=PeakParams,
    run=peak_step,
    order=130,
    takes=("optical_density", "normalized"),
    makes=("peak_energy", "peak_height", "peak_at_boundary", "peak_energy_sigma", "peak_height_sigma"),
    map_count=lambda params: 5 if params.uncertainty else 3,
    measures=True,
    after=("flat_field", "optical_density"),
    code=_peak_code,
)
