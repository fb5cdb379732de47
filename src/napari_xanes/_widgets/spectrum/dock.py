"""The spectrum dock: what the pixels under the cursor, in drawn shapes and in painted labels absorb, live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow

from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.on_demand import SUFFIX
from napari_xanes._widgets.layers.session import real_viewer
from napari_xanes._widgets.layers.words import in_voxels
from napari_xanes._widgets.parts.busy import PatientTimer, wait_for
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.parts.view import View
from napari_xanes._widgets.spectrum.export import ExportMenu
from napari_xanes._widgets.spectrum.key import CurveKey, PlotWithKey
from napari_xanes._widgets.spectrum.listening import Listening
from napari_xanes._widgets.spectrum.model import SpectrumModel
from napari_xanes._widgets.spectrum.picture import Picture, picture_of
from napari_xanes._widgets.spectrum.pins import add_pin, remove_pins
from napari_xanes._widgets.spectrum.placing import go_below
from napari_xanes._widgets.spectrum.plot import SpectrumPlot
from napari_xanes._widgets.spectrum.region_box import RegionBox
from napari_xanes._widgets.spectrum.region_table import RegionTable
from napari_xanes._widgets.spectrum.regions import draw_region
from napari_xanes._widgets.spectrum.spots import pixel_at
from napari_xanes._widgets.spectrum.tools import SpectrumTools

HOVER_MS, REGION_MS = 0, 100
ZOOM = "double_click_to_zoom"
"""Napari's own answer to a double click, which would take the picture away from the pixel that is pinned."""


class XanesSpectrum(Dock):
    """Live spectra of the stack that is looked at.

    Shift and a move of the mouse: the pixel under the cursor.  Double click: pins it.  Shapes and labels are
    followed while they are drawn or painted.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = real_viewer(napari_viewer)
        self._view = View(self.viewer)
        self.model = SpectrumModel(self.viewer)
        self.plot = SpectrumPlot(self.viewer)
        self.key = CurveKey()
        self.drawing = PlotWithKey(self.plot, self.key)
        self.export = ExportMenu(self.plot, self.drawing)
        self.tools = SpectrumTools(self.export)
        self.table = RegionTable()
        self.box = RegionBox(self.viewer, self.stack_layer)
        self.picture = Picture()
        self._hovered: Any = None
        self._hover_timer = _timer(self, HOVER_MS, self._read_cursor)
        self._region_timer = _timer(self, REGION_MS, self.read_regions)
        self._redraw_timer = _timer(self, 0, self.redraw)  # an editor says more than once that it changed
        self._lay_out()
        self._connect()
        self._listening = Listening(
            self.viewer,
            on_step=self._on_step,
            on_layers=lambda _: self._region_timer.start(),
            on_changed=self._on_changed,
            on_form=self._on_form,
        )
        self.read_all()
        self.model.reading.wait = partial(
            wait_for, words="Reading the spectrum..."
        )  # from now on events may come

    def _lay_out(self) -> None:
        self.setMinimumHeight(190)
        self.column.setAlignment(Qt.AlignmentFlag(0))
        self.column.setContentsMargins(4, 2, 4, 2)
        self.table.column.insertWidget(1, self.box)
        self.table.setVisible(False)
        beside = QHBoxLayout()
        beside.addWidget(self.drawing, 1)
        beside.addWidget(self.table, 1)
        self.column.addWidget(self.tools)
        self.column.addLayout(beside, 1)

    def _connect(self) -> None:
        self.tools.quantity_picked.connect(self._on_quantity)
        self.tools.wanted_changed.connect(self._on_wanted)
        self.tools.unpin.clicked.connect(self._on_unpin)
        self.tools.new_region.clicked.connect(self._on_new_region)
        self.tools.table.toggled.connect(self._on_table)
        self.table.region_chosen.connect(self._on_row)
        self.plot.energy_dragged.connect(self._on_energy_dragged)
        self.plot.window_dragged.connect(
            lambda name, lo, hi: self._on_dragged(name, (round(lo, 2), round(hi, 2)))
        )
        self.plot.theme_followed.connect(self._name_curves)
        self.plot.e0_dragged.connect(lambda value: self._on_dragged("e0", round(value, 2)))
        self.plot.excluded_dragged.connect(self.model.forms.set_excluded)
        self.viewer.mouse_move_callbacks.append(self._on_move)
        clicks = self.viewer.mouse_double_click_callbacks
        self._zooms = [one for one in clicks if getattr(one, "__name__", "") == ZOOM]
        for callback in self._zooms:  # a pixel is pinned, and the view stays where it is
            clicks.remove(callback)
        clicks.append(self._on_double_click)

    def take_place(self, window: QMainWindow, dock: QDockWidget) -> None:
        """Go below the canvas."""
        go_below(window, dock)
        self._view.fit_soon()

    def stack_layer(self) -> Layer | None:
        """Return the stack that is looked at."""
        return self.model.reading.stack_layer()

    def waiting(self) -> bool:
        """Whether something was asked for that is not drawn yet."""
        timers = self._hover_timer, self._region_timer, self._redraw_timer
        return any(timer.isActive() for timer in timers)

    # -- reading and drawing --------------------------------------------------------------------------

    def read_all(self) -> None:
        """Read every spectrum anew."""
        self.model.reading.forget()
        self._on_step()
        self.read_regions()

    def read_regions(self) -> None:
        """Read the spectra of pins, shapes and labels that changed, and draw."""
        self._listening.follow_forms()
        self.model.read()
        self.tools.show_quantity(self.model.wanted.quantity)
        self.redraw()

    def _read_cursor(self) -> None:
        if self._hovered is not None and self.model.hover(self._hovered):
            self.table.choose_none()
            self._draw()

    def redraw(self) -> None:
        """Draw what was read, as it is wanted."""
        self._draw()
        if self.tools.table.isChecked():
            self.table.show_rows(self.model.rows())

    def _draw(self) -> None:
        self.picture = picture = picture_of(self.model)
        self.plot.draw(picture.curves)
        self._name_curves()
        self.plot.set_labels(picture.left)
        self.plot.show_windows(picture.windows, picture.e0)
        self.plot.show_excluded(picture.excluded)
        said = picture.message.replace(SUFFIX, "")  # which says nothing of spectra, and the line is short
        self.tools.say(in_voxels(said, self.stack_layer()))
        if self.stack_layer() is None:
            self.plot.show_energy(None)

    def _name_curves(self) -> None:
        self.key.show_curves(self.plot.drawn(), self.plot.text_color)

    # -- what the user does in the dock ---------------------------------------------------------------

    def _on_quantity(self, quantity: str) -> None:
        self.model.pick_quantity(quantity)
        self.read_all()

    def _on_wanted(self) -> None:
        fit_before = self.model.wanted.fit
        self.model.wanted = self.tools.wanted()
        if self.model.wanted.fit != fit_before:  # which is made of optical density
            self.read_all()
        else:
            self._draw()

    def _on_table(self, shown: bool) -> None:
        self.table.setVisible(shown)
        self.redraw()

    def _on_row(self, name: str) -> None:
        self.box.look_at(name)
        if name and name != self.model.chosen:
            self.model.chosen = name
            self._draw()

    def _on_dragged(self, name: str, value: Any) -> None:
        if not self.model.forms.set_normalization(name, value):
            self.redraw()

    def _on_new_region(self) -> None:
        layer = self.stack_layer()
        if layer is not None:
            draw_region(self.viewer, layer)

    def _on_unpin(self) -> None:
        remove_pins(self.viewer)
        self.model.reading.forget_cursor()
        self.read_regions()

    # -- what happens in the viewer -------------------------------------------------------------------

    def _on_move(self, viewer: Any, event: Any) -> None:
        if "Shift" in event.modifiers:
            self._hovered = tuple(event.position)
            if not self._hover_timer.isActive():
                self._hover_timer.start()

    def _on_double_click(self, viewer: Any, event: Any) -> None:
        self.pin(event.position)

    def pin(self, position: Sequence[float]) -> None:
        """Pin the pixel at a position in the world, if there is one."""
        layer = self.stack_layer()
        if layer is not None and pixel_at(layer, position) is not None:
            add_pin(self.viewer, layer, position)
            self.read_regions()

    def _on_step(self, event: Any = None) -> None:
        layer, energy = self.stack_layer(), self.model.energy()
        if layer is None or not energy.size:
            return
        position = layer.world_to_data(self.viewer.dims.point)[0]
        self.plot.show_energy(float(energy[int(np.clip(round(position), 0, energy.size - 1))]))
        if layer.data.ndim > 3:
            self._region_timer.start()

    def _on_energy_dragged(self, value: float) -> None:
        layer, energy = self.stack_layer(), self.model.energy()
        if layer is None:
            return
        index = int(np.argmin(np.abs(energy - value)))
        world = layer.data_to_world((index, *[0] * (layer.ndim - 1)))[0]
        self.viewer.dims.set_point(self.viewer.dims.ndim - layer.ndim, world)

    def _on_form(self) -> None:
        if not self._clean:
            self._redraw_timer.start()

    def _on_changed(self, event: Any = None) -> None:
        if about(event.source).get("kind") == "stack" and event.type in ("data", "metadata", "set_data"):
            self.model.reading.forget()
        if not self._region_timer.isActive():
            self._region_timer.start()

    def cleanup(self) -> None:
        """Disconnect from the viewer."""
        for timer in (self._hover_timer, self._region_timer, self._redraw_timer):
            timer.stop()
        self.viewer.mouse_move_callbacks.remove(self._on_move)
        self.viewer.mouse_double_click_callbacks.remove(self._on_double_click)
        self.viewer.mouse_double_click_callbacks.extend(self._zooms)
        self._listening.stop()
        self.plot.cleanup()


def _timer(parent: QObject, milliseconds: int, callback: Callable[[], None]) -> PatientTimer:
    """Return a timer that waits while a spectrum is being read."""
    timer = PatientTimer(parent, milliseconds)
    timer.due.connect(callback)
    return timer
