"""Listens to everything in a viewer that changes a spectrum, and to the forms of an open workflow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels, Layer, Points, Shapes

from napari_xanes._widgets.layers.followed import follow
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.layers.session import workflow_of

OF_LABELS = ("paint", "labels_update", "data", "colormap", "show_selected_label", "selected_label")
OF_STACKS = ("data", "metadata")


class Listening:
    """Calls back until it is stopped.

    Parameters
    ----------
    viewer : Viewer
    on_step : callable
        Called when a slider was moved.
    on_layers : callable
        Called when layers came, went or were chosen.
    on_changed : callable
        Called with the event when what a layer holds has changed.
    on_form : callable
        Called when the forms of Normalise or Fit say something else.
    """

    def __init__(
        self,
        viewer: Any,
        *,
        on_step: Callable[..., None],
        on_layers: Callable[..., None],
        on_changed: Callable[..., None],
        on_form: Callable[..., None],
    ) -> None:
        self._viewer = viewer
        self._on_layers, self._on_changed, self._on_form = on_layers, on_changed, on_form
        self._of_layers: list[Any] = []
        self._of_slices: list[Any] = []
        self._seen_at: WeakKeyDictionary[Layer, Any] = WeakKeyDictionary()
        self._of_forms: list[Any] = []
        self._of_viewer = [(viewer.dims.events.current_step, on_step)]
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, viewer.layers.selection.events.active):
            self._of_viewer.append((emitter, self._layers_changed))
        for emitter, callback in self._of_viewer:
            emitter.connect(callback)
        self._follow_layers()
        self.follow_forms()

    def _layers_changed(self, event: Any = None) -> None:
        self._follow_layers()
        self.follow_forms()
        self._on_layers(event)

    def _follow_layers(self) -> None:
        layers = list(self._viewer.layers)
        telling = [getattr(layer.events, name) for layer in layers for name in _telling(layer)]
        sliced = [one for one in layers if _may_change_in_place(one)]
        for one in sliced:
            self._seen_at.setdefault(one, self._view())
        slices = [one.events.set_data for one in sliced]
        follow(self._of_layers, telling, self._on_changed)
        follow(self._of_slices, slices, self._on_slice)
        self._of_layers, self._of_slices = telling, slices

    def _on_slice(self, event: Any) -> None:
        """Notice what was undone of painting, or written into a stack: napari says only that there is something to draw."""
        layer, now = event.source, self._view()
        before, self._seen_at[layer] = self._seen_at.get(layer), now
        if now == before:  # else the slider was moved
            self._on_changed(event)

    def _view(self) -> tuple[Any, ...]:
        dims = self._viewer.dims
        return dims.point, dims.order, dims.ndisplay

    def follow_forms(self) -> None:
        """Follow the forms of a workflow that was opened meanwhile."""
        workflow = workflow_of(self._viewer)
        if workflow is None:
            return
        for step in ("normalize", "fit"):
            panel = workflow.panels[step]
            if all(panel is not one for one in self._of_forms):
                self._of_forms.append(panel)
                panel.asked.connect(self._on_form)

    def stop(self) -> None:
        """Call back no more."""
        for emitter, callback in self._of_viewer:
            emitter.disconnect(callback)
        for emitter in self._of_layers:
            emitter.disconnect(self._on_changed)
        for emitter in self._of_slices:
            emitter.disconnect(self._on_slice)
        for panel in self._of_forms:
            with suppress(RuntimeError):  # Qt has deleted it, if the workflow was closed before
                panel.asked.disconnect(self._on_form)
        self._of_viewer, self._of_layers, self._of_slices, self._of_forms = [], [], [], []


def _may_change_in_place(layer: Layer) -> bool:
    """Whether a layer can be changed without its being told of other data."""
    return isinstance(layer, Labels) or (
        about(layer).get("kind") == "stack" and isinstance(data_of(layer), np.ndarray)
    )


def _telling(layer: Layer) -> tuple[str, ...]:
    """Return the events of a layer by which a spectrum may change."""
    if isinstance(layer, Labels):
        return ("visible", *OF_LABELS)
    if isinstance(layer, Shapes):
        return "visible", "data", "edge_color"
    if isinstance(layer, Points):
        return "visible", "data", "face_color"
    return ("visible", *OF_STACKS) if about(layer).get("kind") == "stack" else ("visible",)
