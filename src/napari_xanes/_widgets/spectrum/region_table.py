"""What the regions of the spectrum dock hold, in numbers: pixels, thickness, fractions with their sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor

from napari_xanes._widgets.parts.table import ColumnsTable
from napari_xanes._widgets.spectrum.rows import Row
from napari_xanes._widgets.steps.sections import FIT, numbered

COLUMNS = {
    "region": "The pin, shape or label; without any, the whole stack.",
    "pixels": "Its pixels; the mean spectrum is of those that are valid in all frames.",
    "thickness": "Of the mean spectrum, in optical density, as in the map of this name: post- minus pre-edge line, the mean after "
    "the edge.",
}


class RegionTable(ColumnsTable):
    """A table of regions.

    Signals
    -------
    region_chosen(name)
        A row was chosen, or what it shows has changed.
    """

    region_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__("regions")
        self.rows: list[Row] = []
        self._name = ""
        self.chosen.connect(lambda row: self._look_at(self.rows[row].name))

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these regions and no others; the one that was chosen stays so."""
        self.rows = list(rows)
        references = list(dict.fromkeys(name for row in rows for name in row.fractions))
        fixed: dict[str, Sequence[object]] = {
            "region": [row.name for row in rows],
            "pixels": [row.pixels for row in rows],
            "thickness": [row.thickness for row in rows],
        }
        columns, shown = dict(fixed), dict(fixed)
        for name in references:
            found = [row.fractions.get(name, (None, None)) for row in rows]
            columns |= {name: [f for f, _ in found], f"sigma {name}": [s for _, s in found]}
            shown[name] = [_share(*pair) for pair in found]
        with QSignalBlocker(self.table):
            self.show_columns(columns, shown)
        self._dress(references)
        self.table.resizeColumnToContents(0)
        names = [row.name for row in rows]
        self._choose(self._name if self._name in names else names[-1] if names else "")

    def _dress(self, references: Sequence[str]) -> None:
        """Show the colours of the curves beside the names, and say what the columns are."""
        tips = [
            *COLUMNS.values(),
            *[f"Fraction ± sigma, of the mean spectrum fitted as {numbered(FIT)} is set."] * len(references),
        ]
        for column, tip in enumerate(tips):
            if (head := self.table.horizontalHeaderItem(column)) is not None:
                head.setToolTip(f"<p>{tip}</p>")
                head.setText([*COLUMNS, *references][column])
        for number, row in enumerate(self.rows):
            name = self.table.item(number, 0)
            if row.color is not None and name is not None:
                name.setData(Qt.ItemDataRole.DecorationRole, QColor(row.color))

    def _choose(self, name: str) -> None:
        """Choose a row by its name."""
        names = [row.name for row in self.rows]
        with QSignalBlocker(self.table):
            self.table.clearSelection()
            if name in names:
                self.table.selectRow(names.index(name))
        self._look_at(name)

    def choose_none(self) -> None:
        """Mark no row, as something else is looked at; the region stays the one whose numbers are shown."""
        with QSignalBlocker(self.table):
            self.table.clearSelection()

    def _look_at(self, name: str) -> None:
        self._name = name
        self.region_chosen.emit(name)


def _share(fraction: float | None, sigma: float | None) -> str:
    """Return a fraction and its uncertainty; nothing, where there is too little of the element."""
    if fraction is None or sigma is None or not math.isfinite(fraction):
        return ""
    return f"{fraction:.3f} ± {sigma:.3f}"
