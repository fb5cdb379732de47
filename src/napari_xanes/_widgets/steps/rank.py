"""Which references do the data ask for? The step before a fit with a library of spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QCheckBox, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_xanes._core.base.params import make_params
from napari_xanes._core.base.words import of_pixels, part_text
from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.layers.layers import about, results_of
from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.layers.words import facts, frames_text, resolved
from napari_xanes._widgets.parts.advice import Told
from napari_xanes._widgets.parts.buttons import make_button
from napari_xanes._widgets.parts.spoken import spoken
from napari_xanes._widgets.steps.library_advice import advice_on
from napari_xanes._widgets.steps.on_the_way import normalized_first
from napari_xanes._widgets.steps.panel import StepPanel, Steps

HEADINGS = ("For", "References", "R-factor", "Weight")
TAKEN_OVER = ("references", "names", "background", "references_as")
"""Parameters that the fit has, too, and that are taken from its form."""


class RankPanel(StepPanel):
    """Choice of references."""

    title = "Find references"
    key = "rank"
    names = ("rank",)

    def options(self) -> list[QWidget]:
        """Return the choice to look at each cluster."""
        self.each = QCheckBox("For each cluster, too")
        self.each.setToolTip(
            "<p>Ranks references for the mean spectrum of each cluster besides that of all.</p>"
        )
        self.each.setChecked(True)
        return [self.each]

    def below(self) -> list[QWidget]:
        """Return the table of combinations, and the button that takes one to the fit."""
        self.table = QTableWidget(0, len(HEADINGS))
        self.table.setHorizontalHeaderLabels(HEADINGS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setMinimumHeight(190)
        self.table.setToolTip(
            "<p>Bold: what the criterion chose. The weight is the chance, by Akaike's criterion, that a combination is "
            "the best of those listed.</p>"
        )
        rows, columns = self.table.verticalHeader(), self.table.horizontalHeader()
        if rows is not None and columns is not None:
            rows.setVisible(False)
            columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            columns.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.use = make_button(
            "Use in Fit", "Makes the references of the selected row those of the fit in the XANES workflow."
        )
        self.use.clicked.connect(self.take_to_fit)
        return [self.table, self.use]

    def lacks(self, layer: Layer) -> str:
        """Ask for references."""
        if self.forms["rank"].editors["references"].value():
            return ""
        return "Add the spectra of all compounds that may be in the sample (text files, energy in the first column)."

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        way = ", normalised on the way as step 3 did" if normalized_first(layer) else ""
        which = "on every pixel with the element and on the mean of these"
        return f"Tries combinations of the references {which}, in {frames_text(layer)}{way}."

    def proposals(self, layer: Layer) -> list[Told]:
        """Return what is to be known of references that do not fit the scan."""
        return advice_on(self.forms["rank"], np.array(about(layer)["energy"]))

    def steps(self, layer: Layer) -> Steps:
        """Return the ranking of pixels with the element, after the normalisation and the clusters that it looks at.

        Noise that was divided by next to no edge step would outweigh the sample in the mean spectrum.
        """
        element = ("element", STEPS["element"].params())
        return [*normalized_first(layer), *self._clusters(layer), element, *super().steps(layer)]

    def _clusters(self, layer: Layer) -> Steps:
        if not self.each.isVisibleTo(self) or not self.each.isChecked():
            return []
        chosen = resolved(results_of(layer)["cluster"], "cluster")
        return [("cluster", make_params(STEPS["cluster"].params, chosen, "Clusters"))]

    def refresh(self) -> None:
        """Follow the chosen stack; start from the references of the fit."""
        layer = self.input_layer()
        self.each.setVisible(layer is not None and "cluster" in results_of(layer))
        if layer is not None:
            self._fill(layer)
        super().refresh()
        found = None if layer is None else results_of(layer).get(self.key)
        self._fill_table({} if found is None else found.tables["ranking"])

    def _fill(self, layer: Layer) -> None:
        form = self.forms["rank"]
        if form.editors["references"].value():
            return
        known = dict(about(layer)["source"].get("suggested", {}).get("fit", {}))
        if (workflow := workflow_of(self.viewer)) is not None:
            fit = workflow.panels["fit"].forms["fit"].values()
            known |= {name: fit[name] for name in TAKEN_OVER} if fit["references"] else {}
        found = {name: known[name] for name in TAKEN_OVER if known.get(name)}
        form.fill({name: value if isinstance(value, str) else tuple(value) for name, value in found.items()})

    def tell(self, result: Result) -> tuple[str, str]:
        """Return what the mean spectrum asks for, and how many pixels have no combination."""
        found = facts(result, "rank")
        sentence = spoken(found["mean_spectrum"])
        table = result.tables["ranking"]
        best = table["references"][(table["region"] == 0) & table["chosen"]]
        absent = facts(result, "element").get("pixels_without_element", 0)
        size = next(iter(result.maps.values())).size
        if absent:
            sentence += f" {of_pixels(absent, size)} hold no element that stands out."
        if none := found.get("pixels_without_combination", 0) - absent:
            count = f"{none} more ({part_text(none, size)})" if absent else of_pixels(none, size)
            sentence += f" {count} have no combination."
        return str(best[0]), f"{sentence[0].upper()}{sentence[1:]}"

    # -- the table ------------------------------------------------------------------------------------

    def _fill_table(self, columns: dict[str, NDArray[Any]]) -> None:
        rows = len(columns["rank"]) if columns else 0
        self.table.setVisible(bool(rows))
        self.use.setVisible(bool(rows))
        self.table.setRowCount(rows)
        for row in range(rows):
            one = {name: values[row] for name, values in columns.items()}
            region = "all" if one["region"] == 0 else f"cluster {one['region']}"
            cells = (region, str(one["references"]), f"{one['r_factor']:.2g}", f"{one['weight']:.2f}")
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                font = item.font()
                font.setBold(bool(one["chosen"]))
                item.setFont(font)
                if column > 1:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.setToolTip(text)
                self.table.setItem(row, column, item)
        if rows:
            self.table.selectRow(int(np.flatnonzero(columns["chosen"])[0]))

    def take_to_fit(self) -> None:
        """Make the references of the selected row those of the fit."""
        layer, workflow = self.input_layer(), workflow_of(self.viewer)
        if layer is None or self.key not in results_of(layer):
            return
        if workflow is None:
            self._say("There is no fit to take them to: open Plugins > XANES > XANES workflow.")
            return
        result = results_of(layer)[self.key]
        names = str(result.tables["ranking"]["references"][self.table.currentRow()]).split(" + ")
        workflow.fit_with(resolved(result, "rank")["references"], names)
