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
from superqt import QElidingLabel

from napari_xanes._core.data.kinds import title_of
from napari_xanes._core.io.formats import name_filter, spectra_suffixes
from napari_xanes._core.io.references import split_name
from napari_xanes._widgets.forms.editors import Editor, narrow
from napari_xanes._widgets.parts.buttons import make_words
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo
from napari_xanes._widgets.parts.spoken import spoken


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
    """Any number of the names that are offered, each with a box to tick.

    Parameters
    ----------
    nothing : str
        What no choice means, such as "all".
    all_is_none : bool
        Whether all being ticked is no choice, so that what is offered later is ticked, too.
    words : bool
        Whether names are those of maps, which are shown as words.
    """

    ROWS = 5

    def __init__(self, nothing: str, *, all_is_none: bool, words: bool = False) -> None:
        super().__init__()
        self._all_is_none, self._words = all_is_none, words
        self._given: tuple[str, ...] = ()
        self.list = QListWidget()
        narrow(self.list)
        self.list.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # room is not for it
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.none = QLabel(nothing)
        self._row(self.list, self.none, stretch=0)
        self._show_rows()
        self.list.itemChanged.connect(self._on_ticked)

    def offer(self, names: Sequence[str]) -> None:
        """Offer names; those that are chosen stay, also where they are not among these."""
        chosen = self.value()
        if list(names) == self._names() and not set(chosen) - set(names):
            return
        self._list(names, chosen)
        if self.value() != chosen:
            self.changed.emit()

    def _names(self) -> list[str]:
        return [_name_of(one) for one in self._items()]

    def _items(self) -> list[QListWidgetItem]:
        found = (self.list.item(i) for i in range(self.list.count()))
        return [one for one in found if one is not None]

    def _list(self, names: Sequence[str], chosen: Sequence[str]) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        for name in dict.fromkeys((*names, *chosen)):
            item = QListWidgetItem(title_of(name) if self._words else name)
            item.setData(Qt.ItemDataRole.UserRole, name)
            ticked = name in chosen or (self._all_is_none and not chosen)
            item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
            item.setToolTip(name)
            self.list.addItem(item)
        self.list.blockSignals(False)
        self._show_rows()

    def _show_rows(self) -> None:
        count = self.list.count()
        self.list.setVisible(count > 0)
        self.none.setVisible(count == 0)
        if count:
            self.list.setFixedHeight(min(count, self.ROWS) * (self.list.sizeHintForRow(0) + 1) + 6)

    def _on_ticked(self, item: QListWidgetItem) -> None:
        self._given = ()
        if self._all_is_none and not self._ticked():  # none of them would be no fit
            item.setCheckState(Qt.CheckState.Checked)
        else:
            self.changed.emit()

    def _ticked(self) -> list[str]:
        return [_name_of(one) for one in self._items() if one.checkState() == Qt.CheckState.Checked]

    def value(self) -> tuple[str, ...]:
        """Return the names that were given or are ticked; none if all were ticked and that is no choice."""
        if self._given:
            return self._given
        ticked = self._ticked()
        return () if self._all_is_none and len(ticked) == self.list.count() else tuple(ticked)

    def set_value(self, value: Sequence[str]) -> None:
        """Tick names; a recipe may name others than are offered."""
        before = self.value()
        self._given = tuple(value)
        self._list(self._names(), value)
        if self.value() != before:
            self.changed.emit()


def _name_of(item: QListWidgetItem) -> str:
    return str(item.data(Qt.ItemDataRole.UserRole))


class NameEditor(Editor):
    """One of the names that are offered, or none of them."""

    def __init__(self, nothing: str) -> None:
        super().__init__()
        self.combo = ElidingCombo()
        self.combo.addItem(nothing, None)
        self._leave_wheel(self.combo)
        self._row(self.combo, stretch=0)
        self.combo.currentIndexChanged.connect(lambda _: self.changed.emit())

    def offer(self, names: Sequence[str]) -> None:
        """Offer names; the one that is chosen stays."""
        chosen, nothing = self.value(), self.combo.itemText(0)
        wanted = [None, *dict.fromkeys((*names, *([chosen] if chosen else [])))]
        if wanted == [self.combo.itemData(i) for i in range(self.combo.count())]:
            return
        self.combo.blockSignals(True)
        self.combo.clear()
        for name in wanted:
            self.combo.addItem(nothing if name is None else title_of(name), name)
        self.combo.setCurrentIndex(max(self.combo.findData(chosen), 0))
        self.combo.blockSignals(False)

    def value(self) -> str | None:
        """Return the name, or None."""
        chosen: str | None = self.combo.currentData()
        return chosen

    def set_value(self, value: str | None) -> None:
        """Choose a name; a recipe may name another than is offered."""
        if value and self.combo.findData(value) < 0:
            self.combo.addItem(title_of(value), value)
        self.combo.setCurrentIndex(max(self.combo.findData(value or None), 0))


class FileEditor(Editor):
    """One file, which is chosen, or none."""

    def __init__(self) -> None:
        super().__init__()
        self.name = QElidingLabel()
        self.name.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.choose, self.clear = QPushButton("Choose..."), QPushButton("None")
        self._path: str | None = None
        self._row(self.name, self.choose, self.clear, stretch=0)
        self.choose.clicked.connect(self._ask)
        self.clear.clicked.connect(lambda: self.set_value(None))
        self.set_value(None)

    def value(self) -> str | None:
        """Return the path."""
        return self._path

    def set_value(self, value: str | None) -> None:
        """Show a path, by the name of the file."""
        self._path = value or None
        self.name.setText(Path(self._path).name if self._path else "none")
        self.name.setToolTip(self._path or "")
        self.clear.setVisible(self._path is not None)
        self.changed.emit()

    def as_text(self, value: str) -> str:
        """Return the name of the file."""
        return Path(value).name

    def _ask(self) -> None:
        here = str(Path(self._path).parent) if self._path else ""
        path, _ = QFileDialog.getOpenFileName(self, "Choose a file", here)
        if path:
            self.set_value(path)


class FilesEditor(Editor):
    """A list of files under its own title, with buttons to add and remove; a part of a file is named behind it."""

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
        self.words = make_words()
        self.words.hide()
        layout.addWidget(self.words)
        self.list.itemChanged.connect(self._on_written)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def value(self) -> tuple[str, ...]:
        """Return the paths."""
        items = [self.list.item(i) for i in range(self.list.count())]
        return tuple(item.toolTip() for item in items if item is not None)

    def say(self, refusals: Sequence[str]) -> None:
        """Show why the first file that cannot be read cannot be."""
        said = spoken(refusals[0]) if refusals else ""
        more = f" ({len(refusals) - 1} more files likewise.)" if len(refusals) > 1 else ""
        how = " Double-click the file to do so." if "after the file" in said else ""
        self.words.setText(f"{said}{how}{more}")
        self.words.setVisible(bool(said))

    def set_value(self, value: Sequence[str]) -> None:
        """Show the paths, by the name of the file."""
        self.list.clear()
        self.add(value)

    def add(self, paths: Sequence[str]) -> None:
        """Add those that are not in the list yet."""
        for path in paths:
            if str(path) not in self.value():
                file, part = split_name(path)
                item = QListWidgetItem(file.name if part is None else f"{file.name}:{part}")
                item.setToolTip(str(path))
                item.setData(Qt.ItemDataRole.UserRole, str(path) if part is None else str(file))
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                self.list.addItem(item)
        self.changed.emit()

    def _on_written(self, item: QListWidgetItem) -> None:
        """Take up the part of a file that was named behind it; what changes the name of the file is not taken."""
        file = str(item.data(Qt.ItemDataRole.UserRole) or "")
        name = Path(file).name
        if not file or (
            f"{file}{item.text()[len(name) :]}" == item.toolTip() and item.text().startswith(name)
        ):
            return
        kept = item.text().startswith(f"{name}:") or item.text() == name
        path = f"{file}{item.text()[len(name) :]}" if kept else item.toolTip()
        item.setToolTip(path)
        item.setText(f"{name}{path[len(file) :]}")
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
