"""Step 1 of the window: from counts or transmission to optical density."""

from __future__ import annotations

from napari.layers import Layer
from qtpy.QtWidgets import QWidget

from napari_xanes._core.data.result import Result
from napari_xanes._core.prepare.internal_i0 import InternalI0Params
from napari_xanes._widgets.layers.layers import about, stack_of
from napari_xanes._widgets.layers.words import facts, frames_text
from napari_xanes._widgets.parts.advice import Told
from napari_xanes._widgets.parts.buttons import make_button
from napari_xanes._widgets.steps.beam import BeamSources
from napari_xanes._widgets.steps.panel import StepPanel, Steps
from napari_xanes._widgets.steps.sections import PREPROCESS


class PreprocessPanel(StepPanel):
    """Flats, darks and -ln."""

    title, key, names = PREPROCESS.title, PREPROCESS.key, PREPROCESS.steps
    stack_name = "optical density"
    also = ("internal_i0",)

    def options(self) -> list[QWidget]:
        """Return the button that opens further corrections."""
        self.more = make_button(
            "Corrections...",
            "Bad pixels, a beam that varies, crop, bin, noise, and the energy scale, for scans that need it.",
        )
        self.more.clicked.connect(self.open_corrections)
        self.beam = BeamSources(self, self._run_with)
        self.beam.found.connect(self.update_plan)
        self._from_empty: str | None = None
        return [self.more]

    def open_corrections(self) -> None:
        """Open the dock of corrections."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "Corrections", tabify=True)

    def take(self, line: list[Layer]) -> Layer | None:
        """Return the nearest stack that is not absorption yet."""
        return next((one for one in line if about(one)["signal"] in ("counts", "transmission")), None)

    def missing(self, line: list[Layer]) -> str:
        """Say why there is nothing to do."""
        return "Nothing to do: this stack is absorption already. Go on with the next step."

    def lacks(self, layer: Layer) -> str:
        """Say so if counts came without flats."""
        if self._has_beam(layer):
            return ""
        return f"'{layer.name}' holds counts but no flats (images without sample) and no I0. Choose where the beam is known from."

    def _has_beam(self, layer: Layer) -> bool:
        stack = stack_of(layer)
        return (
            stack.signal == "transmission" or stack.flat is not None or self._from_empty == about(layer)["id"]
        )

    def proposals(self, layer: Layer) -> list[Told]:
        """Return where the beam of counts without flats could come from."""
        stack = stack_of(layer)
        return self.beam.proposals(layer) if stack.signal == "counts" and stack.flat is None else []

    def _run_with(self, layer: Layer, source: str) -> None:
        self._from_empty = about(layer)["id"] if source == "empty" else None
        self.refresh()
        self.run()

    def steps(self, layer: Layer) -> Steps:
        """Return flat field and -ln, the beam being taken from the empty part where that was chosen."""
        steps = super().steps(layer)
        if self._from_empty != about(layer)["id"]:
            return steps
        return [("internal_i0", InternalI0Params()), *(one for one in steps if one[0] != "flat_field")]

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        stack, frames = stack_of(layer), frames_text(layer)
        if self._from_empty == about(layer)["id"]:
            return f"Divides {frames} by their brightest pixels, and takes -ln."
        if stack.signal == "transmission" or stack.flat is None:
            return f"Takes -ln of {frames}."
        beam = {1: "the beam spectrum", 2: "the flat"}.get(stack.flat.ndim, f"{stack.flat.shape[0]} flats")
        dark = "" if stack.dark is None else ", darks subtracted from both"
        return f"Divides {frames} by {beam}{dark}, and takes -ln."

    def tell(self, result: Result) -> tuple[str, str]:
        """Return what was done and how many pixels have no beam."""
        if (found := facts(result, "internal_i0")) and not facts(result, "flat_field"):
            empty = f"I0 was taken from {found['pixels']} empty pixels"
            return "I0 from an empty region, -ln", f"Optical density is ready; {empty}."
        divided = "skipped" not in facts(result, "flat_field")
        without = facts(result, "flat_field").get("pixels_without_beam", 0)
        done = "flat, -ln" if divided else "-ln"
        if without:
            return done, f"Optical density is ready; {without} pixels have no beam and are invalid."
        return done, "Optical density is ready."

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        self.beam.cleanup()
        super().cleanup()
