"""What a preview tries and what it shows: steps on a part of a stack, as layers that lie where that part is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil, sqrt
from typing import Any

import numpy as np
from napari.layers import Layer, Shapes

from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data import kinds
from napari_xanes._core.data.part import excerpt
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.layers.drawn import drawn_rectangle
from napari_xanes._widgets.layers.layers import geometry_of, stack_of
from napari_xanes._widgets.layers.tuples import (
    LayerTuple,
    labels_tuple,
    map_tuple,
    ordered,
    stack_tuple,
)

MOST_PIXELS = 12_000
"""What is tried at once; larger views are thinned."""


@dataclass(frozen=True)
class Seen:
    """Which pixels of a stack are tried: rows and columns, every `step`-th, of plane `plane` of a volume."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    step: int
    plane: int | None

    def slices(self) -> tuple[slice, slice]:
        """Return rows and columns, of every group of `step` pixels the middle one."""
        middle = self.step // 2
        rows, columns = (
            slice(min(lo + middle, hi - 1), hi, self.step) for lo, hi in (self.rows, self.columns)
        )
        return rows, columns


@dataclass(frozen=True)
class Previewed:
    """What came out: layers by what they show, the last to be looked at first, and what is to be said of it."""

    layers: dict[str, LayerTuple]
    sentence: str
    result: Result | None = field(default=None, repr=False)


Job = Callable[[Progress], Previewed]


@dataclass(frozen=True)
class Trial:
    """What is to be tried: on which layer, by which job; two trials of the same key would find the same."""

    layer: Layer
    job: Job
    key: Hashable


def seen_of(viewer: Any, layer: Layer, *, thinned: bool = True) -> Seen:
    """Return what is looked at of a stack: the drawn shape if a Shapes layer is selected, else what is in view.

    It holds at most about `MOST_PIXELS`: every so many of them, or those in the middle.
    """
    height, width = layer.data.shape[-2:]
    active = viewer.layers.selection.active
    if isinstance(active, Shapes) and len(active.data):
        y0, y1, x0, x1 = drawn_rectangle(viewer, layer)
    else:
        (y0, x0), (y1, x1) = np.clip(
            layer.corner_pixels[:, -2:] + [[0, 0], [1, 1]], 0, (height, width)
        ).tolist()
        if y1 - y0 <= 1 or x1 - x0 <= 1:  # never drawn yet, or out of sight
            y0, y1, x0, x1 = 0, height, 0, width
    plane = plane_seen(viewer, layer)
    if thinned:
        step = max(1, ceil(sqrt((y1 - y0) * (x1 - x0) / MOST_PIXELS)))
        return Seen((y0, y1), (x0, x1), step, plane)
    side = int(sqrt(MOST_PIXELS))
    rows, columns = (
        (lo, hi) if hi - lo <= side else _middle(lo, hi, side) for lo, hi in ((y0, y1), (x0, x1))
    )
    return Seen(rows, columns, 1, plane)


def plane_seen(viewer: Any, layer: Layer) -> int | None:
    """Return the plane of a volume that is shown; None for images."""
    if layer.ndim < 4:
        return None
    at: int = round(layer.world_to_data(viewer.dims.point[-layer.ndim :])[1])
    return min(max(at, 0), int(layer.data.shape[1]) - 1)


def _middle(lo: int, hi: int, side: int) -> tuple[int, int]:
    start = (lo + hi - side) // 2
    return start, start + side


class Excerpts:
    """The part of a stack that was tried last, so that trying other settings on it reads nothing."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._kept: EnergyStack | None = None

    def get(self, stack: EnergyStack, seen: Seen, progress: Progress) -> EnergyStack:
        """Return what is seen of a stack."""
        key = (stack.data, stack.signal, seen)
        same = len(self._key) == 3 and self._key[0] is stack.data and self._key[1:] == key[1:]
        if self._kept is None or not same:
            self._kept = excerpt(stack, *seen.slices(), plane=seen.plane, progress=progress)
            self._key = key
        return self._kept.replace(history=stack.history)

    def forget(self) -> None:
        """Let go of it."""
        self._key, self._kept = (), None


def try_steps(
    layer: Layer,
    seen: Seen,
    steps: Sequence[tuple[str, Params]],
    excerpts: Excerpts,
    tell: Callable[[Result], tuple[str, str]],
) -> Trial:
    """Return the trial of steps on what is seen of a stack; `tell` puts the result in words."""
    stack, geometry = stack_of(layer), partial(geometry_of, layer)

    def job(progress: Progress) -> Previewed:
        part = excerpts.get(stack, seen, progress)
        result = run_steps(part, steps, keep_stack=True, in_memory=True, progress=progress)
        height, width = part.image_shape[-2:]
        every = f", every {_ordinal(seen.step)} pixel" if seen.step > 1 else ""
        sentence = f"Preview of {height * width} pixels{every}. {tell(result)[1]}"
        return Previewed(_shown(result, seen, geometry), sentence, result)

    settings = tuple((name, params.model_dump_json()) for name, params in steps)
    return Trial(layer, job, (id(stack.data), seen, settings))


def _shown(result: Result, seen: Seen, geometry: Callable[..., dict[str, Any]]) -> dict[str, LayerTuple]:
    """Return the layers of a result where the part that was tried lies; the stack if there is nothing else."""

    def placed(skip: int) -> dict[str, Any]:
        return _placed(geometry(skip, result.history), geometry(skip)["scale"], seen)

    made: dict[str, LayerTuple] = {}
    for name in ordered(result, [n for n, info in result.info.items() if kinds.kind(info["kind"]).shown]):
        layer = map_tuple(name, result, geometry=placed(1))
        made[layer[1]["name"].split(" (")[0]] = layer
    for name in result.labels:
        layer = labels_tuple(name, result, geometry=placed(1))
        made[name.replace("_", " ")] = layer
    if not made and result.stack is not None:
        data, kw, kind = stack_tuple(result.stack)
        kw.update(placed(0))
        made["stack"] = data, kw, kind
    return made


def _placed(geometry: dict[str, Any], pixel: Sequence[float], seen: Seen) -> dict[str, Any]:
    """Return where the part lies: shifted to its corner, its pixels `step` times as large.

    `pixel` is the size of the pixels that are seen, before anything is binned.
    """
    scale, translate = np.array(geometry["scale"], float), np.array(geometry["translate"], float)
    corner = np.array([seen.rows[0], seen.columns[0]], float)
    translate[-2:] += np.array(pixel[-2:]) * (corner + (seen.step - 1) / 2)
    if seen.plane is not None:
        translate[-3] += pixel[-3] * seen.plane
    scale[-2:] *= seen.step
    return {**geometry, "scale": tuple(scale.tolist()), "translate": tuple(translate.tolist())}


def _ordinal(n: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(n, f"{n}th")
