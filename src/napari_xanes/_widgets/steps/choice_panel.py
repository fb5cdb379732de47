"""Panels of several steps of which one is chosen and run: its form is shown, and each keeps a result of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QFormLayout, QWidget

from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.layers.tuples import More
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo
from napari_xanes._widgets.steps.panel import StepPanel, Steps


class ChoicePanel(StepPanel):
    """Base of panels that offer several steps."""

    question = ""
    choices: Mapping[str, str] = {}
    """What is offered: the step, and how it is called."""

    def __init__(self, viewer: Any, chooser: StackChooser) -> None:
        self.step = next(iter(self.choices))
        super().__init__(viewer, chooser)
        self.combo = ElidingCombo()
        for step, text in self.choices.items():
            self.combo.addItem(text, step)
        row = QWidget()
        layout = QFormLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow(self.question, self.combo)
        self.column.insertWidget(0, row)
        self.combo.currentIndexChanged.connect(lambda _: self.choose(self.combo.currentData()))
        self.choose(self.step)

    def choose(self, step: str) -> None:
        """Show the form of a step and what it found before."""
        self.step = step
        self.combo.setCurrentIndex(self.combo.findData(step))
        for name, form in self.forms.items():
            form.setVisible(name == step)
        self.refresh()

    def result_key(self, step: str = "") -> str:
        """Return the step itself: what one found is kept beside what the others found."""
        return step or self.step

    def wants_more(self) -> More:
        """Return True: there are few maps, and each was asked for."""
        return True

    def chosen_steps(self) -> tuple[str, ...]:
        """Return the step that is chosen."""
        return (self.step,)

    def steps(self, layer: Any) -> Steps:
        """Return the step that is chosen."""
        return [(self.step, self.forms[self.step].params())]
