"""Particles: parted, measured one by one, and followed from rim to core."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from qtpy.QtWidgets import QWidget

from napari_xanes._core.data.kinds import title_of
from napari_xanes._core.data.result import Result
from napari_xanes._widgets.layers.layers import about, results_of
from napari_xanes._widgets.layers.words import facts, resolved
from napari_xanes._widgets.parts.table import ColumnsTable
from napari_xanes._widgets.parts.view import bring_into_view
from napari_xanes._widgets.steps.before import AfterFitPanel
from napari_xanes._widgets.steps.profile_plot import ProfilePlot

TABLE_HEIGHT = 200


class ParticlesPanel(AfterFitPanel):
    """Particles, their table and their profile."""

    title = "Particles"
    key = "particles"
    names = ("particles",)
    thinned_preview = False

    def below(self) -> list[QWidget]:
        """Return the table of particles and the plot of their profile."""
        self._shown: Result | None = None
        self.table = ColumnsTable("particles")
        self.table.table.setMinimumHeight(TABLE_HEIGHT)
        self.table.setToolTip("<p>Choose a row to see where the particle is.</p>")
        self.table.chosen.connect(self.show_particle)
        self.profile = ProfilePlot(self.viewer)
        return [self.table, self.profile]

    def will(self, layer: Layer) -> str:
        """Say what Run will do, and in what particles are looked for."""
        of = self.forms["particles"].values()["of"]
        masks = [one for one in self.earlier(layer) if one.name == "mask"]
        painted = " A mask painted by hand is not looked at." if any(one.painted for one in masks) else ""
        if of:
            where = f"the map {title_of(of)}"
        elif any(not one.painted for one in masks):
            where = "the mask"
        else:
            where = "the thickness"
        return f"Finds particles in {where}, separates touching particles, and measures all maps in each.{painted}"

    def tell(self, result: Result) -> tuple[str, str]:
        """Return how many particles there are, and which reach the border."""
        found, chosen = facts(result, "particles"), resolved(result, "particles")
        count = found["particles"]
        text = f"{count} particles of {found['pixels_inside']} pixels"
        if chosen.get("above") is not None:
            text += f", where {title_of(chosen['of'])} is at least {chosen['above']:.3g}"
        if found["cut_particles"]:
            text += f"; {found['cut_particles']} reach the border of the picture"
        if found.get("invalid_pixels"):
            text += f"; {found['invalid_pixels']} pixels have no value"
        return f"{count} particles", f"{text}."

    def refresh(self) -> None:
        """Follow the chosen stack, and show its particles."""
        super().refresh()
        layer = self.input_layer()
        found = None if layer is None else results_of(layer).get(self.key)
        self.table.setVisible(found is not None)
        self.profile.setVisible(found is not None and "core_to_rim" in found.tables)
        if found is not None:
            if found is not self._shown:
                self.table.show_columns(found.tables["particles"])
            self._shown = found
            if "core_to_rim" in found.tables:
                self.profile.show_profile(
                    found.tables["core_to_rim"], resolved(found, "particles")["profile"]
                )

    def show_particle(self, row: int) -> None:
        """Bring the particle of a row into view, alone."""
        labels = self._labels()
        if labels is None or self._shown is None:
            return
        table = self._shown.tables["particles"]
        label = int(table["label"][row])
        labels.visible = True
        labels.selected_label = label
        labels.show_selected_label = True
        self.viewer.layers.selection.active = labels
        center = [float(table[f"centroid_{axis}"][row]) for axis in "zyx" if f"centroid_{axis}" in table]
        world = np.atleast_1d(labels.data_to_world(center))
        bring_into_view(self.viewer, [float(one) for one in world])
        if world.size == 3 and self.viewer.dims.ndisplay == 2:
            self.viewer.dims.set_point(self.viewer.dims.ndim - 3, world[0])

    def _labels(self) -> Labels | None:
        layer = self.input_layer()
        made: list[Any] = [
            one
            for one in self.viewer.layers
            if layer is not None and about(one).get("made_from") == about(layer)["id"]
        ]
        return next(
            (one for one in made if isinstance(one, Labels) and about(one).get("role") == self.key), None
        )

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        self.profile.cleanup()
        super().cleanup()
