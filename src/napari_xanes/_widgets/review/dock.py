"""Looking at an alignment frame by frame, and putting right what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QShortcut,
)

from napari_xanes._core.align.align import AlignParams, known_drift
from napari_xanes._core.align.blend import blend_frames
from napari_xanes._core.align.move import moved_rows
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.drift import Drift
from napari_xanes._core.data.result import Result
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.jobs.runner import Runner
from napari_xanes._widgets.layers.layers import about, find, lineage, put_result, results_of, stack_of
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.review.drift_plot import DriftPlot

TITLE = "Alignment review"
CHECK = "alignment check"
STEP, LARGE_STEP = 0.1, 1.0
"""px that an arrow key moves a frame, without and with Shift."""

FLICKER = 400
"""ms between before and after."""

ARROWS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}


class AlignReview(Dock):
    """The drift of every frame as a curve; the chosen frame over its reference, to be moved or left out."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.chooser = StackChooser(napari_viewer)
        self._input_id: str | None = None
        self._found: Drift | None = None
        self._drift: Drift | None = None
        self._excluded: NDArray[np.bool_] = np.empty(0, bool)
        self.index = 0
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.plot = DriftPlot(napari_viewer)
        self.frame = QLabel()
        self.frame.setWordWrap(True)
        self.shift = [QDoubleSpinBox() for _ in range(2)]
        self.exclude = QCheckBox("Leave this frame out")
        self.next_doubtful = QPushButton("Next doubtful")
        self.reset = QPushButton("Undo changes of this frame")
        self.flicker = QPushButton("Before / after")
        self.flicker.setCheckable(True)
        self.runner = Runner("Apply to the stack", cancel_always=False)
        self._timer = QTimer(self)
        self._timer.setInterval(FLICKER)
        self._aligned_shown = True
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        self.plot.setToolTip("<p>Click a point to look at its frame.</p>")
        tip = "<p>Move the frame (green) over the reference (magenta): type, press the arrow keys (0.1 px, with Shift 1 px), or drag it on the canvas while the layer 'alignment check' is selected.</p>"
        line = QGridLayout()
        for k, (name, box) in enumerate(zip(("y", "x"), self.shift, strict=True)):
            box.setRange(-1e4, 1e4)
            box.setDecimals(2)
            box.setSingleStep(STEP)
            box.setToolTip(tip)
            line.addWidget(QLabel(f"{name} (px)"), 0, 2 * k)
            line.addWidget(box, 0, 2 * k + 1)
        buttons = QHBoxLayout()
        for button in (self.next_doubtful, self.flicker):
            buttons.addWidget(button)
        for part in (self.chooser, self.note, self.plot, self.frame):
            self.column.addWidget(part)
        self.column.addLayout(line)
        for one in (self.exclude, self.reset):
            self.column.addWidget(one)
        self.column.addLayout(buttons)
        self.column.addWidget(self.runner)
        self.flicker.setToolTip("<p>Switch between the frame as it was measured and as it is moved.</p>")

    def _connect(self) -> None:
        self.chooser.changed.connect(self.refresh)
        self.plot.chosen.connect(self.look_at)
        for box in self.shift:
            box.valueChanged.connect(self._on_typed)
        self.exclude.toggled.connect(self._on_excluded)
        self.reset.clicked.connect(self._on_reset)
        self.next_doubtful.clicked.connect(self._on_next)
        self.flicker.toggled.connect(self._on_flicker)
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
        if drift is not None and drift is self._found:
            return
        self._found = self._drift = drift
        self._input_id = None if layer is None else about(layer)["id"]
        self._set_enabled(drift is not None)
        if drift is None or layer is None:
            self.note.setText("Nothing to look at: align a stack first." if self.chooser.layer() else "")
            self.plot.clear()
            self.frame.setText("")
            self._remove_check()
            return
        self._excluded = ~np.isfinite(drift.shifts).all(axis=1)
        doubtful = int(self._doubtful().sum())
        self.note.setText(
            f"{doubtful} of {len(self._excluded)} frames are doubtful."
            if doubtful
            else "No frame is doubtful."
        )
        first = np.flatnonzero(self._doubtful())
        self.look_at(int(first[0]) if first.size else min(self.index, len(self._excluded) - 1))

    def look_at(self, index: int) -> None:
        """Show one frame over its reference, and let the energy slider go there."""
        layer, drift = self._input(), self._drift
        if layer is None or drift is None:
            return
        self.index = index
        self._move_slider(layer)
        self._draw()
        self._show_frame()

    def _input(self) -> Layer | None:
        return find(self.viewer, self._input_id)

    def _doubtful(self) -> NDArray[np.bool_]:
        assert self._found is not None
        marked = np.zeros(len(self._found.confidence), bool)
        marked[self._found.outliers()] = True
        return marked & np.isfinite(self._found.shifts).all(axis=1)

    def _changed(self) -> NDArray[np.bool_]:
        assert self._found is not None and self._drift is not None
        changed = self._drift.matrices != self._found.matrices
        differs: NDArray[np.bool_] = np.any(changed & np.isfinite(self._drift.matrices), axis=(1, 2))
        return differs

    def _draw(self) -> None:
        layer, drift = self._input(), self._drift
        if layer is None or drift is None:
            return
        energy = np.array(about(layer)["energy"])
        marks = {"doubtful": self._doubtful(), "changed": self._changed(), "excluded": self._excluded}
        self.plot.show_drift(energy, drift.shifts, marks, self.index)
        known = np.isfinite(drift.shifts[self.index]).all()
        sure = f"confidence {drift.confidence[self.index]:.2f}" if known else "lost: no drift is known"
        moved = ", changed by hand" if self._changed()[self.index] else ""
        self.frame.setText(
            f"Frame {self.index + 1} of {len(energy)}, {energy[self.index]:.2f} eV: {sure}{moved}"
        )
        for box, value in zip(self.shift, drift.shifts[self.index][-2:], strict=True):
            box.blockSignals(True)
            box.setValue(float(value) if known else 0.0)
            box.blockSignals(False)
        self.exclude.blockSignals(True)
        self.exclude.setChecked(bool(self._excluded[self.index]))
        self.exclude.blockSignals(False)
        self.runner.set_ready(self._is_edited())

    def _is_edited(self) -> bool:
        assert self._found is not None
        lost = ~np.isfinite(self._found.shifts).all(axis=1)
        return bool(self._changed().any() or (self._excluded != lost).any())

    # -- the picture ----------------------------------------------------------------------------------

    def _show_frame(self) -> None:
        """Put the frame over its reference on the canvas."""
        layer, drift = self._input(), self._drift
        if layer is None or drift is None:
            return
        stack = stack_of(layer)
        plane = self._plane(layer)
        reference = drift.reference if isinstance(drift.reference, int) else _clearest(drift)
        moves = self._aligned_shown and np.isfinite(drift.shifts[self.index]).all()
        none = np.zeros(drift.shifts.shape[1])
        still = _moved(stack.read, stack.image_shape, reference, drift.shifts[reference], plane)
        frame = _moved(
            stack.read, stack.image_shape, self.index, drift.shifts[self.index] if moves else none, plane
        )
        picture = blend_frames(still, frame)
        shown = self._check_layer()
        if shown is not None:
            shown.data = picture
            return
        shown = self.viewer.add_layer(
            Image(
                picture,
                rgb=True,
                name=CHECK,
                scale=tuple(layer.scale)[-2:],
                translate=tuple(layer.translate)[-2:],
                units=tuple(layer.units)[-2:],
                metadata={"xanes": {"kind": "check", "id": uuid4().hex, "made_from": self._input_id}},
            )
        )
        shown.mouse_drag_callbacks.append(self._on_drag)

    def _plane(self, layer: Layer) -> int | None:
        if len(layer.data.shape) == 3:
            return None
        z = round(layer.world_to_data(self.viewer.dims.point)[1])
        return int(np.clip(z, 0, layer.data.shape[1] - 1))

    def _check_layer(self) -> Layer | None:
        return next((one for one in self.viewer.layers if about(one).get("kind") == "check"), None)

    def _remove_check(self) -> None:
        shown = self._check_layer()
        if shown is not None:
            shown.mouse_drag_callbacks.clear()
            self.viewer.layers.remove(shown)

    def _move_slider(self, layer: Layer) -> None:
        world = layer.data_to_world((self.index, *[0] * (layer.ndim - 1)))[0]
        axis = self.viewer.dims.ndim - layer.ndim
        self.viewer.dims.set_point(axis, world)

    # -- changes --------------------------------------------------------------------------------------

    def nudge(self, dy: float, dx: float) -> None:
        """Move the shown frame on the canvas by some pixels, down and to the right."""
        if self._drift is None or not np.isfinite(self._drift.shifts[self.index]).all():
            return
        shift = self._drift.shifts[self.index].copy()
        shift[-2:] -= dy, dx  # what is displaced less comes to lie farther down
        self._set_shift(shift)

    def _set_shift(self, shift: NDArray[np.float64]) -> None:
        assert self._drift is not None
        self._drift = self._drift.edited(self.index, shift)
        self._draw()
        self._show_frame()

    def _on_typed(self) -> None:
        if self._drift is None:
            return
        shift = np.nan_to_num(self._drift.shifts[self.index])
        shift[-2:] = [box.value() for box in self.shift]
        self._excluded[self.index] = False
        self._set_shift(shift)

    def _on_excluded(self, out: bool) -> None:
        if self._drift is not None:
            self._excluded[self.index] = out
            self._draw()

    def _on_reset(self) -> None:
        if self._drift is None or self._found is None:
            return
        matrices, confidence = self._drift.matrices.copy(), self._drift.confidence.copy()
        matrices[self.index], confidence[self.index] = (
            self._found.matrices[self.index],
            self._found.confidence[self.index],
        )
        self._drift = Drift(
            matrices,
            confidence,
            self._found.reference,
            self._found.roi,
            self._found.method,
            self._found.transform,
        )
        self._excluded[self.index] = not np.isfinite(matrices[self.index]).all()
        self._draw()
        self._show_frame()

    def _on_next(self) -> None:
        doubtful = np.flatnonzero(self._doubtful()) if self._found is not None else np.empty(0, int)
        if doubtful.size:
            later = doubtful[doubtful > self.index]
            self.look_at(int(later[0] if later.size else doubtful[0]))

    def _on_drag(self, layer: Layer, event: Any) -> Any:
        """Let the frame follow the mouse."""
        start = np.array(layer.world_to_data(event.position)[-2:])
        yield
        while event.type == "mouse_move":
            now = np.array(layer.world_to_data(event.position)[-2:])
            self.nudge(*(now - start))
            start = now
            event.handled = True
            yield

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
        layer, drift = self._input(), self._drift
        if layer is None or drift is None:
            return
        before = results_of(layer)["align"].history[-1].params
        try:
            params = AlignParams(
                interpolation=before.get("interpolation", "lanczos"),
                matrices=known_drift(drift),
                exclude=tuple(
                    np.flatnonzero(self._excluded & np.isfinite(drift.shifts).all(axis=1)).tolist()
                ),
            )
            stack = stack_of(layer)
        except InputError as error:
            self.note.setText(report_error(error, TITLE))
            return

        def job(progress: Progress) -> Result:
            return run_steps(stack, [("align", params)], keep_stack=True, in_memory=True, progress=progress)

        self.flicker.setChecked(False)
        self.runner.start(job, f"{TITLE}: {layer.name}")

    def _on_delivered(self, result: Result) -> None:
        layer = self._input()
        if layer is None:
            return
        put_result(self.viewer, layer, "align", result, stack_name="aligned")
        self.chooser.refresh()
        self.refresh()
        self.note.setText("Applied; steps that were run on the aligned stack before are out of date.")

    def _set_enabled(self, on: bool) -> None:
        for part in (*self.shift, self.exclude, self.reset, self.next_doubtful, self.flicker):
            part.setEnabled(on)
        self.runner.set_ready(False)

    def cleanup(self) -> None:
        """Stop work, take the picture away and disconnect from the viewer."""
        self._timer.stop()
        self.runner.background.abandon()
        self._remove_check()
        self.plot.cleanup()
        self.chooser.cleanup()


def _drift_of(layer: Layer) -> Drift | None:
    result = results_of(layer).get("align")
    drift = None if result is None else result.extra.get("drift")
    return drift if isinstance(drift, Drift) and drift.is_translation else None


def _clearest(drift: Drift) -> int:
    """Return the frame that stands for the mean of all."""
    return int(np.nanargmax(np.where(np.isfinite(drift.shifts).all(axis=1), drift.confidence, np.nan)))


def _moved(
    read: Callable[[int, slice], NDArray[np.float32]],
    image_shape: tuple[int, ...],
    index: int,
    shift: NDArray[np.float64],
    plane: int | None,
) -> NDArray[np.float32]:
    """Return a frame, or a plane of a volume, with its displacement taken back."""
    rows = slice(None) if plane is None else slice(plane, plane + 1)
    moved = moved_rows(lambda r: read(index, r), image_shape, shift, rows, "linear")
    return moved if plane is None else moved[0]
