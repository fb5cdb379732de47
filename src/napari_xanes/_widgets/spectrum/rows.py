"""What a region holds in numbers; no Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One region; thickness is None where it is not known, fractions and their sigma by reference."""

    name: str
    color: str | None
    pixels: int
    thickness: float | None
    fractions: Mapping[str, tuple[float, float]] = field(default_factory=dict)
