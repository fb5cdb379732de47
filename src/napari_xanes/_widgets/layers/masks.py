"""Masks on layers: made beside the map they come from, applied to the layers of a scan, and taken off again.

What a mask hides stays with its layer, so a layer that is removed takes it along, and a second mask takes the
place of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.history import Entry, last_entry
from napari_xanes._core.data.result import Result
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.recipe.histories import merge_histories
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.regions.mask import MaskParams
from napari_xanes._core.regions.masks import apply_mask, as_mask
from napari_xanes._widgets.layers.label_colors import mask_colors
from napari_xanes._widgets.layers.layers import (
    about,
    find,
    geometry_of,
    history_of,
    put_result,
    show_labels,
    show_only,
)
from napari_xanes._widgets.layers.masked import MASKED, MaskedStack, data_of
from napari_xanes._widgets.layers.names import PREVIEW
from napari_xanes._widgets.layers.on_demand import live_meanwhile, live_with
from napari_xanes._widgets.layers.seen_labels import image_shape, is_collapsed, labels_on
from napari_xanes._widgets.layers.session import add_layer
from napari_xanes._widgets.layers.tuples import labels_tuple
from napari_xanes._widgets.layers.undo import one_step, remove_layers
from napari_xanes._widgets.parts.portions import breathe

PREVIEW_NAME = "mask preview"
OWNER = "masks"


def map_layers(viewer: Any) -> list[Layer]:
    """Return the layers that can be thresholded, as the layer list shows them."""
    return [one for one in reversed(viewer.layers) if isinstance(one, Image) and about(one).get("map")]


def mask_layers(viewer: Any) -> list[Layer]:
    """Return the layers that can be masks, as the layer list shows them: those made or painted as masks first."""
    labels = [
        one for one in reversed(viewer.layers) if isinstance(one, Labels) and PREVIEW not in one.metadata
    ]
    return sorted(labels, key=lambda one: not meant_as_mask(one))


def meant_as_mask(layer: Layer) -> bool:
    """Whether labels are a mask, or painted by someone: not clusters, combinations of references or particles."""
    return bool(about(layer).get("kind", "mask") == "mask")


def original(layer: Layer) -> Any:
    """Return a layer's data as they are without a mask."""
    kept = layer.metadata.get(MASKED)
    return kept["original"] if kept and kept["shown"] is data_of(layer) else data_of(layer)


# -- a mask that is being made --------------------------------------------------------------------


def show_preview(viewer: Any, like: Layer, mask: NDArray[np.bool_], owner: str = OWNER) -> None:
    """Show a mask over the map or stack that it is made from; it is no result yet.  Each owner has one."""
    old = next((one for one in viewer.layers if one.metadata.get(PREVIEW) == owner), None)
    if old is not None and old.data.shape == mask.shape:
        old.data = mask.astype(np.uint8)
        return
    hide_preview(viewer, owner)
    keys = ("scale", "translate", "units", "axis_labels")
    geometry = {key: tuple(getattr(like, key))[-mask.ndim :] for key in keys}
    shown = {"name": PREVIEW_NAME, "opacity": 0.5, "colormap": mask_colors(), "metadata": {PREVIEW: owner}}
    active = viewer.layers.selection.active
    add_layer(viewer, Labels(mask.astype(np.uint8), **shown, **geometry))
    if active is not None:
        viewer.layers.selection.active = active
    show_only(viewer, like)


def hide_preview(viewer: Any, owner: str = OWNER) -> None:
    """Take the preview of an owner away, if there is one."""
    remove_layers(viewer, [one for one in viewer.layers if one.metadata.get(PREVIEW) == owner])


def keep_mask(
    viewer: Any,
    like: Layer,
    mask: NDArray[np.bool_],
    params: MaskParams,
    other: Layer | None,
    against: Layer | None = None,
) -> Layer:
    """Add or update the mask of a map's stack; its preview, if it is shown, becomes the layer.

    `other` is the layer that it was combined with, `against` a second map that it was made from.
    """
    said = about(like)
    facts: dict[str, Any] = {"pixels_inside": int(mask.sum())}
    histories = [history_of(one) for one in (like, against) if one is not None]
    if other is not None:
        facts["combined_with"] = other.name
        histories.append(history_of(other))
    entry = Entry("mask", params.model_dump(mode="json", exclude_none=True), facts)
    result = Result(
        maps={},
        info={},
        labels={"mask": mask.astype(np.uint8)},
        energy=np.array(said["energy"]),
        history=(*merge_histories(histories), entry),
        source=said["source"],
        pixel_size_um=said["pixel_size_um"],
        name=said["name"],
    )
    with one_step(viewer, "mask"):
        _keep_preview(viewer, like, result)
        made = _put_labels(viewer, like, "mask", result)
    hide_preview(viewer)
    return made


def _put_labels(viewer: Any, like: Layer, name: str, result: Result) -> Layer:
    """Show labels that were made from the map in `like`, with the stack of this map if it is there."""
    parent = find(viewer, about(like)["made_from"])
    if parent is not None:
        put_result(viewer, parent, name, result)
        return show_labels(viewer, parent, name)[-1]
    return add_layer(viewer, Layer.create(*labels_tuple(name, result, geometry=geometry_of(like, 0))))


def _keep_preview(viewer: Any, like: Layer, result: Result) -> None:
    """Make the layer of the preview that of the mask, where there is none yet: a layer is not removed to be added again."""
    shown = next((one for one in viewer.layers if one.metadata.get(PREVIEW) == OWNER), None)
    parent = find(viewer, about(like)["made_from"])
    there = [about(one) for one in viewer.layers if about(one).get("labels") == "mask"]
    if shown is None or parent is None or about(parent)["id"] in [one["made_from"] for one in there]:
        return
    if shown.data.shape != result.labels["mask"].shape:  # of a map of another shape
        return
    _, kw, _ = labels_tuple("mask", result, made_from=about(parent)["id"])
    kw["metadata"]["xanes"]["role"] = "mask"
    shown.metadata, shown.name = kw["metadata"], kw["name"]
    viewer.layers.move(viewer.layers.index(shown), len(viewer.layers))
    viewer.layers.selection.active = shown


# -- a mask that is applied -----------------------------------------------------------------------


@dataclass(frozen=True)
class Applied:
    """To how many layers a mask was applied, and how many of the scan show the sample at another place.

    What is `collapsed` was painted at single energies and counts at all.
    """

    layers: int
    elsewhere: int
    collapsed: bool = False


def apply_to_all(viewer: Any, mask: Layer, stack: Layer | None) -> Applied:
    """Make what lies outside a mask NaN in all layers of its scan, or of the chosen stack if it was painted.

    Layers from before the alignment are left alone, since the sample is at another place there.
    Raises InputError if the mask is empty, or fits no layer.
    """
    if not as_mask(mask.data).any():
        raise InputError(
            f"the mask '{mask.name}' is empty, so nothing would be left; paint or make it first."
        )
    said = about(mask) or (about(stack) if stack is not None else {})
    if not said:
        raise InputError("there is no stack to apply the mask to; open a scan first.")
    scan = [
        one for one in viewer.layers if _can_be_masked(one) and about(one).get("source") == said["source"]
    ]
    place = place_of(mask if about(mask) or stack is None else stack)
    there = [(one, labels_on(mask, one) != 0) for one in scan if place_of(one) == place]
    fellows = [(one, inside) for one, inside in there if inside.shape == image_shape(one) and inside.any()]
    if not fellows:
        raise InputError(
            f"the mask '{mask.name}' of shape {tuple(mask.data.shape)} lies over no layer of '{said['name']}'; "
            "make it from one of its maps, or paint one with Paint a new mask."
        )
    with one_step(viewer, "apply mask"):
        for layer, inside in fellows:
            _apply(layer, inside, _entry(mask, inside))
            breathe()
        mask.visible = False  # what is inside is seen better without it
    return Applied(len(fellows), len(scan) - len(fellows), is_collapsed(mask, fellows[0][0]))


def remove_from_all(viewer: Any) -> int:
    """Give all layers back what they were before a mask was applied; returns how many had one."""
    masked = [layer for layer in viewer.layers if MASKED in layer.metadata]
    if masked:
        with one_step(viewer, "remove mask"):
            for layer in masked:
                _restore(layer)
                breathe()
    return len(masked)


def computed_under_mask(viewer: Any) -> int:
    """Return how many layers were computed from masked ones, and so have nothing to be given back."""
    return sum(
        any(entry.step == "mask" and entry.params.get("apply") for entry in history_of(layer))
        for layer in viewer.layers
        if _can_be_masked(layer) and MASKED not in layer.metadata
    )


def _can_be_masked(layer: Layer) -> bool:
    return bool(about(layer)) and about(layer)["kind"] != "mask"


def place_of(layer: Layer) -> list[Any]:
    """Return by which steps the sample of a layer was moved."""
    return [entry.params for entry in history_of(layer) if STEPS[entry.step].moves_pixels]


def _entry(mask: Layer, inside: NDArray[np.bool_]) -> Entry:
    """Return what the history says of a mask that is applied; a painted one is known by its layer's name."""
    made = last_entry(history_of(mask), "mask")
    if made and about(mask)["kind"] == "mask" and made.facts["pixels_inside"] == inside.sum():
        return replace(made, params={**made.params, "apply": True})
    params = MaskParams(of=mask.name).model_dump(mode="json", exclude_none=True)
    return Entry("mask", params, {"pixels_inside": int(inside.sum()), "painted": True})


def _apply(layer: Layer, inside: NDArray[np.bool_], entry: Entry) -> None:
    _restore(layer)
    data, said = data_of(layer), about(layer)
    stack = said["kind"] == "stack"
    if stack:
        computed = isinstance(data, ComputedStack)
        masked = data.masked(inside) if computed else MaskedStack(data, inside)
        live_meanwhile(masked)
        layer.data = masked
        live_with(layer)
    elif isinstance(layer, Labels):
        layer.data = np.where(inside, data, 0).astype(data.dtype)
    else:
        layer.data = apply_mask(data, inside)
    kept = {
        "inside": inside,
        "original": data,
        "shown": data_of(layer),
        "entry": entry.to_json(),
        "history": said["history"],
    }
    history = said["history"] if stack else [*said["history"], entry.to_json()]
    layer.metadata = {**layer.metadata, "xanes": {**said, "history": history}, MASKED: kept}


def _restore(layer: Layer) -> None:
    """Take a mask off; data that were put into the layer since are left as they are."""
    kept = layer.metadata.get(MASKED)
    if kept is None:
        return
    if kept["shown"] is data_of(layer):
        layer.data = kept["original"]
    said = {**about(layer), "history": kept["history"]}
    layer.metadata = {**{k: v for k, v in layer.metadata.items() if k != MASKED}, "xanes": said}
