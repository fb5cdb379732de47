"""Edge normalisation: the absorption before the edge taken off, the step divided out, per pixel.

Follows M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071,
sections 5 and 7.1: a line is fitted to the energies before the edge and one to those after it.
Which energies these are, when not given, is decided in `edge_windows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from napari_xanes._core import blocks
from napari_xanes._core._validate import check_mu, window_indices
from napari_xanes._core.chain import Chain, Found, NamedMap, count_invalid
from napari_xanes._core.edge_lines import (
    as_slice,
    donor_lines,
    noise_of_step,
    pixel_operator,
    shared_operator,
)
from napari_xanes._core.edge_windows import choose_e0, choose_windows
from napari_xanes._core.errors import InputError
from napari_xanes._core.params import Params, Window, field, make_params
from napari_xanes._core.progress import Progress

FloatArray = NDArray[np.floating[Any]]
Slope = Literal["pixel", "shared"]
DivideBy = Literal["line", "step"]

NOISY = 5.0
"""Noise of the edge step, in units of one frame's, from which on shared slopes are advised."""

STEEP = 0.15
"""Relative change of post- minus pre-edge line after the edge from which on dividing by it is said to be doubtful."""

SURE = 0.999
"""How sure it must be, against the scatter about its lines, that the mean spectrum has a step, to take that for an edge."""

SHARED_SAMPLE = 100_000
"""At most this many spectra are looked at for the shared slopes."""


class NormalizeParams(Params):
    """Parameters of the edge normalisation."""

    e0: float | None = field(
        None,
        "Edge energy",
        "Where the edge step is read off. Empty: the tabulated edge that the mean spectrum shows.",
        unit="eV",
        gt=0,
        example=8333.0,
    )
    pre_edge: Window | None = field(
        None,
        "Pre-edge",
        "Energies before the edge to which a line is fitted, well below any pre-edge peak. Empty: chosen for you.",
        unit="eV",
        widget="window",
        example=[8222.0, 8312.0],
    )
    post_edge: Window | None = field(
        None,
        "Post-edge",
        "Energies after the edge to which a line is fitted, above the white line. Empty: chosen for you.",
        unit="eV",
        widget="window",
        example=[8392.0, 8577.0],
    )
    slope: Slope = field(
        "pixel",
        "Slopes",
        "'pixel' fits both slopes in every pixel; 'shared' takes them from the pixels with most of the element, "
        "scaled by each pixel's step, for noisy data.",
    )
    divide_by: DivideBy = field(
        "line",
        "Divide by",
        "'line' divides every energy by post-edge minus pre-edge line; 'step' divides by the edge step at the edge energy.",
    )


@dataclass(frozen=True, eq=False)
class EdgeNormalization:
    """What `normalize_edge` returns.

    Attributes
    ----------
    normalized : array (E, ...)
        Spectra that go from 0 before to 1 after the edge; NaN in invalid pixels.
    thickness : array (...)
        Mean of post-edge minus pre-edge line over the post-edge energies.
    edge_step : array (...)
        Post-edge minus pre-edge line at e0.
    pre_line, post_line : array (2, ...)
        Value at e0 and slope per eV of the two lines.
    e0 : float
        Edge energy in eV.
    edge : str or None
        Name of the tabulated edge, if it was recognised.
    pre_edge, post_edge : (float, float)
        The windows used, eV.
    n_invalid : int
        Number of pixels whose spectra cannot be normalised.
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


def normalize_edge(
    mu: ArrayLike,
    energy: ArrayLike,
    *,
    e0: float | None = None,
    pre_edge: Window | None = None,
    post_edge: Window | None = None,
    slope: Slope = "pixel",
    divide_by: DivideBy = "line",
) -> EdgeNormalization:
    """Normalise absorption spectra to an edge step of one.

    Parameters
    ----------
    mu : array
        Absorption, energy first: (E,), (E, N), (E, Y, X) or (E, Z, Y, X); not changed.
    energy : array (E,)
        Photon energies in eV, ascending.
    e0 : float, optional
        Edge energy in eV; by default the tabulated edge next to the steepest rise of the mean spectrum, or that rise.
    pre_edge, post_edge : (float, float), optional
        Windows in eV to which a line is fitted; each holds every energy lo <= E <= hi.
    slope : {"pixel", "shared"}
        Whether both slopes are fitted in every pixel, or taken from the fifth of the pixels with the largest
        steps and scaled by each pixel's own step.
    divide_by : {"line", "step"}
        "line": (mu - pre) / (post - pre) at every energy (paper, eq. 2); a pixel where post - pre is not
        positive at every energy is invalid.  "step": (mu - pre) / edge_step; invalid where that is not positive.

    Returns
    -------
    EdgeNormalization

    Raises
    ------
    InputError
        If the energies do not reach before and after the edge, a window holds fewer than 2 of them, or the
        spectra show no edge.

    References
    ----------
    M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071.
    """
    values, energies = check_mu(mu, energy)
    spectra = values.reshape(energies.size, -1)
    spectra = spectra[:, :: max(1, spectra.shape[1] // SHARED_SAMPLE)]
    usable = np.isfinite(spectra).any(axis=1)
    if not usable.any():
        raise InputError("mu holds no valid number; check what it was made from.")
    given = {"e0": e0, "pre_edge": pre_edge, "post_edge": post_edge, "slope": slope, "divide_by": divide_by}
    params = make_params(NormalizeParams, given, "normalize_edge")
    assert isinstance(params, NormalizeParams)
    resolved, edge = resolve(params, energies, spectra, usable)
    kernel = NormalizeKernel(resolved, energies, usable, spectra, lines=True)
    normalized = np.empty_like(values)
    (maps,) = blocks.run_kernels([kernel], values, out=normalized)
    assert resolved.e0 and resolved.pre_edge and resolved.post_edge
    return EdgeNormalization(
        normalized=normalized,
        **{name: maps[name][()] for name in ("thickness", "edge_step", "pre_line", "post_line")},
        e0=resolved.e0,
        edge=edge,
        pre_edge=resolved.pre_edge,
        post_edge=resolved.post_edge,
        n_invalid=int(maps["invalid"].sum(dtype=np.float64)),
    )


def resolve(
    params: NormalizeParams, energy: NDArray[np.float64], spectra: FloatArray, usable: NDArray[np.bool_]
) -> tuple[NormalizeParams, str | None]:
    """Fill in what was left to choose, from the energies and sampled spectra (E, n); also name the edge."""
    mean = _mean_spectrum(spectra, usable)
    e0, edge = choose_e0(energy[usable], mean[usable], params.e0)
    pre_edge, post_edge = choose_windows(energy[usable], e0, edge, params.pre_edge, params.post_edge)
    if params.e0 is None:
        _refuse_flat(energy[usable], mean[usable], e0, pre_edge, post_edge)
    resolved = params.model_copy(update={"e0": e0, "pre_edge": pre_edge, "post_edge": post_edge})
    return resolved, str(edge) if edge else None


def _refuse_flat(
    energy: NDArray[np.float64], mean: NDArray[np.float64], e0: float, pre_edge: Window, post_edge: Window
) -> None:
    """Say so when the steepest rise of the mean spectrum is not an edge but noise."""
    pre, post = (window_indices(energy, w, "window") for w in (pre_edge, post_edge))
    x = energy - e0
    from_pre, from_post = pixel_operator(x, pre, post)
    c0, c1, d0, d1 = from_pre @ mean[pre] + from_post @ mean[post]
    before = mean[pre] - c0 - c1 * x[pre]
    after = mean[post] - (c0 + d0) - (c1 + d1) * x[post]
    freedom = max(pre.size + post.size - 4, 1)
    scatter = float(np.sqrt((before @ before + after @ after) / freedom))
    limit = float(student.ppf(SURE, freedom)) * scatter
    jump, jump_noise = mean[post].mean() - mean[pre].mean(), np.sqrt(1 / pre.size + 1 / post.size)
    if not (d0 > limit * noise_of_step((from_pre, from_post)) or jump > limit * jump_noise):
        raise InputError(
            f"the mean spectrum shows no edge between {energy[0]:g} and {energy[-1]:g} eV (a step of {d0:.3g} at {e0:.2f} eV "
            f"against a scatter of {scatter:.2g}); scan from before to after the edge, or give e0 if it is there."
        )


def _mean_spectrum(spectra: FloatArray, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of the pixels that are valid in all usable frames, of whatever is valid if there are none.

    Pixels at a border that drifts out of view would otherwise put steps of their own into the mean.
    """
    valid = np.isfinite(spectra)
    complete = valid[usable].all(axis=0)
    valid &= complete | ~complete.any()
    total = np.where(valid, spectra, 0).sum(axis=1, dtype=np.float64)
    mean: NDArray[np.float64] = total / np.maximum(valid.sum(axis=1), 1)
    return mean


class NormalizeKernel:
    """Both lines of every pixel by one product with fixed matrices, then subtract and divide in place.

    With x = E - e0 the lines are C0 + C1 x and post - pre = D0 + D1 x; (C0, C1, D0, D1) is linear in the
    spectrum's values in the two windows.  `step_noise` is the standard error of the edge step D0 for noise of one.
    """

    writes = True

    def __init__(
        self,
        params: NormalizeParams,
        energy: NDArray[np.float64],
        usable: NDArray[np.bool_],
        spectra: FloatArray,
        *,
        lines: bool = False,
    ) -> None:
        assert params.e0 and params.pre_edge and params.post_edge
        maps: dict[str, tuple[int, ...]] = {"thickness": (), "edge_step": (), "invalid": ()}
        self.maps: Mapping[str, tuple[int, ...]] = maps | (
            {"pre_line": (2,), "post_line": (2,)} if lines else {}
        )
        self._by_line = params.divide_by == "line"
        x = energy - params.e0
        pre = window_indices(energy, params.pre_edge, "pre_edge", at_least=2, usable=usable)
        post = window_indices(energy, params.post_edge, "post_edge", at_least=2, usable=usable)
        operator = pixel_operator(x, pre, post)
        if params.slope == "shared":
            operator = shared_operator(x, pre, post, donor_lines(spectra, operator, pre, post))
        self.step_noise = noise_of_step(operator)
        self._pre, self._post = as_slice(pre), as_slice(post)
        self._operators: dict[Any, tuple[FloatArray, ...]] = {
            np.dtype(t): tuple(part.astype(t) for part in (*operator, np.stack([np.ones_like(x), x], axis=1)))
            for t in (np.float32, np.float64)
        }
        self._scratch = blocks.Scratch()
        self._x_post = float(x[post].mean())

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        from_pre, from_post, line = self._operators[y.dtype]
        lines = from_pre @ y[self._pre] + from_post @ y[self._post]
        pre, step = lines[:2], lines[2:]
        if "pre_line" in out:
            out["pre_line"][...] = pre
            np.add(pre, step, out=out["post_line"])
        out["edge_step"][...] = step[0]
        np.add(step[0], step[1] * y.dtype.type(self._x_post), out=out["thickness"])
        scratch = self._scratch.like(y)
        y -= np.matmul(line, pre, out=scratch)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self._by_line:
                divisor = np.matmul(line, step, out=scratch)
                valid = (divisor[0] > 0) & (divisor[-1] > 0)  # it is straight: its ends decide
                y /= divisor
            else:
                valid = step[0] > 0
                y /= step[0]
        np.logical_not(valid, out=out["invalid"], casting="unsafe")
        if not valid.all():
            y[:, ~valid] = np.nan


def _doubts(
    params: NormalizeParams, kernel: NormalizeKernel, mean: NDArray[np.float64], energy: NDArray[np.float64]
) -> list[str]:
    """Return what the user should know of windows that hold little, or of steep lines."""
    assert params.e0 and params.pre_edge and params.post_edge
    doubts = []
    if params.slope == "pixel" and kernel.step_noise > NOISY:
        doubts.append(
            f"the lines are fitted to so few energies that the edge step has {kernel.step_noise:.0f} times the noise of one "
            "frame; slope = 'shared' has far less"
        )
    x = energy - params.e0
    pre, post = (window_indices(energy, w, "window") for w in (params.pre_edge, params.post_edge))
    from_pre, from_post = pixel_operator(x, pre, post)
    step, change = (from_pre @ mean[pre] + from_post @ mean[post])[2:]
    bend = abs(change) * (energy[post].mean() - params.e0)
    if params.divide_by == "line" and bend > STEEP * abs(step):
        doubts.append(
            f"post- minus pre-edge line changes by {100 * bend / abs(step):.0f} % from e0 to the middle of post_edge, and dividing "
            "by it bends spectra where references are not bent; divide_by = 'step' or a fit with a background does not"
        )
    return doubts


def normalize_step(
    chain: Chain, params: NormalizeParams, progress: Progress
) -> tuple[NormalizeParams, Found]:
    """Add the normalisation to the chain; maps "thickness" and "edge_step"."""
    if chain.signal != "optical_density":
        missing = {"counts": "flat_field and optical_density", "transmission": "optical_density"}.get(
            chain.signal
        )
        raise InputError(
            f"normalize needs optical density, the data are {chain.signal}; "
            + (f"put {missing} before it." if missing else "they are normalised already, leave the step out.")
        )
    chain.frames(progress)
    found: Found = {}
    usable = chain.usable_energies(found)
    sample = chain.sample()
    resolved, edge = resolve(params, chain.energy, sample.spectra, usable)
    found["edge"] = edge

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        step = raw["edge_step"]
        maps = {name: NamedMap(raw[name], name, "optical density") for name in ("thickness", "edge_step")}
        return maps, {
            "invalid_pixels": int(raw["invalid"].sum(dtype=np.float64)),
            "pixels_without_data": count_invalid(step),
            "pixels_without_step": int((step <= 0).sum()),
        }

    kernel = NormalizeKernel(resolved, chain.energy, usable, sample.spectra)
    chain.step_noise = found["step_noise"] = kernel.step_noise
    found.setdefault("warnings", []).extend(
        _doubts(resolved, kernel, sample.mean[usable], chain.energy[usable])
    )
    if not found["warnings"]:
        del found["warnings"]
    chain.add_kernel(kernel, collect, found, "normalized")
    return resolved, found
