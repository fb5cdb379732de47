"""Which stack the steps work on: a choice of the viewer's stack layers, shared by all panels of a dock."""

from __future__ import annotations

from typing import Any

from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_xanes._widgets.layers.followed import follow
from napari_xanes._widgets.layers.layers import about, find, stack_layers, stack_of
from napari_xanes._widgets.layers.marks import mark_of
from napari_xanes._widgets.layers.reopened import alone_text
from napari_xanes._widgets.layers.session import later, session_of, workflow_of
from napari_xanes._widgets.layers.words import stack_text
from napari_xanes._widgets.parts.busy import PatientTimer
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo

NOTHING = (
    "Open a scan: drag a file or folder into the window, or use File > IO Utilities > Import XANES stack..., or "
    "File > Open Sample > Full field (TXM): Ni K edge, simulated (XANES)."
)
SOON_MS = 200
"""ms from a stack that was drawn until it is looked whether its data are other ones."""


class StackChooser(QWidget):
    """A combo box of stack layers that keeps its choice by the layer's id; first that of the open workflow.

    Signals
    -------
    changed()
        Another stack was chosen, or the layers changed in a way that may matter to a step.
    """

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._ids: list[str] = []
        self._wanted: str | None = None
        self.combo = ElidingCombo()
        self.combo.setToolTip("The stack that the steps below work on.")
        self.note = QLabel()
        self.note.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(QLabel("Stack"))
        row.addWidget(self.combo, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.note)
        self.combo.currentIndexChanged.connect(self._on_chosen)
        self._telling: list[Any] = []
        self._marks: list[int | None] = []
        self._soon = PatientTimer(self, SOON_MS)
        self._soon.due.connect(self._look)
        for event in self._events():
            event.connect(self.refresh)
        self.refresh()
        workflow = workflow_of(viewer)
        if workflow is not None and workflow.chooser.layer() is not None:
            self.choose(workflow.chooser.layer())

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed

    def layer(self) -> Layer | None:
        """Return the layer that is chosen."""
        return find(self._viewer, self.layer_id())

    def layer_id(self) -> str | None:
        """Return the id of the layer that is chosen."""
        index = self.combo.currentIndex()
        return self._ids[index] if 0 <= index < len(self._ids) else None

    def choose(self, layer: Layer) -> None:
        """Choose a layer; while several layers are being changed, when they have changed."""
        wanted = about(layer)["id"]
        if later(self._viewer, self, self.refresh):
            self._wanted = wanted
        elif wanted in self._ids:
            self.combo.setCurrentIndex(self._ids.index(wanted))

    def refresh(self, event: Any = None) -> None:
        """List the stacks anew, keeping the choice; a stack that was just opened is chosen.

        While several layers are being changed this is done once, when they have changed.
        """
        if later(self._viewer, self, self.refresh):
            return
        before, known = self.layer_id(), set(self._ids)
        layers = list(reversed(list(stack_layers(self._viewer))))  # as the layer list shows them
        self._follow(layers)
        ids = [about(layer)["id"] for layer in layers]
        opened = [
            i
            for i, layer in zip(ids, layers, strict=True)
            if i not in known and not about(layer)["made_from"]
        ]
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems([layer.name for layer in layers])
        self._ids = ids
        wanted = opened[0] if opened else before
        active = self._viewer.layers.selection.active
        if not known and active is not None and about(active).get("id") in ids:
            wanted = about(active)["id"]
        if self._wanted in ids:
            wanted = self._wanted
        self._wanted = None
        self.combo.setCurrentIndex(ids.index(wanted) if wanted in ids else len(ids) - 1)
        self.combo.blockSignals(False)
        self._on_chosen()

    def _follow(self, layers: list[Layer]) -> None:
        """Notice when others change the data of a stack, also in place: napari draws it then."""
        before = self._telling
        self._telling = [event for one in layers for event in (one.events.data, one.events.set_data)]
        self._marks = [mark_of(one) for one in layers]
        follow(before, self._telling, self._on_drawn)

    def _on_drawn(self, event: Any) -> None:
        self._soon.start()

    def _look(self) -> None:
        if [mark_of(one) for one in reversed(list(stack_layers(self._viewer)))] != self._marks:
            self.refresh()

    def cleanup(self) -> None:
        """Stop listening to the viewer."""
        self._soon.stop()
        follow(self._telling, [], self._on_drawn)
        for event in self._events():
            event.disconnect(self.refresh)
        session_of(self._viewer).afterwards.pop(self, None)

    def _on_chosen(self, index: int = 0) -> None:
        layer = self.layer()
        nothing = alone_text(self._viewer) or NOTHING
        self.note.setText(nothing if layer is None else _describe(layer))
        self.changed.emit()


def _describe(layer: Layer) -> str:
    notes = about(layer).get("warnings", ())
    return "\n".join([stack_text(stack_of(layer)), *(f"Note: {note}" for note in notes)])
