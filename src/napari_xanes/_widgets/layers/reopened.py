"""The layers of a result that is opened again: its scan, from where it is, and what was found, as if it had been run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.data import kinds
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import SIGNAL_WORDS, EnergyStack
from napari_xanes._core.draw.limits import with_edge
from napari_xanes._core.io import read_stack
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._widgets.layers.kept import drawn_tuples, mask_of, moved, painted_names, seen_through
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.masked import MASKED, MaskedStack
from napari_xanes._widgets.layers.tuples import (
    LayerTuple,
    labels_tuple,
    map_tuple,
    ordered,
    placed_after,
    stack_tuple,
)

KEY = "recipe"
"""Under which the stack of a result keeps it."""
PROCESSED = "processed"
ALONE = "xanes_alone"
"""Under which maps whose scan is not there keep their result, and say why."""


def result_tuples(result: Result) -> list[LayerTuple]:
    """Return the layers of a whole result: its scan where that is still as it was, the stack if it was kept, labels, maps.

    Without a scan the maps themselves keep the result, and say why there is none.
    """
    scan, why = _scan_of(result)
    tuples: list[LayerTuple] = []
    parent: str | None = None
    if scan is not None:
        tuples.append(_seen_scan(scan, result))
        parent = _id(tuples[0])
    if result.stack is not None:
        title = f"{result.name} {SIGNAL_WORDS[result.stack.signal]}"
        step = result.maps.get("edge_step")
        where = None if step is None else with_edge(step)
        kept = stack_tuple(result.stack, name=title, made_from=parent, where=where)
        kept[1]["metadata"]["xanes"]["role"] = PROCESSED
        tuples.append(kept)
        parent = parent or _id(kept)
    if tuples:
        tuples[0][1]["metadata"]["xanes_results"] = {KEY: replace(result, stack=None)}
    first = len(tuples)
    tuples += _found(result, parent, None if scan is None else tuples[0][1])
    if not first:
        for _, kw, _ in tuples:
            kw["metadata"][ALONE] = {"result": result, "why": why}
    for _, kw, _ in tuples[:-1]:
        kw["visible"] = False
    return tuples + drawn_tuples(result)


def _id(made: LayerTuple) -> str:
    return str(made[1]["metadata"]["xanes"]["id"])


def _found(result: Result, parent: str | None, scan: Mapping[str, Any] | None) -> list[LayerTuple]:
    """Return the layers of labels and maps, where they lie on the scan."""
    where: dict[str, Any] = {"made_from": parent}
    if scan is not None:
        whole = {key: scan[key] for key in ("scale", "translate", "units", "axis_labels")}
        where["geometry"] = placed_after(whole, result.history, skip=1)
    painted = painted_names(result)
    made = [labels_tuple(name, result, **where) for name in result.labels if name not in painted]
    shown = [name for name, info in result.info.items() if kinds.kind(info["kind"]).shown]
    made += [map_tuple(name, result, **where) for name in ordered(result, shown or list(result.maps))]
    return [seen_through(one, result) for one in made]


def _seen_scan(scan: EnergyStack, result: Result) -> LayerTuple:
    """Return the layer of the scan, seen through the mask of the result where the sample lies as in its maps."""
    data, kw, kind = stack_tuple(scan)
    kw["translate"] = (0.0,) * len(kw["scale"])
    inside = mask_of(result)
    if inside is None or moved(result.history) or inside.shape != scan.image_shape:
        return data, kw, kind
    shown = MaskedStack(scan.data, inside)
    history = kw["metadata"]["xanes"]["history"]
    kept = {"inside": inside, "original": data, "shown": shown, "entry": result.extra["seen_through"]}
    return shown, {**kw, "metadata": {**kw["metadata"], MASKED: {**kept, "history": history}}}, kind


def _scan_of(result: Result) -> tuple[EnergyStack | None, str]:
    """Return the scan that a result was made of, if it is still there as it was; else why it is not."""
    path = result.source.get("path")
    if not path:
        return None, "its scan was made in memory"
    files = [path] if isinstance(path, str) else list(path)
    shown = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    if missing := [one for one in files if not Path(one).exists()]:
        return None, f"its scan is not at {missing[0]} any more"
    if "combined" in result.source:
        return None, f"its scan was put together from several, of which the first is {shown}"
    try:
        scan = read_stack(path, **Recipe.of(_unmade(result)).input.model_dump())
    except XanesError as error:
        return None, f"its scan {shown} cannot be read any more ({str(error).rstrip('.')})"
    known = ("size", "modified")
    if any(result.source.get(key) not in (None, scan.source.get(key)) for key in known):
        return None, f"its scan {shown} was changed since"
    if scan.energy.size < result.energy.size:
        return None, f"its scan {shown} has other energies now"
    return scan.replace(name=result.name, source=result.source), ""


def _unmade(result: Result) -> Result:
    """Return a result without its steps, which may be of another version."""
    return replace(result, history=())


# -- results without their scan -------------------------------------------------------------------


def alone(viewer: Any) -> tuple[Result, str] | None:
    """Return the result that the chosen layer, else the topmost, was opened with, if its scan is not there, and why."""
    active = viewer.layers.selection.active
    for layer in ([] if active is None else [active]) + list(reversed(viewer.layers)):
        kept = layer.metadata.get(ALONE)
        if kept and about(layer):
            return kept["result"], kept["why"]
    return None


def no_stack_text(viewer: Any) -> str:
    """Say why there is no stack to work on."""
    return alone_text(viewer) or "There is no stack yet: open a scan."


def alone_text(viewer: Any) -> str:
    """Say why a result that is shown has no stack, and what can be done; empty if there is none such."""
    found = alone(viewer)
    if found is None:
        return ""
    result, why = found
    return (
        f"The maps of '{result.name}' can be looked at, saved and exported; {why}. Put it back and open the result "
        "again, or open the scan where it is now, to run steps."
    )
