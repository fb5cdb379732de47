"""The list of steps in the history dock: three lines a step, and the buttons that order them."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_xanes._core.data.history import Entry
from napari_xanes._core.recipe.edited import HistoryStep, HistorySteps
from napari_xanes._widgets.parts.buttons import in_line, make_button
from napari_xanes._widgets.parts.spoken import spoken

HEIGHT = 230


class HistoryList(QWidget):
    """Shows the steps and which one is chosen.

    Signals
    -------
    chosen(index)
        Another step was chosen; -1 for none.
    changed()
        Steps were removed, moved or switched.
    """

    chosen = Signal(int)
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.history = HistorySteps()
        self.list = QListWidget()
        self.list.setWordWrap(True)
        self.list.setSpacing(2)
        self.list.setMinimumHeight(HEIGHT)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.up = make_button("Up", "Do this step before the one above it, where the order allows.")
        self.down = make_button("Down", "Do this step after the one below it, where the order allows.")
        self.switch = make_button("Leave out", "Keep this step in the list, but do not do it.")
        self.remove = make_button("Remove", "Take this step out of the list.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addWidget(in_line(self.up, self.down, self.switch, self.remove))
        self.list.currentRowChanged.connect(self._on_chosen)
        self.up.clicked.connect(lambda: self._move(-1))
        self.down.clicked.connect(lambda: self._move(1))
        self.switch.clicked.connect(self._on_switch)
        self.remove.clicked.connect(self._on_remove)

    @property
    def index(self) -> int:
        """The step that is chosen, -1 for none."""
        return self.list.currentRow()

    def step(self) -> HistoryStep | None:
        """Return the step that is chosen."""
        return self.history.steps[self.index] if 0 <= self.index < len(self.history.steps) else None

    def show_steps(self, history: HistorySteps, index: int = -1) -> None:
        """Show other steps, one of them chosen."""
        self.history = history
        self.refresh(index)

    def same_step(self, history: Sequence[Entry]) -> int:
        """Return where the step that is chosen stands in another history, -1 if nowhere."""
        step = self.step()
        names = [entry.step for entry in history]
        return names.index(step.name) if step is not None and step.name in names else -1

    def refresh(self, index: int | None = None) -> None:
        """Show the steps as they are now; the choice stays, or is the one given."""
        index = self.index if index is None else index
        self.list.blockSignals(True)
        self.list.clear()
        for _ in self.history.steps:
            self.list.addItem(QListWidgetItem())
        self.retell()
        self.list.setCurrentRow(min(index, len(self.history.steps) - 1))
        self.list.blockSignals(False)
        self._on_chosen(self.index)

    def retell(self) -> None:
        """Write anew what is said of the steps."""
        for i, step in enumerate(self.history.steps):
            item = self.list.item(i)
            assert item is not None
            item.setText(_text(i + 1, step))
            item.setToolTip("\n".join(map(spoken, step.warnings())))
            font = item.font()
            font.setItalic(not step.done)
            font.setStrikeOut(not step.on)
            item.setFont(font)

    def _on_chosen(self, index: int) -> None:
        step = self.step()
        self.up.setEnabled(step is not None and self.history.may_move(index, -1))
        self.down.setEnabled(step is not None and self.history.may_move(index, 1))
        self.remove.setEnabled(step is not None)
        self.switch.setEnabled(step is not None)
        self.switch.setText("Take in" if step is not None and not step.on else "Leave out")
        self.chosen.emit(index)

    def _move(self, by: int) -> None:
        self.history.move(self.index, by)
        self.refresh(self.index + by)
        self.changed.emit()

    def _on_switch(self) -> None:
        self.history.switch(self.index)
        self.refresh()
        self.changed.emit()

    def _on_remove(self) -> None:
        self.history.remove(self.index)
        self.refresh()
        self.changed.emit()


def _text(number: int, step: HistoryStep) -> str:
    lines = [f"{number}  {step.title()}", step.parameters(), step.outcome()]
    lines += [f"⚠ {spoken(warning)}" for warning in step.warnings()]
    return "\n".join(line for line in lines if line)
