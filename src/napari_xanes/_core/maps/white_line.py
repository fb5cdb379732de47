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

from napari_xanes._core.base.checks import check_mu, check_window, window_indices
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, Window, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.kinds import unit_of
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain, count_invalid
from napari_xanes._core.engine.code import Before, Lines, call, literal
from napari_xanes._core.engine.sampling import sampled_spectra
from napari_xanes._core.engine.step import Step
from napari_xanes._core.maps.spline import FloatArray, as_rows
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
    """

    centroid: FloatArray
    area: FloatArray
    height: FloatArray
    n_invalid: int


def white_line_map(mu: ArrayLike, energy: ArrayLike, window: Window, *, baseline: float = 1.0) -> WhiteLine:
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
    inside = _energies(energies, window, usable_frames(sampled_spectra(values)))
    kernel = WhiteLineKernel(energies[inside], slice(None), baseline)
    (maps,) = blocks.run_kernels([kernel], values[as_rows(inside)])
    centroid, area, height = (maps[name][()] for name in kernel.maps)
    return WhiteLine(centroid, area, height, count_invalid(area))


def _energies(energy: NDArray[np.float64], window: Window, usable: NDArray[np.bool_]) -> NDArray[np.intp]:
    return window_indices(
        energy, check_window(window, "window"), "window", at_least=LEAST_ENERGIES, usable=usable
    )


class WhiteLineKernel:
    """Sums with the weights of the trapezoidal rule; the spectra stay as they are."""

    writes = False
    maps: Mapping[str, tuple[int, ...]] = {
        "white_line_centroid": (),
        "white_line_area": (),
        "white_line_height": (),
    }

    def __init__(self, energy: NDArray[np.float64], rows: slice | NDArray[np.intp], baseline: float) -> None:
        steps = np.diff(energy, prepend=energy[0], append=energy[-1])
        weight = (steps[:-1] + steps[1:]) / 2
        self._middle = float(energy[0] + energy[-1]) / 2  # sums stay small, so float32 does not round them
        moments = np.stack([weight, weight * (energy - self._middle)])
        self._operators: dict[Any, FloatArray] = {
            np.dtype(t): moments.astype(t) for t in (np.float32, np.float64)
        }
        self._rows, self._baseline = rows, baseline

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        above = y[self._rows] - y.dtype.type(self._baseline)
        height = above.max(axis=0)
        area, moment = self._operators[y.dtype] @ np.maximum(above, 0, out=above)
        with np.errstate(divide="ignore", invalid="ignore"):
            out["white_line_centroid"][...] = self._middle + np.where(area > 0, moment / area, np.nan)
        out["white_line_area"][...] = area
        out["white_line_height"][...] = height
        for one in out.values():
            one[~np.isfinite(area)] = np.nan


def white_line_step(
    chain: Chain, params: WhiteLineParams, progress: Progress
) -> tuple[WhiteLineParams, Found]:
    """Add the maps "white_line_centroid", "white_line_area" and "white_line_height" to the chain."""
    found = Found()
    inside = _energies(chain.energy, params.window, chain.usable_energies(found))
    warn_of_gaps(found, chain.sample().spectra, inside)
    kernel = WhiteLineKernel(chain.energy[inside], as_rows(inside), params.baseline)

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        maps = {name: NamedMap(raw[name], name, unit_of(name)) for name in kernel.maps}
        area = raw["white_line_area"]
        invalid, total, without = count_invalid(area), area.size, int((area == 0).sum())
        warnings = []
        if without > MANY_WITHOUT * (total - invalid):
            warnings.append(
                f"{without} of {total - invalid} valid pixels nowhere exceed the baseline of {params.baseline:g} and have no "
                "centroid; mask pixels without the element, or lower the baseline"
            )
        return maps, Found({"invalid_pixels": invalid, "pixels_without_white_line": without}, warnings)

    chain.add_kernel(kernel, collect)
    return params, found


def _white_line_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    window = literal(given.pop("window"))
    lines = call("white_line", "nx.white_line_map", "images", "energy", window, **given)
    return lines + [
        f'maps["white_line_{part}"] = white_line.{part}' for part in ("centroid", "area", "height")
    ]


WHITE_LINE = Step(
    name="white_line",
    title="White line",
    does="measure the white line in every pixel",
    params=WhiteLineParams,
    run=white_line_step,
    order=150,
    takes=("normalized",),
    makes=("white_line_centroid", "white_line_area", "white_line_height"),
    map_count=lambda params: 3,
    measures=True,
    after=("flat_field", "optical_density", "normalize"),
    code=_white_line_code,
)
