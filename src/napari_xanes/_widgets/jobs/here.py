"""Steps carried out on a stack of the window; the stack that comes out is held in memory, or computed on demand."""

from __future__ import annotations

from collections.abc import Sequence

from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.runs.keeping import keeping_of
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.layers.settings import settings
from napari_xanes._widgets.layers.tuples import glimpse


def run_here(
    stack: EnergyStack, steps: Sequence[tuple[str, Params]], *, keep: bool, progress: Progress
) -> Result:
    """Carry out steps; with `keep` the stack after them is in the result.  What does not fit into memory is streamed."""
    if not keep:
        lazy = isinstance(stack.data, ComputedStack)
        fits = keeping_of(stack, steps, only_maps=True).in_memory and not lazy
        return run_steps(stack, steps, in_memory=True if fits else False if lazy else None, progress=progress)
    keeping = keeping_of(stack, steps, settings().stacks)
    result = run_steps(
        stack,
        steps,
        keep_stack=True,
        on_demand=not keeping.in_memory,
        in_memory=keeping.in_memory,
        progress=progress,
    )
    if result.stack is not None and isinstance(result.stack.data, ComputedStack):
        result.stack.data.why = keeping.why
        glimpse(result.stack)  # by which its limits are set: not in the window's thread
    return result
