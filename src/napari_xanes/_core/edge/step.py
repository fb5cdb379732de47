"""The edge normalisation as a step of a recipe, and what the user should know of its choices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.kinds import unit_of
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.edge.handover import Normalization
from napari_xanes._core.edge.kernel import NormalizeKernel
from napari_xanes._core.edge.noise import WindowNoise
from napari_xanes._core.edge.normalize import (
    SHORT,
    SIGMAS,
    STEEP,
    change_after_edge,
    count_flags,
    resolve,
)
from napari_xanes._core.edge.params import (
    FloatArray,
    NormalizeParams,
    ResolvedNormalizeParams,
)
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call
from napari_xanes._core.engine.step import Step

NOISY = 5.0
"""Noise of the edge step, in units of one frame's, from which on shared slopes are advised."""


def _doubts(
    asked: NormalizeParams, params: NormalizeParams, kernel: NormalizeKernel, mean: NDArray[np.float64]
) -> list[str]:
    """Return what the user should know of windows that hold little, or of steep lines."""
    doubts = []
    if params.slope == "shared" and asked.slope is None:
        doubts.append(
            "the windows before and after the edge are so short that slopes of single pixels would drown in noise, so slopes "
            "were shared; set slope = 'pixel' to fit them in each"
        )
    if params.post_order == 0 and asked.post_order is None:
        doubts.append(
            f"the post-edge window is shorter than {SHORT:g} eV, so its mean was taken instead of a line; set post_order = 1 for a line"
        )
    if params.slope == "pixel" and params.divide_by != "area" and kernel.divisor_noise > NOISY:
        lower = f"post_order = {params.post_order - 1} or " if params.post_order == 2 else ""
        doubts.append(
            f"the lines are fitted to so few energies that the edge step has {kernel.divisor_noise:.0f} times the noise of one "
            f"frame; {lower}slope = 'shared' has far less"
        )
    if asked.divide_by is None and params.divide_by == "step" and not asked.flatten:
        doubts.append(
            f"between the lines the step changes by more than {100 * STEEP:.0f} % from e0 to the middle of post_edge; dividing by the "
            "lines would bend spectra where references are not bent, so spectra were divided by the edge step; set "
            "divide_by = 'line' to divide by the lines. Edge step, thickness and amounts then hang on where the lines meet e0: by "
            "more than their errors say"
        )
    if params.divide_by in ("line", "post") and (bend := change_after_edge(kernel, mean)) > STEEP:
        what = "the step between the lines" if params.divide_by == "line" else "the post-edge line"
        doubts.append(
            f"{what} changes by {100 * bend:.0f} % from e0 to the middle of post_edge, and dividing "
            "by it bends spectra where references are not bent; divide_by = 'step' or a fit with a background does not"
        )
    return doubts


def normalize_step(
    chain: Chain, params: NormalizeParams, progress: Progress
) -> tuple[NormalizeParams, Found]:
    """Add the normalisation to the chain; maps "thickness" and "edge_step"."""
    chain.frames(progress)
    found = Found()
    usable = chain.usable_energies(found)
    sample = chain.sample()
    resolved, edge = resolve(params, chain.energy, sample.spectra, usable, sample.mean_of_complete)
    found["edge"] = edge
    kernel = NormalizeKernel(resolved, chain.energy, usable, sample.spectra)
    mean = np.where(usable, sample.mean_of_complete, np.nan)
    jacobian = kernel.jacobian(mean)
    thickness = partial(kernel.thickness_of, sample.spectra)
    chain.hand_over(Normalization(resolved, kernel.divisor_noise, thickness, jacobian))
    chain.hand_over(jacobian)
    found["step_noise"] = kernel.divisor_noise
    found["mean_spectrum"] = np.nan_to_num(mean).tolist()  # from which a later run tells how noise spreads
    found.warn(*_doubts(params, resolved, kernel, sample.mean), *_negative(resolved, kernel, sample.spectra))

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        wanted = ("thickness", "edge_step", *(SIGMAS if resolved.uncertainty else ()))
        maps = {name: NamedMap(raw[name], name, unit_of(name)) for name in wanted}
        found = Found(_facts(raw))
        if "gated" in raw and raw["invalid"].all():
            found.warn(
                f"no pixel has an edge step of {resolved.gate:g} times its uncertainty, so all are invalid; lower gate"
            )
        return maps, found

    chain.add_kernel(kernel, collect, "normalized")
    return resolved, found


CLEARLY, MANY_NEGATIVE, LOOKED_AT = 3.0, 0.02, 2000
"""Standard errors below zero of a clearly negative edge step, share of the pixels from which these are worth a word, and pixels
that tell that share."""


def _negative(params: ResolvedNormalizeParams, kernel: NormalizeKernel, spectra: FloatArray) -> list[str]:
    """Say that steps of the sampled pixels are negative by more than noise makes them."""
    some = spectra[:, :: max(1, spectra.shape[1] // LOOKED_AT)]
    noise = WindowNoise(kernel.curves, kernel.pre, kernel.post, params.slope == "pixel", some)
    step, sigma = noise.sampled
    known, below = int(np.isfinite(step).sum()), int((step < -CLEARLY * sigma).sum())
    if below <= MANY_NEGATIVE * known:
        return []
    return [
        (
            f"the edge step of about {100 * below / known:.0f} % of the pixels is clearly negative, by more than {CLEARLY:g} times its error, "
            "which no amount of the element is: their absorption is not as the lines take it (shared slopes let all that is not the "
            "element fall at one rate); give another pre_edge, or fit with a background"
        )
    ]


def _facts(raw: Mapping[str, FloatArray]) -> dict[str, int]:
    """Return how many pixels are invalid, and why.

    Those without data, without step (or below the gate, which those without step are, too) and without divisor, in which
    what is divided by is not above 0 at all energies though the step is, are all that are invalid.
    """
    step, invalid = raw["edge_step"], raw["invalid"].astype(bool)
    gated = {"pixels_below_gate": count_flags(raw["gated"])} if "gated" in raw else {}
    rest = invalid & (step > 0)
    if gated:
        rest = rest & (raw["gated"] == 0)
    return {
        "invalid_pixels": int(invalid.sum()),
        "pixels_without_data": int((invalid & np.isnan(step)).sum()),
        "pixels_without_step": int((invalid & (step <= 0)).sum()),
        **gated,
        "pixels_without_divisor": int(rest.sum()),
    }


def _normalize_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    return [
        *call("edge", "nx.normalize_edge", "images", "energy", **given),
        "images = edge.normalized",
        'maps |= {"thickness": edge.thickness, "edge_step": edge.edge_step}',
        *(f'maps["{name}"] = edge.{name}' for name in SIGMAS if given.get("uncertainty")),
    ]


NORMALIZE = Step(
    name="normalize",
    title="Normalise",
    does="take the pre-edge off and divide by the edge step",
    params=NormalizeParams,
    run=normalize_step,
    order=120,
    takes=("optical_density",),
    gives="normalized",
    makes=("thickness", "edge_step", *SIGMAS),
    map_count=lambda params: 4 if params.uncertainty or params.gate else 2,
    kept_count=lambda params: 4 + max(1, params.post_order or 1) + (params.divide_by == "area"),
    after=("flat_field", "internal_i0", "optical_density"),
    code=_normalize_code,
    usual=True,
)
