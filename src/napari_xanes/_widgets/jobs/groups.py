"""Steps of a recipe run together as the panels of these steps would run them, so that they update the same layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from napari.layers import Layer

from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.kinds import told_by_name
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.regions.mask import MaskParams
from napari_xanes._widgets.jobs.here import run_here
from napari_xanes._widgets.layers.layers import put_result
from napari_xanes._widgets.layers.marks import NOW, Mark
from napari_xanes._widgets.layers.tuples import More


@dataclass(frozen=True)
class Home:
    """Where the result of a step belongs: under which key, what its stack is called, and which maps are shown."""

    key: str
    stack_name: str
    more: More


@dataclass
class Group:
    """Steps that run together, and where their result belongs."""

    home: Home
    steps: list[tuple[str, Params]]


ALL = Home("recipe", "processed", False)
Made = list[tuple[Group, Result]]


def group_steps(steps: Sequence[tuple[str, Params]], home_of: Callable[[str], Home | None]) -> list[Group]:
    """Group neighbouring steps that belong together, and a mask with the step that it is of.

    All are one group if one has no home, or looks at maps of steps before it, which groups do not hand on.
    """
    groups: list[Group] = []
    for name, params in steps:
        if isinstance(params, MaskParams) and (group := _made_with(params, groups)):
            group.steps.append((name, params))
            continue
        home = home_of(name)
        if home is None or getattr(params, "maps", None):
            return [Group(ALL, list(steps))]
        if not groups or groups[-1].home.key != home.key or name in dict(groups[-1].steps):
            groups.append(Group(home, []))
        groups[-1].steps.append((name, params))
    return groups


def makes_map(step: str, name: str) -> bool:
    """Whether a step makes a map, of which a mask can then be made."""
    return told_by_name(name)[0] in STEPS[step].makes


def _made_with(params: MaskParams, groups: Sequence[Group]) -> Group | None:
    """Return the group that a mask can be made with: all that it is of, and hides, is found there."""
    maps = {one for one in (params.of, params.against) if one is not None}
    maps -= {"thickness"} if params.of != "thickness" else set()
    for group in reversed(groups):  # the thickness goes along with a normalised stack
        names = [name for name, _ in group.steps]
        if all(any(makes_map(name, one) for name in names) for one in maps):
            known = params.combine == "replace" or "mask" in names
            return group if known and (not params.apply or len(_with_maps(groups)) == 1) else None
    return None


def _with_maps(groups: Sequence[Group]) -> list[Group]:
    return [one for one in groups if any(STEPS[name].makes or STEPS[name].measures for name, _ in one.steps)]


def run_groups(stack: EnergyStack, groups: Sequence[Group], progress: Progress) -> Made:
    """Run groups one after the other, each on the stack that the one before left."""
    made, now = [], stack
    for group in groups:
        keep = bool(group.home.stack_name)
        result = run_here(now, group.steps, keep=keep, progress=progress)
        made.append((group, result))
        now = result.stack or now
    return made


def put_groups(viewer: Any, parent: Layer, made: Made, mark: Mark | None = NOW) -> Layer:
    """Put what groups made of the stack in `parent`, of data with this mark, into layers; returns the last stack's layer."""
    first = parent
    for group, result in made:
        name = group.home.stack_name if result.stack is not None else ""
        then = mark if parent is first else NOW
        home = group.home
        parent = put_result(viewer, parent, home.key, result, stack_name=name, more=home.more, mark=then)
    return parent
