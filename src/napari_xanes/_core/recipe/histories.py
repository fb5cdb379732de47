"""Histories of several results of one scan, put together to the one recipe that makes them all again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from napari_xanes._core.base.params import Params
from napari_xanes._core.data.history import Entry
from napari_xanes._core.recipe.steps import STEPS


def merge_histories(histories: Iterable[Sequence[Entry]]) -> tuple[Entry, ...]:
    """Return one history that holds every step of all, each after the steps that it was carried out after.

    Steps that only measure can stand in any order; those that change the stack cannot.  So what was measured on a
    stack comes right after what made it, before others go on to change it.
    """
    merged: list[Entry] = []
    keys: list[str] = []
    for history in sorted(histories, key=lambda one: -sum(map(_changes, one))):
        at = 0
        for entry in history:
            key = _key(entry)
            if key in keys[at:]:
                at = keys.index(key, at) + 1
            else:
                merged.insert(at, entry)
                keys.insert(at, key)
                at += 1
    return tuple(merged)


def changes_stack(name: str, params: Mapping[str, Any] | Params) -> bool:
    """Whether later steps see other images because of a step."""
    values = params if isinstance(params, Mapping) else params.model_dump()
    return not (name in STEPS and STEPS[name].measures) and bool(values.get("apply", True))


def _changes(entry: Entry) -> bool:
    return changes_stack(entry.step, entry.params)


def _key(entry: Entry) -> str:
    """Return what tells two entries apart: the step and its parameters, and of a painted mask which pixels it has.

    What was found does not: the same step, run again on the way to another, may find the last digit otherwise.
    """
    found = dict(entry.facts) if entry.facts.get("painted") else {}
    return json.dumps([entry.step, dict(entry.params), found], sort_keys=True)
