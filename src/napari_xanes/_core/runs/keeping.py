"""Whether the stack that steps make is held in memory, or computed where it is looked at; decided by what is free, or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from napari_xanes._core.base.errors import ResourceError
from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.params import Params
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.runs.needs import shape_after, size_text

Wish = Literal["automatic", "in memory", "computed on demand"]
PART_OF_FREE = 0.5
"""Of the memory that is free, for the stack: maps and what comes after it want some, too."""


@dataclass(frozen=True)
class Keeping:
    """Whether a stack is held in memory, and if it is not, why, in words."""

    in_memory: bool
    why: str = ""


def keeping_of(stack: EnergyStack, steps: Sequence[tuple[str, Params]], wish: Wish = "automatic") -> Keeping:
    """Return how the stack after some steps is kept.

    Raises
    ------
    ResourceError
        If it is wanted in memory and does not fit.
    """
    if wish == "computed on demand":
        return Keeping(False, "computed on demand, as chosen in the preferences")
    needed, free = 4 * prod(shape_after(steps, stack)), free_memory()
    if wish == "in memory" and needed > 0.9 * free:
        raise ResourceError(
            f"{stack.name or 'the stack'} in memory takes {size_text(needed)}, {size_text(free)} are free; choose 'automatic' "
            "for stacks made by steps (Preferences, XANES, Memory), or crop or bin the stack before."
        )
    if wish == "in memory" or needed <= PART_OF_FREE * free:
        return Keeping(True)
    return Keeping(
        False,
        f"computed on demand, as in memory it would take {size_text(needed)}, of {size_text(free)} that are free",
    )
