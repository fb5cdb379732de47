"""Masks painted by hand, in recipes: each is saved as a picture beside the recipe, which names it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params
from napari_xanes._core.data.history import Entry
from napari_xanes._core.io.mask_file import write_mask
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.regions.mask import MaskParams
from napari_xanes._widgets.layers.layers import stack_layers
from napari_xanes._widgets.layers.masked import MASKED, MaskedStack, data_of
from napari_xanes._widgets.layers.seen_labels import labels_on

Steps = list[tuple[str, Params]]


def save_recipe(viewer: Any, recipe: Recipe, history: Sequence[Entry | None], path: str | Path) -> list[Path]:
    """Write a recipe, and the painted masks among its steps beside it; returns the files of the masks.

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
            number = f"_{len(masks) + 1}" if masks else ""
            file = path.with_name(f"{path.stem}_mask{number}.tif")
            masks[file] = _painted(viewer, params.of, entry.facts["pixels_inside"])
            params = MaskParams(file=file.name, combine=params.combine, apply=params.apply)
        steps.append((name, params))
    for file, mask in masks.items():
        write_mask(file, mask)
    Recipe(tuple(steps), recipe.input, recipe.output).save(path)
    return list(masks)


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
