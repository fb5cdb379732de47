"""Values in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LONGEST = 5
"""Lists longer than this are summed up."""


def value_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return Path(value).name if "/" in value or "\\" in value else value
    if isinstance(value, (list, tuple)):
        shown = ", ".join(value_text(item) for item in value[:LONGEST])
        return shown if len(value) <= LONGEST else f"{shown}, ... ({len(value)} values)"
    if isinstance(value, dict):
        return ", ".join(f"{key} {value_text(item)}" for key, item in value.items())
    return str(value)


def of_pixels(count: int, total: int, what: str = "pixels") -> str:
    """Return how many of all pixels something is true of, and which part of them that is."""
    return f"{count} of {total} {what} ({part_text(count, total)})"


def part_text(count: int, total: int) -> str:
    """Return a part in per cent."""
    part = 100 * count / max(total, 1)
    return "under 0.1 %" if 0 < part < 0.05 else f"{part:.1f} %"


def frame_text(index: int) -> str:
    """Return which frame an index means, counted from 1 as forms count."""
    return f"frame no. {index + 1}" if index >= 0 else f"frame no. {-index} from the end"


def no_such_frame(index: int, n: int) -> str:
    """Return of an index beyond a stack what it means and what there is, as files and as forms count."""
    return f"{index} ({frame_text(index)}), the stack has frames 0 to {n - 1} (no. 1 to {n})"


def fact_text(name: str, value: Any) -> str:
    """Return what a step found; of frames, which are named by their energies, first how many there are."""
    if name.endswith("_frames") and isinstance(value, (list, tuple)):
        return f"{len(value)} ({value_text(value)})"
    return value_text(value)
