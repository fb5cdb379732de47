"""The curves of the spectrum dock as a table or a picture."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pyqtgraph.exporters import ImageExporter
from qtpy.QtGui import QPainter
from qtpy.QtSvg import QSvgGenerator
from qtpy.QtWidgets import QApplication, QFileDialog, QMenu, QPushButton

from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.spectrum.curves import as_table
from napari_xanes._widgets.spectrum.plot import SpectrumPlot

FILTERS = "Table (*.csv);;Picture (*.png);;Drawing (*.svg)"


class ExportMenu(QPushButton):
    """Saves the curves as CSV, PNG or SVG, or copies them."""

    def __init__(self, plot: SpectrumPlot) -> None:
        super().__init__()
        self._plot = plot
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
            head, rows = as_table(self._plot.drawn())
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
        head, rows = as_table(self._plot.drawn())
        text = io.StringIO()
        csv.writer(text, delimiter="\t", lineterminator="\n").writerows([head, *rows])
        QApplication.clipboard().setText(text.getvalue())
