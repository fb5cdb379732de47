"""Step 5 of the window: what can be mapped without a fit, such as where the white line peaks in every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_xanes._core.base.words import of_pixels, part_text
from napari_xanes._core.data.result import Result
from napari_xanes._widgets.layers.layers import about, history_of, results_of
from napari_xanes._widgets.layers.tuples import thinned
from napari_xanes._widgets.layers.words import facts, frames_text, resolved, without_text
from napari_xanes._widgets.steps.choice_panel import ChoicePanel
from napari_xanes._widgets.steps.on_the_way import is_normalized, normalized_first
from napari_xanes._widgets.steps.panel import Steps
from napari_xanes._widgets.steps.sections import MAPS, what_is_missing

BEFORE_EV, AFTER_EV = 5.0, 30.0
"""About the edge energy: where a white line lies that nobody has looked at yet."""


class MapsPanel(ChoicePanel):
    """Peak, edge, white line and energy shift of every pixel."""

    title, key, names = MAPS.title, MAPS.key, ("element", *MAPS.steps)
    question = "Map"
    choices: Mapping[str, str] = {
        "peak": "peak: energy and height",
        "edge_position": "edge: energy of the rise",
        "white_line": "white line: centroid, area and height",
        "shift_map": "energy shift against references",
    }

    def choose(self, step: str) -> None:
        """Show the form of a map, and from which significance on pixels count."""
        super().choose(step)
        self.forms["element"].setVisible(True)

    def take(self, line: list[Layer]) -> Layer | None:
        """Return the chosen stack if it has what the map needs."""
        stack = line[0]
        if about(stack)["signal"] == "optical_density" and self.step in ("peak", "shift_map"):
            return stack
        if self._is_steepest_rise() and about(stack)["signal"] == "optical_density":
            return stack
        return stack if is_normalized(stack) else None

    def missing(self, line: list[Layer]) -> str:
        """Say what comes first."""
        signal = about(line[0])["signal"]
        return what_is_missing("white_line" if signal == "optical_density" else self.step, signal)

    def lacks(self, layer: Layer) -> str:
        """Ask for the window or for references."""
        editors = self.forms[self.step].editors
        if self.step in ("peak", "white_line") and not _is_window(editors["window"].value()):
            return "Give the window of energies in which the peak lies in every pixel."
        if self.step == "shift_map" and not editors["references"].value():
            return "Add the spectra of the compounds in the sample (text files, energy in the first column)."
        return ""

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        frames = frames_text(layer)
        what = {
            "peak": f"Finds where the spectrum of each pixel is highest, in {frames}",
            "edge_position": f"Finds at which energy the edge of each pixel rises, in {frames}",
            "white_line": f"Measures in every pixel what is above the edge step, in {frames}",
            "shift_map": f"Finds by how much each pixel is shifted in energy against the references, in {frames}",
        }[self.step]
        if normalized_first(layer):
            return f"{what}, normalised on the way as step 3 did."
        if about(layer)["signal"] == "optical_density" and self.step == "shift_map":
            background = self.forms[self.step].editors["background"].value()
            return f"{what}.{'' if background else ' Choose a Background: optical density has one.'}"
        return f"{what}."

    def steps(self, layer: Layer) -> Steps:
        """Return the map's step, of pixels with the element, after the normalisation where the stack was not kept."""
        return [*normalized_first(layer), ("element", self.forms["element"].params()), *super().steps(layer)]

    def refresh(self) -> None:
        """Follow the chosen stack; fill in the window and the references that are known for it."""
        layer = self.input_layer()
        if layer is not None:
            self._fill_window(layer)
            self._fill_references(layer)
        super().refresh()

    def _is_steepest_rise(self) -> bool:
        method = self.forms["edge_position"].editors["method"].value()
        return self.step == "edge_position" and bool(method == "derivative")

    def _fill_window(self, layer: Layer) -> None:
        """Start from the edge that Normalise found, where the window is empty or meant for another scan."""
        lowest, highest = about(layer)["energy"][0], about(layer)["energy"][-1]
        e0 = _edge_energy(layer)
        for name in ("peak", "white_line"):
            editor = self.forms[name].editors["window"]
            lo, hi = editor.value()
            if e0 is not None and not (_is_window((lo, hi)) and lo < highest and hi > lowest):
                editor.set_value((round(max(lowest, e0 - BEFORE_EV)), round(min(highest, e0 + AFTER_EV))))

    def _fill_references(self, layer: Layer) -> None:
        """Take those of the last fit of this stack, or those that came with a sample."""
        form = self.forms["shift_map"]
        if form.editors["references"].value():
            return
        known = about(layer)["source"].get("suggested", {}).get("fit", {})
        if "fit" in results_of(layer):
            known = resolved(results_of(layer)["fit"], "fit")
        form.fill(
            {name: tuple(known[name]) for name in ("references", "names", "background") if known.get(name)}
        )

    def tell(self, result: Result) -> tuple[str, str]:
        """Return the typical value, and how many pixels have none."""
        step = result.history[-1].step
        found = facts(result, step)
        short, text = _TELL[step](result, found)
        size = next(iter(result.maps.values())).size
        if none := facts(result, "element").get("pixels_without_element", 0):
            text += without_text(none, 0, size)
            found = {**found, "invalid_pixels": found.get("invalid_pixels", 0) - none}
        if (lost := found.get("invalid_pixels", 0)) > 0:
            count = f"{lost} more ({part_text(lost, size)})" if none else of_pixels(lost, size)
            text += f"; {count} have no value"
        return short, f"{text[0].upper()}{text[1:]}."


def _edge_energy(layer: Layer) -> float | None:
    """Return the edge energy that Normalise found for a stack, on the way to it or on it."""
    history = list(history_of(layer))
    if "normalize" in results_of(layer):
        history += results_of(layer)["normalize"].history
    found = [entry.params["e0"] for entry in history if entry.step == "normalize"]
    return found[-1] if found else None


def _is_window(value: tuple[float, float]) -> bool:
    return value[0] < value[1]


def _peak(result: Result, found: Mapping[str, Any]) -> tuple[str, str]:
    inside = np.where(
        thinned(result.maps["peak_at_boundary"]) == 0, thinned(result.maps["peak_energy"]), np.nan
    )
    short = f"peak at {_median(inside, '.1f')} eV"
    ends = found["boundary_pixels"]
    return short, f"{short} median" + (f"; {ends} pixels at the window's edge" if ends else "")


def _edge(result: Result, found: Mapping[str, Any]) -> tuple[str, str]:
    short = f"edge at {_median(thinned(result.maps['edge_energy']), '.1f')} eV"
    without = found["pixels_without_edge"]
    return short, f"{short} median" + (f"; {without} pixels show no edge" if without else "")


def _white_line(result: Result, found: Mapping[str, Any]) -> tuple[str, str]:
    short = f"centroid at {_median(thinned(result.maps['white_line_centroid']), '.1f')} eV"
    area = _median(thinned(result.maps["white_line_area"]), ".2f")
    without = found["pixels_without_white_line"]
    return short, f"{short}, area {area} eV, median" + (
        f"; {without} pixels show no white line" if without else ""
    )


def _shift(result: Result, found: Mapping[str, Any]) -> tuple[str, str]:
    mean = found["mean_shift"]
    short = "no pixel shifted within the limit" if mean is None else f"shift {mean:+.2f} eV"
    ends = found["pixels_at_limit"]
    text = short if mean is None else f"{short}, mean weighted by its error"
    return short, text + (f"; {ends} pixels at the largest shift" if ends else "")


_TELL = {"peak": _peak, "edge_position": _edge, "white_line": _white_line, "shift_map": _shift}


def _median(values: np.ndarray, digits: str) -> str:
    valid = values[np.isfinite(values)]
    return f"{np.median(valid):{digits}}" if valid.size else "?"
