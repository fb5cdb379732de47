"""The steps done on a stack as a list that can be edited: what was done, what is changed, and from where on to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_xanes._core.base.params import Params, make_params
from napari_xanes._core.base.words import frame_text, value_text
from napari_xanes._core.data.history import Entry
from napari_xanes._core.data.kinds import title_of
from napari_xanes._core.recipe.histories import changes_stack
from napari_xanes._core.recipe.steps import STEPS, StepWithParams, step_title

BACKGROUNDS: dict[tuple[int, ...], str] = {
    (): "none",
    (0,): "constant",
    (0, 1): "line",
    (0, 1, 2): "quadratic",
}
"""What backgrounds are called, by the orders of their polynomials."""

MOST = 4
"""Facts shown in a line."""

FACTS = {
    "max_shift_px": ("largest shift", "px"),
    "left_px": ("drift that was left", "px"),
    "median_confidence": ("median confidence", ""),
    "invalid_fractions": ("pixels without fractions", ""),
    "dropped": ("frames left out", ""),
    "bridged_frames": ("frames with nothing to align by", ""),
    "pixels_without_step": ("pixels without the element", ""),
}
"""Facts whose names are not words, and their units."""
UNTOLD = ("step_noise", "mean_spectrum", "shifts", "painted", "inertia", "dropped_energies", "diagnosis")
"""Facts for the steps that follow rather than for people."""


@dataclass(frozen=True)
class HistoryStep:
    """One step: its parameters, what it found if it was run with them, and whether it takes part."""

    name: str
    params: Params
    entry: Entry | None = None
    done: bool = True
    on: bool = True

    @property
    def painted(self) -> bool:
        """Whether it is a mask that was painted by hand, which cannot be repeated."""
        return self.entry is not None and bool(self.entry.facts.get("painted"))

    @property
    def changes(self) -> bool:
        """Whether later steps see other images because of it."""
        return changes_stack(self.name, self.params)

    def title(self) -> str:
        """Return its name, and what is to be known of it at once."""
        marks = [] if self.done else ["changed"]
        if not self.on:
            marks = ["left out"]
        if self.painted:
            marks.append("painted by hand")
        return step_title(self.name) + (f" ({', '.join(marks)})" if marks else "")

    def parameters(self) -> str:
        """Return the parameters that are not at their defaults, in a line."""
        parts = []
        for name, info in type(self.params).model_fields.items():
            value = getattr(self.params, name)
            extra: Any = info.json_schema_extra or {}
            standard = None if info.is_required() else info.get_default(call_default_factory=True)
            if value != standard and extra.get("widget") != "hidden":
                unit = f" {extra['unit']}" if extra.get("unit") else ""
                text = parameter_text(name, value)
                text = _map_titles(value) if extra.get("widget") == "maps" else text
                parts.append(f"{info.title} {text}{unit}")
        more = f", and {len(parts) - MOST} more" if len(parts) > MOST else ""
        return ", ".join(parts[:MOST]) + more

    def outcome(self) -> str:
        """Return what it found, in a line."""
        if self.painted:
            return "Save recipe... keeps what was painted in a file beside the recipe."
        if not self.done or self.entry is None:
            return "Not run yet."
        told = []
        for key, value in self.entry.facts.items():
            if isinstance(value, list | tuple) and key.endswith("_frames"):
                value = len(value)
            if key not in UNTOLD and _is_short(value) and value != 0:
                words, unit = FACTS.get(key, (key.replace("_", " "), ""))
                number = f"{value:.3g}" if isinstance(value, float) else _short(value)
                told.append(f"{words} {number} {unit}".strip())
        line = ", ".join(told[:MOST])
        return line[:1].upper() + line[1:]

    def warnings(self) -> list[str]:
        """Return what it warned of."""
        return list(self.entry.warnings) if self.done and self.entry is not None else []


def parameter_text(name: str, value: Any) -> str:
    """Return the value of a parameter in words."""
    if name == "background":
        return BACKGROUNDS.get(tuple(value), value_text(value))
    return frame_text(value) if name == "reference" and isinstance(value, int) else _short(value)


def _map_titles(value: Any) -> str:
    names = [value] if isinstance(value, str) else value
    return _short(value) if names is None else value_text([title_of(name) for name in names])


def _is_short(value: Any) -> bool:
    return value is not None and not isinstance(value, dict | list | tuple) and len(str(value)) <= 60


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(one, float) for one in value):
        return f"{value[0]:.6g} to {value[1]:.6g}"
    return value_text(value)


class HistorySteps:
    """The list; steps are replaced, never changed, so that what was done is known as it was."""

    def __init__(self, history: Sequence[Entry] = ()) -> None:
        self.done = [_step(entry) for entry in history]
        self.steps = list(self.done)

    @property
    def first_change(self) -> int | None:
        """The first step that is not as it was run; None if all are."""
        for i, step in enumerate(self.steps):
            if i >= len(self.done) or step != self.done[i]:
                return i
        return len(self.steps) if len(self.steps) < len(self.done) else None

    def edit(self, index: int, values: dict[str, Any]) -> None:
        """Give a step other parameters; raises InputError if they cannot be."""
        old = self.steps[index]
        params = make_params(STEPS[old.name].params, old.params.model_dump() | values, step_title(old.name))
        if params != old.params:
            same = next((one for one in self.done if (one.name, one.params) == (old.name, params)), None)
            self.steps[index] = replace(same or HistoryStep(old.name, params, done=False), on=old.on)

    def remove(self, index: int) -> None:
        """Take a step out."""
        del self.steps[index]

    def switch(self, index: int) -> None:
        """Leave a step out, or take it in again."""
        self.steps[index] = replace(self.steps[index], on=not self.steps[index].on)

    def may_move(self, index: int, by: int) -> bool:
        """Whether a step can change its place with the one before (-1) or after (1)."""
        other = index + by
        if not 0 <= other < len(self.steps):
            return False
        first, second = (self.steps[i].name for i in sorted((index, other)))
        return first not in STEPS[second].after

    def move(self, index: int, by: int) -> None:
        """Change the place of a step with the one before (-1) or after (1)."""
        if self.may_move(index, by):
            steps = self.steps
            steps[index], steps[index + by] = steps[index + by], steps[index]

    def use(self, steps: Sequence[StepWithParams]) -> None:
        """Take the steps of a recipe; those that were done so, in the same place, count as done."""
        self.steps = []
        for i, (name, params) in enumerate(steps):
            done = self.done[i] if i < len(self.done) else None
            same = done is not None and (done.name, done.params) == (name, params)
            self.steps.append(done if same and done else HistoryStep(name, params, done=False))

    def taken(self) -> list[StepWithParams]:
        """Return the steps that take part."""
        return [(step.name, step.params) for step in self.steps if step.on]

    def repeatable(self) -> list[StepWithParams]:
        """Return the steps that take part, as a recipe can hold them: without masks painted by hand."""
        return [(step.name, step.params) for step in self.steps if step.on and not step.painted]

    def painted(self) -> list[str]:
        """Return the layers of the masks painted by hand that take part."""
        return [str(getattr(step.params, "of", "")) for step in self.steps if step.on and step.painted]


def _step(entry: Entry) -> HistoryStep:
    params = make_params(STEPS[entry.step].params, entry.params, entry.step)
    return HistoryStep(entry.step, params, entry)


def steps_of(history: Sequence[Entry]) -> list[StepWithParams]:
    """Return the steps of a history with their parameters."""
    return [(one.name, one.params) for one in map(_step, history)]


def start_of(
    steps: Sequence[HistoryStep], first: int, histories: Sequence[Sequence[Entry]]
) -> tuple[int, list[HistoryStep]]:
    """Return which of the stacks with these histories to start from, and the steps to run on it.

    It is the one on which most is done of what the steps before `first` do to the images.
    """
    before = [i for i, step in enumerate(steps[:first]) if step.on and step.changes]
    wanted = [(steps[i].name, steps[i].params) for i in before]
    best, most = -1, -1
    for number, history in enumerate(histories):
        made = [(one.name, one.params) for one in map(_step, history) if one.changes]
        if len(made) > most and made == wanted[: len(made)]:
            best, most = number, len(made)
    missing = before[most:] if best >= 0 else before
    return best, [step for i, step in enumerate(steps) if step.on and (i >= first or i in missing)]
