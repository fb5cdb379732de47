"""What a result file keeps of the window: regions and pins drawn by hand, painted labels, and the mask that maps are seen through.

All of it stands in the ``extra`` of a result, painted labels among its labels, so that a result that is opened again
shows what was shown when it was saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Labels, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_xanes._core.data.history import Entry
from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.regions.masks import apply_mask
from napari_xanes._widgets.layers.layers import about, lineage
from napari_xanes._widgets.layers.masked import MASKED, applied_mask
from napari_xanes._widgets.layers.names import PREVIEW
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.layers.tuples import LayerTuple

DRAWN = "drawn"
"""Under which a result's ``extra`` has the layers that were drawn, as json can write them."""
MASK, MASK_STEP = "seen_through_mask", "seen_through"
"""Under which it has the mask that maps are seen through, and the entry that the history has of it."""

# -- saving ---------------------------------------------------------------------------------------


def result_as_seen(viewer: Any, layer: Layer) -> Result:
    """Return all that is known of a stack as one result, with the mask that it is seen through and what was drawn.

    Raises InputError if no step has been run on it yet.
    """
    result = result_of(viewer, layer)
    ids = {about(one)["id"] for one in lineage(viewer, layer)}
    shown = [one for one in viewer.layers if {about(one).get("id"), about(one).get("made_from")} & ids]
    return with_drawn(with_mask(result, [(one.metadata, applied_mask(one)) for one in shown]), viewer.layers)


def with_mask(result: Result, shown: Iterable[tuple[Mapping[str, Any], NDArray[np.bool_] | None]]) -> Result:
    """Return a result that knows the mask its maps are seen through; `shown` are metadata and mask of its layers."""
    extra = {name: value for name, value in result.extra.items() if name not in (MASK, MASK_STEP)}
    sizes = {data.shape for data in (*result.maps.values(), *result.labels.values())}
    for metadata, inside in shown:
        if inside is not None and inside.shape in sizes:
            extra |= {MASK: inside.astype(np.uint8), MASK_STEP: metadata[MASKED]["entry"]}
            break
    return replace(result, extra=extra)


def with_drawn(result: Result, layers: Iterable[Layer]) -> Result:
    """Return a result that knows what was drawn and painted by hand."""
    drawn, labels = [], {}
    for layer in layers:
        if PREVIEW in layer.metadata or about(layer):
            continue
        if isinstance(layer, Shapes | Points) and len(layer.data):
            drawn.append(_told(layer))
        elif isinstance(layer, Labels) and layer.data.ndim <= 3 and np.any(layer.data):
            name = layer.name if layer.name not in result.labels else f"{layer.name} (painted)"
            labels[name] = np.asarray(layer.data)
            drawn.append({**_told(layer), "labels": name})
    extra = {name: value for name, value in result.extra.items() if name != DRAWN}
    return replace(result, labels=result.labels | labels, extra=extra | ({DRAWN: drawn} if drawn else {}))


def _told(layer: Layer) -> dict[str, Any]:
    """Return what napari needs to make a drawn layer again, as json can write it."""
    told: dict[str, Any] = {
        "type": "shapes"
        if isinstance(layer, Shapes)
        else "points"
        if isinstance(layer, Points)
        else "labels",
        "name": layer.name,
        "ndim": layer.ndim,
        "scale": [float(one) for one in layer.scale],
        "translate": [float(one) for one in layer.translate],
        "units": [str(one) for one in layer.units],
        "axis_labels": list(layer.axis_labels),
    }
    if isinstance(layer, Shapes):
        told |= {
            "data": [np.asarray(one).tolist() for one in layer.data],
            "shape_type": list(layer.shape_type),
            "edge_color": np.asarray(layer.edge_color).tolist(),
            "face_color": np.asarray(layer.face_color).tolist(),
            "edge_width": [float(one) for one in layer.edge_width],
        }
    elif isinstance(layer, Points):
        told |= {
            "data": np.asarray(layer.data).tolist(),
            "face_color": np.asarray(layer.face_color).tolist(),
            "size": [float(one) for one in np.ravel(layer.size)],
        }
    return told


def as_seen(result: Result) -> Result:
    """Return a result with NaN (0 in labels) where the mask hides its maps, for files that keep no mask apart."""
    inside = mask_of(result)
    if inside is None:
        return result
    maps = {n: apply_mask(m, inside) if m.shape == inside.shape else m for n, m in result.maps.items()}
    labels = {
        n: np.where(inside, m, 0).astype(m.dtype) if m.shape == inside.shape and n != "mask" else m
        for n, m in result.labels.items()
    }
    return replace(result, maps=maps, labels=labels)


# -- opening --------------------------------------------------------------------------------------


def mask_of(result: Result) -> NDArray[np.bool_] | None:
    """Return the mask that the maps of a result are to be seen through."""
    inside = result.extra.get(MASK)
    return None if inside is None else np.asarray(inside) != 0


def painted_names(result: Result) -> set[str]:
    """Return the names of the labels that were painted by hand."""
    return {one["labels"] for one in result.extra.get(DRAWN, ()) if one.get("labels") in result.labels}


def drawn_tuples(result: Result) -> list[LayerTuple]:
    """Return the layers that were drawn, as readers give them."""
    made: list[LayerTuple] = []
    for told in result.extra.get(DRAWN, ()):
        kw = {key: told[key] for key in told if key not in ("type", "data", "labels")}
        if "labels" in told:
            if told["labels"] in result.labels:
                kw.pop("ndim")
                made.append((result.labels[told["labels"]], kw, "labels"))
        else:
            is_points = told["type"] == "points"
            data = np.asarray(told["data"]) if is_points else [np.asarray(one) for one in told["data"]]
            made.append((data, kw, str(told["type"])))
    return made


def seen_through(made: LayerTuple, result: Result) -> LayerTuple:
    """Return the layer of a map or of labels as it is seen through the mask of its result."""
    data, kw, kind = made
    inside, said = mask_of(result), kw["metadata"]["xanes"]
    if inside is None or data.shape != inside.shape or said["kind"] == "mask":
        return made
    entry = result.extra[MASK_STEP]
    shown = np.where(inside, data, 0).astype(data.dtype) if kind == "labels" else apply_mask(data, inside)
    kept = {
        "inside": inside,
        "original": data,
        "shown": shown,
        "entry": entry,
        "history": said["history"],
    }
    said = {**said, "history": [*said["history"], entry]}
    return shown, {**kw, "metadata": {**kw["metadata"], "xanes": said, MASKED: kept}}, kind


def moved(history: Iterable[Entry]) -> bool:
    """Whether the sample lies elsewhere in the maps than in the scan as it was measured."""
    return any(entry.step in STEPS and STEPS[entry.step].moves_pixels for entry in history)
