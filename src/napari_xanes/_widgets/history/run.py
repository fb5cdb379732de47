"""Running the steps of an edited history from one of them on, in the layers that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from napari.layers import Layer

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.recipe.edited import HistoryStep, HistorySteps, start_of, steps_of
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.jobs.groups import Group, Home, Made, group_steps, makes_map, put_groups
from napari_xanes._widgets.layers.layers import about, lineage, results_of, stack_layers, stack_of
from napari_xanes._widgets.layers.marks import mark_of
from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.layers.undo import one_step
from napari_xanes._widgets.steps.choice_panel import ChoicePanel
from napari_xanes._widgets.steps.sections import MASKS, numbered
from napari_xanes._widgets.steps.table import STEP_PANELS


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be run: steps in groups, and the layer and stack that they start from."""

    layer: Layer
    stack: EnergyStack
    groups: list[Group]
    gone: list[tuple[str, Params]]
    """Steps that were done, and are not to be done so any more."""
    mark: int | None
    """Of the data of the layer."""


def plan_run(viewer: Any, layer: Layer, history: HistorySteps, first: int) -> Plan:
    """Return what running from step `first` on means for the stack in a layer.

    Raises InputError if a step cannot be repeated.
    """
    stacks = _of_scan(viewer, layer)
    made = [stack_of(one) for one in stacks]
    first = _with_its_map(history, first)
    best, steps = start_of(history.steps, first, [stack.history for stack in made])
    if best < 0:
        raise InputError(
            f"'{layer.name}' was worked on before it was opened, by other steps than these; open the raw scan instead."
        )
    if painted := [step for step in steps if step.painted]:
        raise InputError(
            f"{painted[0].title()} cannot be repeated by itself; leave the step out, run it again by hand in {numbered(MASKS)} "
            "afterwards, or re-run from a later step."
        )
    taken = history.taken()
    gone = [one for step in history.done if (one := (step.name, step.params)) not in taken]
    groups = group_steps([(step.name, step.params) for step in steps], home_of(viewer))
    return Plan(stacks[best], made[best], groups, gone, mark_of(stacks[best]))


def _with_its_map(history: HistorySteps, first: int) -> int:
    """Return the step to run from so that what the steps look back at is found anew."""
    steps = history.steps
    for i in reversed(range(len(steps))):  # one that is looked back at may look back itself
        step = steps[i]
        if i >= first and step.on and not step.painted and STEPS[step.name].looks_back:
            first = min(first, _looked_back_at(steps, i))
    return first


def _looked_back_at(steps: Sequence[HistoryStep], index: int) -> int:
    """Return the step from which on a chain must run for one that looks back."""
    before = [i for i in range(index) if steps[i].on]
    of = getattr(steps[index].params, "of", None)
    if of is not None:
        makers = [i for i in before if makes_map(steps[i].name, of)]
        return makers[-1] if makers else index
    on_maps = [i for i in before if not STEPS[steps[i].name].whole_frames]
    return min(on_maps, default=index)


def _of_scan(viewer: Any, layer: Layer) -> list[Layer]:
    """Return all stacks that were made from the same scan as one."""
    root = about(lineage(viewer, layer)[-1])["id"]
    return [one for one in stack_layers(viewer) if about(lineage(viewer, one)[-1])["id"] == root]


def home_of(viewer: Any) -> Callable[[str], Home | None]:
    """Return where results of steps belong: as the open workflow has it, or as its panels are when they open."""
    workflow = workflow_of(viewer)

    def home(name: str) -> Home | None:
        if workflow is not None:
            for panel in workflow.panels.values():
                if name in panel.names:
                    return Home(panel.result_key(name), panel.stack_name, panel.wants_more())
        for cls in STEP_PANELS:
            if name in cls.names:
                several = issubclass(cls, ChoicePanel)
                return Home(name if several else cls.key, cls.stack_name, several)
        return None

    return home


def put_run(viewer: Any, plan: Plan, parent: Layer, made: Made) -> Layer:
    """Put what was run into layers, as one step that can be undone; returns the last stack's layer."""
    with one_step(viewer, "re-run"):
        last = put_groups(viewer, parent, made, plan.mark)
        for one in lineage(viewer, last):
            _forget(viewer, one, plan.gone)
    return last


def _forget(viewer: Any, stack: Layer, gone: Sequence[tuple[str, Params]]) -> None:
    """Forget what was found by way of steps that are done no more, and hide its layers."""
    results = results_of(stack)
    old = {key for key, result in results.items() if any(step in gone for step in steps_of(result.history))}
    if not old:
        return
    kept = {key: one for key, one in stack.metadata["xanes_results"].items() if key not in old}
    stack.metadata = {**stack.metadata, "xanes_results": kept}
    names = {name for key in old for name in (*results[key].maps, *results[key].labels)}
    names -= {name for key in results.keys() - old for name in (*results[key].maps, *results[key].labels)}
    for layer in viewer.layers:
        said = about(layer)
        if said.get("made_from") == about(stack)["id"] and said.get("role") in names:
            layer.visible = False
