"""The layers of one scan that are looked at together, and those of mixed colours; adds and changes the latter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils import Colormap
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.kinds import title_of
from napari_xanes._core.draw.color import COLOR_NAMES
from napari_xanes._widgets.layers.derived import is_copy
from napari_xanes._widgets.layers.layers import about, find, lineage
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.layers.session import add_layer
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.parts.portions import breathe
from napari_xanes._widgets.view.mix import Mix

MIX, SINGLE = "colour_mix", "volume"
GEOMETRY = ("scale", "translate", "units", "axis_labels")


def scan_maps(viewer: Any, stack: Layer | None) -> list[Layer]:
    """Return the maps of the scan that a stack belongs to, as the layer list shows them; of all scans if None."""
    return [
        one
        for one in reversed(viewer.layers)
        if isinstance(one, Image) and about(one).get("map") and _same_scan(viewer, one, stack)
    ]


def scan_labels(viewer: Any, stack: Layer | None) -> list[Layer]:
    """Return the clusters and other labels of the scan that a stack belongs to; masks are none."""
    return [
        one
        for one in reversed(viewer.layers)
        if isinstance(one, Labels) and about(one).get("kind", "mask") != "mask"
        if _same_scan(viewer, one, stack)
    ]


def mix_layers(viewer: Any, stack: Layer | None, kinds: Sequence[str] = (MIX,)) -> list[Layer]:
    """Return the layers of mixed colours of a scan, or also those of single maps."""
    mine = [one for one in viewer.layers if about(one).get("kind") in kinds and not is_copy(one)]
    return [one for one in mine if _same_scan(viewer, one, stack)]


def _same_scan(viewer: Any, layer: Layer, other: Layer | None) -> bool:
    """Whether two layers come from one stack; of those whose stack is not there, the name of the scan decides."""
    if other is None:
        return True
    first, second = about(lineage(viewer, layer)[-1]), about(lineage(viewer, other)[-1])
    key = "id" if first["kind"] == second["kind"] == "stack" else "name"
    return bool(first[key] == second[key])


def map_name(layer: Layer) -> str:
    """Return what a map is called among those of one scan: a fraction as its reference, of which there is little room for more."""
    said = about(layer)
    return str(said["reference"]) if said["kind"] == "fraction" else title_of(said["map"], said)


def short_name(layer: Layer) -> str:
    """Return what a map is called in a legend."""
    said = about(layer)
    return said.get("reference") or title_of(said["map"])


def sigma_of(viewer: Any, maps: Sequence[Layer]) -> list[NDArray[Any]]:
    """Return the uncertainties of those maps that are fractions, as the fit that they come from left them."""
    found = []
    for layer in maps:
        said = about(layer)
        parent = find(viewer, said.get("made_from"))
        if said["kind"] == "fraction" and parent is not None:
            sigma = _computed(viewer, parent, f"sigma_{said['reference']}")
            found += [sigma] if np.shape(sigma) == data_of(layer).shape else []
    return found


def _computed(viewer: Any, parent: Layer, name: str) -> Any:
    try:
        return result_of(viewer, parent).maps.get(name)
    except InputError:  # no step was run on it
        return None


# -- layers of mixed colours ----------------------------------------------------------------------


def put_mix(viewer: Any, like: Layer, mix: Mix, made: Any) -> list[Layer]:
    """Show a mix: a picture as one layer, or the light of each map as a volume of its colour, which add up.

    Layers of an earlier mix of the same scan are updated; those too many are removed.  A single map is no mix
    and has a layer of its own.

    Parameters
    ----------
    like : Layer
        One of the maps.
    made : array (Y, X, 4), or list of K arrays (Z, Y, X)
        `Mix.picture` or `Mix.lights`.
    """
    scan = about(like)["name"]
    kind = MIX if len(mix.maps) > 1 else SINGLE
    title = f"{scan} {kind.replace('_', ' ')}".strip()
    if not isinstance(made, list):
        wanted = {title: (made, {"rgb": True})}
    else:
        wanted = {
            f"{title}: {name}": (light, _colored(color))
            for name, color, light in zip(_distinct(mix.names), mix.colors, made, strict=True)
        }
    old = {about(one)["role"]: one for one in mix_layers(viewer, like, (kind,))}
    for role in old.keys() - wanted.keys():
        viewer.layers.remove(old[role])
    legend = {"names": list(mix.names), "colors": list(mix.colors)} if kind == MIX else {}
    made_of = {"kind": kind, "mix": legend}
    layers = [
        _put_one(viewer, like, made_of, role, data, kw, old.get(role)) for role, (data, kw) in wanted.items()
    ]
    if isinstance(made, list):
        for (
            layer
        ) in layers:  # the lowest covers what lies below, to which light would add up: a bright canvas
            lowest = layer is min(layers, key=viewer.layers.index)
            layer.blending = "translucent_no_depth" if lowest else "additive"
    return layers


def _put_one(
    viewer: Any,
    like: Layer,
    made_of: dict[str, Any],
    role: str,
    data: Any,
    kw: dict[str, Any],
    old: Layer | None,
) -> Layer:
    geometry = {key: getattr(like, key) for key in GEOMETRY}
    if old is not None:
        old.data = data
        for key in GEOMETRY:
            setattr(old, key, geometry[key])
        if "colormap" in kw:
            old.colormap = kw["colormap"]
        old.metadata = {**old.metadata, "xanes": {**about(old), **made_of}}
        return old
    said = {
        **made_of,
        "id": uuid4().hex,
        "name": about(like)["name"],
        "made_from": about(like)["made_from"],
        "role": role,
    }
    return add_layer(viewer, Image(data, name=role, **kw, **geometry, metadata={"xanes": said}))


def _colored(color: str) -> dict[str, Any]:
    return {
        "rgb": False,
        "multiscale": False,
        "colormap": Colormap(["black", color], name=f"black to {COLOR_NAMES.get(color.upper(), color)}"),
        "contrast_limits": (0.0, 1.0),
        "rendering": "mip",
    }


def _distinct(names: Sequence[str]) -> list[str]:
    return [f"{name} {i}" if name in names[: i - 1] else name for i, name in enumerate(names, 1)]


def show_these(viewer: Any, layers: Sequence[Layer]) -> None:
    """Show some layers and hide the others of this plugin."""
    shown = [str(one.unique_id) for one in layers]
    for layer in list(viewer.layers):
        seen = str(layer.unique_id) in shown
        if about(layer) and layer.visible is not seen:  # napari takes as long for one that is as it should be
            layer.visible = seen
            breathe()
    if layers:
        viewer.layers.selection.active = layers[-1]
