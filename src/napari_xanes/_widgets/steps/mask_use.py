"""Applying a mask to all layers of a scan, and taking it off again."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.layers.masks import (
    apply_to_all,
    computed_under_mask,
    mask_layers,
    meant_as_mask,
    remove_from_all,
)
from napari_xanes._widgets.layers.reopened import no_stack_text
from napari_xanes._widgets.layers.seen_labels import paint_new_mask
from napari_xanes._widgets.parts.buttons import allow, in_line, make_button, make_words, with_label
from napari_xanes._widgets.parts.layer_combo import LayerCombo
from napari_xanes._widgets.parts.notices import report_error


class MaskUse(QWidget):
    """Which mask, Apply and Remove, and what came of it."""

    def __init__(self, viewer: Any, chooser: StackChooser) -> None:
        super().__init__()
        self.viewer, self.chooser = viewer, chooser
        self.mask_choice = LayerCombo(viewer)
        self.mask_choice.setPlaceholderText("keep, paint or choose one")
        self.mask_choice.setToolTip(
            "<p>Any Labels layer: what is not 0 is inside. Paint one, if you like.</p>"
        )
        self.remove = make_button("Remove mask", "Gives all layers back what the mask hides.")
        self.apply = make_button(
            "Apply to all XANES layers",
            "Makes what lies outside invalid in all layers of the scan in which the sample is at the same place, and in "
            "what is computed from them. A saved result holds both, the mask and what it hides.",
        )
        self.paint = make_button(
            "Paint a new mask",
            "Makes an empty mask that fits the stack and is seen at all energies: paint on it.",
        )
        self.result = make_words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(with_label("Mask", self.mask_choice))
        layout.addWidget(in_line(self.paint, self.remove))
        layout.addWidget(self.apply)
        layout.addWidget(self.result)
        self.mask_choice.currentIndexChanged.connect(lambda _: self._show_ready())
        self.paint.clicked.connect(self.paint_mask)
        self.apply.clicked.connect(self.apply_mask)
        self.remove.clicked.connect(self.remove_mask)

    def refresh(self) -> None:
        """List the masks anew."""
        masks = mask_layers(self.viewer)
        self.mask_choice.offer(masks, first=bool(masks) and meant_as_mask(masks[0]))
        self._show_ready()
        allow(self.paint, "" if self.chooser.layer() is not None else no_stack_text(self.viewer))

    def _show_ready(self) -> None:
        allow(
            self.apply, "" if self.mask_choice.layer() is not None else "Keep, paint or choose a mask first."
        )

    def paint_mask(self) -> None:
        """Make the user ready to paint a mask on the chosen stack."""
        layer = self.chooser.layer()
        if layer is not None:
            made = paint_new_mask(self.viewer, layer)
            self.refresh()
            self.mask_choice.choose(made)
            self.result.setText("Paint on the picture; then apply.")

    def apply_mask(self) -> None:
        """Apply the chosen mask to the layers of its scan."""
        mask = self.mask_choice.layer()
        if mask is None:
            return
        try:
            done = apply_to_all(self.viewer, mask, self.chooser.layer())
        except InputError as error:
            self.result.setText(report_error(error, "Masks"))
            return
        text = f"Applied to {_layers(done.layers)}."
        if done.elsewhere:
            text += f" {_layers(done.elsewhere)} unchanged (made before Align, or another size)."
        if done.collapsed:
            text += " It was painted at single energies and counts at all."
        self.chooser.refresh()
        self.result.setText(text)

    def remove_mask(self) -> None:
        """Give the layers back what was hidden."""
        count, later = remove_from_all(self.viewer), computed_under_mask(self.viewer)
        text = f"{_layers(count)} restored." if count else "No mask is applied."
        if later:
            text += f" {_layers(later)} computed under a mask stay so; run their steps again."
        self.chooser.refresh()
        self.result.setText(text)


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"
