"""What a job will take: memory while it runs, and room on the disk; what cannot fit is refused before any work."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from napari_xanes._core.align.copies import rows_at_once
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.base.errors import ResourceError
from napari_xanes._core.base.files import bytes_on_disk, can_link, check_disk
from napari_xanes._core.base.memory import free_memory
from napari_xanes._core.base.params import Params
from napari_xanes._core.data.kinds import kind
from napari_xanes._core.data.stack import EnergyStack, pieces
from napari_xanes._core.engine.blocks import default_workers
from napari_xanes._core.engine.slabs import working_bytes
from napari_xanes._core.fit.fit import FitParams, choose_references
from napari_xanes._core.prepare.crop import BinParams, CropParams
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.map_store import begun_folder
from napari_xanes._core.runs.result_file import is_store_name
from napari_xanes._core.runs.result_zarr import COARSE, COARSER
from napari_xanes._core.runs.unpack import check_scratch, held_bytes, is_awkward, scratch_bytes

OF_A_JOB = 0.9
"""Of the memory that is free, for one job."""
AND_MORE = 128 * 2**20
"""Bytes of libraries that are loaded while a job runs, of what is written at once, and of small arrays."""
OF_TWO = ("amount", "amount_sigma")
"""Kinds of maps that are made of others when the result is written."""
IF_ASKED_FOR = ("coefficient", "rms", "r_factor", *OF_TWO)
"""Kinds of maps, besides errors, that a fit leaves out where nobody asks for them."""


@dataclass(frozen=True)
class Needs:
    """Bytes that a job takes about: of memory, of disk for its result and exports, and of a scratch file."""

    memory: int
    disk: int
    scratch: int
    how: str
    """How the scan is read, in words."""

    def sentence(self) -> str:
        """Return it in words."""
        scratch = f" and {size_text(self.scratch)} of scratch" if self.scratch else ""
        return f"{self.how}, about {size_text(self.memory)} of memory and {size_text(self.disk)} of disk{scratch}"


def needs_of(
    recipe: Recipe,
    stack: EnergyStack,
    target: Path,
    export: Sequence[str] = (),
    workers: int | None = None,
) -> Needs:
    """Return about what a job takes.

    Raises
    ------
    ResourceError
        If it is not free; the sentence names what would need less.
    """
    scratch = 0 if recipe.output.stack else scratch_bytes(stack, recipe.steps)
    check_scratch(stack, scratch)
    if recipe.output.stack:
        how = "kept in memory"
    elif scratch:
        how = "unpacked into a scratch file"
    else:
        how = "unpacked into memory" if held_bytes(stack) else "read in bands of rows"
    memory = memory_needed(recipe, stack, workers, target)
    _check_memory(memory, recipe, stack, target, workers)
    return Needs(memory, disk_needed(recipe, stack, target, export), scratch, how)


def _check_memory(needed: int, recipe: Recipe, stack: EnergyStack, target: Path, workers: int | None) -> None:
    """Refuse what does not fit, and name the setting with which it would."""
    free = free_memory()
    if needed <= OF_A_JOB * free:
        return
    less = {"one thread (--workers 1)": memory_needed(recipe, stack, 1, target)}
    if recipe.output.stack:
        less = {"stack = false in [output]": memory_needed(_without_stack(recipe), stack, workers, target)}
    way = next((f"{way} needs {size_text(n)}" for way, n in less.items() if n <= OF_A_JOB * free), None)
    raise ResourceError(
        f"{stack.name} {stack.shape} needs {size_text(needed)} of memory, {size_text(free)} are free, of which "
        f"{size_text(int(OF_A_JOB * free))} may be taken; "
        f"{way or 'crop or bin it before (steps crop and bin), or use a machine with more memory'}."
    )


def _without_stack(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, output=recipe.output.model_copy(update={"stack": False}))


def size_text(n_bytes: int) -> str:
    """Return a number of bytes in words."""
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"


def memory_needed(
    recipe: Recipe, stack: EnergyStack, workers: int | None = None, target: Path | None = None
) -> int:
    """Return about how many bytes of memory a job takes, besides what the program takes already.

    Maps of volumes that go into a file, the `target`, are not held.
    """
    energies, *image_shape = shape_after(recipe.steps, stack)
    pixels = prod(image_shape)
    if recipe.output.stack:
        held = 4 * pixels * energies
    else:
        held = held_bytes(stack)
        held += working_bytes(_unpacked(stack) if is_awkward(stack.data) else stack, workers)
        rows = max(
            (_rows_looked_at(p, stack) for _, p in recipe.steps if isinstance(p, AlignParams)), default=0
        )
        row = (4 + np.dtype(stack.data.dtype).itemsize) * prod(stack.image_shape[1:])
        held += (workers or default_workers()) * rows * row
    return AND_MORE + held + (0 if _puts_maps(stack, target) else 4 * _count_maps(recipe) * pixels)


def _rows_looked_at(params: AlignParams, stack: EnergyStack) -> int:
    """Return how many rows of a frame are held while its drift is measured."""
    by_rows = params.mask is None and params.on == "values" and not params.magnification and stack.cheap_rows
    return rows_at_once(stack.image_shape, pieces(stack.data)[1]) if by_rows else stack.image_shape[0]


def _unpacked(stack: EnergyStack) -> EnergyStack:
    """Return a stack of the same shape whose rows are read quickly, and which takes no memory."""
    return stack.replace(data=np.broadcast_to(np.zeros((), stack.data.dtype), stack.shape))


def shape_after(steps: Sequence[tuple[str, Params]], stack: EnergyStack) -> tuple[int, ...]:
    """Return the shape of what the steps leave of a stack (E, ...), as far as it is known before they are carried out."""
    energy, shape = stack.energy, stack.image_shape
    for _, params in steps:
        if isinstance(params, CropParams):
            if params.energy_range is not None:
                energy = energy[(energy >= params.energy_range[0]) & (energy <= params.energy_range[1])]
            if params.roi is not None:
                y0, y1, x0, x1 = params.roi
                shape = (*shape[:-2], max(0, min(y1, shape[-2]) - y0), max(0, min(x1, shape[-1]) - x0))
        elif isinstance(params, BinParams):
            shape = tuple(n // params.factor for n in shape)
    return (energy.size, *shape)


def disk_needed(recipe: Recipe, stack: EnergyStack, target: Path, export: Sequence[str] = ()) -> int:
    """Return about how many bytes the result of a scan and its exports will take on the disk.

    Raises
    ------
    ResourceError
        If they are not free, besides what a run that was ended has left, which is gone on with or removed.
    """
    energies, *image_shape = shape_after(recipe.steps, stack)
    pixels = prod(image_shape)
    copies: float = 1 + ("tiff" in (*recipe.output.export, *export))
    if is_store_name(target) and max(image_shape, default=0) > COARSE.get(len(image_shape), 2**62):
        copies += COARSER
    maps = copies * _count_maps(recipe) + (_count_beside(recipe, target) if _puts_maps(stack, target) else 0)
    needed = int(4 * pixels * (maps + (energies if recipe.output.stack else 0)))
    check_disk(needed - bytes_on_disk(begun_folder(target)), target)
    return needed


def _puts_maps(stack: EnergyStack, target: Path | None) -> bool:
    """Whether maps are on the disk while they are computed."""
    return target is not None and len(stack.image_shape) > 2


def _count_maps(recipe: Recipe) -> int:
    """Return how many maps the steps make, about; none of those that are not kept."""
    if not recipe.output.maps:
        return sum(STEPS[name].map_count(params) for name, params in recipe.steps)
    return _count_kinds(recipe, recipe.output.maps)


def _count_beside(recipe: Recipe, target: Path) -> int:
    """Return how many maps of volumes are on the disk beside the result, about, while it is made.

    Those that a store holds itself it has by links, unless a mask changes all of them.
    """
    masked = any(name == "mask" for name, _ in recipe.steps)
    linked = is_store_name(target) and not masked and can_link(target)
    if not recipe.output.maps:
        return 0 if linked else _count_maps(recipe)
    makes = {kind for name, _ in recipe.steps for kind in STEPS[name].makes if not kind.endswith("sigma")}
    always, asked = makes - {*IF_ASKED_FOR}, {*recipe.output.maps}
    return _count_kinds(recipe, always - asked if linked else always | asked - {*OF_TWO})


def _count_kinds(recipe: Recipe, kinds: Collection[str]) -> int:
    """Return how many maps of some kinds the steps make, about."""
    of_references = [len(choose_references(p)) for _, p in recipe.steps if isinstance(p, FitParams)]
    return sum(max(of_references, default=1) if kind(one).prefix else 1 for one in kinds)
