"""Editors of parameters that hold any number of things: energy windows, names, files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magicgui import widgets
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
)

from napari_xanes._core.io.formats import name_filter, spectra_suffixes
from napari_xanes._widgets.forms.editors import Editor, narrow


class WindowsEditor(Editor):
    """Any number of energy windows, written "8330-8340, 8350-8360"."""

    def __init__(self) -> None:
        super().__init__()
        self.text = widgets.LineEdit()
        self.text.native.setPlaceholderText("none; or 8330-8340, ...")
        self._row(self.text.native, stretch=0)
        narrow(self.text.native)
        self.text.changed.connect(lambda _: self.changed.emit())

    def value(self) -> tuple[Any, ...]:
        """Return the windows; what is not a number stays text, for the parameters' check to name."""
        return tuple(
            tuple(_number(end) for end in window.replace("to", "-").split("-"))
            for window in self.text.value.replace(";", ",").split(",")
            if window.strip()
        )

    def set_value(self, value: Sequence[tuple[float, float]]) -> None:
        """Show the windows."""
        self.text.value = ", ".join(f"{lo:.12g}-{hi:.12g}" for lo, hi in value)


class NumbersEditor(Editor):
    """Any number of numbers, with commas between."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        super().__init__()
        self._kind = kind
        self.text = widgets.LineEdit()
        self.text.native.setPlaceholderText("none; or 1, 2, ...")
        self._row(self.text.native, stretch=0)
        narrow(self.text.native)
        self.text.changed.connect(lambda _: self.changed.emit())

    def value(self) -> tuple[Any, ...]:
        """Return the numbers; what is none stays text, for the parameters' check to name."""
        return tuple(_number(part) for part in self.text.value.replace(";", ",").split(",") if part.strip())

    def set_value(self, value: Sequence[float]) -> None:
        """Show the numbers."""
        self.text.value = ", ".join(f"{self._kind(v):.12g}" for v in value)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()


class NamesEditor(Editor):
    """Any number of names, with commas between."""

    def __init__(self, nothing: str) -> None:
        super().__init__()
        self.text = widgets.LineEdit()
        self.text.native.setPlaceholderText(nothing)
        self._row(self.text.native, stretch=0)
        narrow(self.text.native)
        self.text.changed.connect(lambda _: self.changed.emit())

    def value(self) -> tuple[str, ...]:
        """Return the names."""
        return tuple(name.strip() for name in self.text.value.split(",") if name.strip())

    def set_value(self, value: Sequence[str]) -> None:
        """Show the names."""
        self.text.value = ", ".join(value)


class FilesEditor(Editor):
    """A list of files under its own title, with buttons to add and remove."""

    def __init__(self) -> None:
        super().__init__()
        self.title = QLabel()
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setFixedHeight(62)
        narrow(self.list)
        add, remove = QPushButton("Add files..."), QPushButton("Remove")
        add.clicked.connect(self._ask)
        remove.clicked.connect(self._remove)
        line = QHBoxLayout()
        line.addWidget(self.title, 1)
        line.addWidget(add)
        line.addWidget(remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self.list)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def value(self) -> tuple[str, ...]:
        """Return the paths."""
        items = [self.list.item(i) for i in range(self.list.count())]
        return tuple(item.toolTip() for item in items if item is not None)

    def set_value(self, value: Sequence[str]) -> None:
        """Show the paths, by the name of the file."""
        self.list.clear()
        self.add(value)

    def add(self, paths: Sequence[str]) -> None:
        """Add those that are not in the list yet."""
        for path in paths:
            if str(path) not in self.value():
                item = QListWidgetItem(Path(path).name)
                item.setToolTip(str(path))
                self.list.addItem(item)
        self.changed.emit()

    def _ask(self) -> None:
        here = str(Path(self.value()[-1]).parent) if self.list.count() else ""
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Reference spectra", here, name_filter("Spectra", spectra_suffixes())
        )
        if paths:
            self.add(paths)

    def _remove(self) -> None:
        chosen = self.list.selectedItems()
        rows = [self.list.row(item) for item in chosen] if chosen else [self.list.currentRow()]
        for row in sorted(rows, reverse=True):
            self.list.takeItem(row)
        self.changed.emit()
