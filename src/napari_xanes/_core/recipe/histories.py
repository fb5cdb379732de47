"""Histories of several results of one scan, put together to the one recipe that makes them all again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

Entry = dict[str, Any]

MEASURING = frozenset(
    (
        *("peak", "edge_position", "white_line", "shift_map", "fit", "residual"),
        *("cluster", "decompose", "rank"),
    )
)
"""Steps that leave the stack as it is."""


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
            key = json.dumps(entry, sort_keys=True)
            if key in keys[at:]:
                at = keys.index(key, at) + 1
            else:
                merged.insert(at, entry)
                keys.insert(at, key)
                at += 1
    return tuple(merged)


def _changes(entry: Entry) -> bool:
    if entry["do"] == "mask":
        return bool(entry["params"].get("apply", True))
    return entry["do"] not in MEASURING
