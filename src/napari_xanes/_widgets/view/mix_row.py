"""One line of a mix: which map, in which colour, between which limits."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractSpinBox, QHBoxLayout, QToolButton, QWidget

from napari_xanes._widgets.parts.color_button import ColorButton
from napari_xanes._widgets.parts.layer_combo import LayerCombo
from napari_xanes._widgets.parts.number_box import NumberBox
from napari_xanes._widgets.view.layers import map_name

LARGEST = 1e9
DIGITS = 7
"""Significant digits that are shown: of an energy in eV, hundredths."""
LEAST_DECIMALS = 4


class LimitsEdit(QWidget):
    """Two numbers that step with the wheel and the arrow keys."""

    changed = Signal()

    def __init__(self, low_tip: str, high_tip: str) -> None:
        super().__init__()
        self.low, self.high = (LimitBox(tip) for tip in (low_tip, high_tip))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for box in (self.low, self.high):
            layout.addWidget(box)
            box.valueChanged.connect(lambda _: self.changed.emit())

    def value(self) -> tuple[float, float]:
        """Return both."""
        return self.low.value(), self.high.value()

    def set_value(self, limits: Sequence[float]) -> None:
        """Show other limits; says so once."""
        width = abs(float(limits[1]) - float(limits[0]))
        for box, value in zip((self.low, self.high), limits, strict=True):
            box.blockSignals(True)
            box.setDecimals(_decimals(width))
            box.setValue(float(value))
            box.blockSignals(False)
        self.changed.emit()


class LimitBox(NumberBox):
    """Shows a number as short as it is; one that is not edited stays to the last digit it has."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self.setDecimals(LEAST_DECIMALS)
        self.setRange(-LARGEST, LARGEST)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setStyleSheet("QAbstractSpinBox {min-width: 58px; max-width: 58px; padding: 1px 2px;}")
        self.setToolTip(f"<p>{tip} The arrow keys and the wheel change it.</p>")

    def shown_decimals(self, value: float) -> int:
        """Return as many as there is room for."""
        first = floor(log10(abs(value))) if value else 0
        return max(0, min(self.decimals(), DIGITS - 1 - first))

    def valueFromText(self, text: str | None) -> float:
        """Return the value itself where the text is what shows it."""
        value = float(self.value())
        return value if text == self.textFromValue(value) else float(super().valueFromText(text))


def _decimals(width: float) -> int:
    """Return how many decimals a range has to be set by: of one that is narrow, more."""
    return LEAST_DECIMALS if width <= 0 else min(12, max(LEAST_DECIMALS, 3 - floor(log10(width))))


class MixRow(QWidget):
    """A map with its colour and limits.

    Signals
    -------
    changed()
    chosen()
        The user chose another map.
    remove_clicked()
    """

    changed = Signal()
    chosen = Signal()
    remove_clicked = Signal()

    def __init__(self, viewer: Any, color: str) -> None:
        super().__init__()
        self.map = LayerCombo(viewer)
        self.color = ColorButton(color)
        self.limits = LimitsEdit(
            "Below this value the colour is not seen.", "Above this value it is saturated."
        )
        self.remove = QToolButton()
        self.remove.setText("✕")
        self.remove.setToolTip("Take this map out")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.map, 1)
        for part in (self.color, self.limits, self.remove):
            layout.addWidget(part)
        self.map.currentIndexChanged.connect(lambda _: self._take_limits())
        self.color.changed.connect(self.changed)
        self.map.activated.connect(lambda _: self.chosen.emit())
        self.limits.changed.connect(self.changed)
        self.remove.clicked.connect(self.remove_clicked)

    def offer(self, maps: Sequence[Layer], prefer: Layer | None = None) -> None:
        """List the maps there are; says so if another was chosen by it."""
        before = self.map.currentData()
        self.map.offer(maps, prefer, name=map_name)
        if self.map.currentData() != before:
            self._take_limits()

    def _take_limits(self) -> None:
        layer = self.map.layer()
        self.map.setToolTip("" if layer is None else layer.name)
        if layer is not None:
            self.limits.set_value(layer.contrast_limits)
