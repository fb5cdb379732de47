"""The legend of a colour mix on the canvas, while a mix is seen.

napari has no overlay that shows a picture, so this is a small widget that lies on the canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import ref

from napari.layers import Image, Layer
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFrame, QVBoxLayout, QWidget

from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.session import real_viewer, session_of
from napari_xanes._widgets.view.mix_legend import MixLegend

WIDE, EDGE = 230, 2
WATCHED = ("visible", "metadata", "colormap", "contrast_limits")
STYLE = "CanvasLegend {background: rgba(0, 0, 0, 150); border-radius: 4px;} QWidget {color: white;}"


def show_legend(viewer: Any) -> CanvasLegend | None:
    """Show the legend of a viewer's mixes from now on; however often it is called, there is one.

    A viewer without a window has none.
    """
    viewer, session = real_viewer(viewer), session_of(viewer)
    if session.legend is None and getattr(viewer, "window", None) is not None:
        session.legend = CanvasLegend(viewer, viewer.window._qt_viewer.canvas.native)
    legend: CanvasLegend | None = session.legend
    return legend


class CanvasLegend(QFrame):
    """Lies in the upper right corner of the canvas; the mouse goes through it."""

    def __init__(self, viewer: Any, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._viewer = ref(viewer)
        self.legend = MixLegend()
        self.setStyleSheet(STYLE)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.addWidget(self.legend)
        self.setFixedWidth(WIDE)
        canvas.installEventFilter(self)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.reordered.connect(self.follow)
        viewer.dims.events.ndisplay.connect(self.follow)
        for layer in viewer.layers:
            self._watch(layer)
        self.follow()

    def follow(self, event: Any = None) -> None:
        """Show what the mix means that is seen: no other image lies over it."""
        viewer = self._viewer()
        seen = (
            [] if viewer is None else [one for one in viewer.layers if one.visible and isinstance(one, Image)]
        )
        mix = _top_mix(seen)
        self.setVisible(bool(mix))
        if viewer is not None and mix:
            names, colors = _meaning(mix)
            add_up = all(one.rgb or tuple(one.contrast_limits) == (0.0, 1.0) for one in mix)
            self.legend.show_mix(names, colors, listed=viewer.dims.ndisplay == 3 or not add_up)
            self._place()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep to the corner when the canvas changes its size."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        self.adjustSize()
        if (canvas := self.parentWidget()) is not None:
            self.move(canvas.width() - self.width() - EDGE, EDGE)

    def _watch(self, layer: Layer) -> None:
        for emitter in _emitters(layer):
            emitter.connect(self.follow)

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)
        self.follow()

    def _on_removed(self, event: Any) -> None:
        for emitter in _emitters(event.value):
            emitter.disconnect(self.follow)
        self.follow()


def _emitters(layer: Layer) -> list[Any]:
    return [getattr(layer.events, name) for name in WATCHED if hasattr(layer.events, name)]


def _top_mix(seen: Sequence[Layer]) -> list[Layer]:
    """Return the layers of the mix that lies on top: of volumes those that are shown, each in a colour."""
    mix: list[Layer] = []
    for layer in reversed(seen):
        said = about(layer)
        if not said.get("mix") or (mix and said["made_from"] != about(mix[0])["made_from"]):
            break
        mix.insert(0, layer)
        if layer.rgb:
            break
    return mix


def _meaning(mix: Sequence[Layer]) -> tuple[list[str], list[str]]:
    """Return names and colours; those of volumes as they are drawn, which napari's own controls change."""
    if mix[0].rgb:
        said = about(mix[0])["mix"]
        return list(said["names"]), list(said["colors"])
    names = [about(one)["role"].partition(": ")[2] for one in mix]
    return names, [QColor.fromRgbF(*map(float, one.colormap.colors[-1][:3])).name() for one in mix]
