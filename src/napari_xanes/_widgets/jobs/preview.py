"""What a step's settings make of what is seen, at once: a preview over the picture, before anything is run.

A step is tried on the part of the stack that is in view, thinned to some ten thousand pixels (on the drawn
rectangle, if a Shapes layer is selected), in the background.  The layers stay as they are; the preview goes when
its box is unticked, the step is run, or its layer is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any
from weakref import ref

from napari.layers import Layer, Shapes
from qtpy.QtCore import Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._widgets.jobs.trial import Job, Previewed, Trial
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import show_only
from napari_xanes._widgets.layers.names import PREVIEW
from napari_xanes._widgets.layers.session import add_layer
from napari_xanes._widgets.parts.busy import PatientTimer
from napari_xanes._widgets.parts.buttons import in_line, make_words
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo

WAIT_MS = 40


class Preview(QWidget):
    """A box to tick, a choice of what is shown, and a sentence.

    Parameters
    ----------
    viewer : napari viewer
    key : str
        Whose preview it is.
    source : callable
        ``source()`` gives what is to be tried; raises InputError with what is missing.

    Signals
    -------
    found(result)
        The steps were tried, and this came out of the part that is seen.
    """

    found = Signal(object)

    def __init__(self, viewer: Any, key: str, source: Callable[[], Trial]) -> None:
        super().__init__()
        self.viewer, self.key, self._source = viewer, key, source
        self._again = False
        self._tried: Hashable = None
        self._last: Previewed | None = None
        self._of: Callable[[], Layer | None] = lambda: None
        self._visible: dict[int, bool] = {}
        self._adding = False
        self._shapes: Shapes | None = None
        self.box = QCheckBox("Preview")
        self.box.setToolTip(
            "<p>Shows at once what these settings make of what is in view, thinned if it is large. Select a drawn "
            "rectangle to look at that alone. The layers are left as they are.</p>"
        )
        self.what = ElidingCombo()
        self.what.setVisible(False)
        self.words = make_words()
        self.words.setVisible(False)
        self.background = Background(self)
        self._timer = PatientTimer(self, WAIT_MS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(in_line(self.box, self.what))
        layout.addWidget(self.words)
        self.box.toggled.connect(self._on_toggled)
        self.what.activated.connect(lambda _: self._show())
        self._timer.due.connect(self._start)
        self.background.delivered.connect(self._on_delivered)
        self.background.failed.connect(self._say)
        self.background.ended.connect(self._on_ended)

    # -- when it is made ------------------------------------------------------------------------------

    def later(self, event: Any = None) -> None:
        """Make it anew soon, if it is wanted: something has changed.

        What is being made is shown first, so that it is seen to follow while something is dragged.
        """
        if not self.box.isChecked():
            return
        if self.background.running:
            self._again = True
        elif not self._timer.isActive():
            self._timer.start()

    def waiting(self) -> bool:
        """Whether something was asked for that is not shown yet."""
        return self._timer.isActive() or self.background.running or self._again

    def stop(self) -> None:
        """Take it away; the layers are seen as they were before."""
        self.box.setChecked(False)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Stop if the panel is folded; not if its dock lies behind another."""
        parent = self.parentWidget()
        if parent is not None and parent.isHidden():
            self.stop()
        super().hideEvent(event)

    def _events(self) -> tuple[Any, ...]:
        viewer = self.viewer
        return (
            *(
                viewer.scene.camera.events.center,
                viewer.scene.camera.events.zoom,
                viewer.dims.events.current_step,
            ),
            *(viewer.dims.events.ndisplay, viewer.layers.selection.events.active),
        )

    def _on_toggled(self, on: bool) -> None:
        if on:
            self._visible = {id(layer): layer.visible for layer in self.viewer.layers}
            for event in self._events():
                event.connect(self.later)
            self.viewer.layers.events.removed.connect(self._on_removed)
            self.viewer.layers.selection.events.active.connect(self._watch_shapes)
            self._watch_shapes()
            self.later()
            return
        self._timer.stop()
        self._again = False
        self.background.cancel()
        for event in self._events():
            event.disconnect(self.later)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.selection.events.active.disconnect(self._watch_shapes)
        self._watch_shapes(off=True)
        self._last = None
        self.what.clear()
        self.what.setVisible(False)
        self._say("")
        self._take_away()

    def _watch_shapes(self, event: Any = None, *, off: bool = False) -> None:
        """Follow the shapes of the selected layer: what is drawn there is what is looked at."""
        if self._shapes is not None:
            self._shapes.events.data.disconnect(self.later)
        active = None if off else self.viewer.layers.selection.active
        self._shapes = active if isinstance(active, Shapes) else None
        if self._shapes is not None:
            self._shapes.events.data.connect(self.later)

    def _start(self) -> None:
        if self.background.running:
            self._again = True
            return
        try:
            if self.viewer.dims.ndisplay == 3:
                raise InputError("Previews are made in the 2D view.")
            trial = self._source()
        except InputError as error:
            self._last = None
            self._take_away()
            self._say(str(error))
            return
        if trial.key == self._tried and self.layer() is not None:
            return
        self._tried, self._of = trial.key, ref(trial.layer)
        self.background.start(partial(_quietly, trial.job), f"Preview: {trial.layer.name}")

    def _on_ended(self) -> None:
        if self._again:
            self._again = False
            self.later()

    # -- what is shown --------------------------------------------------------------------------------

    def _on_delivered(self, made: Previewed) -> None:
        if not self.box.isChecked():
            return
        self._last = made
        self._say(made.sentence)
        names = list(made.layers)[::-1]
        before = self.what.currentText()
        if names != [self.what.itemText(i) for i in range(self.what.count())]:
            self.what.clear()
            self.what.addItems(names)
            self.what.setCurrentIndex(max(0, self.what.findText(before)))
        self.what.setVisible(len(names) > 1)
        self._show()
        if made.result is not None:
            self.found.emit(made.result)

    def _show(self) -> None:
        """Put what is chosen into the layer of the preview."""
        of = self._of()
        if self._last is None or of is None or not self._last.layers or of not in self.viewer.layers:
            self._take_away()
            return
        name = self.what.currentText()
        data, kw, kind = self._last.layers[name]
        kw = {**kw, "name": f"preview: {name}", "metadata": {PREVIEW: self.key}}
        old = self.layer()
        if (
            old is not None
            and old.name == kw["name"]
            and old._type_string == kind  # noqa: SLF001 - napari names the kind of a layer nowhere else
            and old.ndim == len(kw["scale"])
        ):
            old.data = data
            old.scale, old.translate = kw["scale"], kw["translate"]
            return
        self._put(Layer.create(data, kw, kind), of)

    def _put(self, layer: Layer, of: Layer) -> None:
        """Show a new layer in place of any other preview, over the stack it was made from, which stays selected."""
        self._adding = True
        try:
            active = self.viewer.layers.selection.active
            for other in [one for one in self.viewer.layers if PREVIEW in one.metadata]:
                self.viewer.layers.remove(other)
            add_layer(self.viewer, layer)
            if active is not None and active in self.viewer.layers:
                self.viewer.layers.selection.active = active
            show_only(self.viewer, of)
        finally:
            self._adding = False

    def layer(self) -> Layer | None:
        """Return the layer that shows the preview."""
        return next((one for one in self.viewer.layers if one.metadata.get(PREVIEW) == self.key), None)

    def _take_away(self) -> None:
        layer = self.layer()
        if layer is None:
            return
        self._adding = True
        try:
            self.viewer.layers.remove(layer)
        finally:
            self._adding = False
        for other in self.viewer.layers:
            if other.visible is not self._visible.get(id(other), other.visible):
                other.visible = self._visible[id(other)]

    def _on_removed(self, event: Any) -> None:
        """Stop if the user, or the preview of another step, removed the layer."""
        if not self._adding and event.value.metadata.get(PREVIEW) == self.key:
            self.stop()
        else:
            self.later()

    def _say(self, sentence: str) -> None:
        self.words.setText(sentence)
        self.words.setVisible(bool(sentence))

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        self.stop()
        self.background.abandon()


def _quietly(job: Job, progress: Progress) -> Previewed:
    """Return what a job makes, or why it cannot: settings on the way to others are no reason for an alarm."""
    try:
        return job(progress)
    except InputError as error:
        return Previewed({}, str(error))
