"""Looking at an alignment frame by frame, and putting right what went wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QDockWidget, QMainWindow, QShortcut

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.drift import Drift
from napari_xanes._core.data.result import Result
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.jobs.here import run_here
from napari_xanes._widgets.jobs.runner import Runner
from napari_xanes._widgets.layers.layers import about, find, lineage, put_result, results_of, stack_of
from napari_xanes._widgets.layers.marks import mark_of
from napari_xanes._widgets.layers.words import facts
from napari_xanes._widgets.parts.buttons import make_words
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.review.controls import LARGE_STEP, STEP, ReviewControls
from napari_xanes._widgets.review.drift_plot import DriftPlot
from napari_xanes._widgets.review.model import EditedDrift
from napari_xanes._widgets.review.picture import CheckLayer

TITLE = "Alignment review"

FLICKER = 400
"""ms between before and after."""

ARROWS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}


class AlignReview(Dock):
    """The drift of every frame as a curve; the chosen frame over its reference, to be moved or left out."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.edited: EditedDrift | None = None
        self.index = 0
        self._input_id: str | None = None
        self._aligned_shown = True
        self._mark: int | None = None
        self.chooser = StackChooser(napari_viewer)
        self.note, self.frame = make_words(), make_words()
        self.plot = DriftPlot(napari_viewer)
        self.controls = ReviewControls()
        self.runner = Runner("Apply to the stack", cancel_always=False)
        self._check = CheckLayer(napari_viewer, self.nudge)
        self._timer = QTimer(self)
        self._timer.setInterval(FLICKER)
        self.plot.setToolTip("<p>Click a point to look at its frame.</p>")
        for part in (self.chooser, self.note, self.plot, self.frame, self.controls, self.runner):
            self.column.addWidget(part)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        self.chooser.changed.connect(self.refresh)
        self.plot.chosen.connect(self.look_at)
        self.controls.typed.connect(self._on_typed)
        self.controls.exclude.toggled.connect(self._on_excluded)
        self.controls.reset.clicked.connect(self._on_reset)
        self.controls.next_to_check.clicked.connect(self._on_next)
        self.controls.flicker.toggled.connect(self._on_flicker)
        self._timer.timeout.connect(self._on_tick)
        self.runner.run_clicked.connect(self.apply)
        self.runner.background.delivered.connect(self._on_delivered)
        self.runner.background.failed.connect(self.note.setText)
        for key, way in ARROWS.items():
            for keys, step in ((key, STEP), (f"Shift+{key}", LARGE_STEP)):
                shortcut = QShortcut(QKeySequence(keys), self)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(
                    lambda way=way, step=step: self.nudge(way[0] * step, way[1] * step)
                )

    # -- what is looked at ----------------------------------------------------------------------------

    def input_layer(self) -> Layer | None:
        """Return the layer that was aligned: the nearest in the line of the chosen stack."""
        chosen = self.chooser.layer()
        line = [] if chosen is None else lineage(self.viewer, chosen)
        return next((layer for layer in line if _drift_of(layer) is not None), None)

    def refresh(self) -> None:
        """Follow the chosen stack."""
        layer = self.input_layer()
        drift = None if layer is None else _drift_of(layer)
        if drift is not None and self.edited is not None and drift is self.edited.found:
            return
        self._input_id = None if layer is None else about(layer)["id"]
        self.edited = None if drift is None or layer is None else EditedDrift(drift, _doubtful(layer))
        self.controls.setEnabled(drift is not None)
        self.runner.set_ready(False)
        if self.edited is None:
            self.note.setText("Nothing to look at: align a stack first." if self.chooser.layer() else "")
            self.plot.clear()
            self.frame.setText("")
            self._check.remove()
            return
        self.note.setText(self.edited.says())
        self.look_at(self.edited.first_to_look_at(self._shown_index(layer)))

    def take_place(self, window: QMainWindow, dock: QDockWidget) -> None:
        """Show the picture with the dock that it belongs to: behind another tab it leaves the canvas to others."""
        super().take_place(window, dock)
        dock.visibilityChanged.connect(self._check.set_visible)

    def _shown_index(self, layer: Layer | None) -> int:
        """Return the frame at which the energy slider stands."""
        if layer is None:
            return self.index
        return max(0, int(np.round(layer.world_to_data(self.viewer.dims.point[-layer.ndim :])[0])))

    def look_at(self, index: int) -> None:
        """Show one frame over its reference, and let the energy slider go there."""
        layer = self._input()
        if layer is None or self.edited is None:
            return
        self.index = index
        world = layer.data_to_world((index, *[0] * (layer.ndim - 1)))[0]
        self.viewer.dims.set_point(self.viewer.dims.ndim - layer.ndim, world)
        self._show()

    def _input(self) -> Layer | None:
        return find(self.viewer, self._input_id)

    def _show(self) -> None:
        self._draw()
        self._show_frame()

    def _draw(self) -> None:
        """Show the drift of all frames, and what is known of this one."""
        layer, edited = self._input(), self.edited
        if layer is None or edited is None:
            return
        energy = np.array(about(layer)["energy"])
        marks = {"to check": edited.to_check, "changed": edited.changed, "excluded": edited.excluded}
        self.plot.show_drift(energy, edited.drift.shifts, marks, self.index)
        self.frame.setText(edited.says_of(self.index, energy))
        self.controls.show_frame(edited.in_plane(self.index), excluded=bool(edited.excluded[self.index]))
        self.runner.set_ready(edited.is_edited)

    def _show_frame(self) -> None:
        """Put the frame over its reference on the canvas."""
        layer, edited = self._input(), self.edited
        if layer is None or edited is None:
            return
        plane = self._plane(layer)
        picture = edited.picture(stack_of(layer), self.index, plane, aligned=self._aligned_shown)
        self._check.show(picture, layer)

    def _plane(self, layer: Layer) -> int | None:
        if len(layer.data.shape) == 3:
            return None
        z = round(layer.world_to_data(self.viewer.dims.point)[1])
        return int(np.clip(z, 0, layer.data.shape[1] - 1))

    # -- changes --------------------------------------------------------------------------------------

    def nudge(self, dy: float, dx: float) -> None:
        """Move the shown frame on the canvas by some pixels, down and to the right."""
        if self.edited is not None and self.edited.nudge(self.index, dy, dx):
            self._show()

    def _on_typed(self) -> None:
        if self.edited is not None:
            self.edited.set_in_plane(self.index, self.controls.values())
            self._show()

    def _on_excluded(self, out: bool) -> None:
        if self.edited is not None:
            self.edited.excluded[self.index] = out
            self._draw()

    def _on_reset(self) -> None:
        if self.edited is not None:
            self.edited.reset(self.index)
            self._show()

    def _on_next(self) -> None:
        following = None if self.edited is None else self.edited.next_to_check(self.index)
        if following is not None:
            self.look_at(following)

    def _on_flicker(self, on: bool) -> None:
        self._aligned_shown = True
        if on:
            self._timer.start()
        else:
            self._timer.stop()
            self._show_frame()

    def _on_tick(self) -> None:
        self._aligned_shown = not self._aligned_shown
        self._show_frame()

    # -- applying -------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Align the stack anew with the drift as it is now."""
        layer, edited = self._input(), self.edited
        if layer is None or edited is None:
            return
        try:
            params = edited.params(results_of(layer)["align"].history[-1].params)
            stack = stack_of(layer)
        except InputError as error:
            self.note.setText(report_error(error, TITLE))
            return

        def job(progress: Progress) -> Result:
            return run_here(stack, [("align", params)], keep=True, progress=progress)

        self.controls.flicker.setChecked(False)
        self._mark = mark_of(layer)
        self.runner.start(job, f"{TITLE}: {layer.name}")

    def _on_delivered(self, result: Result) -> None:
        layer = self._input()
        if layer is None:
            return
        put_result(self.viewer, layer, "align", result, stack_name="aligned", mark=self._mark)
        self.chooser.refresh()
        self.refresh()
        self.note.setText("Applied; steps that were run on the aligned stack before are out of date.")

    def cleanup(self) -> None:
        """Stop work, take the picture away and disconnect from the viewer."""
        self._timer.stop()
        self.runner.background.abandon()
        self._check.remove()
        self.plot.cleanup()
        self.chooser.cleanup()


def _doubtful(layer: Layer) -> list[int]:
    """Return the frames that the step calls doubtful, as it says in its result."""
    energies = facts(results_of(layer)["align"], "align").get("doubtful_frames", ())
    return [int(i) for i in np.flatnonzero(np.isin(about(layer)["energy"], energies))]


def _drift_of(layer: Layer) -> Drift | None:
    result = results_of(layer).get("align")
    drift = None if result is None else result.extra.get("drift")
    return drift if isinstance(drift, Drift) and drift.is_translation else None
