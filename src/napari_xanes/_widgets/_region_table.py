"""What the regions of the spectrum dock hold, in numbers: pixels, thickness, fractions with their sigma."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFileDialog,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_xanes._widgets._small_widgets import in_line, make_button
from napari_xanes._widgets._worker import report_error

COLUMNS = {
    "region": "The pin, shape or label.",
    "pixels": "How many pixels its mean spectrum is of.",
    "thickness": "Edge step of the mean spectrum, in optical density.",
}


@dataclass(frozen=True)
class Row:
    """One region; thickness is None where it is not known, fractions and their sigma by reference."""

    name: str
    color: str | None
    pixels: int
    thickness: float | None
    fractions: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class RegionTable(QWidget):
    """A table of regions, to be read, copied and saved.

    Signals
    -------
    chosen(name)
        A row was chosen, or what it shows has changed.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self.table = QTableWidget()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().setVisible(False)
        self.table.verticalHeader().setDefaultSectionSize(24)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.copy = make_button("Copy table", "Copies the table, to be pasted into a spreadsheet.")
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.as_text()))
        self.save = make_button("Save table...", "Saves the table as CSV.")
        self.save.clicked.connect(self._ask)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.itemSelectionChanged.connect(self._on_selected)
        self._name = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(in_line(self.copy, self.save))

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these regions and no others."""
        self._rows = list(rows)
        references = self._references()
        headings = [*COLUMNS, *references]
        self.table.setColumnCount(len(headings))
        self.table.setHorizontalHeaderLabels(headings)
        for column, tip in enumerate(COLUMNS.values()):
            self.table.horizontalHeaderItem(column).setToolTip(f"<p>{tip}</p>")
        for column in range(len(COLUMNS), len(headings)):
            tip = "Fraction ± sigma, of the mean spectrum fitted as 4 Fit is set."
            self.table.horizontalHeaderItem(column).setToolTip(f"<p>{tip}</p>")
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            found = [row.fractions.get(name) for name in references]
            texts = [
                row.name,
                str(row.pixels),
                "" if row.thickness is None else f"{row.thickness:.3f}",
                *("" if one is None else f"{one[0]:.3f} ± {one[1]:.3f}" for one in found),
            ]
            for column, text in enumerate(texts):
                self.table.setItem(number, column, QTableWidgetItem(text))
            if row.color is not None:
                self.table.item(number, 0).setForeground(QColor(row.color))
        names = [row.name for row in rows]
        self._choose(self._name if self._name in names else names[-1] if names else "")

    def _choose(self, name: str) -> None:
        """Choose a row by its name, which is shown again where rows have come or gone."""
        names = [row.name for row in self._rows]
        with QSignalBlocker(self.table):
            self.table.clearSelection()
            if name in names:
                self.table.selectRow(names.index(name))
        self._name = name
        self.chosen.emit(name)

    def _on_selected(self) -> None:
        rows = {index.row() for index in self.table.selectedIndexes()}
        if len(rows) == 1:
            self._name = self._rows[rows.pop()].name
            self.chosen.emit(self._name)

    def _ask(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save table", "regions.csv", "Table (*.csv)")
        if path:
            try:
                Path(path).with_suffix(".csv").write_text(self.as_text(","), "utf-8")
            except OSError as error:
                report_error(error, "Spectrum")

    def as_text(self, delimiter: str = "\t") -> str:
        """Return the table with tabs or else between the columns, sigma in columns of its own."""
        references = self._references()
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        writer.writerow([*COLUMNS, *(part for name in references for part in (name, f"sigma {name}"))])
        for row in self._rows:
            found = [row.fractions.get(name, ("", "")) for name in references]
            thickness = "" if row.thickness is None else row.thickness
            writer.writerow([row.name, row.pixels, thickness, *(value for pair in found for value in pair)])
        return out.getvalue()

    def _references(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._rows for name in row.fractions))
