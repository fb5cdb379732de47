"""The command "Import XANES stack...": asks what the reader cannot find by itself, and shows live what it makes of the answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.io import read_stack
from napari_xanes._core.io.formats import name_filter, scan_suffixes
from napari_xanes._core.io.hdf5_tree import Tree
from napari_xanes._core.recipe.input_params import InputParams
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.layers.words import stack_text
from napari_xanes._widgets.window.energy_text import show_energy

AUTO = "detected automatically"
WAIT_MS = 400
PLACES = ("images", "energy", "flat", "dark")


def import_stack(viewer: Viewer, path: str = "") -> ImportDialog:
    """Open the dialog, on a file or folder if given; it adds the layer when OK is pressed."""
    windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow) and w.isVisible()]
    dialog = ImportDialog(viewer, QApplication.activeWindow() or next(iter(windows), None))
    dialog.path.setText(path)
    dialog.open()
    return dialog


class PlaceEdit(QWidget):
    """Where something is: found by itself, a dataset of the file, or (if allowed) another file or a text."""

    changed = Signal()

    def __init__(self, title: str, *, other: str = "") -> None:
        super().__init__()
        self._title, self._other = title, other
        self.combo = QComboBox()
        self.combo.setEditable(bool(other))
        self.combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.combo, 1)
        if other:
            if (line := self.combo.lineEdit()) is not None:
                line.setPlaceholderText(f"{AUTO}; or {other}")
            browse = QPushButton("File...")
            browse.setAutoDefault(False)
            browse.clicked.connect(self._ask)
            row.addWidget(browse)
        self.offer([])
        self.combo.currentTextChanged.connect(lambda _: self.changed.emit())

    def offer(self, found: list[tuple[str, str]]) -> None:
        """Offer datasets: (text, name); what was chosen before is given up."""
        self.combo.blockSignals(True)
        self.combo.clear()
        if not self._other:
            self.combo.addItem(AUTO, None)
        for text, name in found:
            self.combo.addItem(text, name)
        self.combo.setCurrentIndex(-1 if self._other else 0)
        self.combo.blockSignals(False)

    def value(self) -> str | None:
        """Return the dataset, the file or the text; None to have it found."""
        text = self.combo.currentText().strip()
        index = self.combo.findText(text)
        return self.combo.itemData(index) if index >= 0 else text or None

    def set_value(self, value: str) -> None:
        """Choose a dataset, or write a file or text."""
        index = self.combo.findData(value)
        if index >= 0:
            self.combo.setCurrentIndex(index)
        else:
            self.combo.setEditText(value)

    def _ask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self._title)
        if path:
            self.set_value(path)


class ImportDialog(QDialog):
    """The dialog; `stack` is what would be added now, or None."""

    checked = Signal()
    """The reader has looked at the present answers."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.stack: EnergyStack | None = None
        self.setWindowTitle("Import XANES stack")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(560)
        self.path = QLineEdit()
        self.path.setPlaceholderText("file with all images, or folder with one file per energy")
        self.places = {
            "images": PlaceEdit("Images"),
            "energy": PlaceEdit("Energies", other="a dataset, a text file, 8200:8500:1"),
            "flat": PlaceEdit("Flats", other="a dataset or file"),
            "dark": PlaceEdit("Darks", other="a dataset or file"),
        }
        self.form = ParamsForm(InputParams, "Import", hidden=PLACES)
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setMinimumHeight(70)
        self.verdict.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self._background = Background(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._again = False
        self._build()
        self._connect()
        self._show(None, "Choose a file or a folder.")

    def _build(self) -> None:
        path = QHBoxLayout()
        path.addWidget(self.path, 1)
        for text, ask in (("File...", self._ask_file), ("Folder...", self._ask_folder)):
            button = QPushButton(text)
            button.setAutoDefault(False)
            button.clicked.connect(ask)
            path.addWidget(button)
        rows = self.form.rows
        rows.insertRow(0, "Scan", path)
        for i, (name, place) in enumerate(self.places.items(), 1):
            info = InputParams.model_fields[name]
            label = QLabel(str(info.title))
            label.setToolTip(f"<p>{info.description}</p>")
            rows.insertRow(i, label, place)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addWidget(self.verdict)
        layout.addWidget(self.buttons)

    def _connect(self) -> None:
        self.path.textChanged.connect(self._on_path)
        for place in self.places.values():
            place.changed.connect(self._timer.start)
        self.form.changed.connect(self._timer.start)
        self._timer.timeout.connect(self._check)
        self._background.delivered.connect(self._on_read)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

    # -- what the user answers ------------------------------------------------------------------------

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Scan", self.path.text(), name_filter("Scans", scan_suffixes())
        )
        if path:
            self.path.setText(path)

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder with one file per energy", self.path.text())
        if path:
            self.path.setText(path)

    def _on_path(self) -> None:
        found = _list_datasets(Path(self.path.text()))
        for name, ndims in (("images", (3, 4)), ("energy", (1, 2)), ("flat", (1, 2, 3)), ("dark", (0, 2, 3))):
            fitting = [(text, dataset) for text, dataset, ndim in found if ndim in ndims]
            self.places[name].offer(fitting)
            self.places[name].setEnabled(name != "images" or bool(found))
        self._timer.start()

    def answers(self) -> dict[str, Any]:
        """Return the keywords of `read_stack`."""
        given = self.form.params().model_dump()
        return {**given, **{name: place.value() for name, place in self.places.items()}}

    # -- what the reader makes of it ------------------------------------------------------------------

    def _check(self) -> None:
        path = self.path.text().strip()
        if not path:
            self._show(None, "Choose a file or a folder.")
            return
        if self._background.running:
            self._again = True
            self._background.cancel()
            return
        self._let_open(False)
        self._background.start(partial(_try_to_read, path, self.answers()), f"Reading {Path(path).name}")
        self._background.ended.connect(self._on_ended)

    def _on_ended(self) -> None:
        self._background.ended.disconnect(self._on_ended)
        if self._again:
            self._again = False
            self._timer.start()
        else:
            self.checked.emit()

    def _on_read(self, read: EnergyStack | str) -> None:
        if isinstance(read, str):
            self._show(None, read)
        else:
            self._show(read, "\n".join([stack_text(read), *(f"Note: {text}" for text in read.warnings)]))

    def _show(self, stack: EnergyStack | None, text: str) -> None:
        self.stack = stack
        self.verdict.setText(text)
        self._let_open(stack is not None)

    def _let_open(self, on: bool) -> None:
        button = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        if button is not None:
            button.setEnabled(on)

    def done(self, result: int) -> None:
        """Add the layer on OK; stop reading in any case."""
        self._timer.stop()
        self._background.abandon()
        if result == QDialog.DialogCode.Accepted and self.stack is not None:
            add_stack(self.viewer, self.stack)
            show_energy(self.viewer)
        super().done(result)


def _list_datasets(path: Path) -> list[tuple[str, str, int]]:
    """Return the numeric datasets of an HDF5 file as (text, name, number of axes); none of other files."""
    if not path.is_file():
        return []
    try:
        with Tree(path) as tree:
            return [
                (f"{entry.name}  {' x '.join(map(str, entry.shape or ()))}", entry.name, entry.ndim)
                for entry in tree.numeric()
            ]
    except (XanesError, OSError, RuntimeError):
        return []


def _try_to_read(path: str, answers: dict[str, Any], progress: Progress) -> EnergyStack | str:
    """Return the stack, or the sentence that says why there is none."""
    try:
        stack = read_stack(path, **answers)
    except XanesError as error:
        return str(error)
    progress(1, 1, "Read")
    return stack
