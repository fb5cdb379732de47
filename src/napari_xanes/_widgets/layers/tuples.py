"""Stacks and results as the layer tuples that napari takes from readers and gives to writers.

What stands in their ``metadata`` is said in `layers`, which puts them into a viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data import kinds
from napari_xanes._core.data.history import History, history_to_json
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.draw.limits import color_limits, with_edge
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._widgets.layers.label_colors import MOST, label_colors, mask_colors
from napari_xanes._widgets.layers.limits import LIMITS
from napari_xanes._widgets.layers.settings import settings

SCHEMA = 1
LayerTuple = tuple[Any, dict[str, Any], str]
More = bool | tuple[str, ...]
"""Whether all maps become layers, or the kinds of those that do besides those that are usually looked at."""

SEEN_OVER_MAPS = ("mask", "particles")
"""Kinds of labels under which a map stays visible."""
TOLD_OF_PARTICLES = ("diameter_um", "diameter_px", "thickness")


def stack_tuple(
    stack: EnergyStack,
    *,
    name: str = "",
    made_from: str | None = None,
    where: NDArray[np.bool_] | None = None,
) -> LayerTuple:
    """Return the layer of a stack as napari takes it from readers; its limits are of the pixels in `where`."""
    n_space = len(stack.image_shape)
    pixel = stack.pixel_size_um
    limits = _limits_of_stack(stack, where)
    said = {
        **_said("stack", stack.name, stack.energy, stack.history, stack.source, made_from),
        "signal": stack.signal,
        "pixel_size_um": pixel,
        "warnings": list(stack.warnings),
        LIMITS: limits,
    }
    if isinstance(stack.data, ComputedStack):
        said["on_demand"] = stack.data.why
    kw = {
        "name": name or stack.name or "XANES stack",
        "axis_labels": ("energy", *"zyx"[3 - n_space :]),
        "units": ("pixel", *([("um" if pixel else "pixel")] * n_space)),
        "scale": (1.0, *([pixel or 1.0] * n_space)),
        "rgb": False,
        "multiscale": False,
        "contrast_limits": limits,
        "metadata": {"xanes": said, "xanes_stack": stack, "xanes_results": {}},
    }
    return stack.data, kw, "image"


def map_tuple(
    name: str,
    result: Result,
    *,
    geometry: Mapping[str, Any] | None = None,
    made_from: str | None = None,
    where: NDArray[np.bool_] | None = None,
) -> LayerTuple:
    """Return the layer of one map of a result; its limits are of the pixels in `where`."""
    data, info = result.maps[name], result.info[name]
    kind = info["kind"]
    about = kinds.kind(kind)
    seen = glanced(result)
    looked_at = _looked_at(seen, about, where)
    limits = color_limits(
        thinned(seen.maps[name]), about.scale, looked_at if looked_at is None else thinned(looked_at)
    )
    levels = result.levels.get(name, ())
    said = {
        **_said(kind, result.name, result.energy, result.history, result.source, made_from),
        "map": name,
        "ndim": data.ndim,
        "unit": info.get("unit", ""),
        "reference": info.get("reference"),
        "pixel_size_um": result.pixel_size_um,
        LIMITS: limits,
    }
    kw = {
        "name": layer_name(name, info, result.name),
        **(geometry or _own_geometry(data.ndim, result.pixel_size_um)),
        "rgb": False,
        "multiscale": bool(levels),
        "colormap": getattr(settings(), about.group, about.colors) if about.group else about.colors,
        "contrast_limits": limits,
        "metadata": {"xanes": said},
    }
    return list(levels) or data, kw, "image"


def glanced(result: Result) -> Result:
    """Return a result of which large maps that are not in memory are a plane of their coarsest copies."""
    lazy = [name for name, one in result.maps.items() if not isinstance(one, np.ndarray)]
    coarse = {name: result.levels.get(name, (result.maps[name],))[-1] for name in lazy}
    planes = {
        name: np.asarray(one[one.shape[0] // 2] if one.ndim > 2 else one) for name, one in coarse.items()
    }
    return replace(result, maps=result.maps | planes) if planes else result


def _looked_at(
    result: Result, about: kinds.Kind, where: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Return which pixels set the limits of a map: those with an edge, and of a fit those with fractions."""
    if where is None and "edge_step" in result.maps:
        where = with_edge(result.maps["edge_step"])
    fractions = [m for name, m in result.maps.items() if result.info[name]["kind"] == "fraction"]
    if about.of_fit and fractions:
        answered = np.logical_and.reduce([np.isfinite(one) for one in fractions])
        where = answered if where is None else where & answered
    return where


def labels_tuple(
    name: str, result: Result, *, geometry: Mapping[str, Any] | None = None, made_from: str | None = None
) -> LayerTuple:
    """Return the layer of masks, clusters or other labels of a result."""
    data, pixel = result.labels[name], result.pixel_size_um
    said = {
        **_said(name, result.name, result.energy, result.history, result.source, made_from),
        "labels": name,
        "pixel_size_um": pixel,
    }
    kw = {
        "name": _of_scan(name.replace("_", " "), result.name),
        **(geometry or _own_geometry(data.ndim, pixel)),
        "multiscale": False,
        "opacity": 0.5 if name == "mask" else 1.0,
        "features": _features(name, result),
        "metadata": {"xanes": said},
    }
    if not data.size or data.max() <= MOST:  # else napari's own colours, which go round
        kw["colormap"] = mask_colors() if name == "mask" else label_colors()
    return data, kw, "labels"


def _features(name: str, result: Result) -> dict[str, list[Any]]:
    """Return what napari says of a label under the cursor."""
    if name == "particles" and "particles" in result.tables:
        table = result.tables["particles"]
        told = {key: [np.nan, *values] for key, values in table.items() if key in TOLD_OF_PARTICLES}
        return {"index": [0, *table["label"]], **told}
    table = result.tables.get("combinations", {}) if name == "combination" else {}
    texts = ["none", *map(str, table["references"])] if table else []
    return {"index": list(range(len(texts))), "references": texts} if texts else {}


def _own_geometry(ndim: int, pixel: float | None) -> dict[str, Any]:
    return {
        "axis_labels": tuple("zyx"[3 - ndim :]),
        "units": (("um" if pixel else "pixel"),) * ndim,
        "scale": (pixel or 1.0,) * ndim,
    }


def placed_after(
    parent: Mapping[str, Any], steps: History, *, skip: int = 0, energy_first: bool = True
) -> dict[str, Any]:
    """Return where what steps made of a layer lies, without the first `skip` axes: cropped and binned, if so.

    Parameters
    ----------
    parent : mapping
        Scale, translate, units and axis_labels of the layer.
    energy_first : bool
        Whether its first axis is energy, which is neither cropped nor binned here.
    """
    scale, translate = (np.array(parent[key], float) for key in ("scale", "translate"))
    space = np.arange(scale.size) >= 1 if energy_first else np.ones(scale.size, bool)
    for entry in steps:
        if entry.step == "crop" and entry.params.get("roi"):
            y0, _, x0, _ = entry.params["roi"]
            translate[-2:] += scale[-2:] * (y0, x0)
        elif entry.step == "bin":
            factor = entry.params["factor"]
            translate[space] += scale[space] * (factor - 1) / 2
            scale[space] *= factor
    return {
        "scale": tuple(scale.tolist())[skip:],
        "translate": tuple(translate.tolist())[skip:],
        "units": tuple(parent["units"])[skip:],
        "axis_labels": tuple(parent["axis_labels"])[skip:],
    }


def ordered(result: Result, names: list[str]) -> list[str]:
    """Return maps in the order they are put on top of each other; the last is what is seen first."""
    ranks = {name: kinds.kind(result.info[name]["kind"]).rank for name in names}
    return sorted(names, key=lambda name: (ranks[name], -names.index(name)))


def layer_name(name: str, info: Mapping[str, Any], scan: str) -> str:
    """Return the name of a map's layer, kept short: narrow layer lists cut the middle."""
    title = map_title(name, info, "")
    short = f"{title.removesuffix(' sigma')} σ" if title.endswith(" sigma") else title
    return _of_scan(short, scan)


def map_title(name: str, info: Mapping[str, Any], scan: str) -> str:
    """Return what a map is called, and of which scan."""
    return _of_scan(kinds.title_of(name, info), scan)


def _of_scan(title: str, scan: str) -> str:
    return f"{title} ({scan})" if scan else title


def _said(
    kind: str, name: str, energy: Any, history: History, source: Mapping[str, Any], made_from: str | None
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": uuid4().hex,
        "kind": kind,
        "name": name,
        "energy": [float(e) for e in energy],
        "history": history_to_json(history),
        "source": dict(source),
        "made_from": made_from,
    }


def _limits_of_stack(stack: EnergyStack, where: NDArray[np.bool_] | None) -> tuple[float, float]:
    """Return contrast limits from five frames; napari itself would look at the first alone."""
    frames, inside = glimpse(stack), None
    if where is not None and where.shape == stack.image_shape and stack.signal == "normalized":
        plane = (stack.image_shape[0] // 2,) if stack.data.ndim == 4 else ()
        inside = np.broadcast_to(thinned(where[plane]), frames.shape)
    return color_limits(frames, where=inside)


_glimpses: WeakKeyDictionary[Any, NDArray[Any]] = WeakKeyDictionary()


def glimpse(stack: EnergyStack) -> NDArray[Any]:
    """Return some values of five frames, or planes of five volumes; of a stack that is computed on demand once."""
    computed = isinstance(stack.data, ComputedStack)
    if computed and stack.data in _glimpses:
        return _glimpses[stack.data]
    n = stack.shape[0]
    picked = np.unique(np.linspace(0, n - 1, min(n, 5)).astype(int))
    plane = (stack.image_shape[0] // 2,) if stack.data.ndim == 4 else ()
    frames = np.stack([thinned(np.asarray(stack.data[(int(i), *plane)])) for i in picked])
    if computed:
        _glimpses[stack.data] = frames
    return frames


def thinned(image: np.ndarray) -> np.ndarray:
    """Return about a hundred thousand values of an image, evenly spread."""
    step = max(1, round((image.size / 1e5) ** (1 / image.ndim)))
    return image[(slice(None, None, step),) * image.ndim]
