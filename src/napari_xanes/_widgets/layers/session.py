"""Which workflow is open in which viewer, so that other docks can follow its forms."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

_workflows: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def remember_workflow(viewer: Any, workflow: Any) -> None:
    """Say that a workflow was opened in a viewer."""
    _workflows[_real(viewer)] = ref(workflow)


def forget_workflow(viewer: Any, workflow: Any) -> None:
    """Say that it was closed."""
    if workflow_of(viewer) is workflow:
        del _workflows[_real(viewer)]


def workflow_of(viewer: Any) -> Any:
    """Return the workflow that was opened last in a viewer, or None."""
    found = _workflows.get(_real(viewer))
    return None if found is None else found()


def _real(viewer: Any) -> Any:
    return getattr(viewer, "__wrapped__", viewer)  # docks may be given napari's proxy of the viewer
