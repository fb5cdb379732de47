"""The curves of the spectrum dock as a table or a picture."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QBuffer
from qtpy.QtGui import QImage, QPainter
from qtpy.QtSvg import QSvgGenerator
from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton, QWidget

from napari_xanes._core.base.csv_cells import csv_text, write_csv
from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.files import whole_file
from napari_xanes._widgets.parts.buttons import to_clipboard
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.spectrum.curves import as_table
from napari_xanes._widgets.spectrum.plot import SpectrumPlot

FINER = 2
"""Points of a saved picture for one of the screen."""
FILTERS = "Table (*.csv);;Picture (*.png);;Drawing (*.svg)"


class ExportMenu(QPushButton):
    """Saves the curves as CSV, PNG or SVG, or copies them."""

    def __init__(self, plot: SpectrumPlot, drawing: QWidget) -> None:
        super().__init__()
        self._plot, self._drawing = plot, drawing
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
            with whole_file(path) as part:
                if not self._picture().save(str(part), "PNG"):
                    raise DataFileError(f"{path} could not be written; make room or choose another folder.")
        elif path.suffix.lower() == ".svg":
            self._save_drawing(path)
        else:
            head, rows = as_table(self._plot.drawn())
            write_csv(path, [head, *rows])

    def _picture(self) -> QImage:
        """Return the plot with the names of its curves, finer than the screen."""
        image = QImage(self._drawing.size() * FINER, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(FINER)
        image.fill(self._plot.backgroundBrush().color())
        self._drawing.render(image)
        return image

    def _save_drawing(self, path: Path) -> None:
        """Let Qt write the SVG: that of pyqtgraph fails on some of Qt's own paths."""
        drawn = QBuffer()
        generator = QSvgGenerator()
        generator.setOutputDevice(drawn)
        generator.setSize(self._drawing.size())
        generator.setViewBox(self._drawing.rect())
        painter = QPainter(generator)
        self._drawing.render(painter)
        painter.end()
        with whole_file(path) as part:
            part.write_bytes(drawn.data().data())

    def copy(self) -> None:
        """Put the curves on the clipboard, for a spreadsheet."""
        head, rows = as_table(self._plot.drawn())
        to_clipboard(csv_text([head, *rows], delimiter="\t", lineterminator="\n"))
