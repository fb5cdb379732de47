"""Taking a step back: what the layers were before its result was put into them.

Steps put new arrays into layers and never write into old ones, so that what was there before is kept by holding on
to it.  What that costs in memory is bounded: the oldest is forgotten first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_xanes._core.base.memory import free_memory
from napari_xanes._widgets.layers.session import session_of

MOST_STEPS = 20
SHARE = 0.25
"""Of the memory that is free, what may be held only to be able to go back."""

KEPT = ("visible", "scale", "translate", "units", "axis_labels", "metadata")


@dataclass(frozen=True, eq=False)
class Before:
    """The layers before a step: its name, and each layer with its data and what else a step changes."""

    title: str
    layers: list[tuple[Layer, Any, dict[str, Any]]]


def remember(viewer: Any, title: str) -> None:
    """Keep what the layers are now, before a step changes them."""
    session = session_of(viewer)
    if session.joined:
        return
    steps = session.steps
    layers = [
        (layer, layer.data, {key: copy(getattr(layer, key)) for key in KEPT})
        for layer in viewer.layers
        if layer.metadata.get("xanes")
    ]
    steps.append(Before(title, layers))
    del steps[:-MOST_STEPS]
    most = SHARE * free_memory()
    while len(steps) > 1 and _held(viewer, steps) > most:
        del steps[0]


@contextmanager
def as_one_step(viewer: Any, title: str) -> Iterator[None]:
    """Make all that is done inside one step, which is undone as one."""
    remember(viewer, title)
    session_of(viewer).joined = True
    try:
        yield
    finally:
        session_of(viewer).joined = False


def last_step(viewer: Any) -> str:
    """Return the name of the step that would be undone; empty if there is none."""
    steps = session_of(viewer).steps
    return steps[-1].title if steps else ""


def undo(viewer: Any) -> str:
    """Make the layers what they were before the last step; returns its name, or nothing if there is none.

    Layers that the user removed since stay away, and the user's own layers are left alone.
    """
    steps = session_of(viewer).steps
    if not steps:
        return ""
    before = steps.pop()
    known = {id(layer) for layer, _, _ in before.layers}
    for layer in [one for one in viewer.layers if one.metadata.get("xanes") and id(one) not in known]:
        viewer.layers.remove(layer)
    here = {id(layer) for layer in viewer.layers}
    for layer, data, kept in before.layers:
        if id(layer) not in here:
            continue
        if layer.data is not data:
            layer.data = data
        for key, value in kept.items():
            setattr(layer, key, value)
    return before.title


def _held(viewer: Any, steps: list[Before]) -> int:
    """Return the bytes of arrays in memory that no layer shows any more."""
    shown = {id(layer.data) for layer in viewer.layers}
    held = {
        id(data): data.nbytes
        for step in steps
        for _, data, _ in step.layers
        if isinstance(data, np.ndarray) and id(data) not in shown
    }
    return sum(held.values())
