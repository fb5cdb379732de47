"""Step 3 of the window: pre-edge and post-edge lines, thickness and the normalised stack."""

from __future__ import annotations

from napari.layers import Layer
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_xanes._core.base.words import part_text
from napari_xanes._core.data.result import Result
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.words import facts, frames_text, resolved, without_text
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.steps.sections import NORMALIZE


class NormalizePanel(StepPanel):
    """Edge normalisation."""

    title, key, names = NORMALIZE.title, NORMALIZE.key, NORMALIZE.steps
    stack_name = "normalised"

    def options(self) -> list[QWidget]:
        """Return the choice to keep the normalised stack."""
        self._suggested = ""
        self.keep = QCheckBox("Keep the normalised stack as a layer")
        self.keep.setChecked(True)
        self.keep.setToolTip(
            "<p>Takes as much memory as the stack itself, unless it is computed on demand. Without it the maps are the "
            "same, and Fit normalises on the way.</p>"
        )
        self.keep.toggled.connect(lambda _: self.update_plan())
        return [self.keep]

    def keeps_stack(self) -> bool:
        """Whether the box is ticked."""
        return self.keep.isChecked()

    def take(self, line: list[Layer]) -> Layer | None:
        """Return the nearest stack that is optical density."""
        return next((one for one in line if about(one)["signal"] == "optical_density"), None)

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        return f"Normalises {frames_text(layer)}: thickness and edge step maps{' and a stack' if self.keep.isChecked() else ''}."

    def refresh(self) -> None:
        """Follow the chosen stack; of a sample, take what suits it once, unless the user has chosen already."""
        layer, form = self.input_layer(), self.forms["normalize"]
        source = {} if layer is None else about(layer)["source"]
        suggested = source.get("suggested", {}).get("normalize")
        if suggested and source["path"] != self._suggested and not form.different():
            self._suggested = source["path"]
            form.fill(suggested)
        super().refresh()

    def tell(self, result: Result) -> tuple[str, str]:
        """Return the edge and how many pixels are invalid."""
        found = facts(result, "normalize")
        chosen = resolved(result, "normalize")
        edge = f"{found['edge']} " if found.get("edge") else ""
        short = f"{edge}{chosen['e0']:.1f} eV"
        (a, b), (c, d) = chosen["pre_edge"], chosen["post_edge"]
        text = f"Edge {short}, pre-edge {a:.0f} to {b:.0f} eV, post-edge {c:.0f} to {d:.0f} eV"
        size = result.maps["edge_step"].size
        empty = found.get("pixels_below_gate", found.get("pixels_without_step", 0))
        lost = found.get("pixels_without_data", 0)
        text += without_text(empty, lost, size)
        if (rest := found.get("invalid_pixels", 0) - empty - lost) > 0:
            text += f"; {rest} more ({part_text(rest, size)}) cannot be normalised"
        return short, text + "."
