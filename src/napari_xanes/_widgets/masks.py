"""Step 7 of the window: which pixels count, by limits on a map, and the layers without the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QDoubleValidator
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_xanes._core.errors import InputError
from napari_xanes._core.mask_step import MaskParams, mask_of
from napari_xanes._core.masks import combine_masks, otsu_threshold
from napari_xanes._core.params import make_params
from napari_xanes._widgets._chooser import StackChooser
from napari_xanes._widgets._form import make_editor
from napari_xanes._widgets._histogram import LimitsHistogram
from napari_xanes._widgets._layers import about
from napari_xanes._widgets._mask_layers import (
    apply_to_all,
    computed_under_mask,
    hide_preview,
    keep_mask,
    map_layers,
    mask_layers,
    original,
    remove_from_all,
    show_preview,
)
from napari_xanes._widgets._worker import report_error

PREVIEW_MS = 60
COMBINE = {
    "replace": "on its own",
    "and": "inside both, this and",
    "or": "inside either, this or",
    "minus": "outside this, but inside",
}
SHAPED = ("fill", "remove_small", "erode", "dilate")


class MaskPanel(QWidget):
    """Masks by threshold, with a preview, and their use.

    Signals
    -------
    headline(text)
        The mask in a few words, for the title of the collapsed panel.
    """

    title = "Masks"
    key = "masks"
    headline = Signal(str)

    def __init__(self, viewer: Any, chooser: StackChooser) -> None:
        super().__init__()
        self.viewer, self.chooser = viewer, chooser
        self._of: NDArray[Any] | None = None
        self._picked = False
        self.map, self.other, self.mask = _combo(), _combo(), _combo()
        self.histogram = LimitsHistogram(viewer)
        self.above, self.below = _limit_edit(), _limit_edit()
        self.otsu = _button("Otsu", "The lower limit that best parts the values into two classes.")
        self.editors = {name: make_editor(MaskParams.model_fields[name]) for name in SHAPED}
        self.how = _combo()
        for how, text in COMBINE.items():
            self.how.addItem(text, how)
        self.found = _words()
        self.keep = _button("Keep as mask", "Makes a layer of the preview, which results are saved with.")
        self.apply = _button(
            "Apply to all XANES layers",
            "Makes what lies outside invalid in all layers of the scan in which the sample is at the same place, and in "
            "what is computed from them. Saved results are those that were computed.",
        )
        self.remove = _button("Remove mask", "Gives all layers back what the mask hides.")
        self.result = _words()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PREVIEW_MS)
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        top = _rows(("Map", self.map))
        limits = _line(QLabel("from"), self.above, QLabel("to"), self.below, self.otsu)
        combine = _line(self.how, self.other)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(top)
        layout.addWidget(self.histogram)
        layout.addWidget(limits)
        layout.addWidget(self._shape_grid())
        layout.addWidget(_rows(("Combine", combine)))
        layout.addWidget(self.found)
        layout.addWidget(self.keep)
        layout.addWidget(_rows(("Mask", _line(self.mask, self.remove))))
        layout.addWidget(self.apply)
        layout.addWidget(self.result)

    def _shape_grid(self) -> QWidget:
        """Return the editors of the mask's shape, two in a row."""
        widget = QWidget()
        grid = QGridLayout(widget)
        grid.setContentsMargins(0, 0, 0, 0)
        for i, (name, editor) in enumerate(self.editors.items()):
            info = MaskParams.model_fields[name]
            editor.set_value(info.default)
            label = QLabel(info.title)
            for part in (label, editor):
                part.setToolTip(f"<p>{info.description}{' In pixels.' if name != 'fill' else ''}</p>")
            grid.addWidget(label, i // 2, 2 * (i % 2))
            grid.addWidget(editor, i // 2, 2 * (i % 2) + 1)
        for column in (1, 3):
            grid.setColumnStretch(column, 1)
        return widget

    def _connect(self) -> None:
        self.map.activated.connect(self._on_picked)
        self.map.currentIndexChanged.connect(lambda _: self._on_map())
        self.histogram.dragged.connect(self._on_dragged)
        for edit in (self.above, self.below):
            edit.editingFinished.connect(self._on_edited)
        self.otsu.clicked.connect(self.find_limit)
        for editor in self.editors.values():
            editor.changed.connect(self._timer.start)
        self.how.currentIndexChanged.connect(lambda _: self._timer.start())
        self.other.currentIndexChanged.connect(lambda _: self._timer.start())
        self._timer.timeout.connect(self.preview)
        self.keep.clicked.connect(self.keep_preview)
        self.apply.clicked.connect(self.apply_mask)
        self.remove.clicked.connect(self.remove_mask)
        self.chooser.changed.connect(self.refresh)

    # -- what there is --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """List the maps and masks anew, keeping what is chosen."""
        maps = map_layers(self.viewer)
        _list(self.map, maps)
        thickness = next((one for one in maps if about(one)["kind"] == "thickness"), None)
        if thickness is not None and not self._picked:
            self.map.blockSignals(True)
            _choose(self.map, thickness)
            self.map.blockSignals(False)
        masks = mask_layers(self.viewer)
        for combo in (self.other, self.mask):
            _list(combo, masks)
        self.keep.setEnabled(bool(maps))
        self.otsu.setEnabled(bool(maps))
        self.apply.setEnabled(bool(masks))
        if not maps:
            self.found.setText("Needs a map, such as the thickness: run 3 Normalise first.")
        layer = self.map_layer()
        if (None if layer is None else original(layer)) is not self._of:
            self._on_map()

    def map_layer(self) -> Layer | None:
        """Return the map that is thresholded."""
        return _chosen(self.map, map_layers(self.viewer))

    def _on_picked(self, index: int) -> None:
        """The thickness is offered as long as the user has picked no map."""
        self._picked = True

    def _on_map(self) -> None:
        """Show the values of another map; limits of one have no meaning for another."""
        layer = self.map_layer()
        self._of = None if layer is None else original(layer)
        if layer is None or self._of is None:
            return
        hide_preview(self.viewer)
        self.histogram.show_values(self._of)
        for edit in (self.above, self.below):
            edit.clear()
        self.found.setText("Drag the limits in the histogram, type them, or press Otsu.")

    # -- limits ---------------------------------------------------------------------------------------

    def set_limits(self, above: float | None, below: float | None) -> None:
        """Set the limits, as if they were typed, and show what lies between them."""
        for edit, value in ((self.above, above), (self.below, below)):
            edit.setText("" if value is None else f"{value:.5g}")
        self.histogram.set_limits((above, below))
        self._timer.start()

    def find_limit(self) -> None:
        """Set the lower limit by Otsu's method."""
        if self._of is None:
            return
        try:
            self.set_limits(otsu_threshold(self._of), None)
        except InputError as error:
            report_error(error, self.title)

    def _on_dragged(self) -> None:
        self.set_limits(*self.histogram.limits())

    def _on_edited(self) -> None:
        self.set_limits(_number(self.above), _number(self.below))

    def params(self) -> MaskParams:
        """Return the parameters of the mask as the step `mask` takes them; raises InputError if they cannot be."""
        layer = self.map_layer()
        values = {
            **{name: editor.value() for name, editor in self.editors.items()},
            "of": "" if layer is None else about(layer)["map"],
            "above": _number(self.above),
            "below": _number(self.below),
            "combine": self.how.currentData(),
            "apply": False,
        }
        made = make_params(MaskParams, values, self.title)
        assert isinstance(made, MaskParams)
        return made

    # -- the mask -------------------------------------------------------------------------------------

    def current_mask(self) -> NDArray[np.bool_]:
        """Return the mask as it is set now; raises InputError if it cannot be."""
        params, other = self.params(), self._combined_with()
        if self._of is None:
            raise InputError("there is no map to make a mask from; run 3 Normalise first.")
        mask = mask_of(self._of, params)
        if params.combine == "replace":
            return mask
        if other is None:
            raise InputError("there is no Labels layer to combine the mask with; make or paint one first.")
        return combine_masks(other.data, mask, params.combine)

    def _combined_with(self) -> Layer | None:
        if self.how.currentData() == "replace":
            return None
        return _chosen(self.other, mask_layers(self.viewer))

    def preview(self) -> None:
        """Show the mask as it is set now."""
        layer = self.map_layer()
        self.other.setVisible(self.how.currentData() != "replace")
        if layer is None:
            return
        try:
            mask = self.current_mask()
        except InputError as error:
            self.found.setText(str(error))
            hide_preview(self.viewer)
            return
        inside = int(mask.sum())
        self.found.setText(f"{inside} of {mask.size} pixels inside ({100 * inside / mask.size:.1f} %).")
        show_preview(self.viewer, layer, mask)

    def keep_preview(self) -> None:
        """Make a mask layer of what is set now."""
        layer = self.map_layer()
        if layer is None:
            return
        try:
            mask = self.current_mask()
        except InputError as error:
            report_error(error, self.title)
            return
        other = self._combined_with()
        hide_preview(self.viewer)
        made = keep_mask(self.viewer, layer, mask, self.params(), other)
        self.chooser.refresh()
        _choose(self.mask, made)
        self.headline.emit(f"{int(mask.sum())} pixels")

    def apply_mask(self) -> None:
        """Apply the chosen mask to the layers of its scan."""
        mask = _chosen(self.mask, mask_layers(self.viewer))
        if mask is None:
            return
        try:
            done = apply_to_all(self.viewer, mask, self.chooser.layer())
        except InputError as error:
            self._say(report_error(error, self.title))
            return
        text = f"Applied to {_layers(done.layers)}."
        if done.elsewhere:
            text += f" {_layers(done.elsewhere)} left alone, from before Align or of another size."
        self.chooser.refresh()
        self._say(text)

    def remove_mask(self) -> None:
        """Give the layers back what was hidden."""
        count, later = remove_from_all(self.viewer), computed_under_mask(self.viewer)
        text = f"{_layers(count)} restored." if count else "No mask is applied."
        if later:
            text += f" {_layers(later)} computed under a mask stay so; run their steps again."
        self.chooser.refresh()
        self._say(text)

    def _say(self, text: str) -> None:
        self.result.setText(text)

    def cleanup(self) -> None:
        """Stop listening: the panel goes away."""
        self._timer.stop()
        self.chooser.changed.disconnect(self.refresh)
        self.histogram.cleanup()


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"


# -- small widgets --------------------------------------------------------------------------------


def _combo() -> QComboBox:
    combo = QComboBox()
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def _list(combo: QComboBox, layers: list[Layer]) -> None:
    """List layers, keeping the one that is chosen; what is kept in the items are ids of Python objects."""
    before = combo.currentData()
    combo.blockSignals(True)
    combo.clear()
    for layer in layers:
        combo.addItem(layer.name, _key(layer))
    combo.setCurrentIndex(max(combo.findData(before), 0) if layers else -1)
    combo.blockSignals(False)


def _key(layer: Layer) -> str:
    return str(layer.unique_id)


def _choose(combo: QComboBox, layer: Layer) -> None:
    combo.setCurrentIndex(combo.findData(_key(layer)))


def _chosen(combo: QComboBox, layers: list[Layer]) -> Layer | None:
    return next((layer for layer in layers if _key(layer) == combo.currentData()), None)


def _limit_edit() -> QLineEdit:
    edit = QLineEdit()
    edit.setValidator(QDoubleValidator())
    edit.setPlaceholderText("no limit")
    edit.setMinimumWidth(44)
    edit.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return edit


def _number(edit: QLineEdit) -> float | None:
    try:
        return float(edit.text())
    except ValueError:
        return None


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(f"<p>{tooltip}</p>")
    return button


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    return label


def _line(*parts: QWidget) -> QWidget:
    line = QWidget()
    layout = QHBoxLayout(line)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for part in parts:
        layout.addWidget(part, 1 if isinstance(part, QLineEdit | QComboBox) else 0)
    return line


def _rows(*rows: tuple[str, QWidget]) -> QWidget:
    widget = QWidget()
    layout = QFormLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for text, part in rows:
        layout.addRow(text, part)
    return widget
