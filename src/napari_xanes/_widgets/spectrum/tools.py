"""The rows of buttons and boxes over the spectra."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_xanes._widgets.parts.buttons import make_button
from napari_xanes._widgets.spectrum.export import ExportMenu
from napari_xanes._widgets.spectrum.mean_spectra import QUANTITIES
from napari_xanes._widgets.spectrum.model import ToShow
from napari_xanes._widgets.steps.sections import FIT, numbered


class SpectrumTools(QWidget):
    """What is shown, and what can be done.

    Signals
    -------
    wanted_changed()
        The user wants to see something else.
    quantity_picked(quantity)
        The user chose what is drawn.
    """

    wanted_changed = Signal()
    quantity_picked = Signal(str)

    def __init__(self, export: ExportMenu) -> None:
        super().__init__()
        self.quantity = QComboBox()
        self.quantity.addItems(QUANTITIES)
        self.quantity.setToolTip(
            "<p>What is drawn: the stack's own values, optical density, or the spectrum between 0 before and 1 after the edge.</p>"
        )
        self.derivative = _box("d/dE", "The derivative of the spectra.")
        self.windows = _box(
            "windows",
            "The windows before and after the edge and e0: drag them. The Normalise form follows.",
            on=True,
        )
        self.references = _box(
            "references", f"The spectra that are fitted, as {numbered(FIT)} is set; or those of the last fit."
        )
        self.fit = _box(
            "fit",
            f"The pixel under the cursor, or the region chosen in the table, fitted as {numbered(FIT)} is set: sum, components "
            "and residual, made anew as anything changes.",
        )
        self.table = _box(
            "table", "Pixels, thickness and fractions of every pin, shape and label, beside the plot."
        )
        self.new_region = make_button(
            "Region", "Draw a new rectangle on the picture; its mean spectrum is followed while it is moved."
        )
        self.unpin = make_button(
            "Unpin", "Take the pinned pixels away. A double click on the image pins one."
        )
        self.message = QLabel()
        self.message.setSizePolicy(  # text must not lay out the window
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed
        )
        self._lay_out(export)
        for box in (self.derivative, self.windows, self.references, self.fit):
            box.toggled.connect(lambda _: self.wanted_changed.emit())
        self.quantity.currentTextChanged.connect(self.quantity_picked)

    def _lay_out(self, export: ExportMenu) -> None:
        boxes = self.derivative, self.windows, self.references, self.fit, self.table
        row = QHBoxLayout()
        row.setSpacing(5)
        for part in (self.quantity, *boxes):
            row.addWidget(part)
        row.addStretch(1)
        for button in (self.new_region, self.unpin, export):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addLayout(row)
        column.addWidget(self.message)

    def wanted(self) -> ToShow:
        """Return what the user wants to see."""
        return ToShow(
            self.quantity.currentText(),
            self.derivative.isChecked(),
            self.windows.isChecked(),
            self.references.isChecked(),
            self.fit.isChecked(),
        )

    def say(self, text: str) -> None:
        """Show a sentence; where it is longer than its line, all of it is the tooltip."""
        self.message.setText(text)
        self.message.setToolTip(f"<p>{text}</p>")

    def show_quantity(self, quantity: str) -> None:
        """Show what is drawn, which the user did not choose."""
        with QSignalBlocker(self.quantity):
            self.quantity.setCurrentText(quantity)


def _box(text: str, tooltip: str, *, on: bool = False) -> QCheckBox:
    box = QCheckBox(text)
    box.setToolTip(f"<p>{tooltip}</p>")
    box.setChecked(on)
    return box
