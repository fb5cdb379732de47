"""What takes long to find is found once for a result, whatever ends the runs that make it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Protocol

import numpy as np

from napari_xanes._core.data.stack import Float32


class Facts(Protocol):
    """What was found, for a run that goes on with it."""

    def once(self, what: str, make: Callable[[], bytes]) -> bytes:
        """Return what `make` gives, of this run or of the one before it."""


def array_once(facts: Facts | None, what: str, make: Callable[[], Float32]) -> Float32:
    """Return an array that is found once."""
    if facts is None:
        return make()

    def stored() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, make(), allow_pickle=False)
        return buffer.getvalue()

    array: Float32 = np.load(io.BytesIO(facts.once(what, stored)), allow_pickle=False)
    return array
