"""Edge position: where a normalised spectrum has risen half way, or where its smoothing spline is steepest.

A noisy spectrum crosses half height many times.  Taken is the crossing that best divides the spectrum into a low and
a high part: where the area between level and spectrum, low before and high after, is largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

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
from napari_xanes._core.data.stack import SIGNAL_WORDS, Signal
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call
from napari_xanes._core.engine.sampling import sampled_spectra
from napari_xanes._core.engine.step import Step
from napari_xanes._core.engine.streamed import frames_of, run_kernels
from napari_xanes._core.maps.edge_position_kernel import EdgeKernel, HalfHeightKernel, SteepestKernel
from napari_xanes._core.maps.errors import WindowErrors
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

Method = Literal["half_height", "derivative"]

BEFORE, AFTER = 25.0, 25.0
"""eV about the edge of the median spectrum in which the edges of the pixels are looked for, when no window is given."""

MANY_WITHOUT = 0.05
"""Share of the valid pixels without an edge from which on the user is told."""


class EdgePositionParams(Params):
    """Parameters of the edge-position map."""

    method: Method = field(
        "half_height",
        "Method",
        "'half_height' is where the spectrum crosses the level; 'derivative' is where it is steepest.",
    )
    window: Window | None = field(
        None,
        "Window",
        "Energies in which the edge lies, in every pixel, with some before and after it. "
        "Empty: 25 eV to either side of the edge of the median spectrum.",
        unit="eV",
        widget="window",
        example=[8320.0, 8365.0],
    )
    level: float = field(
        0.5,
        "Level",
        "Height of the normalised spectrum that is taken for the edge, with 'half_height'.",
        gt=0,
        lt=1,
    )
    smoothing: float | None = field(
        None,
        "Smoothing",
        "Weight of the roughness of the spline: 0 goes through every point, more is smoother. "
        "Empty: what finds edges best at the data's noise.",
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
class EdgeMap:
    """What `edge_map` returns.

    Attributes
    ----------
    energy : array (...)
        Energy of the edge in eV; NaN where there is none.
    valid : array of bool (...)
        Where there is one.
    window : (float, float)
        The window used, eV.
    smoothing : float
        The weight of the roughness used, eV^3.
    n_invalid : int
        Number of pixels without an edge: not a number somewhere in the window, never crossing the level, or
        steepest at an end of the window.
    sigma : array (...) or None
        Standard error of the energy, if it was asked for.
    """

    energy: FloatArray
    valid: NDArray[np.bool_]
    window: Window
    smoothing: float
    n_invalid: int
    sigma: FloatArray | None = None


@public
def edge_map(
    mu: StackLike,
    energy: ArrayLike,
    *,
    method: Method = "half_height",
    window: Window | None = None,
    level: float = 0.5,
    smoothing: float | None = None,
    uncertainty: bool = False,
    jacobian: Jacobian | None = None,
) -> EdgeMap:
    """Find the energy of the absorption edge in every spectrum.

    Parameters
    ----------
    mu : array
        Absorption, energy first: (E,), (E, N), (E, Y, X) or (E, Z, Y, X); not changed.  Normalised for "half_height"
        (see `normalize_edge`).  Images that are NaN everywhere are left out.
    energy : array (E,)
        Photon energies in eV, ascending; they need not be evenly spaced.
    method : {"half_height", "derivative"}
        Where the smoothing spline crosses `level`, or where it is steepest.
    window : (float, float), optional
        Where the edges lie, lo <= E <= hi; at least 5 energies.  By default 25 eV to either side of the edge of the
        median spectrum.
    level : float
        Between 0 and 1, for "half_height".
    smoothing : float, optional
        As in `peak_map`.
    uncertainty : bool
        Whether standard errors are wanted.  They hold the noise, not what smoothing moves.
    jacobian : Jacobian, optional
        That of the `EdgeNormalization` that `mu` comes from, for the errors of its lines and step.

    Returns
    -------
    EdgeMap

    Raises
    ------
    InputError
        If the window holds fewer than 5 energies, the median spectrum does not cross the level, or a parameter is
        unknown or out of range.

    References
    ----------
    C. H. Reinsch, Numer. Math. 10, 177 (1967), doi:10.1007/BF02162161.
    """
    if method not in ("half_height", "derivative"):
        raise InputError(f"method is {method!r}, expected 'half_height' or 'derivative'.")
    if not (isinstance(level, Real) and 0 < level < 1):
        raise InputError(f"level is {level!r}, expected a height between 0 and 1 of the normalised spectrum.")
    values, energies = check_mu(mu, energy)
    sample = sampled_spectra(values)
    search = _Search(method, level, energies, usable_frames(sample), sample, window, smoothing)
    if uncertainty:
        search.judge(sample, jacobian)
    kernel = search.kernel(slice(None), search.smoothing)
    (maps,) = run_kernels([kernel], frames_of(values, as_rows(search.inside)))
    edge = maps["edge_energy"]
    return EdgeMap(
        energy=edge[()],
        valid=np.isfinite(edge)[()],
        window=search.window,
        smoothing=search.smoothing,
        n_invalid=count_invalid(edge),
        sigma=maps["edge_energy_sigma"][()] if uncertainty else None,
    )


class _Search:
    """Where to look for the edges and how much to smooth, chosen from sampled spectra (E, n) if not given."""

    def __init__(
        self,
        method: Method,
        level: float,
        energy: NDArray[np.float64],
        usable: NDArray[np.bool_],
        sample: FloatArray,
        window: Window | None,
        smoothing: float | None,
    ) -> None:
        self._method, self._level = method, level
        self._errors: WindowErrors | None = None
        one_each = np.zeros(energy.size, bool)
        one_each[told_apart(energy, np.flatnonzero(usable))] = True
        usable = one_each
        if window is None:
            window = self._window_about_the_median(energy[usable], sample[usable])
        self.window = check_window(window, "window")
        self.inside = window_indices(energy, self.window, "window", at_least=LEAST_ENERGIES, usable=usable)
        if smoothing is None:
            few, spectra, factor = for_choice(energy[self.inside], sample[self.inside])
            self._use(few)
            self.smoothing = factor * choose_for_position(self.spline, spectra, self._locate)
        else:
            self.smoothing = check_smoothing(smoothing)
        self._use(energy[self.inside])

    def judge(self, sample: FloatArray, jacobian: Jacobian | None) -> list[str]:
        """Learn the noise from sampled spectra (E, n), and return doubts: kernels made after this give errors as well."""
        self._errors = WindowErrors(self.spline, self.inside, sample, jacobian)
        return self._errors.doubts()

    def kernel(self, rows: slice | NDArray[np.intp], smoothing: float) -> EdgeKernel:
        """Return the kernel for spectra whose `rows` are the energies of the window."""
        if self._method == "derivative":
            return SteepestKernel(self.spline, self._energy, rows, smoothing, self._errors)
        return HalfHeightKernel(self.spline, self._energy, rows, smoothing, self._level, self._errors)

    def _use(self, energy: NDArray[np.float64]) -> None:
        self._energy, self.spline = energy, SmoothingSpline(energy)

    def _locate(self, smoothing: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        out = {"edge_energy": np.empty(y.shape[1])}
        self.kernel(slice(None), smoothing)(y, out)
        return out["edge_energy"]

    def _window_about_the_median(self, energy: NDArray[np.float64], sample: FloatArray) -> Window:
        if energy.size < LEAST_ENERGIES:
            raise InputError(f"{energy.size} images hold a number, at least {LEAST_ENERGIES} are needed.")
        complete = np.isfinite(sample).all(axis=0)
        seen = sample[:, complete] if complete.any() else sample
        typical = np.nanmedian(seen, axis=1, keepdims=True).astype(np.float64)
        few, spectra, _ = for_choice(energy, typical)
        self._use(few)
        edge = float(self._locate(self.spline.choose(spectra), spectra.astype(np.float64))[0])
        if not np.isfinite(edge):
            raise InputError(_no_edge(self._method, self._level, energy, typical[:, 0]))
        return max(edge - BEFORE, float(energy[0])), min(edge + AFTER, float(energy[-1]))


def _no_edge(method: Method, level: float, energy: NDArray[np.float64], typical: NDArray[np.float64]) -> str:
    if method == "derivative":
        return f"the median spectrum is steepest at an end of the scan, {energy[0]:g} to {energy[-1]:g} eV; give a window."
    return (
        f"the median spectrum, {typical.min():.3g} to {typical.max():.3g}, does not rise through the level of {level:g}; "
        "normalise the spectra, mask pixels without the element, or give a window."
    )


def edge_position_step(
    chain: Chain, params: EdgePositionParams, progress: Progress
) -> tuple[EdgePositionParams, Found]:
    """Add the map "edge_energy" to the chain."""
    _check_signal(chain.signal, params.method)
    found = Found()
    usable, spectra = chain.usable_energies(found), chain.sample().spectra
    search = _Search(
        params.method, params.level, chain.energy, usable, spectra, params.window, params.smoothing
    )
    warn_of_gaps(found, spectra, search.inside)
    found["degrees_of_freedom"] = search.spline.freedom(search.smoothing)

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        edge = raw["edge_energy"]
        told = at_once({"invalid": np.isnan(edge).sum(), "without": raw["without"].sum(dtype=np.float64)})
        without, total = int(told["without"]), edge.size
        unknown = int(told["invalid"]) - without
        lo, hi = search.window
        warnings = []
        if without > MANY_WITHOUT * (total - unknown):
            warnings.append(
                f"{of_pixels(without, total - unknown, 'valid pixels')} show no edge between {lo:g} and {hi:g} eV; widen the window, or "
                "mask pixels without the element"
            )
        facts = {"invalid_pixels": unknown, "pixels_without_edge": without}
        names = ("edge_energy", *(("edge_energy_sigma",) if params.uncertainty else ()))
        return {name: NamedMap(raw[name], name, unit_of(name)) for name in names}, Found(facts, warnings)

    if params.uncertainty:
        found.warn(*search.judge(spectra, chain.handed(Jacobian)))
    chain.add_kernel(search.kernel(as_rows(search.inside), search.smoothing), collect)
    return params.model_copy(update={"window": search.window, "smoothing": search.smoothing}), found


def _check_signal(signal: Signal, method: Method) -> None:
    if signal != "normalized" and method != "derivative":
        raise InputError(
            f"half height is that of the normalised step, the data are {SIGNAL_WORDS[signal]}; put normalize before "
            "edge_position, or use method = 'derivative'."
        )


def _edge_position_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    sigma = bool(given.get("uncertainty"))
    carried = ("jacobian=edge.jacobian",) if sigma and before.normalized_here else ()
    return [
        *call("position", "nx.edge_map", "images", "energy", *carried, **given),
        'maps["edge_energy"] = position.energy',
        *(['maps["edge_energy_sigma"] = position.sigma'] if sigma else []),
    ]


EDGE_POSITION = Step(
    name="edge_position",
    title="Edge energy",
    does="find the energy of the edge in every pixel",
    params=EdgePositionParams,
    run=edge_position_step,
    order=140,
    takes=("optical_density", "normalized"),
    makes=("edge_energy", "edge_energy_sigma"),
    map_count=lambda params: 2 if params.uncertainty else 1,
    measures=True,
    after=("flat_field", "optical_density", "normalize"),
    code=_edge_position_code,
)
