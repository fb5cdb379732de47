"""What can be chosen in the edge normalisation, which choices exclude one another, and what comes out.

Apart from the arithmetic, because references, fits and maps need to know how a stack was normalised.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, Window, field
from napari_xanes._core.data.jacobian import Jacobian

FloatArray = NDArray[np.floating[Any]]
Slope = Literal["pixel", "shared"]
DivideBy = Literal["line", "step", "post", "area"]
Pre = Literal["line", "constant", "victoreen"]
PostOrder = Literal[0, 1, 2]
E0Method = Literal["auto", "derivative", "half_height"]


class NormalizeParams(Params):
    """Parameters of the edge normalisation."""

    e0: float | None = field(
        None,
        "Edge energy",
        "Where the edge step is read off. Empty: found in the mean spectrum.",
        unit="eV",
        gt=0,
        example=8333.0,
    )
    e0_method: E0Method = field(
        "auto",
        "Found by",
        "How the edge energy is found where none is given: 'auto' is the tabulated edge that the mean spectrum shows, "
        "'derivative' its steepest rise, 'half_height' where it rises through half of the step.",
        rare=True,
    )
    pre_edge: Window | None = field(
        None,
        "Pre-edge",
        "Energies before the edge to which a line is fitted, well below any pre-edge peak. Empty: chosen automatically.",
        unit="eV",
        widget="window",
        example=[8222.0, 8312.0],
    )
    pre: Pre = field(
        "line",
        "Pre-edge curve",
        "'line' suits nearly all; 'constant' short or noisy pre-edges; 'victoreen' (a/E^3 + b/E^4) long ones.",
        rare=True,
    )
    post_edge: Window | None = field(
        None,
        "Post-edge",
        "Energies after the edge to which a line is fitted, above the white line. Empty: chosen automatically.",
        unit="eV",
        widget="window",
        example=[8392.0, 8577.0],
    )
    post_order: PostOrder | None = field(
        None,
        "Post-edge order",
        "Order of the polynomial after the edge: 0 is the mean, 1 a line, 2 a parabola, for long scans with little noise. "
        "Empty: a line, or the mean where the window is shorter than 30 eV.",
        example=1,
        rare=True,
    )
    slope: Slope | None = field(
        None,
        "Slopes",
        "'pixel' fits both slopes in every pixel; 'shared' takes them from the pixels with most of the element, "
        "scaled by each pixel's step, and the fall of all else from those with least, for noisy data. Empty: 'pixel', "
        "or 'shared' where windows are so short that the step would drown in noise.",
        example="pixel",
    )
    divide_by: DivideBy | None = field(
        None,
        "Divide by",
        "'line' divides every energy by post-edge minus pre-edge line; 'step' divides by the edge step at the edge "
        "energy; 'area' by the area over the pre-edge line; 'post' by the post-edge line with nothing taken off. "
        "Empty: 'line', or 'step' where the lines run apart so much that dividing by them would bend spectra.",
        example="line",
    )
    flatten: bool = field(
        False,
        "Flatten",
        "With 'step': also takes off how the post-edge curve departs from the step above the edge energy, so that "
        "spectra end flat.",
        rare=True,
    )
    area_range: Window | None = field(
        None,
        "Area",
        "With 'area': the energies over which the area is taken. Empty: from the end of the pre-edge window to the "
        "end of the post-edge window.",
        unit="eV",
        widget="window",
        example=[8312.0, 8577.0],
        rare=True,
    )
    gate: float | None = field(
        None,
        "Min. edge step",
        "Pixels whose edge step is below this many times its own uncertainty become invalid. Empty: all are kept that "
        "have a step.",
        gt=0,
        example=3.0,
        rare=True,
    )
    uncertainty: bool = field(
        False,
        "Uncertainty",
        "Also map the standard error of the thickness and of the edge step, from the scatter about both curves.",
        rare=True,
    )


class ResolvedNormalizeParams(NormalizeParams):
    """Parameters of an edge normalisation in which nothing is left to choose."""

    e0: float
    pre_edge: Window
    post_edge: Window
    post_order: PostOrder = 1
    slope: Slope = "pixel"
    divide_by: DivideBy = "line"

    @classmethod
    def of(cls, params: NormalizeParams, **chosen: Any) -> ResolvedNormalizeParams:
        """Return parameters together with what was chosen for those left automatic."""
        given = {name: value for name, value in params.model_dump().items() if value is not None}
        implied = {"divide_by": implied_divisor(params) or "line"}
        return cls(**{**implied, **given, **chosen})


@dataclass(frozen=True, eq=False)
class EdgeNormalization:
    """What `normalize_edge` returns.

    Attributes
    ----------
    normalized : array (E, ...)
        Spectra that go from 0 before to 1 after the edge (for "area": whose area is 1); NaN in invalid pixels.
    thickness : array (...)
        Mean of post-edge minus pre-edge curve over the post-edge energies.
    edge_step : array (...)
        Post-edge minus pre-edge curve at e0.
    pre_line, post_line : array (2, ...)
        Value at e0 and slope per eV there of the two curves; with ``post_order=2`` the latter is (3, ...), its
        third the coefficient of (E - e0)^2 over the pre-edge curve.
    e0 : float
        Edge energy in eV.
    edge : str or None
        Name of the tabulated edge, if it was recognised.
    pre_edge, post_edge : (float, float)
        The windows used, eV.
    n_invalid : int
        Number of pixels whose spectra cannot be normalised, or did not pass the gate.
    params : NormalizeParams
        All of it as chosen, for `normalize_references`.
    edge_step_sigma : array (...) or None
        Standard error of `edge_step`, if there is a gate or the uncertainty was asked for.
    thickness_sigma : array (...) or None
        Standard error of `thickness`, likewise.
    n_gated : int
        Number of pixels whose step is below the gate.
    step_noise : float
        Standard error of what was divided by, for noise of one in `mu`.
    jacobian : Jacobian
        How the normalised spectra answer to noise, for errors of what is made from them.
    warnings : tuple of str
        What should be known of the choices made, and of the steps.
    """

    normalized: FloatArray
    thickness: FloatArray
    edge_step: FloatArray
    pre_line: FloatArray
    post_line: FloatArray
    e0: float
    edge: str | None
    pre_edge: Window
    post_edge: Window
    n_invalid: int
    params: ResolvedNormalizeParams
    edge_step_sigma: FloatArray | None = None
    thickness_sigma: FloatArray | None = None
    n_gated: int = 0
    step_noise: float = 0.0
    jacobian: Jacobian | None = attribute(default=None, repr=False)
    warnings: tuple[str, ...] = ()


def implied_divisor(params: NormalizeParams) -> DivideBy | None:
    """Return what the other choices need to be divided by; None if they leave it open."""
    if params.divide_by is not None:
        return params.divide_by
    if params.flatten:
        return "step"
    return "area" if params.area_range is not None else None


def check_choices(params: NormalizeParams) -> None:
    """Refuse choices that make no sense together."""
    if params.flatten and params.divide_by not in (None, "step"):
        why = {
            "line": "dividing by the line flattens already",
            "post": "dividing by the post-edge line flattens already",
            "area": "flattening is in units of the edge step",
        }[params.divide_by]
        raise InputError(
            f"flatten is for divide_by = 'step', not '{params.divide_by}': {why}; change one of them."
        )
    if params.area_range is not None and params.divide_by not in (None, "area"):
        raise InputError(
            f"area_range is given but divide_by is '{params.divide_by}'; set divide_by = 'area' or leave it out."
        )
    if params.slope == "shared" and params.pre == "victoreen":
        raise InputError(
            "slope = 'shared' needs a constant besides the slope, which pre = 'victoreen' has not; "
            "use pre = 'line', or slope = 'pixel'."
        )


def least_energies(params: NormalizeParams) -> tuple[int, int]:
    """Return how many energies the windows before and after the edge must hold at least."""
    return (1 if params.pre == "constant" else 2), 1 + (1 if params.post_order is None else params.post_order)
