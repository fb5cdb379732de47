"""Step 1 of the window: from counts or transmission to optical density."""

from __future__ import annotations

from napari.layers import Layer
from qtpy.QtWidgets import QWidget

from napari_xanes._core.data.result import Result
from napari_xanes._widgets.layers.layers import about, stack_of
from napari_xanes._widgets.layers.words import facts, frames_text
from napari_xanes._widgets.parts.buttons import make_button
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.steps.sections import PREPROCESS


class PreprocessPanel(StepPanel):
    """Flats, darks and -ln."""

    title, key, names = PREPROCESS.title, PREPROCESS.key, PREPROCESS.steps
    stack_name = "optical density"

    def options(self) -> list[QWidget]:
        """Return the button that opens further corrections."""
        self.more = make_button(
            "Corrections...",
            "Bad pixels, a beam that varies, crop, bin, noise, and the energy scale, for scans that need it.",
        )
        self.more.clicked.connect(self.open_corrections)
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
        stack = stack_of(layer)
        if stack.signal == "transmission" or stack.flat is not None:
            return ""
        return (
            f"'{layer.name}' holds counts but no flats (images without sample). Import the scan again with "
            "File > IO Utilities > Import XANES stack... and name the flats there; or, if a part of the picture is "
            "empty, press Corrections... and take the beam from there."
        )

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        stack, frames = stack_of(layer), frames_text(layer)
        if stack.signal == "transmission" or stack.flat is None:
            return f"Takes -ln of {frames}."
        beam = {1: "the beam spectrum", 2: "the flat"}.get(stack.flat.ndim, f"{stack.flat.shape[0]} flats")
        dark = "" if stack.dark is None else ", darks subtracted from both"
        return f"Divides {frames} by {beam}{dark}, and takes -ln."

    def tell(self, result: Result) -> tuple[str, str]:
        """Return what was done and how many pixels have no beam."""
        divided = "skipped" not in facts(result, "flat_field")
        without = facts(result, "flat_field").get("pixels_without_beam", 0)
        done = "flat, -ln" if divided else "-ln"
        if without:
            return done, f"Optical density is ready; {without} pixels have no beam and are invalid."
        return done, "Optical density is ready."
