"""What is found in the maps of earlier steps: these steps run again on the way, as they were resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from napari.layers import Layer

from napari_xanes._core.data.history import last_entry
from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.edited import HistoryStep, HistorySteps
from napari_xanes._core.recipe.histories import merge_histories
from napari_xanes._widgets.layers.layers import about, find, history_of, lineage, results_of
from napari_xanes._widgets.layers.masked import mask_entry
from napari_xanes._widgets.steps.panel import StepPanel, Steps
from napari_xanes._widgets.steps.sections import FIT, NORMALIZE, numbered

T = TypeVar("T")

BEFORE = ("normalize", "fit", "mask")
"""Steps whose maps and masks are looked at."""
LATER = ("particles", "residual")
"""Results that do not count, as they hold earlier runs of those steps."""


class AfterFitPanel(StepPanel):
    """Base of panels whose step looks at what normalisation, fit and mask found."""

    def take(self, line: list[Layer]) -> Layer | None:
        """Return the stack that was normalised; or the chosen one, if it was opened as absorption."""
        found = next((one for one in line if _was_normalized(one)), None)
        return found or (line[0] if "fit" in results_of(line[0]) else None)

    def missing(self, line: list[Layer]) -> str:
        """Say what comes first."""
        first, then = numbered(NORMALIZE), numbered(FIT)
        return f"Needs the maps of earlier steps: run {first}, and {then} for fractions."

    def earlier(self, layer: Layer) -> list[HistoryStep]:
        """Return the steps done on a stack whose maps are looked at, painted masks among them."""
        line = lineage(self.viewer, self.chooser.layer() or layer)
        histories = [
            result.history
            for one in reversed(line)
            for key, result in results_of(one).items()
            if key not in LATER
        ]
        own, applied = (
            len(history_of(layer)),
            mask_entry(layer),
        )  # the stack is seen through that already
        entries = (
            [entry for entry in merge_histories(histories)[own:] if entry != applied] if histories else []
        )
        steps = [step for step in HistorySteps(entries).steps if step.name in BEFORE]
        last = {step.name: i for i, step in enumerate(steps)}
        return [step for i, step in enumerate(steps) if step.name == "mask" or last[step.name] == i]

    def steps(self, layer: Layer) -> Steps:
        """Return the step after those that it looks back at."""
        before = [(one.name, one.params) for one in self.earlier(layer) if not one.painted]
        return [*before, *super().steps(layer)]

    def has(self, layer: Layer, name: str) -> bool:
        """Whether a step was done."""
        return any(one.name == name for one in self.earlier(layer))

    def own(self, result: Result) -> Result:
        """Leave out the maps and labels of the steps on the way: their layers are there."""
        parent = find(self.viewer, self._running_on)
        others = {} if parent is None else results_of(parent)
        known = {
            name
            for key, one in others.items()
            if key != self.key
            for name in (*one.maps, *one.labels, *one.tables)
        }
        children = [one for one in self.viewer.layers if about(one).get("made_from") == self._running_on]
        for child in children:
            known |= {name for one in results_of(child).values() for name in (*one.maps, *one.labels)}

        def new(values: Mapping[str, T]) -> dict[str, T]:
            return {name: value for name, value in values.items() if name not in known}

        return replace(
            result,
            maps=new(result.maps),
            info=new(result.info),
            labels=new(result.labels),
            tables=new(result.tables),
        )


def _was_normalized(layer: Layer) -> bool:
    """Whether a stack was normalised by what was run on it."""
    own = len(history_of(layer))
    made = [result.history[own:] for result in results_of(layer).values()]
    return any(last_entry(history, "normalize") for history in made)
