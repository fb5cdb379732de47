"""Where images, energies, flats and darks are, and which axis is energy: found by itself, chosen, or written."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QSizePolicy, QWidget

AUTO = "automatic"
ORDERS = {
    3: ("eyx", "yxe", "yex", "exy", "xye", "xey"),
    4: ("ezyx", "zyxe", "zeyx", "zyex", "exyz", "xyze"),
}
"""Orders of the axes of images and of volumes that programs write, the usual first."""
WORDS = {"e": "energy", "z": "z", "y": "y", "x": "x"}


class PlaceEdit(QWidget):
    """Where something is: found by itself, a dataset of the file, another file (if `browse`) or a text."""

    changed = Signal()

    def __init__(self, title: str, *, other: str, browse: bool = True) -> None:
        super().__init__()
        self._title = title
        self.combo = QComboBox()
        self.combo.setEditable(True)
        self.combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.combo, 1)
        if (line := self.combo.lineEdit()) is not None:
            line.setPlaceholderText(f"{AUTO}; or {other}")
        if browse:
            button = QPushButton("File...")
            button.setAutoDefault(False)
            button.clicked.connect(self._ask)
            row.addWidget(button)
        self.offer([])
        self.combo.currentTextChanged.connect(lambda _: self.changed.emit())

    def offer(self, found: list[tuple[str, str]]) -> None:
        """Offer datasets: (text, name); what was chosen before is given up."""
        self.combo.blockSignals(True)
        self.combo.clear()
        for text, name in found:
            self.combo.addItem(text, name)
        self.combo.setCurrentIndex(-1)
        self.combo.blockSignals(False)

    def value(self) -> str | None:
        """Return the dataset, the file or the text; None to have it found."""
        text = self.combo.currentText().strip()
        index = self.combo.findText(text)
        return self.combo.itemData(index) if index >= 0 else text or None

    def set_value(self, value: str) -> None:
        """Choose a dataset, or write a file or text."""
        index = self.combo.findData(value)
        if index >= 0:
            self.combo.setCurrentIndex(index)
        else:
            self.combo.setEditText(value)

    def _ask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self._title)
        if path:
            self.set_value(path)


def order_text(order: str, shape: Sequence[int] | None) -> str:
    """Return an order of axes in words, with the size of each: "y 60, x 72, energy 21"."""
    sizes = shape if shape and len(shape) == len(order) else ("",) * len(order)
    return ", ".join(f"{WORDS[axis]} {size}".strip() for size, axis in zip(sizes, order, strict=True))


def order_with_energy(axis: int, ndim: int) -> str:
    """Return the order of axes in which energy is one of them, and z, y and x follow one another."""
    rest = "zyx"[-(ndim - 1) :]
    return rest[:axis] + "e" + rest[axis:]


class AxisChoice(QComboBox):
    """In which order the axes of the images are."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.offer(None)

    def offer(self, shape: Sequence[int] | None) -> None:
        """Offer the orders of images of a shape, or of any; the choice stays while it can."""
        before = self.value()
        self.blockSignals(True)
        self.clear()
        self.addItem(f"{AUTO}: as the file declares", None)
        for order in ORDERS.get(len(shape or ()), (*ORDERS[3], *ORDERS[4])):
            self.addItem(order_text(order, shape), order)
        self.setCurrentIndex(max(self.findData(before), 0))
        self.blockSignals(False)

    def value(self) -> str | None:
        """Return the order as letters, such as "yxe"; None for that of the file."""
        order: str | None = self.currentData()
        return order

    def set_value(self, order: str | None) -> None:
        """Choose an order."""
        self.setCurrentIndex(max(self.findData(order), 0))
