"""The edge normalisation as a step of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.unread import at_once
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.kinds import unit_of
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.edge.doubts import doubts_of
from napari_xanes._core.edge.handover import Normalization
from napari_xanes._core.edge.kernel import NormalizeKernel
from napari_xanes._core.edge.normalize import SIGMAS, resolve
from napari_xanes._core.edge.params import FloatArray, NormalizeParams
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call
from napari_xanes._core.engine.step import Step


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
    found.warn(*doubts_of(params, resolved, kernel, sample.spectra, sample.mean))

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        wanted = ("thickness", "edge_step", *(SIGMAS if resolved.uncertainty else ()))
        maps = {name: NamedMap(raw[name], name, unit_of(name)) for name in wanted}
        found = Found(facts := _facts(raw))
        if "gated" in raw and facts["invalid_pixels"] == raw["invalid"].size:
            found.warn(
                f"no pixel has an edge step of {resolved.gate:g} times its uncertainty, so all are invalid; lower gate"
            )
        return maps, found

    chain.add_kernel(kernel, collect, "normalized")
    return resolved, found


def _facts(raw: Mapping[str, FloatArray]) -> dict[str, int]:
    """Return how many pixels are invalid, and why.

    Those without data, without step (or below the gate, which those without step are, too) and without divisor, in which
    what is divided by is not above 0 at all energies though the step is, are all that are invalid.
    """
    step, invalid = raw["edge_step"], raw["invalid"].astype(bool)
    gated = {"pixels_below_gate": raw["gated"].sum()} if "gated" in raw else {}
    rest = invalid & (step > 0)
    if gated:
        rest = rest & (raw["gated"] == 0)
    counts = {
        "invalid_pixels": invalid.sum(),
        "pixels_without_data": (invalid & np.isnan(step)).sum(),
        "pixels_without_step": (invalid & (step <= 0)).sum(),
        **gated,
        "pixels_without_divisor": rest.sum(),
    }
    return {name: int(count) for name, count in at_once(counts).items()}


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
