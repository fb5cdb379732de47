"""The datasets of a file as a tree, and buttons that say what one of them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from napari_xanes._widgets.parts.buttons import make_button

HEIGHT = 150
COLUMNS = ("Dataset", "Size", "Values", "Read as")


@dataclass(frozen=True)
class Listed:
    """A dataset: its path, its shape and the type of its values."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> str:
        """Its shape for people."""
        return " x ".join(map(str, self.shape)) or "one value"


class DatasetTree(QWidget):
    """A tree of datasets, those that could be images unfolded.

    Signals
    -------
    said(place, name)
        What a dataset is: "images", "energy", "flat" or "dark", and its path.
    """

    said = Signal(str, str)

    def __init__(self, places: Sequence[tuple[str, str, tuple[int, ...]]]) -> None:
        super().__init__()
        self.tree = QTreeWidget()
        self.tree.setColumnCount(len(COLUMNS))
        self.tree.setHeaderLabels(COLUMNS)
        self.tree.setMinimumHeight(HEIGHT)
        self.tree.setUniformRowHeights(True)
        self.buttons: dict[str, QPushButton] = {}
        self._axes = {name: axes for name, _, axes in places}
        self._items: dict[str, QTreeWidgetItem] = {}
        self._listed: dict[str, Listed] = {}
        row = QHBoxLayout()
        for name, title, _ in places:
            button = make_button(f"As {title.lower()}", f"The chosen dataset holds the {title.lower()}.")
            button.setAutoDefault(False)
            button.clicked.connect(self._saying(name))
            self.buttons[name] = button
            row.addWidget(button)
        self.tree.itemSelectionChanged.connect(self._on_chosen)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        layout.addLayout(row)
        self.show_datasets([])

    def show_datasets(self, found: Sequence[Listed]) -> None:
        """Show the datasets of a file; the whole tree goes where there are none."""
        self.tree.clear()
        self._listed = {one.name: one for one in found}
        self._items = {}
        groups: dict[str, QTreeWidgetItem] = {}
        for one in found:
            above, _, leaf = one.name.rpartition("/")
            item = QTreeWidgetItem([leaf, one.size, one.dtype, ""])
            item.setToolTip(0, one.name)
            self._items[one.name] = item
            self._add(groups, above, item)
        for one in found:
            if len(one.shape) in self._axes["images"]:
                _unfold(self._items[one.name])
        for column in range(len(COLUMNS)):
            self.tree.resizeColumnToContents(column)
        self.setVisible(bool(found))
        self._on_chosen()

    def _add(self, groups: dict[str, QTreeWidgetItem], path: str, item: QTreeWidgetItem) -> None:
        """Put an item below its group, which is made if need be."""
        if not path:
            self.tree.addTopLevelItem(item)
            return
        if path not in groups:
            above, _, leaf = path.rpartition("/")
            groups[path] = QTreeWidgetItem([leaf])
            self._add(groups, above, groups[path])
        groups[path].addChild(item)

    def mark(self, used: dict[str, str]) -> None:
        """Say behind each dataset what it was read as: {path: word}."""
        for name, item in self._items.items():
            item.setText(3, used.get(name, ""))
            if name in used:
                _unfold(item)
        self.tree.resizeColumnToContents(0)

    def choose(self, name: str) -> None:
        """Choose a dataset."""
        self.tree.setCurrentItem(self._items[name])

    def chosen(self) -> Listed | None:
        """Return the dataset that is chosen."""
        items = self.tree.selectedItems()
        return next(
            (self._listed[name] for name, one in self._items.items() if items and one is items[0]), None
        )

    def _on_chosen(self) -> None:
        one = self.chosen()
        for name, button in self.buttons.items():
            button.setEnabled(one is not None and len(one.shape) in self._axes[name])

    def _saying(self, place: str) -> Callable[[], None]:
        return partial(self._say, place)

    def _say(self, place: str, *_: bool) -> None:
        one = self.chosen()
        if one is not None:
            self.said.emit(place, one.name)


def _unfold(item: QTreeWidgetItem) -> None:
    above = item.parent()
    while above is not None:
        above.setExpanded(True)
        above = above.parent()
