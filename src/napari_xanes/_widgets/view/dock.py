"""The dock in which maps are looked at together: mixed in colour, and as volumes in 3D."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QLabel

from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.view.canvas_legend import show_legend
from napari_xanes._widgets.view.figure import FigurePanel
from napari_xanes._widgets.view.mix_panel import MixPanel
from napari_xanes._widgets.view.volume import VolumePanel


class XanesView(Dock):
    """Maps of one scan mixed in colour, and its volumes in 3D."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.chooser = StackChooser(napari_viewer)
        self.mix = MixPanel(napari_viewer, self.chooser)
        self.volume = VolumePanel(napari_viewer, self.chooser, self.mix)
        self.figure = FigurePanel(napari_viewer, self.mix)
        self.column.addWidget(self.chooser)
        for title, panel in (("Colour mix", self.mix), ("Volumes in 3D", self.volume)):
            heading = QLabel(title)
            heading.setStyleSheet("font-weight: bold; padding-top: 6px;")
            self.column.addWidget(heading)
            self.column.addWidget(panel)
        self.mix.column.addWidget(self.figure)
        show_legend(napari_viewer)

    def cleanup(self) -> None:
        """Stop work and disconnect from the viewer."""
        self.volume.cleanup()
        self.figure.cleanup()
        self.mix.cleanup()
        self.chooser.cleanup()
