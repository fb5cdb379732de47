"""The spectrum dock: what the pixels under the cursor, in drawn shapes and in painted labels absorb, live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from napari.layers import Labels, Layer, Points, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QSizePolicy,
)

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import SIGNAL_WORDS
from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._core.edge.normalize import EdgeNormalization
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.layers.layers import about, find, lineage, results_of, stack_layers
from napari_xanes._widgets.parts.buttons import make_button
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.spectrum.curves import (
    DENSITY,
    MEASURED,
    NORMALISED,
    QUANTITIES,
    FittedCurve,
    fitted,
    last_fit,
    mean_spectrum,
    normalised,
)
from napari_xanes._widgets.spectrum.export import ExportMenu
from napari_xanes._widgets.spectrum.form_link import FormLink
from napari_xanes._widgets.spectrum.pins import PIN_COLORS, add_pin, remove_pins
from napari_xanes._widgets.spectrum.plot import Curve, SpectrumPlot
from napari_xanes._widgets.spectrum.region_box import RegionBox
from napari_xanes._widgets.spectrum.region_table import RegionTable, Row
from napari_xanes._widgets.spectrum.regions import draw_region
from napari_xanes._widgets.spectrum.spots import Pixels, every_spot, pixel_at, spread

Float64 = NDArray[np.float64]

CURSOR, MEAN = "cursor", "mean of the stack"
HOVER_MS, REGION_MS = 0, 100
HEIGHT = 260
"""px of the dock when it opens."""


class XanesSpectrum(Dock):
    """Live spectra of the stack that is looked at.

    Shift and a move of the mouse: the pixel under the cursor.  Double click: pins it.  Shapes and labels are
    followed while they are drawn or painted.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.setMinimumHeight(190)
        self.column.setAlignment(Qt.AlignmentFlag(0))
        self._cursor: Pixels | None = None
        self._hovered: Any = None
        self._spectra: dict[str, tuple[Float64, str | None]] = {}
        self._known: dict[str, dict[str, tuple[Float64, str | None]]] = {}
        self._watched: list[tuple[Any, Callable[..., None]]] = []
        self._edge: EdgeNormalization | None = None
        self.fit: FittedCurve | None = None
        self._forms = FormLink(self.viewer)
        self._windows: dict[str, dict[str, Any]] = {}
        self._placed = False
        self.plot = SpectrumPlot(self.viewer)
        self._make_tools()
        beside = QHBoxLayout()
        beside.addWidget(self.plot, 1)
        beside.addWidget(self.table, 1)
        self.column.addLayout(beside, 1)
        self._hover_timer = _timer(self, HOVER_MS, self._read_cursor)
        self._region_timer = _timer(self, REGION_MS, self.read_regions)
        self._redraw_timer = _timer(
            self, 0, self._redraw_all
        )  # an editor says more than once that it changed
        self._connect()
        self.read_all()

    def _make_tools(self) -> None:
        self._picked, self._quantity_of = False, ""
        self._followed: list[ParamsForm] = []
        self.quantity = QComboBox()
        self.quantity.addItems(QUANTITIES)
        self.quantity.setToolTip(
            "<p>What is drawn: the stack's own values, optical density, or the spectrum between 0 before and 1 after the edge.</p>"
        )
        self.derivative = QCheckBox("d/dE")
        self.derivative.setToolTip("<p>The derivative of the spectra.</p>")
        self.references = QCheckBox("references")
        self.references.setToolTip("<p>The spectra of the last fit, or of the files in the Fit form.</p>")
        self.fit_shown = QCheckBox("fit")
        self.fit_shown.setToolTip(
            "<p>The first curve fitted as 4 Fit is set: sum, components and residual, made anew as anything changes.</p>"
        )
        self.windows_shown = QCheckBox("windows")
        self.windows_shown.setToolTip(
            "<p>The windows before and after the edge and e0: drag them. The Normalise form follows.</p>"
        )
        self.windows_shown.setChecked(True)
        self.table_shown = QCheckBox("table")
        self.table_shown.setToolTip(
            "<p>Pixels, thickness and fractions of every pin, shape and label, beside the plot.</p>"
        )
        self.table = RegionTable()
        self.box = RegionBox(self.viewer, self.stack_layer)
        self.table.layout().insertWidget(1, self.box)
        self.table.region_chosen.connect(self.box.look_at)
        self.table.setVisible(False)
        self._counts: dict[str, int] = {}
        self.new_region = make_button(
            "Region", "Draw a new rectangle on the picture; its mean spectrum is followed while it is moved."
        )
        self.unpin = QPushButton("Unpin")
        self.unpin.setToolTip("<p>Take the pinned pixels away. A double click on the image pins one.</p>")
        self.export = ExportMenu(self.plot, self.curves_as_table)
        self.where = QLabel()
        self.where.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed
        )  # text must not lay out the window
        row = QHBoxLayout()
        row.setSpacing(5)
        boxes = self.derivative, self.windows_shown, self.references, self.fit_shown, self.table_shown
        for part in (self.quantity, *boxes):
            row.addWidget(part)
        row.addWidget(self.where, 1)
        row.addWidget(self.new_region)
        row.addWidget(self.unpin)
        row.addWidget(self.export)
        self.column.addLayout(row)
        self.column.setContentsMargins(4, 2, 4, 2)

    def showEvent(self, event: Any) -> None:
        """Go below the canvas, where a plot has room; napari opens docks at the right."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            QTimer.singleShot(0, self._go_below)

    def _go_below(self) -> None:
        dock = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        window = None if dock is None else dock.parent()
        if isinstance(window, QMainWindow) and not dock.isFloating():
            window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
            window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            window.resizeDocks([dock], [HEIGHT], Qt.Orientation.Vertical)

    def _connect(self) -> None:
        self.quantity.currentTextChanged.connect(self._on_quantity)
        for box in (self.derivative, self.references, self.windows_shown):
            box.toggled.connect(lambda _: self.redraw())
        self.fit_shown.toggled.connect(lambda _: self.read_all())
        self.unpin.clicked.connect(self._on_unpin)
        self.table_shown.toggled.connect(self.table.setVisible)
        self.table_shown.toggled.connect(lambda _: self._fill_table())
        self.new_region.clicked.connect(self._on_new_region)
        self.plot.energy_dragged.connect(self._on_energy_dragged)
        self.plot.window_dragged.connect(
            lambda name, lo, hi: self._on_dragged(name, (round(lo, 2), round(hi, 2)))
        )
        self.plot.e0_dragged.connect(lambda value: self._on_dragged("e0", round(value, 2)))
        self.plot.excluded_dragged.connect(self._forms.set_excluded)
        self.viewer.mouse_move_callbacks.append(self._on_move)
        self.viewer.mouse_double_click_callbacks.append(self._on_double_click)
        self._watch(self.viewer.dims.events.current_step, self._on_step)
        self._watch(self.viewer.layers.events.inserted, self._on_layers)
        self._watch(self.viewer.layers.events.removed, self._on_layers)
        self._watch(self.viewer.layers.selection.events.active, self._on_layers)
        self._watch_layers()

    def _watch(self, emitter: Any, callback: Callable[..., None]) -> None:
        emitter.connect(callback)
        self._watched.append((emitter, callback))

    # -- which stack ----------------------------------------------------------------------------------

    def stack_layer(self) -> Layer | None:
        """Return the stack that is looked at: the active layer, or what it was made from, or the topmost shown."""
        active = self.viewer.layers.selection.active
        said = {} if active is None else about(active)
        while said:
            layer = find(self.viewer, said.get("id"))
            if layer is not None and said.get("kind") == "stack":
                return layer
            parent = find(self.viewer, said.get("made_from"))
            said = {} if parent is None else about(parent)
        stacks = list(stack_layers(self.viewer))
        shown = [layer for layer in stacks if layer.visible]
        return (shown or stacks or [None])[-1]

    def _family(self, layer: Layer) -> list[Layer]:
        """Return a stack, those it was made from, and those made from it, nearest first."""
        line = lineage(self.viewer, layer)
        made = [one for one in stack_layers(self.viewer) if layer in lineage(self.viewer, one)[1:]]
        return [line[0], *made, *line[1:]]

    def _plane(self, layer: Layer) -> int:
        if layer.data.ndim < 4:
            return 0
        z = round(layer.world_to_data(self.viewer.dims.point)[1])
        return int(np.clip(z, 0, layer.data.shape[1] - 1))

    def energy(self) -> Float64:
        """Return the energies of the stack that is looked at."""
        layer = self.stack_layer()
        return np.empty(0) if layer is None else np.array(about(layer)["energy"])

    # -- reading --------------------------------------------------------------------------------------

    def read_all(self) -> None:
        """Read every spectrum anew."""
        self._known.clear()
        layer = self.stack_layer()
        if layer is None:
            self._spectra.clear()
            self.plot.draw({})
            self.plot.show_windows(None, None)
            self.plot.show_energy(None)
            self.where.setText("Open a XANES stack to see its spectra.")
            return
        self._on_step()
        self.read_regions()

    def read_regions(self) -> None:
        """Read the spectra of pins, shapes and labels that changed, and draw."""
        layer = self.stack_layer()
        if layer is None:
            return
        if not self._picked and about(layer)["id"] != self._quantity_of:
            self._quantity_of = about(layer)["id"]
            self.quantity.blockSignals(True)
            self.quantity.setCurrentText(NORMALISED if about(layer)["signal"] == "normalized" else MEASURED)
            self.quantity.blockSignals(False)
        spectra: dict[str, tuple[Float64, str | None]] = {}
        if self._cursor is not None and CURSOR in self._spectra:
            spectra[CURSOR] = self._spectra[CURSOR]
        for name, pixels, color in every_spot(self.viewer, layer, self._plane(layer)):
            known = self._known.setdefault(name, {})
            source = about(self._read_from(layer))["id"]
            key = f"{source} {self.quantity.currentText() == MEASURED} {_mark(pixels)}"
            if key not in known:
                known.clear()
                known[key] = (self._read(layer, pixels), color)
            self._counts[name] = pixels[0].size
            spectra[name] = (known[key][0], color)
        if not spectra:
            spectra[MEAN] = (self._read(layer, spread(layer.data.shape[1:])), None)
        self._spectra = spectra
        self._redraw_all()

    def _on_quantity(self, text: str) -> None:
        """Show what the user chose; from now on the stack does not decide it any more."""
        self._picked = True
        self.read_all()

    def _read_cursor(self) -> None:
        layer = self.stack_layer()
        if layer is None or self._hovered is None:
            return
        pixels = pixel_at(layer, self._hovered)
        if pixels is None:
            return
        self._cursor = pixels
        self._spectra.pop(MEAN, None)
        self._spectra = {CURSOR: (self._read(layer, pixels), None)} | {
            name: found for name, found in self._spectra.items() if name != CURSOR
        }
        at = ", ".join(str(int(axis[0])) for axis in pixels)
        self.where.setText(f"pixel {at}")
        self.redraw()

    def _read(self, layer: Layer, pixels: Pixels) -> Float64:
        """Return the mean spectrum of some pixels; what is to be normalised is read as optical density first."""
        quantity = MEASURED if self.quantity.currentText() == MEASURED else DENSITY
        return mean_spectrum(self._read_from(layer), pixels, quantity)

    def _read_from(self, layer: Layer) -> Layer:
        """Return the stack whose pixels are averaged.

        That of a normalised stack is the optical density it was made from: there a mean weighs pixels by how much
        material they have, while after the division thin ones would bring their noise.
        """
        if self.quantity.currentText() == MEASURED and not self.fit_shown.isChecked():
            return layer
        line = lineage(self.viewer, layer)
        before = next((one for one in line if about(one)["signal"] == "optical_density"), layer)
        return before if about(layer)["signal"] == "normalized" else layer

    # -- drawing --------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Draw what was read, as it is wanted."""
        layer = self.stack_layer()
        if layer is None or not self._spectra:
            return
        energy, signal = self.energy(), about(self._read_from(layer))["signal"]
        given = self._form_values()
        first = next(iter(self._spectra))
        can_normalise = self.quantity.currentText() != MEASURED or signal == "optical_density"
        self._edge = None
        if can_normalise and signal != "normalized":
            self._edge = normalised(self._spectra[first][0], energy, given)
        curves: dict[str, Curve] = {}
        for name, (spectrum, color) in self._spectra.items():
            curves[name] = Curve(energy, self._as_wanted(spectrum, energy, given, signal), color, width=2)
        self.fit = None
        if self.fit_shown.isChecked():
            self._add_fit(curves, layer, first, energy, signal)
        elif self.references.isChecked():
            self._add_references(curves, layer, energy)
        if (
            self._edge is not None
            and self.quantity.currentText() != NORMALISED
            and not self.derivative.isChecked()
        ):
            self._add_lines(curves, energy)
        if self.derivative.isChecked():
            curves = {
                name: Curve(c.x, np.gradient(c.y, c.x), c.color, c.style, c.width)
                for name, c in curves.items()
            }
        self.plot.draw(curves)
        self.plot.set_labels(self._left_label(signal))
        shown = self._edge is not None and self.windows_shown.isChecked()
        edge = self._edge
        self.plot.show_windows(
            {"pre_edge": edge.pre_edge, "post_edge": edge.post_edge} if shown and edge is not None else None,
            edge.e0 if shown and edge is not None else None,
        )
        self.plot.show_excluded(self._forms.excluded())

    def _redraw_all(self) -> None:
        self.redraw()
        self._fill_table()

    def _fill_table(self) -> None:
        """Put what the regions hold into the table, if it is shown."""
        layer = self.stack_layer()
        if not self.table_shown.isChecked() or layer is None:
            return
        energy, signal = self.energy(), about(self._read_from(layer))["signal"]
        known, given = self._how_to_fit(layer), self._form_values()
        absorbs = self.quantity.currentText() != MEASURED or signal == "optical_density"
        rows = []
        for name, (spectrum, color) in self._spectra.items():
            if name in (CURSOR, MEAN):
                continue
            edge = normalised(spectrum, energy, given) if absorbs and signal != "normalized" else None
            fit = None if known is None else self._fit_of(spectrum, energy, signal, known)
            fractions = (
                {}
                if fit is None
                else dict(zip(fit.names, zip(fit.fractions, fit.sigma, strict=True), strict=True))
            )
            thickness = None if edge is None else float(edge.edge_step)
            rows.append(Row(name, color, self._counts[name], thickness, fractions))
        self.table.show_rows(rows)

    def _fit_of(
        self,
        spectrum: Float64,
        energy: Float64,
        signal: str,
        known: tuple[list[Reference], dict[str, Any], bool],
    ) -> FittedCurve | None:
        """Return the fit of a spectrum as it was read, normalised first where fits are; None if it cannot be."""
        references, params, normalised_first = known
        if normalised_first and signal != "normalized":
            if self.quantity.currentText() == MEASURED and signal != "optical_density":
                return None
            edge = normalised(spectrum, energy, self._form_values())
            if edge is None:
                return None
            spectrum = np.asarray(edge.normalized, np.float64)
        return fitted(spectrum, energy, references, params)

    def _as_wanted(self, spectrum: Float64, energy: Float64, given: dict[str, Any], signal: str) -> Float64:
        if self.quantity.currentText() != NORMALISED or signal == "normalized":
            return spectrum
        found = normalised(spectrum, energy, given)
        return np.full(energy.size, np.nan) if found is None else np.asarray(found.normalized, np.float64)

    def _add_lines(self, curves: dict[str, Curve], energy: Float64) -> None:
        """Add the fitted pre- and post-edge lines of the first curve."""
        edge = self._edge
        assert edge is not None
        x = energy - edge.e0
        for name, line, part in (
            ("pre-edge line", edge.pre_line, energy <= edge.post_edge[1]),
            ("post-edge line", edge.post_line, energy >= edge.e0),
        ):
            curves[name] = Curve(
                energy[part],
                (line[0] + line[1] * x)[part],
                self.plot.windows[name.split()[0].replace("-", "_")].lines[0].pen.color().name(),
                "dash",
            )

    def _add_fit(
        self, curves: dict[str, Curve], layer: Layer, first: str, energy: Float64, signal: str
    ) -> None:
        """Replace the curves by the first one with its fit."""
        known = self._how_to_fit(layer)
        if known is None:
            self.where.setText("Choose references in 4 Fit to see a fit.")
            return
        self.fit = self._fit_of(self._spectra[first][0], energy, signal, known)
        if self.fit is None:
            counts = self.quantity.currentText() == MEASURED and signal in ("counts", "transmission")
            self.where.setText(
                "Choose optical density to fit this stack's spectra."
                if counts
                else f"'{first}' cannot be fitted: it shows no edge, or is invalid at some energies."
            )
            return
        found = self.fit
        curves.clear()
        curves[first] = Curve(found.energy, found.measured, None, "points")
        curves["fit"] = Curve(found.energy, found.fit, SAFE_COLORS[3], width=2)
        parts = zip(found.names, found.components, found.fractions, found.sigma, strict=True)
        for k, (name, component, fraction, sigma) in enumerate(parts):
            label = f"{name}: {fraction:.3f} ± {sigma:.3f}"
            curves[label] = Curve(found.energy, component, PIN_COLORS[k % 3], "dash")
        curves["residual"] = Curve(found.energy, found.measured - found.fit, SAFE_COLORS[4])
        self._edge = None

    def _how_to_fit(self, layer: Layer) -> tuple[list[Reference], dict[str, Any], bool] | None:
        """Return references, parameters and whether spectra are normalised first: as the form says now.

        Where there is no form, or nothing in it yet, it is as in the last fit.
        """
        known, form = last_fit(self._family(layer)), self._forms.form("fit")
        if form is None or not form.values()["references"]:
            return known
        try:
            params = form.params().model_dump()
        except InputError:
            return known
        references = self._forms.references()
        if known is not None and [one.name for one in references] == [one.name for one in known[0]]:
            return known[0], params, known[2]  # as the step prepared them
        return (references, params, not params["background"]) if references else known

    def _add_references(self, curves: dict[str, Curve], layer: Layer, energy: Float64) -> None:
        known = last_fit(self._family(layer))
        references = known[0] if known is not None else self._forms.references()
        for k, one in enumerate(references):
            inside = (one.energy >= energy[0]) & (one.energy <= energy[-1])
            curves[one.name] = Curve(
                one.energy[inside], one.mu[inside], PIN_COLORS[k % len(PIN_COLORS)], "dot"
            )

    def _left_label(self, signal: str) -> str:
        shown = self.quantity.currentText()
        text = SIGNAL_WORDS[signal] if shown == MEASURED else shown
        if self.fit is not None:
            text = "fitted spectrum"
        return f"d({text}) / dE" if self.derivative.isChecked() else text

    # -- forms of the workflow ------------------------------------------------------------------------

    def _form_values(self) -> dict[str, Any]:
        """Return how spectra are normalised: as the form says, or as was dragged here."""
        return self._automatic() | self._forms.normalisation()

    def _automatic(self) -> dict[str, Any]:
        """Return e0 and windows as Normalise found them, or as the mean of the stack has them; they stay while one hovers."""
        layer = self.stack_layer()
        if layer is None:
            return {}
        source = self._read_from(layer)
        found = results_of(source).get("normalize")
        if found is not None:
            chosen = next(step.params for step in found.history[::-1] if step.step == "normalize")
            return {key: chosen[key] for key in ("e0", "pre_edge", "post_edge")}
        key = f"{about(source)['id']} {self.quantity.currentText() == MEASURED}"
        if key not in self._windows:
            mean = self._read(layer, spread(source.data.shape[1:]))
            edge = normalised(mean, self.energy(), {})
            kept = (
                {}
                if edge is None
                else {"e0": edge.e0, "pre_edge": edge.pre_edge, "post_edge": edge.post_edge}
            )
            self._windows[key] = kept
        return self._windows[key]

    def _on_dragged(self, name: str, value: Any) -> None:
        if not self._forms.set_normalisation(name, value):
            self.redraw()

    def _on_new_region(self) -> None:
        layer = self.stack_layer()
        if layer is not None:
            draw_region(self.viewer, layer)

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

    def _on_unpin(self) -> None:
        remove_pins(self.viewer)
        self._cursor = None
        self._spectra.pop(CURSOR, None)
        self.where.setText("")
        self.read_regions()

    def _on_step(self, event: Any = None) -> None:
        layer, energy = self.stack_layer(), self.energy()
        if layer is None or not energy.size:
            return
        position = layer.world_to_data(self.viewer.dims.point)[0]
        self.plot.show_energy(float(energy[int(np.clip(round(position), 0, energy.size - 1))]))
        if layer.data.ndim > 3:
            self._region_timer.start()

    def _on_energy_dragged(self, value: float) -> None:
        layer, energy = self.stack_layer(), self.energy()
        if layer is None:
            return
        index = int(np.argmin(np.abs(energy - value)))
        world = layer.data_to_world((index, *[0] * (layer.ndim - 1)))[0]
        self.viewer.dims.set_point(self.viewer.dims.ndim - layer.ndim, world)

    def _on_layers(self, event: Any = None) -> None:
        self._watch_layers()
        self._region_timer.start()

    def _watch_layers(self) -> None:
        """Listen to the layers whose changes change a spectrum."""
        keep = self._watched[:4]
        for emitter, callback in self._watched[4:]:
            emitter.disconnect(callback)
        self._watched = keep
        for layer in self.viewer.layers:
            names = ["visible"]
            if isinstance(layer, Labels):
                names += [
                    "paint",
                    "labels_update",
                    "data",
                    "colormap",
                    "show_selected_label",
                    "selected_label",
                ]
            elif isinstance(layer, Shapes | Points):
                names += ["data"]
            elif about(layer).get("kind") == "stack":
                names += ["data", "metadata"]
            for name in names:
                self._watch(getattr(layer.events, name), self._on_changed)
        for form in (self._forms.form("normalize"), self._forms.form("fit")):
            if form is not None and all(form is not one for one in self._followed):
                self._followed.append(form)
                form.changed.connect(self._on_form)

    def _on_form(self) -> None:
        if not self._clean:
            self._redraw_timer.start()

    def _on_changed(self, event: Any = None) -> None:
        if about(event.source).get("kind") == "stack":
            self._known.clear()
            self._windows.clear()
        if not self._region_timer.isActive():
            self._region_timer.start()

    def curves_as_table(self) -> dict[str, Curve]:
        """Return the curves that are drawn, to be written."""
        return self.plot.drawn()

    def cleanup(self) -> None:
        """Disconnect from the viewer."""
        for timer in (self._hover_timer, self._region_timer, self._redraw_timer):
            timer.stop()
        self.viewer.mouse_move_callbacks.remove(self._on_move)
        self.viewer.mouse_double_click_callbacks.remove(self._on_double_click)
        for emitter, callback in self._watched:
            emitter.disconnect(callback)
        self._watched.clear()
        for form in self._followed:
            with suppress(RuntimeError):  # Qt has deleted it, if the workflow was closed before
                form.changed.disconnect(self._on_form)
        self.plot.cleanup()


def _timer(parent: Any, milliseconds: int, callback: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(callback)
    return timer


def _mark(pixels: Pixels) -> str:
    """Return what tells one set of pixels from another."""
    return " ".join(str(hash(axis.tobytes())) for axis in pixels)
