"""The command "Import XANES stack...": asks what the reader cannot find by itself, and shows live what it makes of the answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.stack import SIGNAL_WORDS, EnergyStack
from napari_xanes._core.io import read_stack
from napari_xanes._core.io.companions import Companion, find_companions
from napari_xanes._core.io.formats import name_filter, scan_format, scan_formats, scan_suffixes
from napari_xanes._core.io.permuted import AxisQuestion
from napari_xanes._core.recipe.input_params import InputParams
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.layers.words import stack_text
from napari_xanes._widgets.parts.advice import Advice, Told, Way
from napari_xanes._widgets.parts.spoken import spoken
from napari_xanes._widgets.window.energy_text import show_energy
from napari_xanes._widgets.window.glimpse import Glimpse, glimpse
from napari_xanes._widgets.window.import_places import AxisChoice, PlaceEdit, order_text, order_with_energy
from napari_xanes._widgets.window.import_preview import ImportPreview
from napari_xanes._widgets.window.import_tree import DatasetTree, Listed

WAIT_MS = 400
PLACES = (
    ("images", "Images", (3, 4)),
    ("energy", "Energies", (1, 2)),
    ("flat", "Flats", (1, 2, 3)),
    ("dark", "Darks", (0, 2, 3)),
)
"""What is asked for, and how many axes it may have."""
OTHERS = {
    "images": "dataset, element, region",
    "energy": "dataset, file, range",
    "flat": "dataset or file",
    "dark": "dataset or file",
}
"""What may be said instead of having a place found."""
ROOM = (940, 640)
NUMBERS = re.compile(r"[<>=|]?(u?int|float|complex|double|single|[iufc]\d)")
"""Types of arrays that may be images, energies, flats or darks."""
MOST = 2
"""So many files beside the scan are proposed."""


@dataclass(frozen=True, eq=False)
class Look:
    """What the reader made of the answers: the scan and how it looks, or why there is none."""

    stack: EnergyStack | None = None
    seen: Glimpse | None = None
    beside: tuple[Companion, ...] = ()
    refusal: str = ""
    question: AxisQuestion | None = None


def import_stack(viewer: Viewer, path: str = "") -> ImportDialog:
    """Open the dialog, on a file or folder if given; it adds the layer when OK is pressed."""
    windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow) and w.isVisible()]
    dialog = ImportDialog(viewer, QApplication.activeWindow() or next(iter(windows), None))
    dialog.path.setText(path)
    dialog.open()
    return dialog


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
        self.path = QLineEdit()
        self.path.setPlaceholderText("file with all images, or folder with one file per energy")
        self.places = {
            name: PlaceEdit(title, other=OTHERS[name], browse=name != "images") for name, title, _ in PLACES
        }
        self.axis = AxisChoice()
        self.form = ParamsForm(InputParams, "Import", hidden=(*self.places, "axis"))
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.verdict.setMinimumHeight(70)
        self.verdict.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.advice = Advice()
        self.preview = ImportPreview(viewer)
        self.tree = DatasetTree(PLACES)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self._background = Background(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._again = self._over = False
        self._build()
        self._connect()
        self._show(Look(refusal="Choose a file or a folder."))

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
        for i, (name, widget) in enumerate({**self.places, "axis": self.axis}.items(), 1):
            info = InputParams.model_fields[name]
            label = QLabel(str(info.title))
            label.setToolTip(f"<p>{info.description}</p>")
            rows.insertRow(i, label, widget)
        asked = QVBoxLayout()
        asked.addWidget(self.form)
        asked.addWidget(self.verdict)
        asked.addWidget(self.advice)
        asked.addStretch(1)
        seen = QVBoxLayout()
        seen.addWidget(self.preview)
        seen.addWidget(self.tree, 1)
        seen.addStretch(0)
        beside = QHBoxLayout()
        beside.addLayout(asked, 1)
        beside.addLayout(seen, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(beside, 1)
        layout.addWidget(self.buttons)
        self.resize(*ROOM)

    def _connect(self) -> None:
        self.path.textChanged.connect(self._on_path)
        for place in self.places.values():
            place.changed.connect(self._timer.start)
        self.axis.currentIndexChanged.connect(lambda _: self._timer.start())
        self.form.changed.connect(self._timer.start)
        self.tree.said.connect(lambda place, name: self.places[place].set_value(name))
        self._timer.timeout.connect(self._check)
        self._background.delivered.connect(self._show)
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
        path = Path(self.path.text())
        found = _list_datasets(path)
        self.places["images"].setEnabled(
            bool(found) or path.is_dir() or path.suffix.lower() in _suffixes_of_parts()
        )
        for name, _, axes in PLACES:
            fitting = [(f"{one.name}  {one.size}", one.name) for one in found if len(one.shape) in axes]
            self.places[name].offer(fitting)
        self.tree.show_datasets(found)
        self.axis.offer(None)
        self._timer.start()

    def answers(self) -> dict[str, Any]:
        """Return the keywords of `read_stack`."""
        given = self.form.params().model_dump()
        places = {name: place.value() for name, place in self.places.items()}
        return {**given, **places, "axis": self.axis.value()}

    # -- what the reader makes of it ------------------------------------------------------------------

    def _check(self) -> None:
        path = self.path.text().strip()
        if not path:
            self._show(Look(refusal="Choose a file or a folder."))
            return
        if self._background.running:
            self._again = True
            self._background.cancel()
            return
        self._let_open(False)
        self.verdict.setText(f"Reading {Path(path).name}...")
        self._background.start(partial(_look, path, self.answers()), f"Reading {Path(path).name}")
        self._background.ended.connect(self._on_ended)

    def _on_ended(self) -> None:
        self._background.ended.disconnect(self._on_ended)
        if self._again:
            self._again = False
            self._timer.start()
        else:
            self.checked.emit()

    def _show(self, look: Look) -> None:
        self.stack = stack = look.stack
        self.verdict.setText(look.refusal if stack is None else "\n".join(_found(stack)))
        self.preview.show_glimpse(look.seen)
        self.advice.tell([*self._orders(look.question), *(self._proposed(one) for one in look.beside)])
        used = {} if stack is None else {str(stack.source[name]): title for name, title, _ in PLACES}
        self.tree.mark(used)
        self._let_open(stack is not None)

    def _orders(self, question: AxisQuestion | None) -> list[Told]:
        """Return the question which axis is energy, with a button for each; and offer the orders with their sizes."""
        if question is None:
            return []
        self.axis.offer(question.shape)
        orders = [order_with_energy(axis, len(question.shape)) for axis in question.axes]
        ways = [
            Way(order_text(order, question.shape), "Opens the scan so.", partial(self.axis.set_value, order))
            for order in orders
        ]
        return [Told("Which axis is energy?", tuple(ways))]

    def _proposed(self, one: Companion) -> Told:
        def take() -> None:
            for name, path in one.given.items():
                self.places[name].set_value(path)

        return Told(
            f"{one.title}: {one.reason}.", (Way(f"Use {one.title}", "Opens the scan with it.", take),)
        )

    def _let_open(self, on: bool) -> None:
        button = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        if button is not None:
            button.setEnabled(on)

    def done(self, result: int) -> None:
        """Add the layer on OK; stop reading in any case."""
        if self._over:
            return
        self._over = True
        self._timer.stop()
        self._background.abandon()
        self.preview.cleanup()
        if result == QDialog.DialogCode.Accepted and self.stack is not None:
            add_stack(self.viewer, self.stack)
            show_energy(self.viewer)
        super().done(result)


def _found(stack: EnergyStack) -> list[str]:
    """Return what was found in a scan, where and why, a line each."""
    source = stack.source
    why = source.get("energy_reason")
    lines = [stack_text(stack), f"Energies: {source.get('energy_source')}{f' ({why})' if why else ''}"]
    for name, title, _ in PLACES:
        if name != "energy" and source.get(name):
            lines.append(f"{title}: {source[name]}")
    lines.append(f"Signal: {SIGNAL_WORDS[stack.signal]}")
    if stack.pixel_size_um is not None:
        lines.append(f"Pixel size: {stack.pixel_size_um:.4g} µm")
    if stack.energy.size == 1:
        lines.append("Note: this is one image at one energy; choose its folder to open a scan of such files.")
    return lines + [f"Note: {spoken(text)}" for text in stack.warnings]


def _suffixes_of_parts() -> set[str]:
    """Return the suffixes of formats whose images are one of several parts, such as regions."""
    return {suffix for kind in scan_formats() if kind.parts or kind.datasets for suffix in kind.suffixes}


def _list_datasets(path: Path) -> list[Listed]:
    """Return the arrays of numbers of a file or store, what could be images first; none of formats without named arrays."""
    try:
        kind = scan_format(path) if path.name and path.exists() else None
        if kind is None or kind.contents is None or not (kind.datasets or kind.parts):
            return []
        found = [Listed(one.name, one.shape, one.dtype) for one in kind.contents(path)]
    except (XanesError, OSError, RuntimeError):
        return []
    images = PLACES[0][2]
    numbers = [one for one in found if NUMBERS.match(one.dtype)]
    return sorted(numbers, key=lambda one: len(one.shape) not in images)


def _look(path: str, answers: dict[str, Any], progress: Progress) -> Look:
    """Return what the reader makes of the answers."""
    try:
        stack = read_stack(path, **answers)
        seen = glimpse(stack, progress)
        beside = find_companions(stack)[:MOST]
    except AxisQuestion as question:
        return Look(refusal=spoken(str(question)), question=question)
    except XanesError as error:
        return Look(refusal=spoken(str(error)))
    progress(1, 1, "Read")
    return Look(stack, seen, tuple(beside))
