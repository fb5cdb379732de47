"""What some scans need before or after Preprocess: bad pixels, a beam that varies, a part, larger pixels, energies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Layer
from qtpy.QtWidgets import QWidget

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.result import Result
from napari_xanes._core.prepare.internal_i0 import InternalI0Params
from napari_xanes._widgets.jobs.trial import Trial
from napari_xanes._widgets.layers.drawn import drawn_rectangle
from napari_xanes._widgets.layers.layers import about, find, results_of, stack_of
from napari_xanes._widgets.layers.words import facts, frames_text, resolved
from napari_xanes._widgets.parts.buttons import make_button
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.steps.choice_panel import ChoicePanel
from napari_xanes._widgets.steps.empty_region import EmptyRegion
from napari_xanes._widgets.steps.sections import PREPROCESS, numbered

STACK_NAMES = {
    "bad_pixels": "without bad pixels",
    "internal_i0": "I0-corrected",
    "crop": "cropped",
    "bin": "binned",
    "denoise": "denoised",
    "drop_energies": "frames left out",
    "shift_energy": "shifted",
    "merge_energies": "merged",
}
WITH_REGION = ("crop", "internal_i0")


class CorrectionsPanel(ChoicePanel):
    """Corrections of a stack, each of which makes a new one."""

    title = "Corrections"
    key = "corrections"
    names = tuple(STACK_NAMES)
    question = "Correct"
    choices: Mapping[str, str] = {
        "bad_pixels": "hot, dead and flashing pixels",
        "internal_i0": "I0 from an empty region",
        "crop": "crop to a region or energies",
        "bin": "bin to larger pixels",
        "denoise": "noise",
        "drop_energies": "leave frames out",
        "shift_energy": "shift of the energy scale",
        "merge_energies": "merge equal energies",
    }
    thinned_preview = False

    def options(self) -> list[QWidget]:
        """Return the buttons that fill in what is seen in the picture."""
        self.region = make_button(
            "Region from drawn rectangle",
            "Draw a rectangle in a Shapes layer first; the last one of the selected layer counts.",
        )
        self.region.clicked.connect(self.take_rectangle)
        self.shown = make_button("Add shown frame", "Adds the energy of the frame that is shown now.")
        self.shown.clicked.connect(self.add_shown)
        self._beam_of: Layer | None = None
        self.empty = EmptyRegion(self.viewer, self.input_layer, self._beam_params)
        self.forms["internal_i0"].changed.connect(self.empty.look_again)
        return [self.region, self.shown, self.empty]

    def _beam_params(self) -> InternalI0Params:
        params = self.forms["internal_i0"].params()
        assert isinstance(params, InternalI0Params)
        return params

    def choose(self, step: str) -> None:
        """Show the form of a correction, and its button."""
        self.stack_name = STACK_NAMES[step]
        self.region.setVisible(step in WITH_REGION)
        self.shown.setVisible(step == "drop_energies")
        self.empty.setVisible(step == "internal_i0")
        super().choose(step)
        self.empty.look_again()

    def lacks(self, layer: Layer) -> str:
        """Say so if flats must be divided by first, or what the correction still needs."""
        stack = stack_of(layer)
        if stack.signal == "counts" and stack.flat is not None:
            return f"Run {numbered(PREPROCESS)} first: the flats belong to the frames as they were measured."
        values = self.forms[self.step].values()
        if self.step == "drop_energies" and not (values["energies"] or values["windows"]):
            return "Name the energies of the frames that went wrong, or show one and press Add shown frame."
        if self.step == "shift_energy" and not any(value is not None for value in values.values()):
            return "Untick auto and type the offset, or where something known was measured and where it should be."
        return ""

    def missing(self, line: list[Layer]) -> str:
        """Say which stack takes the correction, if the chosen one does not."""
        if self.step == "internal_i0" and about(line[0])["signal"] == "normalized":
            return "The beam is corrected before the edge is normalised; choose an earlier stack."
        return super().missing(line)

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        values, frames = self.forms[self.step].values(), frames_text(layer)
        if self.step == "bin":
            size = " x ".join(str(n // values["factor"]) for n in layer.data.shape[1:])
            return f"Makes {frames} frames of {size}, each pixel the mean of the valid ones in it."
        return {
            "bad_pixels": f"Looks for pixels of {frames} that stand out from their neighbours.",
            "internal_i0": f"Divides each of {frames} by what its empty pixels show.",
            "crop": f"Keeps a part of {frames}.",
            "denoise": f"Smooths each of {frames}.",
            "drop_energies": f"Makes some of {frames} invalid; later steps leave them out.",
            "shift_energy": f"Adds an offset to the energies of {frames}.",
            "merge_energies": f"Averages those of {frames} that are at the same energy.",
        }[self.step]

    def trial(self, layer: Layer) -> Trial:
        """Return what a preview tries; a crop is seen by its rectangle."""
        if self.step == "crop":
            raise InputError("A crop keeps what is inside the rectangle; there is nothing to preview.")
        return super().trial(layer)

    def tell(self, result: Result) -> tuple[str, str]:
        """Return what came of it, with counts."""
        step = result.history[-1].step
        text = _TELL[step](facts(result, step), result)
        return text, f"{text[0].upper()}{text[1:]}."

    def refresh(self) -> None:
        """Follow the chosen stack; of one that was made here, say what came of it."""
        super().refresh()
        layer = self.input_layer()
        if layer is not self._beam_of:
            self._beam_of = layer
            self.empty.look_again()
        parent = None if layer is None else find(self.viewer, about(layer)["made_from"])
        if layer is None or parent is None or about(layer).get("role") != STACK_NAMES[self.step]:
            return
        if self.step in results_of(parent):
            self._show(results_of(parent)[self.step])

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        self.empty.cleanup()
        super().cleanup()

    # -- filling in -----------------------------------------------------------------------------------

    def take_rectangle(self) -> None:
        """Set the region from the last shape that was drawn."""
        layer = self.input_layer()
        if layer is None:
            return
        try:
            self.forms[self.step].editors["roi"].set_value(drawn_rectangle(self.viewer, layer))
        except InputError as error:
            report_error(error, self.title)

    def add_shown(self) -> None:
        """Add the energy of the shown frame to those that are left out."""
        layer = self.input_layer()
        if layer is None:
            return
        energy = about(layer)["energy"]
        index = round(layer.world_to_data(self.viewer.dims.point[-layer.ndim :])[0])
        shown = energy[min(max(index, 0), len(energy) - 1)]
        editor = self.forms["drop_energies"].editors["energies"]
        editor.set_value(tuple(sorted({*editor.value(), round(shown, 3)})))


def _pixels(found: Mapping[str, Any], result: Result) -> str:
    if not (found["hot_pixels"] or found["dead_pixels"] or found["flashes"]):
        return "no bad pixel found"
    counts = f"{found['hot_pixels']} hot and {found['dead_pixels']} dead pixels, {found['flashes']} flashes"
    return f"{counts}, {'replaced by their neighbours' if 'replaced' in found else 'now invalid'}"


def _merged(found: Mapping[str, Any], result: Result) -> str:
    return f"{found['merged']} frames averaged with others; {result.energy.size} energies are left"


def _cropped(found: Mapping[str, Any], result: Result) -> str:
    roi = resolved(result, "crop").get("roi")
    size = f"{roi[1] - roi[0]} x {roi[3] - roi[2]} px" if roi else "whole frames"
    return f"{size} at {result.energy.size} energies are left"


def _binned(found: Mapping[str, Any], result: Result) -> str:
    factor, left = resolved(result, "bin")["factor"], found["pixels_left_over"]
    over = f"; {' and '.join(map(str, left))} px at the ends are left over" if any(left) else ""
    return f"{factor} px along each axis became one{over}"


_TELL = {
    "bad_pixels": _pixels,
    "internal_i0": lambda found, result: f"beam taken from {found['pixels']} empty pixels",
    "crop": _cropped,
    "bin": _binned,
    "denoise": lambda found, result: "noise is reduced",
    "drop_energies": lambda found, result: f"{found['dropped']} frames are invalid now",
    "shift_energy": lambda found, result: f"energies shifted by {found['offset']:+g} eV",
    "merge_energies": _merged,
}
