"""`STEPS`: every step that is declared in a room of the core, by name, in the order of lists and templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from napari_xanes._core import align, edge, fit, groups, maps, prepare, rank, regions
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, make_params
from napari_xanes._core.data.stack import SIGNAL_WORDS, SIGNALS, EnergyStack, Signal
from napari_xanes._core.engine.step import Step

ROOMS = (prepare, align, edge, maps, groups, fit, rank, regions)
"""Where steps are declared."""

StepWithParams = tuple[str, Params]
"""A step of a recipe: its name and its parameters."""


def _declared(room: ModuleType) -> Iterator[Step[Any]]:
    for info in iter_modules(room.__path__):
        module = import_module(f"{room.__name__}.{info.name}")
        yield from (one for one in vars(module).values() if isinstance(one, Step))


STEPS: dict[str, Step[Any]] = {}


def add_step(step: Step[Any]) -> None:
    """Make a step known by its name, in its place among the others."""
    known = {**STEPS, step.name: step}
    STEPS.clear()
    STEPS.update((one.name, one) for one in sorted(known.values(), key=lambda one: one.order))


for _room in ROOMS:
    for _step in _declared(_room):
        add_step(_step)


def make_step(name: Any, values: dict[str, Any], where: str) -> StepWithParams:
    """Return a step with parameters from plain values; raises InputError that names `where`."""
    if not isinstance(name, str) or name not in STEPS:
        raise InputError(f"{where}: do is {name!r}, expected one of {', '.join(STEPS)}.")
    return name, make_params(STEPS[name].params, values, f"{where} ({name})")


def step_title(name: str) -> str:
    """Return the name of a step in the user's words; a name that is no step's with spaces."""
    return STEPS[name].title if name in STEPS else name.replace("_", " ")


def missing_before(step: Step[Any], signal: Signal) -> tuple[str, ...]:
    """Return the steps that must come first for a step to work on a stack of a signal; none if it does already.

    There are none either if the stack went further than the step can follow.
    """
    if signal in step.takes:
        return ()
    wanted = [SIGNALS.index(one) for one in step.takes if SIGNALS.index(one) > SIGNALS.index(signal)]
    if not wanted:
        return ()
    path = SIGNALS[SIGNALS.index(signal) + 1 : min(wanted) + 1]
    giving = {one.gives: one.name for one in reversed(STEPS.values()) if one.gives}
    return tuple(giving[one] for one in path)


def check_steps(
    stack: EnergyStack, steps: Sequence[StepWithParams], complain: Callable[[str, InputError], None]
) -> None:
    """Refuse, before any work, steps that do not follow on one another or lack something in the stack.

    `complain` is called with the name of the step and the error.
    """
    signal = stack.signal
    for name, params in steps:
        step = STEPS[name]
        try:
            check_takes(step, signal)
            step.check(stack, signal, params)
        except InputError as error:
            complain(name, error)
        if step.gives and SIGNALS.index(step.gives) > SIGNALS.index(signal):
            signal = step.gives


def check_takes(step: Step[Any], signal: Signal) -> None:
    """Refuse a stack that a step does not work on, naming the steps that come first."""
    if signal in step.takes:
        return
    wanted = " or ".join(SIGNAL_WORDS[one] for one in step.takes)
    wanted += " data" if wanted.endswith("normalised") else ""
    first = missing_before(step, signal)
    if first:
        advice = f"put {' and '.join(first)} before it"
    elif signal == step.gives:
        advice = "they are so already, leave the step out"
    else:
        giving = next((one.name for one in STEPS.values() if one.gives == signal), "that step")
        advice = f"put it before {giving}"
    raise InputError(f"{step.name} needs {wanted}, the data are {SIGNAL_WORDS[signal]}; {advice}.")
