"""Step 6 of the window: groups of pixels with similar spectra, and components of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.data.result import Result
from napari_xanes._core.io.spectra_file import write_spectra
from napari_xanes._widgets.layers.label_colors import label_colors
from napari_xanes._widgets.layers.layers import about, results_of
from napari_xanes._widgets.layers.words import facts, frames_text
from napari_xanes._widgets.parts.buttons import allow
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.parts.plot import SpectraPlot
from napari_xanes._widgets.steps.choice_panel import ChoicePanel
from napari_xanes._widgets.steps.on_the_way import normalized_first
from napari_xanes._widgets.steps.panel import Steps
from napari_xanes._widgets.steps.sections import CLUSTERS, MASKS, numbered, what_is_missing

TABLES = {"cluster": "cluster_spectra", "decompose": "components"}
FEW = 1e-3
"""Share of the pixels below which a cluster is no more than noise."""
SHOWN_COUNTS = 4
"""Sizes of more clusters than this are not listed one by one."""


class ClusterPanel(ChoicePanel):
    """k-means, PCA and NMF."""

    title, key, names = CLUSTERS.title, CLUSTERS.key, CLUSTERS.steps
    question = "Find"
    choices: Mapping[str, str] = {
        "cluster": "groups of pixels (k-means)",
        "decompose": "components (PCA, NMF)",
    }
    hidden = ("maps",)

    references_made = Signal(str)
    """A file with the mean spectra of the clusters, for the fit."""

    def below(self) -> list[QWidget]:
        """Return the plot of the spectra, and the button that makes references of them."""
        self.spectra = SpectraPlot(self.viewer)
        self.spectra.setVisible(False)
        self.use = QPushButton("Use cluster means as references...")
        self.use.setToolTip(
            "<p>Writes the mean spectrum of each cluster to a CSV file and takes this file as the references of the "
            "fit, in place of those there. A recipe names the file, so keep it.</p>"
        )
        self.use.clicked.connect(self._ask_file)
        return [self.spectra, self.use]

    def take(self, line: list[Layer]) -> Layer | None:
        """Return the chosen stack if it is absorption."""
        return line[0] if about(line[0])["signal"] in ("optical_density", "normalized") else None

    def missing(self, line: list[Layer]) -> str:
        """Say what comes first."""
        return what_is_missing(
            "fit", about(line[0])["signal"]
        )  # which are those that spectra are compared in

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        what = {
            "cluster": f"Groups the pixels of {frames_text(layer)} by their spectra",
            "decompose": f"Finds the spectra that {frames_text(layer)} are made up of",
        }[self.step]
        if normalized_first(layer):
            return f"{what}, normalised on the way as step 3 did."
        if about(layer)["signal"] == "optical_density":
            return f"{what}. Normalise first if chemistry counts rather than the amount of material."
        return f"{what}."

    def steps(self, layer: Layer) -> Steps:
        """Return the step, after the normalisation where the stack was not kept."""
        return [*normalized_first(layer), *super().steps(layer)]

    def refresh(self) -> None:
        """Follow the chosen stack, and show the spectra found for it."""
        super().refresh()
        layer = self.input_layer()
        found = None if layer is None else results_of(layer).get(self.step)
        self.use.setVisible(self.step == "cluster")
        allow(self.use, "" if found is not None else "Run this step first.")
        self.spectra.setVisible(found is not None)
        if found is not None:
            energy, spectra = _spectra(found, self.step)
            self.spectra.show_spectra(energy, spectra, label_colors().color_dict)

    def tell(self, result: Result) -> tuple[str, str]:
        """Return how large the groups are, or how much the components explain."""
        step = result.history[-1].step
        found = facts(result, step)
        short, text = (_tell_clusters if step == "cluster" else _tell_components)(found)
        if lost := found.get("invalid_pixels", 0):
            text += f"; {lost} pixels have no value"
        if step == "cluster" and min(found["pixels"]) < FEW * sum(found["pixels"]):
            text += f". Some hold hardly a pixel: leave out what is around the sample with {numbered(MASKS)}, and run again"
        return short, f"{text}."

    # -- references for the fit -----------------------------------------------------------------------

    def write_means(self, path: str | Path) -> None:
        """Write the mean spectra of the clusters to a file, and offer it as references."""
        layer = self.input_layer()
        if layer is None or "cluster" not in results_of(layer):
            return
        try:
            write_spectra(path, *_spectra(results_of(layer)["cluster"], "cluster"))
        except XanesError as error:
            report_error(error, self.title)
        else:
            self.references_made.emit(str(path))

    def _ask_file(self) -> None:
        layer = self.input_layer()
        name = "scan" if layer is None else about(layer)["name"].replace(" ", "_") or "scan"
        start = str(Path.cwd() / f"{name}_cluster_means.csv")
        path, _ = QFileDialog.getSaveFileName(self, "Mean spectra of the clusters", start, "Spectra (*.csv)")
        if path:
            self.write_means(path if Path(path).suffix else f"{path}.csv")

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        self.spectra.cleanup()
        super().cleanup()


def _spectra(result: Result, step: str) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
    """Return the energies and the spectra of the clusters or components."""
    table = dict(result.tables[TABLES[step]])
    energy = table.pop("energy")
    return energy, {name: column for name, column in table.items() if name != "mean"}


def _tell_clusters(found: Mapping[str, Any]) -> tuple[str, str]:
    counts = found["pixels"]
    sizes = ", ".join(map(str, counts[:SHOWN_COUNTS])) + (", ..." if len(counts) > SHOWN_COUNTS else "")
    short = f"{len(counts)} clusters"
    text = f"{short} of {sizes} pixels"
    if found["silhouette"] is not None:
        text += f"; silhouette {found['silhouette']:.2f} (1: well apart, 0: not)"
    return short, text


def _tell_components(found: Mapping[str, Any]) -> tuple[str, str]:
    explained, error = found["explained"], found["relative_error"]
    short = f"{len(explained)} components, {100 * sum(explained):.1f} %"
    parts = ", ".join(f"{100 * share:.1f}" for share in explained[:SHOWN_COUNTS])
    more = ", ..." if len(explained) > SHOWN_COUNTS else ""
    return (
        short,
        f"{len(explained)} components explain {parts}{more} % of the variance; relative error {error:.2g}",
    )
