"""The pixels that a beam is taken from: over the picture, and among the brightness of all in a histogram."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyqtgraph as pg
from napari.layers import Layer
from napari.utils.theme import get_theme
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.draw.color import SAFE_COLORS
from napari_xanes._core.prepare.internal_i0 import EmptyPixels, InternalI0Params, empty_pixels
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import about, stack_of
from napari_xanes._widgets.layers.masks import hide_preview, show_preview
from napari_xanes._widgets.parts.busy import PatientTimer
from napari_xanes._widgets.parts.buttons import make_words
from napari_xanes._widgets.parts.plot import SmallPlot

OWNER = "empty region"
BINS, WAIT_MS = 100, 200
UNITS = {"counts": "counts", "transmission": "transmission", "optical_density": "optical density"}


class BrightnessPlot(SmallPlot):
    """Brightness of all pixels, and of those that are taken as empty."""

    def __init__(self, viewer: Any) -> None:
        empty = {"stepMode": "center", "fillLevel": 0}
        self._all = pg.PlotCurveItem([0.0, 1.0], [0.0], **empty)
        self.taken = pg.PlotCurveItem([0.0, 1.0], [0.0], pen=None, brush=SAFE_COLORS[0], **empty)
        super().__init__(viewer, "mean brightness")
        for item in (self._all, self.taken):
            self.addItem(item)
        self.getPlotItem().hideAxis("left")
        self.setToolTip(
            "<p>Pixels by their brightness, few beside many being seen; orange: taken as empty.</p>"
        )

    def follow_theme(self, event: Any = None) -> None:
        """Take the colours of the viewer's theme."""
        super().follow_theme(event)
        theme = get_theme(self._viewer.theme)
        self._all.setPen(theme.text.as_hex())
        self._all.setBrush(theme.secondary.as_hex())

    def show_pixels(self, found: EmptyPixels, unit: str) -> None:
        """Draw how bright all pixels are, and those that are empty."""
        valid = np.isfinite(found.mean)
        lo, hi = (float(v) for v in np.percentile(found.mean[valid], (0, 100)))
        edges = np.linspace(lo, hi if hi > lo else lo + 1, BINS + 1)
        for item, part in ((self._all, valid), (self.taken, valid & found.empty)):
            item.setData(edges, np.sqrt(np.histogram(found.mean[part], edges)[0]))
        self.setLabel("bottom", f"{unit}, mean of the frames")


class EmptyRegion(QWidget):
    """A box to tick, the histogram, and the pixels over the picture while it is ticked.

    Parameters
    ----------
    viewer : Viewer
    input_layer : callable
        Returns the stack whose beam is looked for.
    params : callable
        Returns how; raises InputError where that cannot be.
    """

    def __init__(
        self, viewer: Any, input_layer: Callable[[], Layer | None], params: Callable[[], InternalI0Params]
    ) -> None:
        super().__init__()
        self.viewer, self._input_layer, self._params = viewer, input_layer, params
        self.shown = QCheckBox("Show which pixels are taken as empty")
        self.plot = BrightnessPlot(viewer)
        self.words = make_words()
        self.background = Background(self)
        self._timer = PatientTimer(self, WAIT_MS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.shown, self.plot, self.words):
            layout.addWidget(part)
        self.shown.toggled.connect(self.look_again)
        self._timer.due.connect(self._look)
        self.background.delivered.connect(lambda deliver: deliver())
        self.background.failed.connect(self._say)
        self._show_parts(False)

    def look_again(self) -> None:
        """Look soon for the pixels as they are asked for now, if they are to be shown."""
        if self.shown.isChecked() and not self.isHidden():
            self._timer.start()
        else:
            self.hide_pixels()

    def hide_pixels(self) -> None:
        """Take what is shown away."""
        self._timer.stop()
        self._show_parts(False)
        hide_preview(self.viewer, OWNER)

    def _look(self) -> None:
        layer = self._input_layer()
        if layer is None or self.isHidden():
            self.hide_pixels()
            return
        if self.background.running:  # what is asked for now comes next
            self._timer.start()
            return
        try:
            params, stack = self._params(), stack_of(layer)
        except InputError as error:
            self._say(str(error))
            return

        def job(progress: Progress) -> Callable[[], None]:
            return partial(self._show, layer, empty_pixels(stack, params, progress=progress))

        self.background.start(job, "Empty pixels")

    def _show(self, layer: Layer, found: EmptyPixels) -> None:
        if not self.shown.isChecked() or self.isHidden() or layer not in self.viewer.layers:
            return
        self._show_parts(True)
        self.plot.show_pixels(found, UNITS.get(about(layer)["signal"], "value"))
        count, total = int(found.empty.sum()), found.empty.size
        self.words.setText(f"{count} of {total} pixels are taken as empty.")
        show_preview(self.viewer, layer, found.empty, OWNER)

    def _say(self, sentence: str) -> None:
        self.hide_pixels()
        self.words.setText(sentence)
        self.words.setVisible(True)

    def _show_parts(self, shown: bool) -> None:
        for part in (self.plot, self.words):
            part.setVisible(shown)

    def cleanup(self) -> None:
        """Stop working, and take what is shown away."""
        self.background.abandon()
        self.hide_pixels()
        self.plot.cleanup()
