"""What a fit leaves: noise, or the trace of a compound that is not among the references."""

from __future__ import annotations

from napari.layers import Layer
from qtpy.QtWidgets import QWidget

from napari_xanes._core.data.result import Result
from napari_xanes._widgets.layers.label_colors import label_colors
from napari_xanes._widgets.layers.layers import results_of
from napari_xanes._widgets.layers.tuples import More
from napari_xanes._widgets.layers.words import facts
from napari_xanes._widgets.parts.plot import SpectraPlot
from napari_xanes._widgets.steps.before import AfterFitPanel
from napari_xanes._widgets.steps.sections import FIT, numbered


class ResidualPanel(AfterFitPanel):
    """The strongest spectra in the residuals of a fit, and where they are."""

    title = "Fit residual"
    key = "residual"
    names = ("residual",)

    def below(self) -> list[QWidget]:
        """Return the plot of what is left; a part of the picture would not do for a preview."""
        self.preview.setVisible(False)
        self.spectra = SpectraPlot(self.viewer)
        self.spectra.setToolTip("<p>The strongest spectra in what the fit left.</p>")
        return [self.spectra]

    def lacks(self, layer: Layer) -> str:
        """Ask for a fit."""
        return "" if self.has(layer, "fit") else f"Looks at what a fit left: run {numbered(FIT)} first."

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        return "Looks for spectra in what the fit left, pixel by pixel, that are more than noise."

    def wants_more(self) -> More:
        """Return True: the maps were asked for."""
        return True

    def tell(self, result: Result) -> tuple[str, str]:
        """Return whether a reference is missing, and by what it is known."""
        found = facts(result, "residual")
        message = found["message"]
        short = "a reference is missing" if found["reference_missing"] else "no reference is missing"
        return short, f"{message[0].upper()}{message[1:]}."

    def refresh(self) -> None:
        """Follow the chosen stack, and show what was left on it."""
        super().refresh()
        layer = self.input_layer()
        found = None if layer is None else results_of(layer).get(self.key)
        self.spectra.setVisible(found is not None)
        if found is not None:
            table = found.tables["residual_components"]
            parts = {name: values for name, values in table.items() if name not in ("energy", "noise")}
            self.spectra.show_spectra(table["energy"], parts, label_colors().color_dict)

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        self.spectra.cleanup()
        super().cleanup()
