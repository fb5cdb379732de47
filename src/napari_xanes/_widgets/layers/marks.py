"""Whether a stack's layer still shows the data that a step was run on: others may put in new ones, or write into them.

Of what is written into them as much is noticed as a sample tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from zlib import crc32

import numpy as np

from napari_xanes._widgets.layers.masked import MASKED, data_of

MARKS = "xanes_marks"
"""Where a stack's metadata keep, for each step that was run on it, the mark of its data then."""
MOST = 10_000
"""Values that are looked at."""
NOW: Literal["now"] = "now"
Mark = int | Literal["now"]
"""The mark of a layer's data when a step began, or that of those there are."""


def mark_of(layer: Any) -> int | None:
    """Return a number that tells the data of a layer, without a mask, from others; None where they are not in memory."""
    data, kept = data_of(layer), layer.metadata.get(MASKED)
    if kept and kept["shown"] is data:
        data = kept["original"]
    if not isinstance(data, np.ndarray) or isinstance(data, np.memmap):
        return None
    step = max(1, data.size // MOST) | 1  # odd: else the same columns of each row
    return crc32(np.ascontiguousarray(data.flat[::step]).tobytes(), crc32(repr(data.shape).encode()))


def marked(layer: Any, step: str, mark: int | None) -> dict[str, Any]:
    """Return what a stack's metadata are to keep of a step that was run on data with this mark."""
    return {MARKS: {**(layer.metadata.get(MARKS) or {}), step: mark}}


def unchanged(layer: Any, steps: Iterable[str]) -> list[str]:
    """Return those of some steps since which a stack's data are the same, as far as is known."""
    marks = layer.metadata.get(MARKS) or {}
    now = mark_of(layer) if marks else None
    return [step for step in steps if marks.get(step, now) == now]
