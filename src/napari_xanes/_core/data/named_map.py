"""A result image with its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class NamedMap:
    """A result image: what it is, of which reference, in which unit."""

    data: NDArray[Any]
    kind: str
    unit: str = ""
    reference: str | None = None
