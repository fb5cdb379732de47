"""Masks painted by hand, in recipes: each is saved as a picture beside the recipe, which names it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError, XanesError
from napari_xanes._core.base.params import Params
from napari_xanes._core.data.history import Entry
from napari_xanes._core.io.mask_file import read_mask, write_mask
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.regions.mask import MaskParams
from napari_xanes._widgets.layers.layers import stack_layers
from napari_xanes._widgets.layers.masked import MASKED, MaskedStack, data_of
from napari_xanes._widgets.layers.seen_labels import labels_on

Steps = list[tuple[str, Params]]


def save_recipe(viewer: Any, recipe: Recipe, history: Sequence[Entry | None], path: str | Path) -> list[Path]:
    """Write a recipe, and the painted masks among its steps beside it; returns the files of the masks.

    See `with_masks`.
    """
    recipe, masks = with_masks(viewer, recipe, history, path)
    recipe.save(path)
    return masks


def with_masks(
    viewer: Any, recipe: Recipe, history: Sequence[Entry | None], path: str | Path
) -> tuple[Recipe, list[Path]]:
    """Write the painted masks of a recipe beside where it is to be; returns it with their names, and the files.

    Parameters
    ----------
    history : sequence of Entry or None
        How each step of the recipe was carried out, if it was.

    Raises InputError if a painted mask is not there any more.
    """
    path = Path(path)
    masks: dict[Path, NDArray[np.bool_]] = {}
    steps: Steps = []
    for (name, params), entry in zip(recipe.steps, history, strict=True):
        if isinstance(params, MaskParams) and entry is not None and entry.facts.get("painted"):
            mask = _painted(viewer, params.of, entry.facts["pixels_inside"])
            file = _free_name(path, mask, masks)
            masks[file] = mask
            params = MaskParams(file=file.name, combine=params.combine, apply=params.apply)
        steps.append((name, params))
    for file, mask in masks.items():
        if (
            not file.exists()
        ):  # else it holds the same, and results made with it stay those of an unchanged file
            write_mask(file, mask)
    return Recipe(tuple(steps), recipe.input, recipe.output), list(masks)


def _free_name(path: Path, mask: NDArray[np.bool_], taken: Collection[Path]) -> Path:
    """Return the first name for a mask beside a recipe where nothing else stands: never another picture's."""
    for number in count(1):
        file = path.with_name(f"{path.stem}_mask{f'_{number}' if number > 1 else ''}.tif")
        if file not in taken and (not file.exists() or _holds(file, mask)):
            return file
    raise AssertionError("numbers do not end")


def _holds(file: Path, mask: NDArray[np.bool_]) -> bool:
    try:
        return np.array_equal(read_mask(file) != 0, mask)
    except XanesError:
        return False


def _painted(viewer: Any, name: str, pixels: int) -> NDArray[np.bool_]:
    """Return the mask of a layer's name as it was when it was applied."""
    for layer in viewer.layers:
        kept, data = layer.metadata.get(MASKED), data_of(layer)
        if kept and isinstance(data, MaskedStack) and kept["entry"]["params"].get("of") == name:
            return data.inside
    for layer in viewer.layers:
        if isinstance(layer, Labels) and layer.name == name:
            for stack in stack_layers(viewer):
                inside: NDArray[np.bool_] = labels_on(layer, stack) != 0
                if inside.sum() == pixels:
                    return inside
    raise InputError(
        f"the mask '{name}', painted by hand, was changed or removed since it was used; apply it again, run what "
        "follows, and save then."
    )
