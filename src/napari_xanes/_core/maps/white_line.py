"""White-line centroid and area: where the absorption above the edge step lies, and how much there is.

Unlike the peak these need no smoothing, since they are sums over the window; but they depend on its ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import count_invalid
from napari_xanes._core.base.checks import check_mu, check_window, window_indices
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
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
from napari_xanes._core.maps.spline import LEAST_ENERGIES as LEAST_FOR_SPLINE
from napari_xanes._core.maps.spline import FloatArray, SmoothingSpline, as_rows
from napari_xanes._core.maps.window import usable_frames, warn_of_gaps

LEAST_ENERGIES = 3

MANY_WITHOUT = 0.05
"""Share of the valid pixels that nowhere exceed the baseline from which on the user is told."""


class WhiteLineParams(Params):
    """Parameters of the white-line maps."""

    window: Window = field(
        ...,
        "Window",
        "Energies of the white line, from where the spectra rise above the baseline to where they fall below it.",
        unit="eV",
        widget="window",
        example=[8338.0, 8362.0],
    )
    baseline: float = field(
        1.0,
        "Baseline",
        "Only what is above this value of the normalised spectrum counts; 1 is the edge step.",
    )
    uncertainty: bool = field(
        False,
        "Uncertainty",
        "Also map the standard error, from the noise of each pixel.",
        rare=True,
    )


@dataclass(frozen=True, eq=False)
class WhiteLine:
    """What `white_line_map` returns.

    Attributes
    ----------
    centroid : array (...)
        Mean energy in eV of the area above the baseline; NaN in invalid pixels and where there is no such area.
    area : array (...)
        Area above the baseline in eV; NaN in invalid pixels.
    height : array (...)
        Highest value less the baseline, negative if the spectrum stays below it; NaN in invalid pixels.
    n_invalid : int
        Number of pixels that are not a number somewhere in the window.
    centroid_sigma, area_sigma : array (...) or None
        Standard errors, if they were asked for.
    """

    centroid: FloatArray
    area: FloatArray
    height: FloatArray
    n_invalid: int
    centroid_sigma: FloatArray | None = None
    area_sigma: FloatArray | None = None


@public
def white_line_map(
    mu: StackLike,
    energy: ArrayLike,
    window: Window,
    *,
    baseline: float = 1.0,
    uncertainty: bool = False,
    jacobian: Jacobian | None = None,
) -> WhiteLine:
    """Measure the centroid, area and height of the white line of every spectrum.

    Parameters
    ----------
    mu : array
        Normalised absorption, energy first: (E,), (E, N), (E, Y, X) or (E, Z, Y, X); not changed.  Images that are
        NaN everywhere are left out.
    energy : array (E,)
        Photon energies in eV, ascending; they need not be evenly spaced.
    window : (float, float)
        Energies in eV over which is summed, lo <= E <= hi; at least 3.
    baseline : float
        Only what is above this counts.
    uncertainty : bool
        Whether standard errors are wanted.  The window must then hold 5 energies.
    jacobian : Jacobian, optional
        That of the `EdgeNormalization` that `mu` comes from, for the errors of its lines and step.

    Returns
    -------
    WhiteLine
        By the trapezoidal rule on the energies of the window.

    Raises
    ------
    InputError
        If the window holds fewer than 3 energies or no valid number, or the baseline is not a number.
    """
    values, energies = check_mu(mu, energy)
    if not (isinstance(baseline, Real) and np.isfinite(baseline)):
        raise InputError(f"baseline is {baseline!r}, expected a number such as 1, the edge step.")
    sample = sampled_spectra(values)
    inside = _energies(energies, window, usable_frames(sample), uncertainty)
    errors = _errors(energies, inside, sample, jacobian) if uncertainty else None
    kernel = WhiteLineKernel(energies[inside], slice(None), baseline, errors)
    (maps,) = run_kernels([kernel], frames_of(values, as_rows(inside)))
    found = {name.removeprefix("white_line_"): maps[name][()] for name in kernel.maps}
    return WhiteLine(**found, n_invalid=count_invalid(found["area"]))


def _energies(
    energy: NDArray[np.float64], window: Window, usable: NDArray[np.bool_], uncertainty: bool
) -> NDArray[np.intp]:
    at_least = LEAST_FOR_SPLINE if uncertainty else LEAST_ENERGIES
    return window_indices(energy, check_window(window, "window"), "window", at_least=at_least, usable=usable)


def _errors(
    energy: NDArray[np.float64], inside: NDArray[np.intp], sample: FloatArray, jacobian: Jacobian | None
) -> WindowErrors:
    return WindowErrors(SmoothingSpline(energy[inside]), inside, sample, jacobian)


class WhiteLineKernel:
    """Sums with the weights of the trapezoidal rule; the spectra stay as they are."""

    writes = False
    maps: Mapping[str, tuple[int, ...]] = {
        "white_line_centroid": (),
        "white_line_area": (),
        "white_line_height": (),
    }

    def __init__(
        self,
        energy: NDArray[np.float64],
        rows: slice | NDArray[np.intp],
        baseline: float,
        errors: WindowErrors | None = None,
    ) -> None:
        steps = np.diff(energy, prepend=energy[0], append=energy[-1])
        weight = (steps[:-1] + steps[1:]) / 2
        self._middle = float(energy[0] + energy[-1]) / 2  # sums stay small, so float32 does not round them
        moments = np.stack([weight, weight * (energy - self._middle)])
        self._operators: dict[Any, FloatArray] = {
            np.dtype(t): moments.astype(t) for t in (np.float32, np.float64)
        }
        self._rows, self._baseline, self._errors = rows, baseline, errors
        if errors is not None:
            self.maps = {**self.maps, "white_line_centroid_sigma": (), "white_line_area_sigma": ()}

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        above = y[self._rows] - y.dtype.type(self._baseline)
        height = above.max(axis=0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            area, moment = self._operators[y.dtype] @ np.maximum(above, 0, out=above)
            out["white_line_centroid"][...] = self._middle + np.where(area > 0, moment / area, np.nan)
        out["white_line_area"][...] = area
        out["white_line_height"][...] = height
        if self._errors is not None:
            self._fill_errors(y, above > 0, area, moment, out)
        for one in out.values():
            one[~np.isfinite(area)] = np.nan

    def _fill_errors(
        self,
        y: FloatArray,
        counted: NDArray[np.bool_],
        area: FloatArray,
        moment: FloatArray,
        out: Mapping[str, FloatArray],
    ) -> None:
        """Fill the errors: of values above the baseline an area is the sum, so their weights are its gradient."""
        assert self._errors is not None
        noise = self._errors.noise(y[self._rows])
        weight, lever = self._operators[y.dtype]
        covariance = self._errors.covariance.astype(y.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):
            in_area = weight[:, None] * counted
            in_centroid = (lever[:, None] - weight[:, None] * (moment / area)) * counted / area
            for name, gradient in (("area", in_area), ("centroid", in_centroid)):
                variance = np.einsum("in,in->n", gradient, covariance @ gradient)
                sigma = noise * np.sqrt(np.maximum(variance, 0))
                out[f"white_line_{name}_sigma"][...] = np.where(area > 0, sigma, np.nan)


def white_line_step(
    chain: Chain, params: WhiteLineParams, progress: Progress
) -> tuple[WhiteLineParams, Found]:
    """Add the maps "white_line_centroid", "white_line_area" and "white_line_height" to the chain."""
    found = Found()
    inside = _energies(chain.energy, params.window, chain.usable_energies(found), params.uncertainty)
    spectra = chain.sample().spectra
    warn_of_gaps(found, spectra, inside)
    errors = _errors(chain.energy, inside, spectra, chain.handed(Jacobian)) if params.uncertainty else None
    found.warn(*(errors.doubts() if errors else ()))
    kernel = WhiteLineKernel(chain.energy[inside], as_rows(inside), params.baseline, errors)

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        maps = {name: NamedMap(raw[name], name, unit_of(name)) for name in kernel.maps}
        area = raw["white_line_area"]
        told = at_once({"invalid": np.isnan(area).sum(), "without": (area == 0).sum()})
        invalid, without, total = int(told["invalid"]), int(told["without"]), area.size
        warnings = []
        if without > MANY_WITHOUT * (total - invalid):
            warnings.append(
                f"{of_pixels(without, total - invalid, 'valid pixels')} nowhere exceed the baseline of {params.baseline:g} and have no "
                "centroid; mask pixels without the element, or lower the baseline"
            )
        return maps, Found({"invalid_pixels": invalid, "pixels_without_white_line": without}, warnings)

    chain.add_kernel(kernel, collect)
    return params, found


def _white_line_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    window, sigma = literal(given.pop("window")), bool(given.get("uncertainty"))
    carried = ("jacobian=edge.jacobian",) if sigma and before.normalized_here else ()
    lines = call("white_line", "nx.white_line_map", "images", "energy", window, *carried, **given)
    parts = ("centroid", "area", "height", *(("centroid_sigma", "area_sigma") if sigma else ()))
    return lines + [f'maps["white_line_{part}"] = white_line.{part}' for part in parts]


WHITE_LINE = Step(
    name="white_line",
    title="White line",
    does="measure the white line in every pixel",
    params=WhiteLineParams,
    run=white_line_step,
    order=150,
    takes=("normalized",),
    makes=(*WhiteLineKernel.maps, "white_line_centroid_sigma", "white_line_area_sigma"),
    map_count=lambda params: 5 if params.uncertainty else 3,
    measures=True,
    after=("flat_field", "optical_density", "normalize"),
    code=_white_line_code,
)
