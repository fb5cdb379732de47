"""What the plugin keeps of each viewer: the open workflow, the way back, and what it shows on the canvas.

All of it goes when the viewer does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from napari_xanes._widgets.parts.portions import garbage_apart


@dataclass(eq=False)
class Session:
    """The state of one viewer.

    Attributes
    ----------
    steps, undone : list
        The steps that can be taken back, oldest first, and those that were; see `undo`.
    joined : bool
        Whether several steps are being made one.
    together : bool
        Whether several layers are being changed, which is told once.
    afterwards : dict
        What is to be done then, once each.
    watched : bool
        Whether it is noticed that layers are removed.
    in_3d : object or None
        What hides large volumes while the view is 3D.
    energy_text, legend : object or None
        What writes the energy, and what shows the legend of a mix, on the canvas.
    """

    steps: list[Any] = field(default_factory=list)
    undone: list[Any] = field(default_factory=list)
    joined: bool = False
    together: bool = False
    afterwards: dict[Hashable, Callable[[], None]] = field(default_factory=dict)
    watched: bool = False
    in_3d: Any = None
    energy_text: Any = None
    legend: Any = None
    _workflow: ReferenceType[Any] | None = None

    @property
    def workflow(self) -> Any:
        """The workflow that was opened last, or None."""
        return None if self._workflow is None else self._workflow()

    @workflow.setter
    def workflow(self, workflow: Any) -> None:
        self._workflow = None if workflow is None else ref(workflow)


_sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


def real_viewer(viewer: Any) -> Any:
    """Return the viewer itself: docks may be given napari's proxy of it."""
    return getattr(viewer, "__wrapped__", viewer)


def session_of(viewer: Any) -> Session:
    """Return the state of a viewer."""
    return _sessions.setdefault(real_viewer(viewer), Session())


def remember_workflow(viewer: Any, workflow: Any) -> None:
    """Say that a workflow was opened in a viewer."""
    session_of(viewer).workflow = workflow


def forget_workflow(viewer: Any, workflow: Any) -> None:
    """Say that it was closed."""
    if workflow_of(viewer) is workflow:
        session_of(viewer).workflow = None


def workflow_of(viewer: Any) -> Any:
    """Return the workflow that was opened last in a viewer, or None."""
    return session_of(viewer).workflow


def add_layer(viewer: Any, layer: Any) -> Any:
    """Add a layer; it is drawn, and garbage collected, in portions of their own, as napari takes long for each."""
    with garbage_apart():
        return viewer.add_layer(layer)


@contextmanager
def changed_together(viewer: Any) -> Iterator[None]:
    """Change several layers; what follows the layers is told once, afterwards.

    All of it is done, also where some of it fails; the first error comes out in the end.
    """
    session = session_of(viewer)
    if session.together:
        yield
        return
    session.together = True
    try:
        with garbage_apart():
            yield
    finally:
        session.together = False
        actions, session.afterwards, errors = list(session.afterwards.values()), {}, []
        for action in actions:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - the others are to be done all the same
                errors.append(error)
        if errors:
            raise errors[0]


def later(viewer: Any, key: Hashable, action: Callable[[], None]) -> bool:
    """Have something done once when the layers that are being changed together have changed; False if none are."""
    session = session_of(viewer)
    if session.together:
        session.afterwards[key] = action
    return session.together
