"""The table of a batch: scans can be dropped on it, results are opened by a click."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QItemSelectionModel, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_xanes._widgets.jobs.queue import Row
from napari_xanes._widgets.parts.spoken import spoken

COLUMNS = ("Scan", "State", "Result")
LINK = QColor("#4a90d9")
WORDS = (
    ("give --overwrite to replace it", "tick Replace other results to replace it"),
    ("another --out", "another folder for the results"),
)
"""What the command line says, and what is said here."""


class BatchTable(QTableWidget):
    """Shows rows of a queue.

    Signals
    -------
    dropped(paths)
        Files or folders were dropped, a list of str.
    opened(scan)
        The result of a scan was clicked.
    """

    dropped = Signal(list)
    opened = Signal(str)

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self._shown: list[Row] = []
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumHeight(160)
        self.setAcceptDrops(True)
        if (down := self.verticalHeader()) is not None:
            down.setVisible(False)
            down.setDefaultSectionSize(24)
        if (across := self.horizontalHeader()) is not None:
            across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.cellClicked.connect(self._on_clicked)

    def show_rows(self, rows: Iterable[Row]) -> None:
        """Show rows; what is chosen stays so."""
        rows = list(rows)
        if [row.scan for row in rows] != [row.scan for row in self._shown]:
            self._lay_out(rows)
        for i, row in enumerate(rows):
            if row != self._shown[i] or self.item(i, 0) is None:
                self._show_row(i, row)
        self._shown = rows

    def _lay_out(self, rows: list[Row]) -> None:
        """Have a line for each row, the same ones chosen."""
        chosen, kept = set(self.chosen()), len(self._shown)
        if [row.scan for row in rows[:kept]] != [row.scan for row in self._shown]:  # some were taken off
            self.clearSelection()
            self.setRowCount(0)
            self._shown, kept = [], 0
        self._shown = [*self._shown, *rows[kept:]]
        self.setRowCount(len(rows))
        flags = QItemSelectionModel.SelectionFlag
        model, picked = self.model(), self.selectionModel()
        for i, row in enumerate(rows):
            if row.scan in chosen and model is not None and picked is not None:
                picked.select(model.index(i, 0), flags.Select | flags.Rows)

    def _show_row(self, i: int, row: Row) -> None:
        said = in_words(row.said)
        done = row.state == "done" and bool(row.result)
        scan = Path(row.scan)
        why = said.replace(f"{scan.parent}{os.sep}", "").removeprefix(scan.name).lstrip(": ")
        texts = (
            scan.name,
            row.progress,
            Path(row.result).name if done else row.doing if row.state == "running" else why,
        )
        tips = (row.scan, row.progress, f"{row.result} {said}".strip())
        for column, (text, tip) in enumerate(zip(texts, tips, strict=True)):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            item.setData(Qt.ItemDataRole.ForegroundRole, LINK if done and column == 2 else None)
            self.setItem(i, column, item)

    def chosen(self) -> list[str]:
        """Return the scans of the rows that are chosen."""
        return [self._shown[i].scan for i in sorted({index.row() for index in self.selectedIndexes()})]

    def _on_clicked(self, row: int, column: int) -> None:
        item = self.item(row, column)
        if column == 2 and item is not None and item.data(Qt.ItemDataRole.ForegroundRole) is not None:
            self.opened.emit(self._shown[row].scan)

    # -- dropping ---------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: Any) -> None:
        """Take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dragMoveEvent(self, event: Any) -> None:
        """Take files wherever they are."""
        self.dragEnterEvent(event)

    def dropEvent(self, event: Any) -> None:
        """Tell of files that are dropped."""
        event.acceptProposedAction()
        self.dropped.emit([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])


def in_words(said: str) -> str:
    """Return what the command line said in the words of the window."""
    for shell, window in WORDS:
        said = said.replace(shell, window)
    return spoken(said)
