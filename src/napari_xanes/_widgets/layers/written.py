"""Layers that napari hands to a writer, as one result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.history import history_from_json
from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.histories import merge_histories
from napari_xanes._widgets.layers.kept import with_drawn, with_mask
from napari_xanes._widgets.layers.masked import MASKED
from napari_xanes._widgets.layers.tuples import LayerTuple

INSTEAD = "they are made again from the scan by the recipe in the result (History...)"


def result_from_tuples(tuples: Sequence[LayerTuple]) -> Result:
    """Return the result that map layers were made from, for a writer that sees only the layers given.

    Regions, pins and painted labels among them come along; stacks do not.  Raises InputError if they hold no map of this
    plugin, or maps of several scans.
    """
    found = [_unmasked(one) for one in tuples if _is(one, "map") or _is(one, "labels")]
    if not found:
        stacks = "stacks are not saved, " + INSTEAD + "; " if stacks_among(tuples) else ""
        raise InputError(
            f"none of these layers is a XANES map; {stacks}run Normalise or Fit, and save their layers."
        )
    scans = {json.dumps(said["source"], sort_keys=True) + said["name"] for _, said in found}
    if len(scans) > 1:
        raise InputError(
            f"these layers come from {len(scans)} scans; select those of one scan and save again."
        )
    said = max((said for _, said in found), key=lambda said: len(said["history"]))
    maps = {one["map"]: (data, one) for data, one in found if one.get("map")}
    result = Result(
        maps={name: np.asarray(data) for name, (data, _) in maps.items()},
        info={
            name: {key: one[key] for key in ("kind", "unit", "reference")} for name, (_, one) in maps.items()
        },
        labels={one["labels"]: np.asarray(data) for data, one in found if one.get("labels")},
        energy=np.array(said["energy"]),
        history=merge_histories([history_from_json(one["history"]) for _, one in found]),
        source=said["source"],
        pixel_size_um=said["pixel_size_um"],
        name=said["name"],
    )
    masks = [(kw["metadata"], _kept(data, kw).get("inside")) for data, kw, _ in tuples if kw.get("metadata")]
    others = [
        Layer.create(*one) for one in tuples if not _said(one) and one[2] in ("shapes", "points", "labels")
    ]
    return with_drawn(with_mask(result, masks), others)


def stacks_among(tuples: Sequence[LayerTuple]) -> list[str]:
    """Return the names of the layers that are stacks, which a result file does not hold."""
    return [str(one[1]["name"]) for one in tuples if _said(one).get("kind") == "stack"]


def _unmasked(made: LayerTuple) -> tuple[Any, dict[str, Any]]:
    """Return the data of a map without the mask that it is seen through, and what is written about it."""
    data, kw, _ = made
    kept, said = _kept(data, kw), _said(made)
    return (kept["original"], {**said, "history": kept["history"]}) if kept else (data, said)


def _kept(data: Any, kw: Mapping[str, Any]) -> dict[str, Any]:
    kept = kw.get("metadata", {}).get(MASKED)
    return kept if kept and kept["shown"] is data else {}


def _said(made: LayerTuple) -> dict[str, Any]:
    return made[1].get("metadata", {}).get("xanes") or {}


def _is(made: LayerTuple, what: str) -> bool:
    return bool(_said(made).get(what))
