"""Steps as lines of Python with the public functions: what scripts are put together from.

The writer of a step stands beside the step and returns its lines, or None where only the recipe does what the
parameters ask for.  In these lines `images` (E, ...), `energy` and `stack` are what came before, `maps`, `labels` and
`tables` what was found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from napari_xanes._core.base.params import Params
from napari_xanes._core.data.stack import SIGNALS, Signal

WIDTH = 100
Lines = list[str]


@dataclass(frozen=True)
class Before:
    """What is known before a step: what the images are, and whether the script normalised them itself."""

    signal: Signal
    normalized_here: bool = False

    def then(self, gives: Signal | None) -> Before:
        """Return what is known after a step that gives a signal."""
        if gives == "normalized":
            return Before("normalized", True)
        if gives is None or SIGNALS.index(gives) < SIGNALS.index(self.signal):
            return self
        return Before(gives, self.normalized_here)


def given(params: Params) -> dict[str, Any]:
    """Return the parameters that differ from their defaults, in the order of their declaration."""
    values = {}
    for name, info in type(params).model_fields.items():
        value = getattr(params, name)
        if info.is_required() or value != info.get_default(call_default_factory=True):
            values[name] = value
    return values


def call(target: str, function: str, *args: str, then: str = "", **keywords: Any) -> Lines:
    """Return ``target = function(args, keywords)then`` in as many lines as it needs."""
    parts = [*args, *(f"{name}={literal(value)}" for name, value in keywords.items())]
    head = f"{target} = {function}(" if target else f"{function}("
    line = f"{head}{', '.join(parts)}){then}"
    if len(line) <= WIDTH:
        return [line]
    return [head, *(f"    {part}," for part in parts), f"){then}"]


def literal(value: Any) -> str:
    """Return a plain value as Python has it, strings in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    return repr(value)


def list_lines(target: str, items: Lines) -> Lines:
    """Return ``target = [items]`` in as many lines as it needs."""
    line = f"{target} = [{', '.join(items)}]"
    return [line] if len(line) <= WIDTH else [f"{target} = [", *(f"    {item}," for item in items), "]"]
