"""A table of columns, to be read, copied and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_xanes._core.base.csv_cells import csv_text
from napari_xanes._core.base.files import write_text
from napari_xanes._widgets.parts.buttons import in_line, make_button, to_clipboard
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.parts.spoken import column_text


class ColumnsTable(QWidget):
    """Shows columns of numbers; what is copied and saved has their full precision.

    Signals
    -------
    chosen(row)
        A row was chosen.
    """

    chosen = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._columns: dict[str, list[Any]] = {}
        self.table = QTableWidget()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setWordWrap(False)  # a second line would not be seen
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        if (header := self.table.verticalHeader()) is not None:
            header.setVisible(False)
            header.setDefaultSectionSize(24)
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.copy = make_button("Copy table", "Copies the table, to be pasted into a spreadsheet.")
        self.copy.clicked.connect(lambda: to_clipboard(self.as_text("\t")))
        self.save = make_button("Save table...", "Saves the table as CSV.")
        self.save.clicked.connect(self._ask)
        self.column = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(in_line(self.copy, self.save))

    def show_columns(
        self, columns: Mapping[str, Any], shown: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        """Show columns of equal length, arrays or lists; or others in their place, which are easier to read."""
        self._columns = {name: np.asarray(values, object).tolist() for name, values in columns.items()}
        texts = self._columns if shown is None else shown
        self.table.setColumnCount(len(texts))
        self.table.setHorizontalHeaderLabels([column_text(name) for name in texts])
        self.table.setRowCount(len(next(iter(texts.values()), ())))
        for column, values in enumerate(texts.values()):
            for row, value in enumerate(values):
                self.table.setItem(row, column, QTableWidgetItem(_text(value)))
        self.table.resizeColumnsToContents()  # once: done at every cell, it takes minutes

    def as_text(self, delimiter: str = ",") -> str:
        """Return the table at full precision."""
        rows = zip(*self._columns.values(), strict=True)
        return csv_text([self._columns, *rows], delimiter=delimiter, lineterminator="\n")

    def _on_selected(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        if len(rows) == 1:
            self.chosen.emit(rows.pop())

    def _ask(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save table", f"{self.name}.csv", "Table (*.csv)")
        if path:
            try:
                write_text(Path(path).with_suffix(".csv"), self.as_text())
            except OSError as error:
                report_error(error, self.name)


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)
