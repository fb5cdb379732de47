"""What the steps run on a stack, and on those it was made from, have given together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari.layers import Layer

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.histories import merge_histories
from napari_xanes._widgets.layers.layers import lineage, results_of, stack_layers


def result_of(viewer: Any, layer: Layer) -> Result:
    """Return all that is known about a stack and those it was made from, as one result to be saved.

    Raises InputError if no step has been run on it yet.
    """
    line = lineage(viewer, layer)
    found = [result for one in reversed(line) for result in results_of(one).values()]
    if not found:
        raise InputError(f"{layer.name}: no step has been run on it yet; run one, then save.")
    merged: dict[str, Any] = {part: {} for part in ("maps", "info", "labels", "tables", "extra")}
    for result in found:
        for part, values in merged.items():
            values.update(getattr(result, part))
    history = merge_histories([result.history for result in found])
    warnings = tuple(dict.fromkeys(text for result in found for text in result.warnings))
    return replace(found[-1], **merged, history=history, warnings=warnings)


def known_maps(viewer: Any, layer: Layer) -> list[str]:
    """Return the names of the maps that were made of a stack, of those it was made from, and of those made from it."""
    line = lineage(viewer, layer)
    line += [one for one in stack_layers(viewer) if layer in lineage(viewer, one)[1:]]
    return list(
        dict.fromkeys(name for one in line for result in results_of(one).values() for name in result.maps)
    )
