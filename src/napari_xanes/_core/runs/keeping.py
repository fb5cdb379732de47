"""Whether the stack that steps make is held in memory, or computed where it is looked at; decided by what is free, or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Literal

from napari_xanes._core.base.errors import ResourceError, XanesError
from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.params import Params
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.needs import OF_A_JOB, shape_after, size_text

Wish = Literal["automatic", "in memory", "computed on demand"]
OF_A_STACK = 0.5
"""Of the memory that is free, for the stack: maps and what comes after it want some, too."""


@dataclass(frozen=True)
class Keeping:
    """Whether a stack is held in memory, and if it is not, why, in words."""

    in_memory: bool
    why: str = ""


def keeping_of(
    stack: EnergyStack,
    steps: Sequence[tuple[str, Params]],
    wish: Wish = "automatic",
    *,
    only_maps: bool = False,
) -> Keeping:
    """Return how the stack after some steps is kept; with `only_maps`, whether it is held while these are made.

    Raises
    ------
    ResourceError
        If it is wanted in memory and does not fit there beside its maps; or if these do not, which are in memory always,
        together with the numbers by which planes are computed on demand.
    """
    shape, free = shape_after(steps, stack), free_memory()
    needed, maps = 4 * prod(shape), 4 * prod(shape[1:]) * _numbers(steps, besides=False)
    if wish == "in memory" and needed + maps > OF_A_JOB * free:
        raise ResourceError(
            f"{stack.name or 'the stack'} in memory takes {size_text(needed + maps)} with its maps, {size_text(free)} are "
            "free; choose 'automatic' for stacks made by steps (Preferences, XANES, Memory), or crop or bin the stack before."
        )
    fits = needed <= OF_A_STACK * free and needed + maps <= OF_A_JOB * free
    if wish == "in memory" or (fits and wish == "automatic"):
        return Keeping(True)
    if not only_maps:
        maps += 4 * prod(shape[1:]) * _numbers(steps, besides=True)
    if maps > OF_A_JOB * free:
        raise ResourceError(
            f"the maps of {stack.name or 'the stack'} {shape} and what is kept of every pixel take {size_text(maps)}, "
            f"{size_text(free)} are free; crop or bin it before, or run the recipe with napari-xanes run --results zarr, "
            "which writes maps of volumes while they are computed."
        )
    if wish == "computed on demand":
        return Keeping(False, "computed on demand, as chosen in the preferences")
    return Keeping(
        False,
        f"computed on demand, as in memory it would take {size_text(needed)}, of {size_text(free)} that are free",
    )


def _numbers(steps: Sequence[tuple[str, Params]], *, besides: bool) -> int:
    """Return how many numbers a pixel the maps of steps have, or are kept besides."""
    count = 0
    for name, params in steps:
        with suppress(XanesError):  # what is amiss with a step is said when it is carried out
            count += (STEPS[name].kept_count if besides else STEPS[name].map_count)(params)
    return count
