"""A recipe as a Python script: the same with the public functions, to read, to change and to run.

Steps that have a function of their own are calls of it (`engine.code`); the others are short recipes in the script.
Where a step on maps needs the recipe, all steps from the first on maps on are one recipe, as they know of one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_xanes._core.base.door import public
from napari_xanes._core.base.params import Params
from napari_xanes._core.data.stack import Signal
from napari_xanes._core.engine.code import Before, Lines, call, given, literal
from napari_xanes._core.recipe.recipe import SCHEMA, OutputParams, Recipe
from napari_xanes._core.recipe.steps import STEPS, StepWithParams, step_title

Steps = Sequence[StepWithParams]


@public
def as_script(
    recipe: Recipe,
    scan: str | Path = "scan.h5",
    *,
    out: str | Path | None = None,
    signal: Signal | None = None,
) -> str:
    """Return the Python script that does the same as a recipe.

    Parameters
    ----------
    recipe : Recipe
    scan : path
        File that the script reads.
    out : path, optional
        File that it saves the maps in; by default ``<scan>_maps.h5`` where the script is run.
    signal : {"counts", "transmission", "optical_density", "normalized"}, optional
        What the scan holds, where the recipe does not say: steps that then have nothing to do are left out.  By
        default what the steps expect.

    Returns
    -------
    str
        Only parameters that differ from their defaults are in it.  The maps are those of the recipe to the last bit,
        but for three things: ``sigma`` of a fit to normalised data leaves out the noise of the edge step, which only
        the recipe hands on; components and mean spectra of clusters differ by up to 1e-5, being sums in another
        order; and frames that hold one count in every pixel are invalid in the recipe only.
    """
    writer = _Writer(recipe.input.signal or signal or _expected(recipe.steps))
    head, tail = writer.parted(recipe.steps)
    for name, params in head:
        writer.add(name, params)
    ending = writer.rest(tail, recipe.output) if tail else writer.result(recipe.output)
    target = str(out) if out is not None else f"{Path(scan).stem}_maps.h5"
    body = "\n".join([*writer.lines, *ending, "", "# Save", f"nx.save_result(result, {literal(target)})"])
    stores = [name for name in ("maps", "labels", "tables") if f"{name} |=" in body or f"{name}[" in body]
    start = [
        f'"""XANES analysis of {_title(scan)}."""',
        "",
        *(["import numpy as np", ""] if " np." in body or "(np." in body else []),
        "import napari_xanes as nx",
        "",
        "# Open the scan",
        *call("stack", "nx.read_stack", literal(str(scan)), **given(recipe.input)),
        *(["images, energy = stack.data[:], stack.energy"] if head or not tail else []),
        *(f"{name} = {{}}" for name in stores),
    ]
    return "\n".join([*start, body]) + "\n"


def _expected(steps: Steps) -> Signal:
    """Return what the scan holds, to judge by the steps that are done with it."""
    names = {name for name, _ in steps}
    if names & {"flat_field", "internal_i0"}:
        return "counts"
    if "optical_density" in names:
        return "transmission"
    return "optical_density" if "normalize" in names else "normalized"


class _Writer:
    """Writes steps one after the other, keeping in mind what `images` and `stack` are by now."""

    def __init__(self, signal: Signal) -> None:
        self.before = Before(signal)
        self.stack_signal = signal
        self.binned = 1
        self.lines: Lines = []

    def own(self, name: str, params: Params, before: Before) -> Lines | None:
        """Return a step as calls of functions; None where only a recipe does it."""
        return STEPS[name].code(given(params), before)

    def parted(self, steps: Steps) -> tuple[Steps, Steps]:
        """Return the steps to be written one by one, and the rest, which is to be one recipe."""
        before, first, alone = self.before, len(steps), True
        for i, (name, params) in enumerate(steps):
            if not STEPS[name].whole_frames:
                first = min(first, i)
                alone = alone and self.own(name, params, before) is not None
            before = before.then(STEPS[name].gives)
        return (steps, ()) if alone else (steps[:first], steps[first:])

    def add(self, name: str, params: Params) -> None:
        """Write one step."""
        lines = self.own(name, params, self.before)
        after = self.before.then(STEPS[name].gives)
        if lines is None:
            short = Recipe(((name, params),), output=OutputParams(stack=True))
            lines = [
                *_literal(short),
                *self._update_stack(),
                "stack = nx.run_recipe(recipe, stack).stack",
                "images, energy = stack.data, stack.energy",
            ]
            self.binned, self.stack_signal = 1, after.signal
        elif name == "bin":
            self.binned *= given(params).get("factor", 2)
        if lines:
            self.lines += ["", f"# {step_title(name)}: {STEPS[name].does}", *lines]
        self.before = after

    def rest(self, steps: Steps, output: OutputParams) -> Lines:
        """Return the remaining steps as one recipe."""
        titles = ", ".join(step_title(name).lower() for name, _ in steps)
        why = "in one recipe, as these steps know of one another" if len(steps) > 1 else "as a recipe"
        return [
            "",
            f"# {titles.capitalize()}: {why}",
            *_literal(Recipe(tuple(steps), output=output)),
            *(self._update_stack() if self.lines else []),
            "result = nx.run_recipe(recipe, stack)",
        ]

    def result(self, output: OutputParams) -> Lines:
        """Return the lines that put together what was found."""
        text = "\n".join(self.lines)
        stores = [name for name in ("labels", "tables") if f"{name}[" in text]
        more = [f"{name}={name}" for name in stores]
        if "energy = energy" in text or "images, energy = " in text:
            more.append("energy=energy")
        if output.maps:
            more.append(f"kinds={literal(output.maps)}")
        if self.binned > 1:
            more.append(f"binned={self.binned}")
        if self.before.signal != self.stack_signal:
            more.append(f'signal="{self.before.signal}"')
        maps = "maps" if "maps[" in text or "maps |=" in text else "{}"
        before: Lines = []
        if output.stack or (maps == "{}" and not stores):
            before = self._update_stack()
            more = [part for part in more if part != "energy=energy" and "binned" not in part]
            more.append("kept=stack")
        return ["", "# What was found", *before, *call("result", "nx.make_result", "stack", maps, *more)]

    def _update_stack(self) -> Lines:
        """Return the lines that make `stack` hold the images as they are by now."""
        signal, parts = self.before.signal, ["data=images", "energy=energy"]
        if signal != self.stack_signal:
            parts.append(f'signal="{signal}"')
        if signal != "counts":
            parts += ["flat=None", "dark=None"]
        if self.before.normalized_here:
            parts.append('thickness=maps["thickness"]')
        lines = []
        if self.binned > 1:
            lines = [f"size = stack.pixel_size_um and {self.binned} * stack.pixel_size_um"]
            parts.append("pixel_size_um=size")
        return [*lines, *call("stack", "stack.replace", *parts)]


def _title(scan: str | Path) -> str:
    return str(scan).replace("\\", "/").rsplit("/")[-1].replace('"', "'")


def _literal(recipe: Recipe) -> Lines:
    """Return a recipe written out; what is at its default is left out."""
    steps = [f"            {literal({'do': name, **_json(params)})}," for name, params in recipe.steps]
    output = _json(recipe.output)
    return [
        "recipe = nx.Recipe.from_dict(",
        "    {",
        f'        "schema": {SCHEMA},',
        '        "step": [',
        *steps,
        "        ],",
        *([f'        "output": {literal(output)},'] if output else []),
        "    }",
        ")",
    ]


def _json(params: Params) -> dict[str, Any]:
    return params.model_dump(mode="json", include=set(given(params)))
