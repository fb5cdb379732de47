"""Stacks, results and histories in words, for people to read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from napari.layers import Layer

from napari_xanes._core.base.words import fact_text, of_pixels, part_text
from napari_xanes._core.data.history import Entry, last_entry
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import SIGNAL_WORDS, EnergyStack
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.recipe.edited import FACTS, UNTOLD, parameter_text
from napari_xanes._core.recipe.steps import step_title
from napari_xanes._widgets.layers.layers import about, stack_layers
from napari_xanes._widgets.layers.masked import mask_entry
from napari_xanes._widgets.parts.spoken import choice_text, column_text, label_of, spoken


def in_voxels(text: str, layer: Layer | None) -> str:
    """Return a sentence with voxels for pixels where a stack is of volumes."""
    if layer is None or layer.ndim < 4:
        return text
    return re.sub(r"(?<=\d) px\b", " voxels", text.replace("pixels", "voxels").replace("pixel", "voxel"))


def frames_text(layer: Layer) -> str:
    """Return the number and size of the frames of a stack and its layer's name."""
    n, *size = layer.data.shape
    masked = " (masked)" if mask_entry(layer) else ""
    kind = "volumes" if len(size) == 3 else "frames"
    return f"{n} {kind} of {' x '.join(map(str, size))} of '{layer.name}'{masked}"


def stack_text(stack: EnergyStack) -> str:
    """Return what a stack is, in a line: energies, size, signal, flats and darks."""
    energy, size = stack.energy, " x ".join(map(str, stack.image_shape))
    parts = [
        f"{energy.size} energies, {energy[0]:.1f} to {energy[-1]:.1f} eV"
        if energy.size > 1
        else f"{energy[0]:.1f} eV",
        f"{size} {'voxels' if len(stack.image_shape) == 3 else 'px'}",
        SIGNAL_WORDS[stack.signal],
        *(["computed on demand"] if isinstance(stack.data, ComputedStack) else []),
    ]
    for name, images in (("flat", stack.flat), ("dark", stack.dark)):
        if images is not None:
            count = images.shape[0] if images.ndim > 2 else 1
            parts.append(f"{count} {name}{'s' * (count > 1)}")
    return ", ".join(parts)


def why_on_demand(viewer: Any, parent: Layer, role: str) -> str:
    """Return why the stack that a step made of another is computed on demand; empty if it is not, or there is none."""
    made = [about(one) for one in stack_layers(viewer) if about(one).get("role") == role]
    whys = [one.get("on_demand", "") for one in made if one["made_from"] == about(parent)["id"]]
    return str(whys[0]) if whys else ""


def facts(result: Result, step: str) -> Mapping[str, Any]:
    """Return what a step found, the last time it ran."""
    entry = last_entry(result.history, step)
    return {} if entry is None else entry.facts


def resolved(result: Result, step: str) -> Mapping[str, Any]:
    """Return the parameters of a step as they were resolved, the last time it ran."""
    entry = last_entry(result.history, step)
    return {} if entry is None else entry.params


def without_text(empty: int, unseen: int, total: int) -> str:
    """Return how many of all pixels hold nothing, and how many have no data, to be put behind a result; "" if none."""
    parts = [f"{of_pixels(empty, total)} hold no element that stands out"] if empty else []
    if unseen:
        count = f"{unseen} ({part_text(unseen, total)})" if empty else of_pixels(unseen, total)
        parts.append(f"{count} have no data, as outside the view")
    return "".join(f"; {part}" for part in parts)


def history_text(name: str, source: dict[str, Any], history: Sequence[Entry]) -> str:
    """Return one paragraph a step: what was done, with which parameters, and what was found."""
    lines = [f"{name}: {source.get('path') or 'made in memory'}"]
    for number, entry in enumerate(history, 1):
        lines.append(f"{number}. {step_title(entry.step)}")
        lines += [
            f"   {label_of(entry.step, key)}: {_value_text(key, value)}"
            for key, value in entry.params.items()
            if value != []
        ]
        found = {key: value for key, value in entry.to_json()["found"].items() if key not in UNTOLD}
        lines += [
            f"   {_found_title(key)}: {_found_text(key, value)}"
            for key, value in found.items()
            if value != []
        ]
    return "\n".join(lines)


def _value_text(key: str, value: Any) -> str:
    """Return a value in words, choices as the forms name them."""
    choice = isinstance(value, str) and value.isidentifier()
    return choice_text(value) if choice else parameter_text(key, value)


def _found_title(key: str) -> str:
    """Return what is found in the words of the history's list, written as the parameters are."""
    words, unit = FACTS.get(key, (column_text(key), ""))
    text = f"{words} ({unit})" if unit else words
    return text[:1].upper() + text[1:]


def _found_text(key: str, value: Any) -> str:
    """Return what was found in words; two numbers are no range."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return spoken("; ".join(value) if key == "warnings" else fact_text(key, value))
