"""Maps mixed in colour: which, how bright, how faded, and the layers that follow every change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.parts.busy import PatientTimer
from napari_xanes._widgets.parts.buttons import in_line, make_button, make_words
from napari_xanes._widgets.parts.layer_combo import LayerCombo
from napari_xanes._widgets.view.layers import (
    map_name,
    mix_layers,
    put_mix,
    scan_maps,
    short_name,
    show_these,
    sigma_of,
)
from napari_xanes._widgets.view.mix import Mix
from napari_xanes._widgets.view.mix_legend import MixLegend
from napari_xanes._widgets.view.mix_row import LimitBox, LimitsEdit, MixRow

MOST = len(SAFE_COLORS)
AT_ONCE = 250_000
"""Pixels that are mixed in the window's thread, which takes some ten milliseconds; more in the background."""
NEEDS = "Needs two maps or more, such as the fractions of a fit."


class MixPanel(QWidget):
    """Rows of maps, and the mix of them, which follows while there is one.

    Signals
    -------
    mixed()
        Layers were made or changed.
    changed()
        Something else is chosen.
    """

    mixed = Signal()
    changed = Signal()

    def __init__(self, viewer: Any, chooser: StackChooser) -> None:
        super().__init__()
        self.viewer, self.chooser = viewer, chooser
        self.rows: list[MixRow] = []
        self._scan: str | None = None
        self._watched: list[Layer] = []
        self._show_next = self._touched = False
        self._waiting: Callable[[], None] | None = None
        self.add = make_button("Add map", "One more map in a colour of its own.")
        self.start = make_button(
            "Mix",
            "Makes a layer of the maps in their colours, added like light; it follows what is set here.",
        )
        self.bright = QCheckBox("Brightness from")
        self.bright.setToolTip("<p>A map, such as the thickness, sets how bright every pixel is.</p>")
        self.light = LayerCombo(viewer)
        self.light_limits = LimitsEdit("Black below this value.", "Full brightness above this value.")
        self.fade = QCheckBox("Fade where sigma approaches")
        self.fade.setToolTip("<p>The uncertainty of the fractions, as the fit found it, as opacity.</p>")
        self.fade_limit = LimitBox("A pixel with this sigma is black.")
        self.legend = MixLegend()
        self.words = make_words()
        self.background = Background(self)
        self._timer = PatientTimer(self, 0)
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        self.fade_limit.setRange(0.01, 100.0)
        self.fade_limit.setValue(0.3)
        self._column = QVBoxLayout()
        self._column.setSpacing(3)
        self.column = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._column)
        buttons = QHBoxLayout()
        buttons.addWidget(self.add)
        buttons.addWidget(self.start, 1)
        layout.addWidget(in_line(self.bright, self.light))
        layout.addWidget(in_line(QLabel("Dark at, bright at"), self.light_limits))
        layout.addWidget(in_line(self.fade, self.fade_limit))
        layout.addLayout(buttons)
        layout.addWidget(self.words)
        layout.addWidget(self.legend)

    def _connect(self) -> None:
        self.add.clicked.connect(self._on_add)
        self.start.clicked.connect(self.mix)
        self.light.currentIndexChanged.connect(lambda _: self._take_light_limits())
        for signal in (self.light_limits.changed, self.bright.toggled, self.fade.toggled):
            signal.connect(self._on_changed)
        self.fade_limit.valueChanged.connect(self._on_changed)
        self._timer.due.connect(self._follow)
        self.background.delivered.connect(self._show)
        self.background.failed.connect(self._say)
        self.background.cancelled.connect(lambda: self._say(""))
        self.background.progressed.connect(lambda *_: self._say("Mixing..."))
        self.background.ended.connect(self._on_ended)
        self.chooser.changed.connect(self.refresh)

    # -- what is chosen -------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Follow the scan and its maps; another scan starts with its fractions."""
        maps = scan_maps(self.viewer, self.chooser.layer())
        self._watch(maps)
        scan = about(maps[0])["name"] if maps else None
        if scan != self._scan:
            self._scan, self._touched = scan, False
        for row in [row for row in self.rows if row.map.layer() is None]:
            self._drop(row)
        if not self._touched or not self.rows:
            self._touched = False
            self._start_with(_first(maps), maps)
        for row in self.rows:
            row.offer(maps)
        light = self._thickness(maps) if self.light.layer() is None else None
        self.light.offer(maps, light, name=map_name)
        if self.light.currentData() != self.light.property("seen"):
            self._take_light_limits()
        self._on_changed()

    def _start_with(self, wanted: list[Layer], maps: list[Layer]) -> None:
        """Have one row for each map that is wanted."""
        if [row.map.layer() for row in self.rows] == wanted:
            return
        for row in self.rows.copy():
            self._drop(row)
        for layer in wanted:
            self._add_row(maps, layer)

    def _thickness(self, maps: list[Layer]) -> Layer | None:
        kinds = ("thickness", "edge_step")
        return next((one for kind in kinds for one in maps if about(one)["kind"] == kind), None)

    def _take_light_limits(self) -> None:
        layer = self.light.layer()
        self.light.setProperty("seen", self.light.currentData())
        if layer is not None:
            self.light_limits.set_value((0.0, max(layer.contrast_limits[1], 1e-3)))

    def _on_add(self) -> None:
        self._touched = True
        maps = scan_maps(self.viewer, self.chooser.layer())
        used = {row.map.currentData() for row in self.rows}
        free = [one for one in maps if str(one.unique_id) not in used]
        self._add_row(maps, (free or maps)[0])
        self._on_changed()

    def _add_row(self, maps: list[Layer], layer: Layer) -> None:
        used = {row.color.color().lower() for row in self.rows}
        row = MixRow(self.viewer, next((c for c in SAFE_COLORS if c.lower() not in used), SAFE_COLORS[0]))
        row.offer(maps, layer)
        row.changed.connect(self._on_changed)
        row.chosen.connect(self._touch)
        row.remove_clicked.connect(partial(self._on_remove, row))
        self.rows.append(row)
        self._column.addWidget(row)

    def _touch(self) -> None:
        self._touched = True

    def _on_remove(self, row: MixRow) -> None:
        self._touched = True
        self._drop(row)
        self._on_changed()

    def _drop(self, row: MixRow) -> None:
        self.rows.remove(row)
        self._column.removeWidget(row)
        row.setParent(None)
        row.deleteLater()

    def _chosen(self) -> list[tuple[MixRow, Layer]]:
        pairs = [(row, row.map.layer()) for row in self.rows]
        return [(row, layer) for row, layer in pairs if layer is not None]

    def maps(self) -> list[Layer]:
        """Return the maps that are chosen, the one that is the light last."""
        maps = [layer for _, layer in self._chosen()]
        light = self.light.layer() if self.bright.isChecked() else None
        return maps if light is None or light in maps else [*maps, light]

    def settings(self) -> Mix:
        """Return what is chosen.  Raises InputError if maps differ in shape."""
        rows, maps = zip(*self._chosen(), strict=True)
        shapes = {layer.data.shape: layer.name for layer in maps}
        light = self.light.layer() if self.bright.isChecked() else None
        if light is not None:
            shapes[light.data.shape] = light.name
        if len(shapes) > 1:
            names = " and ".join(f"'{name}'" for name in list(shapes.values())[:2])
            raise InputError(f"{names} differ in size; choose maps of one stack.")
        return Mix(
            names=[short_name(layer) for layer in maps],
            maps=[data_of(layer) for layer in maps],
            colors=[row.color.color() for row in rows],
            limits=[_rising(row.limits.value(), layer.name) for row, layer in zip(rows, maps, strict=True)],
            brightness=None if light is None else data_of(light),
            brightness_limits=_rising(self.light_limits.value(), "the brightness"),
            sigma=self._sigma() if self.fade.isChecked() else None,
            sigma_limit=self.fade_limit.value(),
        )

    def _sigma(self) -> Any:
        maps = [layer for _, layer in self._chosen()]
        return sigma_of(self.viewer, maps) or None

    # -- mixing ---------------------------------------------------------------------------------------

    def mix(self) -> None:
        """Make the layers of the mix and show them."""
        self._show_next = self._touched = True
        self._follow(even_if_none=True)

    def _on_changed(self, *_: Any) -> None:
        """Follow soon; several changes at once are one."""
        chosen = self._chosen()
        ready = len(chosen) > 1
        self.start.setEnabled(ready)
        self.add.setEnabled(0 < len(scan_maps(self.viewer, self.chooser.layer())) and len(self.rows) < MOST)
        self.light.setEnabled(self.bright.isChecked())
        self.light_limits.setEnabled(self.bright.isChecked())
        has_sigma = ready and bool(self._sigma())
        self.fade.setEnabled(has_sigma)
        self.fade_limit.setEnabled(has_sigma and self.fade.isChecked())
        self.words.setText("" if ready else NEEDS)
        self.words.setVisible(not ready)
        colors = [row.color.color() for row, _ in chosen]
        self.legend.show_mix([short_name(layer) for _, layer in chosen], colors)
        self._timer.start()
        self.changed.emit()

    def show_one(self, layer: Layer) -> None:
        """Show a single map as a volume of light, which 3D needs: invalid voxels are dark."""
        if self.background.running:
            self._waiting = partial(self.show_one, layer)
            return
        self._show_next = True
        limits = layer.contrast_limits
        self._make(Mix([short_name(layer)], [data_of(layer)], ["white"], [(limits[0], limits[1])]), layer)

    def _follow(self, even_if_none: bool = False) -> None:
        """Mix anew if there is a mix of these maps already."""
        chosen = self._chosen()
        there = mix_layers(self.viewer, self.chooser.layer())
        mixed = {name for layer in there for name in about(layer)["mix"]["names"]}
        if len(chosen) < 2 or not (even_if_none or mixed & {short_name(layer) for _, layer in chosen}):
            return
        if self.background.running:
            self._waiting = partial(self._follow, even_if_none=True)
            return
        try:
            mix = self.settings()
        except InputError as error:
            self._say(str(error))
            return
        self._say("")
        self._make(mix, chosen[0][1])

    def _make(self, mix: Mix, like: Layer) -> None:
        job = partial(_made, mix, like)
        if mix.maps[0].size <= AT_ONCE:
            self._show(job())
        else:
            self.background.start(job, f"Colour mix: {self._scan}")

    def _show(self, made: tuple[Mix, Layer, Any]) -> None:
        mix, like, data = made
        self._say("")
        if like not in self.viewer.layers:
            return
        layers = put_mix(self.viewer, like, mix, data)
        if self._show_next:
            self._show_next = False
            show_these(self.viewer, layers)
        self.mixed.emit()

    def _on_ended(self) -> None:
        """Do what was asked for meanwhile."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting()

    def _say(self, text: str) -> None:
        self.words.setText(text)
        self.words.setVisible(bool(text))

    # -- listening ------------------------------------------------------------------------------------

    def _watch(self, maps: list[Layer]) -> None:
        """Follow the values of maps, which a step that runs again replaces."""
        for layer in self._watched:
            layer.events.data.disconnect(self._on_changed)
        self._watched = list(maps)
        for layer in maps:
            layer.events.data.connect(self._on_changed)

    def cleanup(self) -> None:
        """Stop working and listening; the layers stay."""
        self._timer.stop()
        self.background.abandon()
        self._watch([])
        self.chooser.changed.disconnect(self.refresh)


def _first(maps: list[Layer]) -> list[Layer]:
    """Return what is mixed before anything was chosen: the fractions, or two maps if there are no two of them."""
    fractions = [one for one in reversed(maps) if about(one)["kind"] == "fraction"]
    return (fractions if len(fractions) > 1 else maps[:2])[:MOST]


def _made(mix: Mix, like: Layer, progress: Progress = no_progress) -> tuple[Mix, Layer, Any]:
    return mix, like, mix.lights(progress) if mix.maps[0].ndim == 3 else mix.picture()


def _rising(limits: tuple[float, float], name: str) -> tuple[float, float]:
    if limits[0] >= limits[1]:
        raise InputError(f"the limits of {name} do not rise; give a lower and a higher value.")
    return limits
