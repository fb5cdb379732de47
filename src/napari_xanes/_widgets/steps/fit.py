"""Step 4 of the window: every pixel's spectrum as a sum of references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QWidget

from napari_xanes._core.base.params import make_params
from napari_xanes._core.base.words import of_pixels
from napari_xanes._core.data.history import last_entry
from napari_xanes._core.data.result import Result
from napari_xanes._core.fit.params import FitParams
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.layers.layers import about, history_of, results_of, show_maps
from napari_xanes._widgets.layers.tuples import More, thinned
from napari_xanes._widgets.layers.words import facts, frames_text, without_text
from napari_xanes._widgets.parts.advice import Told, Way
from napari_xanes._widgets.parts.buttons import in_line, make_button
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo
from napari_xanes._widgets.steps.library_advice import advice_on, chosen_in, many_at_once
from napari_xanes._widgets.steps.on_the_way import normalized_first
from napari_xanes._widgets.steps.panel import StepPanel, Steps
from napari_xanes._widgets.steps.sections import FIT

NORMALISED, DIRECT = range(2)
SIGNIFICANT: float = STEPS["fit"].starts["significance"]
"""Sigma; pixels with less of the element than this many times its uncertainty have no fractions unless asked for."""


class FitPanel(StepPanel):
    """Linear-combination fit."""

    title, key, names = FIT.title, FIT.key, FIT.steps
    starts: Mapping[str, Any] = {"background": STEPS["fit"].starts["background"]}
    """A line, also of normalised spectra: it takes up the noise of each pixel's own pre-edge line."""

    def options(self) -> list[QWidget]:
        """Return what is fitted, where there is a choice, and whether all maps are shown."""
        self._offered_for: str | None = None
        self.what = ElidingCombo()
        self.what.addItems(["spectra normalised as in step 3", "optical density as it is"])
        self.what.setToolTip(
            "<p>Optical density is fitted directly with a Background, such as a line. Amounts then add up to the edge step "
            "by themselves.</p>"
        )
        self.what.currentIndexChanged.connect(lambda _: self.update_plan())
        self.choice = QWidget()
        row = QHBoxLayout(self.choice)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Fit to"))
        row.addWidget(self.what, 1)
        self.sigma, self.more = QCheckBox("Sigma of each fraction"), QCheckBox("All maps")
        self.sigma.setToolTip("<p>Also a map of the standard error of each fraction, from the noise.</p>")
        self.more.setToolTip(
            "<p>Also coefficients, amounts, sigmas and rms as layers. They are computed and saved anyway.</p>"
        )
        for box in (self.sigma, self.more):
            box.toggled.connect(self._on_more)
        self.find_references = make_button(
            "Find references...", "Which of a library of spectra do the data ask for?"
        )
        self.find_references.clicked.connect(self.open_ranking)
        return [self.choice, in_line(self.sigma, self.more), self.find_references]

    def below(self) -> list[QWidget]:
        """Return the button that opens the look at what a fit leaves."""
        self.left = make_button("Residual...", "Is what the fit leaves noise, or is a reference missing?")
        self.left.clicked.connect(self.open_residual)
        return [self.left]

    def open_ranking(self) -> None:
        """Open the dock that finds references."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "Find references", tabify=True)

    def linked(self, result: Result, notes: list[Told]) -> list[Told]:
        """Return what the fit warned of; what it says of its residuals, which is grave, is seen at a click."""
        diagnosis = facts(result, "fit").get("diagnosis", {})
        if not (notes and diagnosis.get("causes")):
            return notes
        way = Way(
            "Show what is left", "Spectra of what the fit leaves, and maps of where they are.", self.show_left
        )
        return [replace(notes[0], ways=(*notes[0].ways, way)), *notes[1:]]

    def show_left(self) -> None:
        """Open the dock that looks at what the fit leaves, and look."""
        _, dock = self.viewer.window.add_plugin_dock_widget("napari-xanes", "Fit residual", tabify=True)
        dock.panel.run()

    def open_residual(self) -> None:
        """Open the dock that looks at what the fit leaves."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "Fit residual", tabify=True)

    def lacks(self, layer: Layer) -> str:
        """Ask for references."""
        if self.forms["fit"].editors["references"].value():
            return ""
        return "Add the spectra of the compounds that may be in the sample (text files, energy in the first column)."

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        count = len(chosen_in(self.forms["fit"]))
        text = f"Fits {frames_text(layer)} with {count} reference{'' if count == 1 else 's'}"
        editor = self.forms["fit"].editors["background"]
        if orders := editor.value():
            text += f" and a {editor.as_text(orders)} background"
        if self._normalizes_first(layer):
            return f"{text}, normalised on the way as step 3 did."
        if about(layer)["signal"] == "normalized":
            return f"{text}."
        advice = "" if orders else " Choose a Background: optical density has one."
        return f"{text}, as optical density.{advice}"

    def proposals(self, layer: Layer) -> list[Told]:
        """Return what is to be known of references that do not fit the scan."""
        form, energy = self.forms["fit"], np.array(about(layer)["energy"])
        made = last_entry(history_of(layer), "normalize")
        e0 = None if made is None else made.params.get("e0")
        return [*advice_on(form, energy, e0), *many_at_once(form, energy)]

    def automatic(self, step: str, name: str) -> Any:
        """Return what a parameter would be, were it left automatic."""
        return SIGNIFICANT if name == "significance" else super().automatic(step, name)

    def wants_more(self) -> More:
        """Whether all maps are wanted, or sigmas."""
        return True if self.more.isChecked() else ("sigma",) if self.sigma.isChecked() else False

    def refresh(self) -> None:
        """Follow the chosen stack; offer the references that came with it and what can be fitted."""
        layer = self.input_layer()
        if layer is not None:
            self._suggest(about(layer)["source"].get("suggested", {}).get("fit"))
        direct = layer is not None and about(layer)["signal"] == "optical_density"
        known = direct and "normalize" in results_of(layer)
        self.choice.setVisible(known)
        offered = about(layer)["id"] if known else None
        if offered != self._offered_for:
            self._offered_for = offered
            self.what.setCurrentIndex(NORMALISED)
        super().refresh()

    def _suggest(self, values: dict[str, Any] | None) -> None:
        """Take over what a sample scan suggests, unless the user has chosen references already."""
        form = self.forms["fit"]
        if values and not form.editors["references"].value():
            params = make_params(form.cls, values, self.title)
            form.fill({name: getattr(params, name) for name in values})

    def use_references(self, paths: Sequence[str], names: Sequence[str] = ()) -> None:
        """Take spectra of files in place of the references so far; all of them, if none is named."""
        editors = self.forms["fit"].editors
        editors["names"].set_value(names)
        editors["references"].set_value(paths)

    def steps(self, layer: Layer) -> Steps:
        """Return the fit, after the normalisation as it was resolved in step 3 where that is asked for."""
        fit = [("fit", self.fit_params())]
        return [*normalized_first(layer), *fit] if self._normalizes_first(layer) else fit

    def fit_params(self) -> FitParams:
        """Return the parameters of the fit as Run takes them: fractions only where there is significantly something."""
        params = self.forms["fit"].params()
        assert isinstance(params, FitParams)
        return (
            params
            if params.significance is not None
            else params.model_copy(update={"significance": SIGNIFICANT})
        )

    def tell(self, result: Result) -> tuple[str, str]:
        """Return how good the fit is and how many pixels have none."""
        found = facts(result, "fit")
        fractions = [name for name, info in result.info.items() if info["kind"] == "fraction"]
        r_factor, first = (thinned(result.maps[name]) for name in ("r_factor", fractions[0]))
        valid = r_factor[
            np.isfinite(r_factor) & np.isfinite(first)
        ]  # elsewhere there is nothing to be fitted
        quality = f"median R-factor {np.median(valid):.2g}" if valid.size else "no valid pixel"
        short = f"{len(fractions)} reference{'s' * (len(fractions) > 1)}"
        text = f"{short}, {found['fitted_energies']} energies, {quality}"
        text += self._without(result)
        return short + (f", R {np.median(valid):.2g}" if valid.size else ""), text + "."

    def _without(self, result: Result) -> str:
        """Return how many pixels have no fractions and, where that is known, why."""
        found, image = facts(result, "fit"), result.maps["r_factor"]
        none, size, layer = found.get("invalid_fractions", 0), image.size, self.input_layer()
        steps = [entry.step for entry in result.history]
        since = steps[steps.index("normalize") + 1 :] if "normalize" in steps else []
        masked = not all(STEPS[step].measures for step in since)
        part = layer is None or image.shape != layer.data.shape[1:]  # as of a preview
        if masked or part:
            return (
                f"; {of_pixels(none, size)} hold no element that stands out, or have no data" if none else ""
            )
        before, lost = facts(result, "normalize"), found.get("invalid_pixels", 0)
        unseen = before.get("pixels_without_data", 0) + max(0, lost - before.get("invalid_pixels", 0))
        return without_text(none - unseen, unseen, size)

    def what_is_fitted(self) -> str | None:
        """Return "normalised" or "optical density", where there is a choice; None where there is none."""
        if not self.choice.isVisibleTo(self):
            return None
        return "normalised" if self.what.currentIndex() == NORMALISED else "optical density"

    def _normalizes_first(self, layer: Layer) -> bool:
        return self.what_is_fitted() == "normalised"

    def _on_more(self, more: bool) -> None:
        """Show the other maps of the last fit at once; unticking leaves the layers alone."""
        layer = self.input_layer()
        if more and layer is not None and self.key in results_of(layer):
            show_maps(self.viewer, layer, self.key, more=self.wants_more())
