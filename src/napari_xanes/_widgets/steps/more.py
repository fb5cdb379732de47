"""Steps that no other panel runs: their forms, made from their parameters, one of which is chosen and run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from napari.layers import Layer

from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.edited import HistorySteps
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.layers.words import frames_text
from napari_xanes._widgets.steps.choice_panel import ChoicePanel


def steps_left(panels: Iterable[Any]) -> tuple[str, ...]:
    """Return the steps that none of some panels runs."""
    known = {name for panel in panels for name in panel.names}
    return tuple(name for name in STEPS if name not in known)


class MorePanel(ChoicePanel):
    """Any steps, by what they declare of themselves."""

    title = "More steps"
    key = "more"
    question = "Step"
    thinned_preview = False

    def __init__(self, viewer: Any, chooser: StackChooser, names: tuple[str, ...]) -> None:
        self.names = names
        self.choices = {name: STEPS[name].title for name in names}
        super().__init__(viewer, chooser)

    def choose(self, step: str) -> None:
        """Show the form of a step."""
        self.stack_name = "" if STEPS[step].measures else STEPS[step].title.lower()
        super().choose(step)

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        does = STEPS[self.step].does
        return f"{does[:1].upper()}{does[1:]}, of {frames_text(layer)}."

    def tell(self, result: Result) -> tuple[str, str]:
        """Return the facts that the step noted."""
        outcome = HistorySteps(result.history[-1:]).steps[0].outcome()
        return outcome or "done", f"{outcome}." if outcome else "Done."
