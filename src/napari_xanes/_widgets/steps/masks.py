"""Step 7 of the window: which pixels count, by limits on a map, and the layers without the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QLocale, Signal
from qtpy.QtGui import QDoubleValidator
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import make_params
from napari_xanes._core.regions.mask import MaskParams, mask_of
from napari_xanes._core.regions.masks import combine_masks, otsu_threshold
from napari_xanes._widgets.forms.choice import make_editor
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.masks import (
    hide_preview,
    keep_mask,
    map_layers,
    mask_layers,
    original,
    show_preview,
)
from napari_xanes._widgets.layers.seen_labels import labels_on
from napari_xanes._widgets.parts.busy import PatientTimer
from napari_xanes._widgets.parts.buttons import allow, in_line, make_button, make_words, with_label
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo
from napari_xanes._widgets.parts.layer_combo import LayerCombo
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.steps.histogram import LimitsHistogram
from napari_xanes._widgets.steps.mask_use import MaskUse
from napari_xanes._widgets.steps.sections import MASKS, NORMALIZE, numbered

PREVIEW_MS = 60
COMBINE = {
    "replace": "new mask",
    "and": "intersection with",
    "or": "union with",
    "minus": "difference: outside this, inside",
}
SHAPED = ("fill", "remove_small", "erode", "dilate")

HOW = "Drag the limits in the histogram, type them, or press Otsu."
"""How there comes to be a mask."""


class _NumberOrNone(QDoubleValidator):
    """Takes a number written with a point, or nothing: a limit that is cleared is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setLocale(QLocale.c())

    def validate(self, text: str | None, place: int) -> tuple[QDoubleValidator.State, str, int]:
        """Say whether a text may stand."""
        return super().validate(text, place) if text else (QDoubleValidator.State.Acceptable, "", place)


class MaskPanel(QWidget):
    """Masks by threshold, with a preview, and their use.

    Signals
    -------
    headline(text)
        The mask in a few words, for the title of the collapsed panel.
    """

    title, key, names = MASKS.title, MASKS.key, MASKS.steps
    headline = Signal(str)

    def __init__(self, viewer: Any, chooser: StackChooser) -> None:
        super().__init__()
        self.viewer, self.chooser = viewer, chooser
        self._of: NDArray[Any] | None = None
        self._picked = False
        self.map, self.other = LayerCombo(viewer), LayerCombo(viewer)
        self.histogram = LimitsHistogram(viewer)
        self.above, self.below = _limit_edit(), _limit_edit()
        self.otsu = make_button("Otsu", "The lower limit that best separates the values into two classes.")
        self.editors = {name: make_editor(MaskParams.model_fields[name]) for name in SHAPED}
        self.how = ElidingCombo()
        self.other.setVisible(False)
        for how, text in COMBINE.items():
            self.how.addItem(text, how)
        self.found = make_words()
        self.keep = make_button("Keep as mask", "Makes a layer of the preview, which results are saved with.")
        self.scatter = make_button(
            "Scatter...", "Two maps against each other: draw around points to make a mask."
        )
        self.scatter.clicked.connect(self.open_scatter)
        self.use = MaskUse(viewer, chooser)
        self._timer = PatientTimer(self, PREVIEW_MS)
        self._showing = False
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        limits = in_line(QLabel("from"), self.above, QLabel("to"), self.below, self.otsu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(with_label("Map", self.map))
        layout.addWidget(self.histogram)
        layout.addWidget(limits)
        layout.addWidget(self._shape_grid())
        layout.addWidget(with_label("Combine", in_line(self.how, self.other)))
        layout.addWidget(self.found)
        layout.addWidget(in_line(self.keep, self.scatter))
        layout.addWidget(self.use)

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
        self.map.currentIndexChanged.connect(lambda _: self._look_at_map())
        self.histogram.dragged.connect(self._on_dragged)
        for edit in (self.above, self.below):
            edit.editingFinished.connect(self._on_edited)
        self.otsu.clicked.connect(self.find_limit)
        for editor in self.editors.values():
            editor.changed.connect(self._timer.start)
        self.how.currentIndexChanged.connect(lambda _: self._timer.start())
        self.other.currentIndexChanged.connect(lambda _: self._timer.start())
        self._timer.due.connect(self.preview)
        self.keep.clicked.connect(self.keep_preview)
        self.chooser.changed.connect(self.refresh)

    # -- what there is --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """List the maps and masks anew, keeping what is chosen."""
        maps = map_layers(self.viewer)
        thickness = next((one for one in maps if about(one)["kind"] == "thickness"), None)
        self.map.offer(maps, None if self._picked else thickness)
        self.other.offer(mask_layers(self.viewer))
        self.use.refresh()
        why = "" if maps else f"Needs a map, such as the thickness: run {numbered(NORMALIZE)} first."
        for button in (self.keep, self.otsu):
            allow(button, why)
        if not maps:
            self.found.setText(why)
        self._look_at_map()

    def _look_at_map(self) -> None:
        """Begin anew if the map is another one; not while its preview is being put in, which cannot be taken away then."""
        layer = self.map.layer()
        if not self._showing and (None if layer is None else original(layer)) is not self._of:
            self._on_map()

    def _on_picked(self, index: int) -> None:
        """Offer the thickness as long as the user has picked no map."""
        self._picked = True

    def _on_map(self) -> None:
        """Show the values of another map; limits of one have no meaning for another."""
        layer = self.map.layer()
        self._of = None if layer is None else original(layer)
        if layer is None or self._of is None:
            return
        hide_preview(self.viewer)
        self.histogram.show_values(self._of)
        for edit in (self.above, self.below):
            edit.clear()
        self.found.setText(HOW)

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
        layer = self.map.layer()
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
            raise InputError(f"there is no map to make a mask from; run {numbered(NORMALIZE)} first.")
        if params.above is None and params.below is None:
            raise InputError(HOW)
        mask = mask_of(self._of, params)
        if params.combine == "replace":
            return mask
        if other is None:
            raise InputError("there is no Labels layer to combine the mask with; make or paint one first.")
        layer = self.map.layer()
        return combine_masks(labels_on(other, layer), mask, params.combine)

    def _combined_with(self) -> Layer | None:
        if self.how.currentData() == "replace":
            return None
        return self.other.layer()

    def preview(self) -> None:
        """Show the mask as it is set now."""
        layer = self.map.layer()
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
        self._showing = True
        try:
            show_preview(self.viewer, layer, mask)
        finally:
            self._showing = False
        self._look_at_map()

    def open_scatter(self) -> None:
        """Open the scatter plot."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "XANES scatter", tabify=True)

    def keep_preview(self) -> None:
        """Make a mask layer of what is set now."""
        self._timer.stop()
        layer = self.map.layer()
        if layer is None:
            return
        try:
            mask = self.current_mask()
        except InputError as error:
            report_error(error, self.title)
            return
        other = self._combined_with()
        made = keep_mask(self.viewer, layer, mask, self.params(), other)
        self.chooser.refresh()
        self.use.mask_choice.choose(made)
        self.headline.emit(f"{int(mask.sum())} pixels")

    def cleanup(self) -> None:
        """Stop listening: the panel goes away."""
        self._timer.stop()
        self.chooser.changed.disconnect(self.refresh)
        self.histogram.cleanup()
        hide_preview(self.viewer)


def _limit_edit() -> QLineEdit:
    edit = QLineEdit()
    edit.setValidator(_NumberOrNone())
    edit.setPlaceholderText("no limit")
    edit.setMinimumWidth(44)
    edit.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return edit


def _number(edit: QLineEdit) -> float | None:
    try:
        return float(edit.text())
    except ValueError:
        return None
