"""Layers to stacks and results, and back: with `masks` the only module that adds or changes layers.

Every layer made here carries in ``metadata``:

``"xanes"``
    A dict that json can write: schema, id, kind, name (of the scan), energy, signal, history, source,
    made_from (the id of the stack it was computed from) and what the kind needs.
``"xanes_stack"``
    Of stacks: the `EnergyStack` itself, because flats, darks and thickness cannot be json.  Its data is the
    layer's own array, never a second copy.
``"xanes_results"``
    Of stacks: the `Result` of each step run on it, with all its maps, those not shown included.
``"xanes_mask"``
    Of layers that are seen through a mask: what it hides; see `masks`.

Layers are found again by these ids, not by name or identity: users rename layers, and napari hands out proxies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
from napari.layers import Image, Layer

from napari_xanes._core.data import kinds
from napari_xanes._core.data.history import History, history_from_json, history_to_json
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._widgets.layers.derived import is_copy, is_still
from napari_xanes._widgets.layers.limits import are_automatic, give_limits, pixels_with_edge
from napari_xanes._widgets.layers.marks import MARKS, NOW, Mark, mark_of, marked, unchanged
from napari_xanes._widgets.layers.masked import MASKED, data_of, mask_entry
from napari_xanes._widgets.layers.on_demand import ask_before_3d, live_meanwhile, live_with, show_in_place
from napari_xanes._widgets.layers.session import add_layer
from napari_xanes._widgets.layers.tuples import (
    SEEN_OVER_MAPS,
    LayerTuple,
    More,
    labels_tuple,
    map_tuple,
    ordered,
    placed_after,
    stack_tuple,
)
from napari_xanes._widgets.layers.undo import one_step
from napari_xanes._widgets.parts.portions import breathe

OUTLINE = 2
"""Width of the outline of particles, px."""

# -- what a layer says of itself ------------------------------------------------------------------


def about(layer: Layer) -> dict[str, Any]:
    """Return what this plugin wrote about a layer; empty for a layer of someone else."""
    said = _written(layer)
    return said if not said or is_still(layer, said) else {}


def _written(layer: Layer) -> dict[str, Any]:
    """Return what is written about a layer, be it true still or not: quick, to look for the one to ask `about`."""
    return layer.metadata.get("xanes") or {}


def stack_layers(viewer: Any) -> Iterator[Layer]:
    """Yield the layers that any step can take, in the order of the layer list.

    A layer that the user duplicated carries the id of the other and is given one of its own here.
    """
    seen = set()
    for layer in viewer.layers:
        if _written(layer).get("kind") == "stack" and isinstance(layer, Image) and (said := about(layer)):
            if said["id"] in seen:
                layer.metadata = {**layer.metadata, "xanes": {**said, "id": uuid4().hex}}
                live_with(layer)
            seen.add(about(layer)["id"])
            yield layer


def history_of(layer: Layer) -> History:
    """Return the steps that made what a layer shows; none of a layer that is not ours."""
    return history_from_json(about(layer).get("history", ()))


def find(viewer: Any, layer_id: str | None) -> Layer | None:
    """Return the layer with an id, or None."""
    if not layer_id:
        return None
    return next((one for one in viewer.layers if _written(one).get("id") == layer_id and about(one)), None)


def lineage(viewer: Any, layer: Layer) -> list[Layer]:
    """Return a stack's layer, the layer it was made from, and so on up to the file."""
    line = [layer]
    while parent := find(viewer, about(line[-1]).get("made_from")):
        line.append(parent)
    return line


def stack_of(layer: Layer) -> EnergyStack:
    """Return the stack that a layer shows, with the flats and darks it came with.

    Data that were replaced in the layer since (cropped, edited) are taken as they are now.
    """
    said, data = about(layer), data_of(layer)
    stack: EnergyStack | None = layer.metadata.get("xanes_stack")
    if stack is None or stack.signal != said["signal"]:
        stack = EnergyStack(
            data,
            np.array(said["energy"]),
            said["signal"],
            pixel_size_um=said.get("pixel_size_um"),
            name=said["name"],
            source=said["source"],
            history=history_of(layer),
        )
    if stack.data is not data:
        stack = stack.replace(data=data)
    masked = mask_entry(layer)
    return stack if masked is None else stack.replace(history=(*stack.history, masked))


def results_of(layer: Layer) -> dict[str, Result]:
    """Return the results of the steps run on a stack, by step, leaving out what an earlier version of it gave."""
    results: Mapping[str, Result] = layer.metadata.get("xanes_results") or {}
    history = history_of(layer)
    return {
        step: results[step] for step in unchanged(layer, results) if _follows(results[step].history, history)
    }


def kept_result(layer: Layer, step: str) -> Result:
    """Return the last result of a step run on a stack, also one of an earlier version of the stack."""
    kept: Result = layer.metadata["xanes_results"][step]
    return kept


def has_old_result(layer: Layer, step: str) -> bool:
    """Whether a step was run on an earlier version of a stack, and not on this one."""
    return step in (layer.metadata.get("xanes_results") or {}) and step not in results_of(layer)


def is_stale(viewer: Any, layer: Layer) -> bool:
    """Whether the stack that a layer was made from has changed since."""
    said = about(layer)
    parent = find(viewer, said.get("made_from"))
    if parent is None:
        return False
    other_data = "made_from_mark" in said and said["made_from_mark"] != mark_of(parent)
    return other_data or not _follows(history_of(layer), history_of(parent))


def _follows(history: History, earlier: History) -> bool:
    head, before = (history_to_json(one) for one in (history[: len(earlier)], earlier))
    return json.dumps(head, sort_keys=True) == json.dumps(before, sort_keys=True)


# -- changing the viewer --------------------------------------------------------------------------


def add_stack(viewer: Any, stack: EnergyStack) -> Layer:
    """Add the layer of a stack that was just opened."""
    return add_layer(viewer, Layer.create(*stack_tuple(stack)))


def put_result(
    viewer: Any,
    parent: Layer,
    step: str,
    result: Result,
    *,
    stack_name: str = "",
    more: More = False,
    mark: Mark | None = NOW,
) -> Layer:
    """Show what a step made of the stack in `parent`; returns the new stack's layer, or `parent`.

    Layers of an earlier run are updated in place.  They keep their colormap, and the limits that the user gave them.
    What was seen of them is seen again; if nothing was, the result is shown.  So is one of a stack that has changed since
    its step began: it is not lost, and `has_old_result` tells that it is out of date.

    Parameters
    ----------
    step : str
        Name of the step; its result is kept with the parent, so that maps not shown can be shown or saved later.
    stack_name : str
        If not empty, the result's stack becomes a layer named "<scan> <stack_name>" and is shown.
    more : bool or tuple of str
        Whether all maps become layers, not only those that are usually looked at; or of which kinds besides these.
    mark : int, optional
        The mark of the data that the step was run on, where it was taken before; else of those that there are now.
    """
    with one_step(viewer, step):
        mark = mark_of(parent) if mark == NOW else mark
        parent.metadata = {**parent.metadata, **marked(parent, step, mark)}
        return _put_result(viewer, parent, step, result, stack_name, more)


def _put_result(viewer: Any, parent: Layer, step: str, result: Result, stack_name: str, more: More) -> Layer:
    kept = {**(parent.metadata.get("xanes_results") or {}), step: replace(result, stack=None)}
    parent.metadata = {**parent.metadata, "xanes_results": kept}
    last, seen = parent, _is_seen(viewer, parent, result, stack_name)
    if stack_name and result.stack is not None:
        title = f"{result.stack.name} {stack_name}".strip()
        where = pixels_with_edge([{step: result}], parent, result.stack.image_shape)
        new = stack_tuple(result.stack, name=title, made_from=about(parent)["id"], where=where)
        new[1].update(geometry_of(parent, 0, result.history))
        new[1]["metadata"]["xanes"]["made_from_mark"] = parent.metadata[MARKS][step]
        ask_before_3d(viewer)
        last = _put(viewer, new, role=stack_name)
        live_with(last)
        if not seen:
            show_only(viewer, last)
    maps = show_maps(viewer, parent, step, more=more)
    if not (seen or maps) and last is parent and (top := _top_map(viewer, parent, result)) is not None:
        show_only(viewer, top)
    show_labels(viewer, parent, step, hidden=bool(maps))
    return last


def _is_seen(viewer: Any, parent: Layer, result: Result, stack_name: str) -> bool:
    """Whether a layer that a step made before is on the screen."""
    roles = [*result.maps, *result.labels, *([stack_name] if stack_name else [])]
    made = [_output(viewer, about(parent)["id"], role) for role in roles]
    return any(one is not None and one.visible for one in made)


def _top_map(viewer: Any, parent: Layer, result: Result) -> Layer | None:
    """Return the layer of a result's map that is to be looked at first, of those there are."""
    made = [_output(viewer, about(parent)["id"], name) for name in ordered(result, list(result.maps))]
    return next((one for one in reversed(made) if one is not None), None)


def show_maps(viewer: Any, parent: Layer, step: str, *, more: More = False) -> list[Layer]:
    """Make or update the layers of a step's maps; hidden ones below, the one to look at first on top."""
    result, parent_id = kept_result(parent, step), about(parent)["id"]
    wanted = [
        name
        for name, info in result.info.items()
        if more is True
        or info["kind"] in (more or ())
        or kinds.kind(info["kind"]).shown
        or _output(viewer, parent_id, name) is not None
    ]
    made = [one for one in viewer.layers if about(one).get("made_from") == parent_id]
    mine = [one for one in made if about(one).get("map")]
    bottom = min((viewer.layers.index(layer) for layer in mine), default=None)
    first = not any(about(layer)["map"] in result.maps for layer in mine)
    new = []
    known = [{step: result}, *map(results_of, lineage(viewer, parent))]
    where = pixels_with_edge(known, parent, np.shape(next(iter(result.maps.values()), ())))
    geometry = geometry_of(parent, 1, result.history)
    names = ordered(result, wanted)
    for name in names:
        fresh = _output(viewer, parent_id, name) is None
        shown = map_tuple(name, result, geometry=geometry, made_from=parent_id, where=where)
        layer = _put(viewer, shown, role=name, visible=first and name == names[-1])
        if fresh:
            new.append(layer)
    if not new:
        return new
    if first:
        show_only(viewer, new[-1])
    else:  # further maps of a result that is shown already: below it, without covering it
        for layer in new:
            viewer.layers.move(viewer.layers.index(layer), bottom)
        viewer.layers.selection.active = mine[-1]
    return new


def show_labels(viewer: Any, parent: Layer, step: str, *, hidden: bool = False) -> list[Layer]:
    """Make or update the Labels layers of a step: new clusters are shown alone, or hidden."""
    result, parent_id = kept_result(parent, step), about(parent)["id"]
    layers = []
    for name in result.labels:
        fresh = _output(viewer, parent_id, name) is None
        made = labels_tuple(
            name, result, geometry=geometry_of(parent, 1, result.history), made_from=parent_id
        )
        kind = made[1]["metadata"]["xanes"]["kind"]
        layer = _put(viewer, made, role=name, visible=kind == "particles" or not hidden)
        if fresh and kind == "particles":
            layer.contour = OUTLINE
        elif fresh and not hidden and kind not in SEEN_OVER_MAPS:
            show_only(viewer, layer)
        layers.append(layer)
    return layers


def show_only(viewer: Any, top: Layer) -> None:
    """Hide our other layers: invalid pixels of a map are transparent and would show what lies under it."""
    for layer in list(viewer.layers):
        before = layer.visible
        if about(layer) and about(layer)["id"] == about(top)["id"]:
            show_in_place(viewer, layer)
        elif about(layer) and before:
            layer.visible = False
        if layer.visible is not before:
            breathe()


def geometry_of(parent: Layer, skip: int, history: History = ()) -> dict[str, Any]:
    """Return where what was made of a stack lies, without the first `skip` axes; cropped and binned, if so."""
    where = {key: getattr(parent, key) for key in ("scale", "translate", "units", "axis_labels")}
    before = history_of(parent)
    steps = history[len(before) :] if _follows(history, before) else ()
    return placed_after(where, steps, skip=skip, energy_first=about(parent).get("kind") == "stack")


def _output(viewer: Any, made_from: str, role: str) -> Layer | None:
    for layer in viewer.layers:
        said = _written(layer)
        named = said.get("made_from") == made_from and said.get("role", said.get("map")) == role
        if named and not is_copy(layer) and about(layer):
            return layer
    return None


def _put(viewer: Any, made: LayerTuple, role: str, *, visible: bool = True) -> Layer:
    """Make a layer, or renew the one that has its role: what that shows and where, not whether it is visible."""
    data, kw, kind = made
    said = kw["metadata"]["xanes"]
    said["role"] = role
    live_meanwhile(data)
    breathe()
    old = _output(viewer, said["made_from"], role)
    if old is None:
        new = add_layer(viewer, Layer.create(data, kw, kind))
        if not visible:  # not from the start: the layer list would have no small picture of it
            new.visible = False
        return new
    said["id"] = about(old)["id"]
    renewed = kind == "image" and are_automatic(old)
    kw["metadata"].pop("xanes_results", None)  # those of the old layer stay as long as their history fits
    old.data = data
    if "features" in kw:
        old.features = kw["features"]
    old.metadata = {**{k: v for k, v in old.metadata.items() if k != MASKED}, **kw["metadata"]}
    for key in ("scale", "translate", "units", "axis_labels"):
        setattr(old, key, kw[key])
    if renewed:
        give_limits(old, kw["contrast_limits"])
    return old
