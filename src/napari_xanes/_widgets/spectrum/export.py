"""The curves of the spectrum dock as a table or a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyqtgraph.exporters import ImageExporter
from qtpy.QtGui import QPainter
from qtpy.QtSvg import QSvgGenerator
from qtpy.QtWidgets import QApplication, QFileDialog, QMenu, QPushButton

from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.spectrum.plot import Curve, SpectrumPlot

FILTERS = "Table (*.csv);;Picture (*.png);;Drawing (*.svg)"


def as_table(curves: dict[str, Curve]) -> tuple[list[str], list[list[Any]]]:
    """Return the names of columns and the rows; curves of other energies are interpolated to all of them, or empty."""
    energies = np.unique(np.concatenate([curve.x for curve in curves.values()])) if curves else np.empty(0)
    columns = []
    for curve in curves.values():
        at = np.searchsorted(curve.x, energies).clip(0, curve.x.size - 1)
        columns.append(np.where(curve.x[at] == energies, curve.y[at], np.nan))
    rows = [
        [f"{e:.10g}", *("" if np.isnan(v) else f"{v:.8g}" for v in values)]
        for e, *values in zip(energies, *columns, strict=True)
    ]
    return ["energy_eV", *curves], rows


class ExportMenu(QPushButton):
    """Saves the curves as CSV, PNG or SVG, or copies them."""

    def __init__(self, plot: SpectrumPlot, curves: Callable[[], dict[str, Curve]]) -> None:
        super().__init__()
        self._plot, self._curves = plot, curves
        self.setText("Save ")
        menu = QMenu(self)
        menu.addAction("Save curves or picture...", self._ask)
        menu.addAction("Copy curves", self.copy)
        self.setMenu(menu)

    def _ask(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save spectra", "spectra.csv", FILTERS)
        if path:
            try:
                self.save(path)
            except OSError as error:
                report_error(error, "Spectrum")

    def save(self, path: str | Path) -> None:
        """Write the curves (.csv) or the plot (.png, .svg)."""
        path = Path(path)
        if path.suffix.lower() == ".png":
            ImageExporter(self._plot.getPlotItem()).export(str(path))
        elif path.suffix.lower() == ".svg":
            self._save_drawing(path)
        else:
            head, rows = as_table(self._curves())
            with open(path, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([head, *rows])

    def _save_drawing(self, path: Path) -> None:
        """Let Qt write the SVG: that of pyqtgraph fails on some of Qt's own paths."""
        generator = QSvgGenerator()
        generator.setFileName(str(path))
        generator.setSize(self._plot.size())
        generator.setViewBox(self._plot.rect())
        painter = QPainter(generator)
        self._plot.render(painter)
        painter.end()

    def copy(self) -> None:
        """Put the curves on the clipboard, for a spreadsheet."""
        head, rows = as_table(self._curves())
        text = io.StringIO()
        csv.writer(text, delimiter="\t", lineterminator="\n").writerows([head, *rows])
        QApplication.clipboard().setText(text.getvalue())
