"""The photon energy on the canvas, following the slider, and the scale bar where the size of pixels is known.

napari's own sliders count frames and cannot show energies that are not evenly spaced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from napari import current_viewer
from napari.components.overlays import TextOverlay
from napari.layers import Layer
from qtpy.QtCore import QTimer

from napari_xanes._widgets.layers.layers import about, stack_layers
from napari_xanes._widgets.layers.one_scan import show_one_scan
from napari_xanes._widgets.layers.session import real_viewer, session_of
from napari_xanes._widgets.layers.settings import settings, when_changed
from napari_xanes._widgets.layers.tuples import map_title
from napari_xanes._widgets.parts.busy import draw_next, when_free
from napari_xanes._widgets.parts.canvas import make_canvas_current
from napari_xanes._widgets.parts.loaded import leave_out_loaded
from napari_xanes._widgets.parts.portions import breathe, garbage_apart
from napari_xanes._widgets.parts.view import show_all

KEY = "xanes_energy"
THEN_MS = 100
"""ms between what is written on a canvas with a new layer, or more: the one is drawn before the other is begun."""
AT_ONCE = 3
"""Characters that are written for the first time; napari takes 10 to 50 ms to make each of them ready to be drawn, and
with the very first nine others, by which it aligns them."""
NEXT_MS = 20
"""ms until more of them are."""
FONT_SIZE = 10
"""Points; larger text would cover the sample on a small screen."""


def show_energy(viewer: Any) -> EnergyText:
    """Show the energy in a viewer; however often it is called, there is one text a viewer.

    It lives as long as the viewer and is seen only while a stack is.
    """
    session = session_of(viewer)
    if session.energy_text is None:
        session.energy_text = EnergyText(real_viewer(viewer))
    text: EnergyText = session.energy_text
    return text


def show_energy_in_window() -> None:
    """Show the energy where a stack is being opened, if that is in a window."""
    viewer = current_viewer()
    if viewer is not None:
        leave_out_loaded(viewer)
        show_energy(viewer)
        breathe()
        draw_next()


class EnergyText:
    """Writes the energy of the shown frame into a corner of the canvas.

    It is that of the active layer if it is a visible stack, else of the topmost visible stack; none where the axis of
    energy is drawn itself, in 3D or as an axis of the picture.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(viewer)
        self._first_scale = True
        self._drawn: set[str] = set()
        self._more = self._picture_drawn = False
        self._barred: Callable[[], Layer | None] = lambda: None
        self._overlay = TextOverlay(visible=False, position="top_left", font_size=FONT_SIZE)
        viewer.canvas.overlays[KEY] = self._overlay
        for source in (
            viewer.dims.events.current_step,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            viewer.layers.selection.events.active,
            viewer.layers.events.reordered,
        ):
            source.connect(self.update)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removing.connect(self._on_removing)
        viewer.layers.events.removed.connect(self._on_removed)
        for layer in viewer.layers:
            self._watch(layer)
            self._show_scale(layer)
        when_changed(self._on_setting)
        self.update()

    @property
    def text(self) -> str:
        """What stands on the canvas; empty if nothing does."""
        return self._overlay.text if self._overlay.visible else ""

    def update(self, event: Any = None) -> None:
        """Write the energy anew."""
        viewer = self._viewer()
        if viewer is None:
            return
        shown = _shown_map(viewer)
        self._color_bar(viewer, shown)
        layer = _shown_stack(viewer) if settings().show_energy and shown is None else None
        if layer is None:
            self._write("" if shown is None else _unit_text(shown))
            return
        if viewer.dims.ndim - layer.ndim in viewer.dims.displayed:  # the picture is of all energies
            self._write("")
            return
        energy = about(layer)["energy"]
        position = layer.world_to_data(viewer.dims.point)[0]
        index = int(np.clip(round(position), 0, len(energy) - 1))
        self._write(f"{energy[index]:.2f} eV  ({index + 1} of {len(energy)})")

    def _write(self, text: str) -> None:
        """Write in a window a few characters that are new to it at a time, so that it never stands still for long."""
        new = list(dict.fromkeys(one for one in text if one not in self._drawn))
        now = 0 if self._more or not self._picture_drawn else AT_ONCE if self._drawn else 1
        if len(new) > now and hasattr(self._viewer(), "window"):
            text = text[: text.index(new[now])]
            if not self._more:
                self._more = True
                when_free(NEXT_MS, self._write_more)
        self._drawn.update(text)
        self._overlay.text = text
        self._overlay.visible = bool(text)

    def _write_more(self) -> None:
        self._more, self._picture_drawn = False, True
        self.update()

    def _color_bar(self, viewer: Any, shown: Layer | None) -> None:
        """Show the colour bar of the map that is shown alone; whoever hides it is left alone until another map is shown."""
        if shown is self._barred():
            return
        self._barred = (lambda: None) if shown is None else ref(shown)
        if hasattr(viewer, "window"):  # napari takes as long for a bar as for the map, which is drawn first
            when_free(THEN_MS, self._show_bar)
        else:
            self._show_bar()

    def _show_bar(self) -> None:
        viewer, shown = self._viewer(), self._barred()
        maps = [] if viewer is None else [one for one in viewer.layers if about(one).get("map")]
        with garbage_apart():
            for layer in maps:
                barred = layer is shown
                if hasattr(layer, "colorbar") and layer.colorbar.visible is not barred:
                    layer.colorbar.visible = barred

    def _on_setting(self, event: Any) -> None:
        if event.key.endswith(".show_scale_bar"):
            self._scale_bar(event.value)
        self.update()

    def _scale_bar(self, shown: bool) -> None:
        """Show napari's own scale bar, or hide it."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.canvas.overlays.scale_bar.visible = shown

    def _watch(self, layer: Layer) -> None:
        layer.events.visible.connect(self.update)
        layer.events.metadata.connect(self.update)

    def _on_inserted(self, event: Any) -> None:
        """Write the energy as soon as the new layer is drawn, and then the scale: napari takes its time for each."""
        viewer = self._viewer()
        if viewer is not None:
            show_one_scan(viewer, event.value)
        self._watch(event.value)
        if hasattr(self._viewer(), "window"):
            QTimer.singleShot(0, self.update)
            if len(event.source) == 1 and about(event.value):
                QTimer.singleShot(0, self._make_room)
            when_free(THEN_MS, partial(self._show_scale, event.value))
        else:
            self._show_scale(event.value)
            self.update()

    def _make_room(self) -> None:
        """Fit the first layer below the text; napari has fitted it into the whole canvas."""
        viewer = self._viewer()
        if viewer is not None and len(viewer.layers):
            show_all(viewer)

    def _show_scale(self, layer: Layer) -> None:
        """Show the scale bar from now on if a stack tells the size of its pixels; whoever hides it is left alone."""
        viewer = self._viewer()
        if self._more:
            QTimer.singleShot(THEN_MS, partial(self._show_scale, layer))
            return
        known = about(layer).get("pixel_size_um")
        if viewer is not None and self._first_scale and known and settings().show_scale_bar:
            viewer.canvas.overlays.scale_bar.visible = True
            self._first_scale = False

    def _on_removing(self, event: Any) -> None:
        make_canvas_current(self._viewer())

    def _on_removed(self, event: Any) -> None:
        event.value.events.visible.disconnect(self.update)
        event.value.events.metadata.disconnect(self.update)
        self.update()


def _shown_stack(viewer: Any) -> Layer | None:
    visible = [layer for layer in stack_layers(viewer) if layer.visible]
    active = viewer.layers.selection.active
    if active is not None and any(layer is active for layer in visible):
        return active
    return visible[-1] if visible else None


def _shown_map(viewer: Any) -> Layer | None:
    """Return the map that is shown by itself; None where several are, as in a mix of colours."""
    visible = [one for one in viewer.layers if one.visible and about(one).keys() & {"map", "mix"}]
    stacks = [one for one in stack_layers(viewer) if one.visible]
    alone = len(visible) == 1 and not stacks and about(visible[0]).get("map")
    return visible[0] if alone else None


def _unit_text(layer: Layer) -> str:
    """Return what a map shows and its unit."""
    said = about(layer)
    unit = str(said.get("unit") or "").replace("_", " ")
    title = map_title(said["map"], said, "")
    return f"{title} ({unit})" if unit else title
