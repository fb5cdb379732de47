"""Volumes in 3D: which, drawn how, and cut open by a plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.parts.buttons import in_line, make_button, make_words
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo
from napari_xanes._widgets.view.layers import MIX, SINGLE, mix_layers, scan_labels, scan_maps, show_these
from napari_xanes._widgets.view.mix_panel import MixPanel

DRAWN = {
    "mip": "maximum projection",
    "attenuated_mip": "attenuated maximum",
    "additive": "sum",
    "iso": "isosurface",
}
AXES = {"z": 0, "y": 1, "x": 2}
FULL = 100
FAINTEST = 100.0
"""By how much the least level divides what a voxel adds to a ray, which would else be white at once."""
ANGLES = (0.0, 30.0, 150.0)
"""From where a volume is looked at first, so that it is seen to be one."""
NO_VOLUMES = "For tomographic scans, whose maps are volumes (z, y, x)."


class VolumePanel(QWidget):
    """Buttons for what is shown in 3D, how it is drawn, and a plane that cuts it."""

    def __init__(self, viewer: Any, chooser: StackChooser, mix: MixPanel) -> None:
        super().__init__()
        self.viewer, self.chooser, self.mix = viewer, chooser, mix
        self.fractions = make_button("Colour mix", "The maps above in 3D, each in its colour.")
        self.thickness = make_button("Thickness", "The volume of the thickness, or of the edge step.")
        self.clusters = make_button("Clusters", "Clusters or combinations as surfaces.")
        self.flat = make_button("Back to 2D", "One slice again.")
        self.drawn = ElidingCombo()
        for how, text in DRAWN.items():
            self.drawn.addItem(text, how)
        self.level = _slider(
            30, "Level of the surface, how fast what is behind gets dark, or how bright all is."
        )
        self.cut = QCheckBox("Cut at")
        self.axis = QComboBox()
        self.axis.addItems(list(AXES))
        self.place = _slider(50, "Where the plane lies along the axis.")
        self.turn = QCheckBox("other side")
        self.words = make_words()
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        buttons = (self.fractions, self.thickness, self.clusters, self.flat)
        for i, button in enumerate(buttons):
            grid.addWidget(button, i // 2, i % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        self._options = QWidget()
        options = QVBoxLayout(self._options)
        options.setContentsMargins(0, 0, 0, 0)
        options.addWidget(in_line(QLabel("Rendering"), self.drawn))
        options.addWidget(in_line(QLabel("Level"), self.level))
        options.addWidget(in_line(self.cut, self.axis, self.place, self.turn))
        layout.addWidget(self._options)
        layout.addWidget(self.words)

    def _connect(self) -> None:
        self.fractions.clicked.connect(self.show_mix)
        self.thickness.clicked.connect(self.show_thickness)
        self.clusters.clicked.connect(self.show_clusters)
        self.flat.clicked.connect(self.show_slice)
        self.drawn.currentIndexChanged.connect(self._draw)
        self.level.valueChanged.connect(self._draw)
        for signal in (self.cut.toggled, self.turn.toggled, self.place.valueChanged):
            signal.connect(self._cut)
        self.axis.currentIndexChanged.connect(self._cut)
        self.mix.mixed.connect(self._on_mixed)
        self.chooser.changed.connect(self.refresh)
        self.viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    # -- what there is --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Follow the scan: what of it are volumes."""
        volumes = any(layer.ndim == 3 for layer in self._maps()) or bool(self._labels())
        in_3d = self.viewer.dims.ndisplay == 3
        self.fractions.setEnabled(self.mix.start.isEnabled() and bool(self._maps()))
        self.thickness.setEnabled(self._amount() is not None)
        self.clusters.setEnabled(bool(self._labels()))
        self.flat.setEnabled(in_3d)
        self._options.setEnabled(in_3d)
        self.words.setText("" if volumes else NO_VOLUMES)
        self.words.setVisible(not volumes)
        self.level.setEnabled(self.drawn.currentData() != "mip")

    def _maps(self) -> list[Layer]:
        return [one for one in scan_maps(self.viewer, self.chooser.layer()) if one.ndim == 3]

    def _labels(self) -> list[Layer]:
        return [one for one in scan_labels(self.viewer, self.chooser.layer()) if one.ndim == 3]

    def _amount(self) -> Layer | None:
        kinds = ("thickness", "edge_step")
        return next((one for kind in kinds for one in self._maps() if about(one)["kind"] == kind), None)

    def _lights(self) -> list[Any]:
        layers = mix_layers(self.viewer, self.chooser.layer(), (MIX, SINGLE))
        return [one for one in layers if one.ndim == 3]

    # -- what is shown --------------------------------------------------------------------------------

    def show_mix(self) -> None:
        """Mix the maps and turn to 3D."""
        self._turn(self.mix.mix)

    def show_thickness(self) -> None:
        """Show how much there is, in 3D."""
        amount = self._amount()
        if amount is not None:
            self._turn(lambda: self.mix.show_one(amount))

    def show_clusters(self) -> None:
        """Show labels as surfaces, those on top of the layer list."""
        labels = self._labels()[:1]
        for layer in labels:
            layer.rendering = "iso_categorical"
            layer.iso_gradient_mode = "smooth"
        self._turn(lambda: show_these(self.viewer, labels))

    def show_slice(self) -> None:
        """Go back to one slice."""
        self.viewer.dims.ndisplay = 2
        self.viewer.reset_view()

    def _turn(self, show: Callable[[], None]) -> None:
        """Show volumes in 3D, with the energy left as a slider."""
        show()
        dims = self.viewer.dims
        if dims.order != tuple(range(dims.ndim)):
            dims.order = tuple(range(dims.ndim))
        if dims.ndisplay != 3:
            dims.ndisplay = 3
            self.viewer.reset_view()
            self.viewer.scene.camera.angles = ANGLES
        self._draw()
        self._cut()

    def _on_ndisplay(self, event: Any = None) -> None:
        self.refresh()
        self._draw()

    def _on_mixed(self) -> None:
        if self.viewer.dims.ndisplay == 3:
            self._draw()
            self._cut()

    # -- how ------------------------------------------------------------------------------------------

    def _draw(self, *_: Any) -> None:
        """Draw all volumes of the scan alike."""
        how, level = self.drawn.currentData(), self.level.value() / FULL
        self.level.setEnabled(how != "mip")
        adds = how == "additive" and self.viewer.dims.ndisplay == 3
        for layer in self._lights():
            layer.rendering = how
            layer.iso_threshold = level
            layer.attenuation = max(level / 2, 0.005)
            layer.contrast_limits = (0.0, FAINTEST ** (1 - level) if adds else 1.0)

    def _cut(self, *_: Any) -> None:
        """Put the plane where the slider says, or take it away."""
        for part in (self.axis, self.place, self.turn):
            part.setEnabled(self.cut.isChecked())
        axis = AXES[self.axis.currentText()]
        for layer in (*self._lights(), *self._labels()):
            place, normal = np.zeros((2, 3))
            place[axis] = self.place.value() / FULL * (layer.data.shape[axis] - 1)
            normal[axis] = -1.0 if self.turn.isChecked() else 1.0
            plane = {
                "position": tuple(layer.data_to_world(place)),
                "normal": tuple(normal),
                "enabled": self.cut.isChecked(),
            }
            layer.experimental_clipping_planes = [plane]  # in the scene, other than napari's docstring says

    def cleanup(self) -> None:
        """Stop listening to the viewer."""
        self.chooser.changed.disconnect(self.refresh)
        self.viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)


def _slider(value: int, tip: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, FULL)
    slider.setValue(value)
    slider.setToolTip(f"<p>{tip}</p>")
    return slider
