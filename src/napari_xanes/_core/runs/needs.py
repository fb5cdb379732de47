"""What a job will take: memory while it runs, and room on the disk; what cannot fit is refused before any work."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from napari_xanes._core.base.files import check_disk
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.data.kinds import kind
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.engine.slabs import working_bytes
from napari_xanes._core.fit.fit import FitParams, choose_references
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.result_file import is_store_name
from napari_xanes._core.runs.unpack import fits_memory, stored_bytes


def memory_needed(
    recipe: Recipe, stack: EnergyStack, workers: int | None = None, target: Path | None = None
) -> tuple[int, bool]:
    """Return about how many bytes the maps of a scan will take to compute, and whether it is streamed.

    Maps of volumes that go into a Zarr store, the `target`, are not held.

    Raises
    ------
    ResourceError
        If they are not free.
    """
    pixels, energies = prod(stack.image_shape), stack.shape[0]
    unpacks = fits_memory(stack.data)
    streamed = not (recipe.output.stack or unpacks)
    if recipe.output.stack:
        held = 4 * pixels * energies
    else:
        held = working_bytes(stack, workers) + (stored_bytes(stack.data) if unpacks else 0)
    needed = held + (0 if _puts_maps(stack, target) else 4 * _count_maps(recipe) * pixels)
    check_memory(needed, f"{stack.name} {stack.shape}")
    return needed, streamed


def disk_needed(recipe: Recipe, stack: EnergyStack, target: Path, export: Sequence[str] = ()) -> int:
    """Return about how many bytes the result of a scan and its exports will take on the disk.

    Raises
    ------
    ResourceError
        If they are not free.
    """
    pixels, energies = prod(stack.image_shape), stack.shape[0]
    copies = 1 + ("tiff" in (*recipe.output.export, *export)) + _puts_maps(stack, target)
    values = copies * _count_maps(recipe) * pixels + (energies * pixels if recipe.output.stack else 0)
    check_disk(4 * values, target)
    return 4 * values


def _puts_maps(stack: EnergyStack, target: Path | None) -> bool:
    """Whether maps are on the disk while they are computed."""
    return target is not None and is_store_name(target) and len(stack.image_shape) > 2


def _count_maps(recipe: Recipe) -> int:
    """Return how many maps the steps make, about; none of those that are not kept."""
    if not recipe.output.maps:
        return sum(STEPS[name].map_count(params) for name, params in recipe.steps)
    of_references = [len(choose_references(p)) for _, p in recipe.steps if isinstance(p, FitParams)]
    return sum(max(of_references, default=1) if kind(one).prefix else 1 for one in recipe.output.maps)
