"""Particles as a step of a recipe: found in a mask or a map, measured, and followed from rim to core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data import kinds
from napari_xanes._core.data.history import Found
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.regions.core_to_rim import core_to_rim
from napari_xanes._core.regions.label import label_particles
from napari_xanes._core.regions.masks import otsu_threshold, remove_small, threshold_mask
from napari_xanes._core.regions.table import particle_table


class ParticlesParams(Params):
    """Parameters of the particles."""

    of: str | None = field(
        None,
        "Map",
        "Map in which particles stand out. Empty: the mask that a step before made, or else the thickness.",
        widget="maps",
        example="thickness",
    )
    above: float | None = field(
        None,
        "At least",
        "Pixels of at least this value are in particles. Empty: the value that best separates the map into two classes (Otsu).",
        example=0.1,
    )
    holes: int = field(
        10,
        "Fill holes",
        "Holes of up to this many pixels, such as invalid ones, belong to the particle around them.",
        unit="px",
        ge=0,
    )
    min_distance: float = field(
        5, "Min. distance", "Centres nearer than this are of one particle.", unit="px", ge=0
    )
    min_pixels: int = field(20, "Min. size", "Smaller particles are left out.", unit="px", ge=1)
    split_by: str | None = field(
        None,
        "Split by",
        "Map that is lowest where touching particles meet. Empty: they are separated at their necks.",
        widget="maps",
        example="thickness",
        rare=True,
    )
    maps: tuple[str, ...] = field(
        (),
        "Maps in the table",
        "Maps whose mean in every particle is wanted. Empty: all.",
        widget="maps",
        example=["thickness"],
    )
    profile: str | None = field(
        None,
        "Profile of",
        "Map that is followed from rim to core. Empty: the first fraction, or else the map of the particles.",
        widget="maps",
        example="thickness",
    )
    bins: int = field(10, "Bins", "Number of steps from rim to core.", ge=1, le=1000)


def particles_step(
    chain: Chain, params: ParticlesParams, progress: Progress
) -> tuple[ParticlesParams, Found]:
    """Find and measure particles: labels "particles", tables "particles", "core_to_rim" and "core_to_rim_px"."""
    if "particles" in chain.labels:
        raise InputError("there are particles already; run a second search as a recipe of its own.")
    chain.compute(progress)
    mask, found_in = _start(chain, params)
    mask = ~remove_small(~mask, params.holes + 1)
    names = params.maps or tuple(n for n, m in chain.maps.items() if kinds.kind(m.kind).averaged)
    images = {name: chain.found_map(name, "particles") for name in names}
    profile = params.profile or _first_fraction(chain) or found_in["of"] or next(iter(names), None)
    labels = label_particles(
        mask,
        min_distance=params.min_distance,
        min_pixels=params.min_pixels,
        image=None if params.split_by is None else chain.found_map(params.split_by, "particles"),
    )
    table = particle_table(
        labels,
        images,
        pixel_size_um=chain.pixel_size_um,
        sigma=_sigma(chain, names),
        thickness=_thickness(chain),
    )
    chain.labels["particles"] = labels
    chain.tables["particles"] = table
    found = Found(
        {
            "particles": int(table["label"].size),
            "cut_particles": int(table["cut"].sum()),
            "pixels_inside": int(table["pixels"].sum()),
        }
    )
    if profile is not None:
        made = core_to_rim(
            labels, chain.found_map(profile, "particles"), bins=params.bins, pixel_size_um=chain.pixel_size_um
        )
        chain.tables["core_to_rim"] = made.relative.table(profile, pixel_size_um=chain.pixel_size_um)
        chain.tables["core_to_rim_px"] = made.absolute.table(profile, pixel_size_um=chain.pixel_size_um)
        found["invalid_pixels"] = int(made.invalid.sum())
    if doubts := _doubts(found.facts, profile):
        found.warn(*doubts)
    return params.model_copy(update={**found_in, "maps": names, "profile": profile}), found


def _start(chain: Chain, params: ParticlesParams) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Return where particles are, and the map and limit by which that is known."""
    if params.of is None and "mask" in chain.labels:
        if params.above is not None:
            raise InputError(
                "above has no meaning where particles are those of a mask; leave it out, or name the map in of."
            )
        mask = chain.labels["mask"] != 0
        if mask.shape != chain.image_shape:
            raise InputError(
                f"the mask has shape {mask.shape}, the images {chain.image_shape} by now; put mask after the step that "
                "changes their shape."
            )
        return mask, {"of": None}
    image = chain.found_map(params.of or "thickness", "particles")
    above = otsu_threshold(image) if params.above is None else params.above
    return threshold_mask(image, above=above), {"of": params.of or "thickness", "above": above}


def _thickness(chain: Chain) -> NDArray[Any] | None:
    return chain.maps["thickness"].data if "thickness" in chain.maps else chain.thickness


def _first_fraction(chain: Chain) -> str | None:
    return next((name for name, one in chain.maps.items() if one.kind == "fraction"), None)


def _sigma(chain: Chain, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return the maps of standard errors, by the name of the map they are of."""
    kinds = {name: chain.maps[name].kind for name in names if name in chain.maps}
    pairs = {
        name: f"{_SIGMA_OF[kind]}_{chain.maps[name].reference}"
        for name, kind in kinds.items()
        if kind in _SIGMA_OF
    }
    pairs |= {name: f"{name}_sigma" for name in names if f"{name}_sigma" in chain.maps}
    return {name: chain.maps[error].data for name, error in pairs.items() if error in chain.maps}


_SIGMA_OF = {"fraction": "sigma", "amount": "amount_sigma"}
"""How the maps of the errors of these kinds are called."""


def _doubts(facts: Mapping[str, Any], profile: str | None) -> list[str]:
    if not facts["particles"]:
        return ["there are no particles; lower the limit or the least size"]
    if profile is not None and facts["cut_particles"] == facts["particles"]:
        return ["every particle reaches the border of the image, so the pooled profiles have no pixels"]
    return []


PARTICLES = Step(
    name="particles",
    title="Particles",
    does="part the mask into particles and measure them",
    params=ParticlesParams,
    run=particles_step,
    order=230,
    looks_back=True,
    after=("mask",),
)
