"""Edge normalisation: the absorption before the edge taken off, the step divided out, per pixel.

Follows M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071,
sections 5 and 7.1: a line is fitted to the energies before the edge and one to those after it; and the variants
that other programs have.  Where the edge is, is decided in `energy`, which energies are before and after it in
`windows`; the curves are made in `curves`, and `kernel` does the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from napari_xanes._core.base.checks import check_mu, window_indices
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window, make_params
from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.edge.curves import STEP, fitted_curves
from napari_xanes._core.edge.doubts import SHORT, STEEP, change_after_edge, doubts_of
from napari_xanes._core.edge.energy import choose_e0, missing_side
from napari_xanes._core.edge.kernel import NormalizeKernel, window_energies
from napari_xanes._core.edge.params import (
    DivideBy,
    E0Method,
    EdgeNormalization,
    FloatArray,
    NormalizeParams,
    PostOrder,
    Pre,
    ResolvedNormalizeParams,
    Slope,
    check_choices,
    implied_divisor,
    least_energies,
)
from napari_xanes._core.edge.windows import check_given, choose_windows
from napari_xanes._core.engine.sampling import mean_of_complete, sampled_spectra
from napari_xanes._core.engine.streamed import run_changing

SIGMAS = ("edge_step_sigma", "thickness_sigma")

DROWNED = 3.0
"""Noise of the edge step, in units of one frame's, from which on slopes are shared unless chosen otherwise."""
SURE = 0.999
"""How sure it must be, against the scatter about its lines, that the mean spectrum has a step, to take that for an edge."""


@public
def normalize_edge(
    mu: StackLike,
    energy: ArrayLike,
    *,
    e0: float | None = None,
    pre_edge: Window | None = None,
    post_edge: Window | None = None,
    slope: Slope | None = None,
    divide_by: DivideBy | None = None,
    pre: Pre = "line",
    post_order: PostOrder | None = None,
    flatten: bool = False,
    area_range: Window | None = None,
    gate: float | None = None,
    e0_method: E0Method = "auto",
    uncertainty: bool = False,
) -> EdgeNormalization:
    """Normalise absorption spectra to an edge step of one.

    Parameters
    ----------
    mu : array
        Absorption, energy first: (E,), (E, N), (E, Y, X) or (E, Z, Y, X); not changed.
    energy : array (E,)
        Photon energies in eV, ascending.
    e0 : float, optional
        Edge energy in eV; by default found in the mean spectrum as `e0_method` says.
    pre_edge, post_edge : (float, float), optional
        Windows in eV to which a curve is fitted; each holds every energy lo <= E <= hi.
    slope : {"pixel", "shared"}, optional
        Whether both curves are fitted in every pixel, or their shape is taken from the fifth of the pixels with
        the largest steps and scaled by each pixel's own step, over a background that falls as in the fifth with the
        smallest (constant where these hold hardly anything).  By default "pixel", or "shared" where the edge step would have more than three times the noise of
        one frame.
    divide_by : {"line", "step", "post", "area"}, optional
        "line": (mu - pre) / (post - pre) at every energy (paper, eq. 2); a pixel where post - pre is not
        positive at every energy is invalid.  "step": (mu - pre) / edge_step; invalid where that is not positive.
        "post": mu / post, nothing taken off; invalid where post is not positive at every energy.  "area":
        (mu - pre) divided by its integral over the energies in `area_range`, in eV (trapezoidal rule); invalid
        where that is not positive.  By default as `flatten` or `area_range` need it; else "step" where post - pre
        changes by more than 15 % from e0 to the middle of the post-edge window, which is among the warnings, or "line".
    pre : {"line", "constant", "victoreen"}
        Pre-edge curve: a line, a constant, or a / E^3 + b / E^4.
    post_order : {0, 1, 2}, optional
        Order of the post-edge polynomial, which is fitted to mu - pre (with "post": to mu); the post-edge curve is
        the sum of both.  By default 1, or 0 where the post-edge window is shorter than 30 eV.
    flatten : bool
        With "step", above e0: takes off (post - pre - edge_step) / edge_step, by which the post-edge curves differ
        from the step, as Athena and Larch do.
    area_range : (float, float), optional
        With "area": the energies that count; by default from the end of `pre_edge` to the end of `post_edge`.
    gate : float, optional
        Pixels whose edge step is below this many times its standard error, or not positive, become NaN; the noise
        is that of the scatter about the curves in each window, of all pixels together where there are few energies.
        Where it is not known well, the limit is higher, so that as few pixels of noise pass.
    e0_method : {"auto", "derivative", "half_height"}
        The tabulated edge next to the steepest rise of the mean spectrum (or that rise, if there is none); the
        steepest rise; or where it rises through half of its step.  Not used where `e0` is given.
    uncertainty : bool
        Whether the standard errors of edge step and thickness are wanted.

    Returns
    -------
    EdgeNormalization
        Its `normalized` is a dask array where `mu` was one, or of zarr, h5py, a memory map: computed where it is looked at.

    Raises
    ------
    InputError
        If the energies do not reach before and after the edge, a window holds too few of them for its curve, the
        spectra show no edge, or choices exclude one another.

    References
    ----------
    M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071.
    B. Ravel and M. Newville, J. Synchrotron Rad. 12, 537 (2005), doi:10.1107/S0909049505012719 (flattening).

    Examples
    --------
    >>> import numpy as np
    >>> energy = np.linspace(8250, 8500, 101)
    >>> mu = 0.3 + 0.8 / (1 + np.exp(-(energy - 8340) / 2))
    >>> found = normalize_edge(mu, energy, pre_edge=(8250, 8320), post_edge=(8380, 8500))
    >>> print(f"{found.edge_step:.3f}, {found.normalized[0]:.3f} to {found.normalized[-1]:.3f}")
    0.800, 0.000 to 1.000
    """
    values, energies = check_mu(mu, energy)
    spectra = sampled_spectra(values)
    usable = np.isfinite(spectra).any(axis=1)
    if not usable.any():
        raise InputError("mu holds no valid number; check what it was made from.")
    given = {
        "e0": e0,
        "pre_edge": pre_edge,
        "post_edge": post_edge,
        "slope": slope,
        "divide_by": divide_by,
        "pre": pre,
        "post_order": post_order,
        "flatten": flatten,
        "area_range": area_range,
        "gate": gate,
        "e0_method": e0_method,
        "uncertainty": uncertainty,
    }
    params = make_params(NormalizeParams, given, "normalize_edge")
    mean = mean_of_complete(spectra, usable)
    resolved, edge = resolve(params, energies, spectra, usable, mean)
    kernel = NormalizeKernel(resolved, energies, usable, spectra, lines=True)
    maps, normalized = run_changing(kernel, values)
    jacobian = kernel.jacobian(np.where(usable, mean, np.nan))
    warnings = doubts_of(params, resolved, kernel, spectra, mean)
    return _as_result(resolved, edge, normalized, maps, kernel.divisor_noise, jacobian, warnings)


def _as_result(
    params: ResolvedNormalizeParams,
    edge: str | None,
    normalized: FloatArray,
    maps: Mapping[str, FloatArray],
    step_noise: float,
    jacobian: Jacobian,
    warnings: list[str],
) -> EdgeNormalization:
    return EdgeNormalization(
        normalized=normalized,
        **{name: maps[name][()] for name in ("thickness", "edge_step", "pre_line", "post_line")},
        e0=params.e0,
        edge=edge,
        pre_edge=params.pre_edge,
        post_edge=params.post_edge,
        n_invalid=count_flags(maps["invalid"]),
        params=params,
        **{name: maps[name][()] for name in SIGMAS if name in maps},
        n_gated=count_flags(maps["gated"]) if "gated" in maps else 0,
        step_noise=step_noise,
        jacobian=jacobian,
        warnings=tuple(warnings),
    )


def count_flags(flags: FloatArray) -> int:
    return int(flags.sum(dtype=np.float64))


def resolve(
    params: NormalizeParams,
    energy: NDArray[np.float64],
    spectra: FloatArray,
    usable: NDArray[np.bool_],
    mean_spectrum: NDArray[np.float64],
) -> tuple[ResolvedNormalizeParams, str | None]:
    """Fill in what was left to choose, from the energies, sampled spectra (E, n) and their mean; also name the edge."""
    check_choices(params)
    mean, x, least = mean_spectrum[usable], energy[usable], least_energies(params)
    check_given(x, params.pre_edge, params.post_edge, least)
    e0, edge = choose_e0(x, mean, params)
    pre_edge, post_edge = choose_windows(x, e0, edge, params.pre_edge, params.post_edge, least)
    update: dict[str, Any] = {"e0": e0, "pre_edge": pre_edge, "post_edge": post_edge}
    if params.post_order is None:
        update["post_order"] = 0 if post_edge[1] - post_edge[0] < SHORT else 1
    update["divide_by"] = implied_divisor(params) or _divide_by(params, x, mean, update)
    if update["divide_by"] == "area":
        inside = window_indices(x, params.area_range or (pre_edge[1], post_edge[1]), "area_range", at_least=2)
        update["area_range"] = (float(x[inside[0]]), float(x[inside[-1]]))
    resolved = ResolvedNormalizeParams.of(params, **update)
    if params.slope is None:
        resolved = resolved.model_copy(update={"slope": _slope(resolved, energy, usable, spectra)})
    if params.e0 is None:
        _refuse_flat(resolved, x, mean)
    return resolved, str(edge) if edge else None


def _divide_by(
    params: NormalizeParams, energy: NDArray[np.float64], mean: NDArray[np.float64], chosen: dict[str, Any]
) -> DivideBy:
    """Choose by how much the lines of the mean spectrum run apart."""
    by_line = ResolvedNormalizeParams.of(params, **chosen, divide_by="line").model_copy(
        update={"slope": "pixel", "gate": None, "uncertainty": False}
    )
    kernel = NormalizeKernel(by_line, energy, np.ones(energy.size, np.bool_), mean[:, None])
    return "step" if change_after_edge(kernel, mean) > STEEP else "line"


def _slope(
    params: ResolvedNormalizeParams,
    energy: NDArray[np.float64],
    usable: NDArray[np.bool_],
    spectra: FloatArray,
) -> Slope:
    """Return "shared" where slopes of single pixels would drown the edge step in noise, and others can be had."""
    alone = params.model_copy(update={"slope": "pixel", "gate": None, "uncertainty": False})
    kernel = NormalizeKernel(alone, energy, usable, spectra)
    if params.divide_by == "area" or params.pre == "victoreen" or kernel.divisor_noise <= DROWNED:
        return "pixel"
    try:
        NormalizeKernel(alone.model_copy(update={"slope": "shared"}), energy, usable, spectra)
    except InputError:  # no pixels with a step to take them from
        return "pixel"
    return "shared"


def _refuse_flat(
    params: ResolvedNormalizeParams, energy: NDArray[np.float64], mean: NDArray[np.float64]
) -> None:
    """Say so when the steepest rise of the mean spectrum is not an edge but noise."""
    pre, post = window_energies(params, energy, np.ones(energy.size, np.bool_))
    curves = fitted_curves(energy, params.e0, pre, post, params.pre, params.post_order)
    found = curves.coefficients(mean[pre], mean[post])
    before = mean[pre] - curves.pre_curve[pre] @ found
    after = mean[post] - curves.post_curve[post] @ found
    freedom = max(curves.freedom(pre, post), 1.0)
    scatter = float(np.sqrt((before @ before + after @ after) / freedom))
    limit = float(stdtrit(freedom, SURE)) * scatter
    jump, jump_noise = mean[post].mean() - mean[pre].mean(), np.sqrt(1 / pre.size + 1 / post.size)
    if not (found[STEP] > limit * curves.noise() or jump > limit * jump_noise):
        side = missing_side(energy)
        raise InputError(
            f"the mean spectrum shows no edge between {energy[0]:g} and {energy[-1]:g} eV (a step of {found[STEP]:.3g} at "
            f"{params.e0:.2f} eV against a scatter of {scatter:.2g}); {side + '; ' if side else ''}"
            "scan from before to after the edge, or give e0 if it is there."
        )
