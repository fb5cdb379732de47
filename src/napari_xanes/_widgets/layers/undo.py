"""Steps taken back and done again: what the layers were before the result of a step was put into them, and after.

Steps put new arrays into layers and never write into old ones, so that what was there before is kept by holding on
to it.  What that costs in memory is bounded: the oldest is forgotten first.  Only layers that the step itself made
are removed, and only what it changed is set back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Layer

from napari_xanes._core.base.memory import free_memory
from napari_xanes._widgets.layers.limits import LIMITS, are_automatic, give_limits
from napari_xanes._widgets.layers.linked import keep_own
from napari_xanes._widgets.layers.on_demand import live_with, show
from napari_xanes._widgets.layers.session import Session, changed_together, real_viewer, session_of
from napari_xanes._widgets.parts.canvas import make_canvas_current
from napari_xanes._widgets.parts.portions import breathe

MOST_STEPS = 20
SHARE = 0.25
"""Of the memory that is free, what may be held only to be able to go back."""

KEPT = ("visible", "scale", "translate", "units", "axis_labels", "metadata")


@dataclass(frozen=True, eq=False)
class Looks:
    """What a layer is at a moment: its data, and what else a step changes."""

    data: Any
    kept: dict[str, Any]

    @classmethod
    def of(cls, layer: Layer) -> Looks:
        """Look at a layer."""
        return cls(layer.data, {key: copy(getattr(layer, key)) for key in KEPT})

    def give(self, layer: Layer, viewer: Any) -> None:
        """Make a layer so again; a volume that takes long to compute is not shown in 3D unasked."""
        limits = self.kept["metadata"]["xanes"].get(LIMITS)
        renewed = limits is not None and are_automatic(layer)
        if layer.data is not self.data:
            layer.data = self.data
            live_with(layer)
        for key, value in self.kept.items():
            if _same(getattr(layer, key), value):
                continue
            if key == "visible" and value:
                show(viewer, layer)
            else:
                setattr(layer, key, value)
        if renewed:
            give_limits(layer, limits)

    def shows_another(self, other: Looks) -> bool:
        """Whether there are other data, or more is known of them: more than whether they are visible."""
        known, others = self.kept["metadata"], other.kept["metadata"]
        return self.data is not other.data or any(
            known.get(key) is not others.get(key) for key in known.keys() | others.keys()
        )


@dataclass(frozen=True, eq=False)
class Done:
    """A step that was done in the layers.

    Attributes
    ----------
    title : str
    made : list of (layer, index)
        The layers that it added, and where they were in the list.
    changed : list of (layer, before, after)
        Layers that were there already.
    chosen : str or None
        The stack that was chosen before, by its id.
    """

    title: str
    made: list[tuple[Layer, int]]
    changed: list[tuple[Layer, Looks, Looks]]
    chosen: str | None

    def is_here(self, layers: Iterable[Layer]) -> bool:
        """Whether any layer that shows the step is still in the viewer."""
        here = {id(layer) for layer in layers}
        own = [layer for layer, _ in self.made]
        own += [layer for layer, before, after in self.changed if before.shows_another(after)]
        return any(id(layer) in here for layer in own)


@contextmanager
def one_step(viewer: Any, title: str) -> Iterator[None]:
    """Make all that is done to the layers inside a step, which is taken back as one; inner steps belong to the outer."""
    session = session_of(viewer)
    if session.joined:
        yield
        return
    if not session.watched:
        session.watched = True
        viewer.layers.events.removed.connect(partial(_on_removed, ref(real_viewer(viewer))))
        keep_own(real_viewer(viewer))
    before = {id(layer): (layer, Looks.of(layer)) for layer in viewer.layers if _is_ours(layer)}
    workflow = session.workflow
    chosen = None if workflow is None else workflow.chooser.layer_id()
    session.joined = True
    with changed_together(viewer):
        try:
            yield
        finally:
            session.joined = False
            _note(viewer, title, before, chosen)


def _note(viewer: Any, title: str, before: dict[int, tuple[Layer, Looks]], chosen: str | None) -> None:
    made = [(one, i) for i, one in enumerate(viewer.layers) if _is_ours(one) and id(one) not in before]
    here = {id(layer) for layer in viewer.layers}
    changed = [(layer, looks, Looks.of(layer)) for key, (layer, looks) in before.items() if key in here]
    session = session_of(viewer)
    session.undone.clear()
    session.steps.append(Done(title, made, changed, chosen))
    del session.steps[:-MOST_STEPS]
    most = SHARE * free_memory()
    while len(session.steps) > 1 and _held(viewer, session.steps) > most:
        del session.steps[0]


def _is_ours(layer: Layer) -> bool:
    return bool(layer.metadata.get("xanes"))


def last_step(viewer: Any) -> str:
    """Return the name of the step that would be taken back; empty if there is none."""
    steps = _still_here(viewer).steps
    return steps[-1].title if steps else ""


def next_step(viewer: Any) -> str:
    """Return the name of the step that would be done again; empty if there is none."""
    undone = _still_here(viewer).undone
    return undone[-1].title if undone else ""


def _still_here(viewer: Any) -> Session:
    """Return the session without steps of scans that were just removed, whoever is told of it first."""
    session = session_of(viewer)
    _forget(session, list(viewer.layers))
    return session


def _on_removed(viewer: Callable[[], Any], event: Any) -> None:
    """Forget the steps of scans that were removed, which would hold their data."""
    there = viewer()
    if there is not None:
        _forget(session_of(there), list(there.layers))


def _forget(session: Session, here: list[Layer]) -> None:
    session.steps[:] = [step for step in session.steps if step.is_here(here)]
    kept: list[Done] = []
    for step in reversed(session.undone):  # each may be of what the one before it makes
        if step.is_here(here):
            kept.insert(0, step)
            here = [*here, *(layer for layer, _ in step.made)]
    session.undone[:] = kept


def undo(viewer: Any) -> Done | None:
    """Take the last step back; returns it, or None if there is none.

    Layers that the user removed since stay away; those that came since, and the user's own, are left alone.
    """
    session = session_of(viewer)
    if not session.steps:
        return None
    done: Done = session.steps.pop()
    session.undone.append(done)  # before its layers go: what was done to them can still be done again
    remove_layers(viewer, [layer for layer, _ in done.made])
    for layer, before, _ in done.changed:
        if layer in viewer.layers:
            before.give(layer, viewer)
            breathe()
    return done


def redo(viewer: Any) -> Done | None:
    """Do again what was taken back last; returns it, or None if there is nothing."""
    session = session_of(viewer)
    if not session.undone:
        return None
    done: Done = session.undone.pop()
    for layer, index in done.made:
        if layer not in viewer.layers:
            viewer.layers.insert(min(index, len(viewer.layers)), layer)
            breathe()
    for layer, _, after in done.changed:
        if layer in viewer.layers:
            after.give(layer, viewer)
            breathe()
    session.steps.append(done)
    return done


def remove_layers(viewer: Any, layers: Iterable[Layer]) -> None:
    """Remove layers in portions; those that are not there are passed over.

    napari collects garbage and orders its scene anew after a removal, which takes longer than the removal: it does so
    once for all of them, and the window lives in between.  Then it also deletes what drew them.
    """
    there = [one for one in layers if one in viewer.layers]
    if not there:
        return
    with viewer.layers.batched_update():
        for layer in there:
            viewer.layers.remove(layer)
            breathe()
        make_canvas_current(real_viewer(viewer))
    breathe()


def _same(ours: Any, other: Any) -> bool:
    """Whether what is kept of a layer is what it has: setting it again takes napari as long as if it were another."""
    if isinstance(ours, dict):
        return ours.keys() == other.keys() and all(ours[key] is other[key] for key in ours)
    return bool(np.array_equal(ours, other))


def _held(viewer: Any, steps: list[Done]) -> int:
    """Return the bytes of arrays in memory that no layer shows any more."""
    shown = {id(layer.data) for layer in viewer.layers}
    held = {
        id(looks.data): looks.data.nbytes
        for step in steps
        for _, before, after in step.changed
        for looks in (before, after)
        if isinstance(looks.data, np.ndarray) and id(looks.data) not in shown
    }
    return sum(held.values())
