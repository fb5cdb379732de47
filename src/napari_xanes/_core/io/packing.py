"""Values that are stored as smaller numbers: scale, offset, and the marks of what is not there (CF conventions)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MARKS = ("_FillValue", "missing_value")


@dataclass(frozen=True, eq=False)
class Packing:
    """How stored numbers become values: ``value = stored * scale + offset``, NaN where there is none."""

    dtype: np.dtype[Any]
    scale: float = 1.0
    offset: float = 0.0
    marks: tuple[float, ...] = ()
    low: float = -np.inf
    high: float = np.inf

    def unpack(self, stored: Any) -> Any:
        """Return values."""
        stored = np.asarray(stored)
        values = stored.astype(self.dtype)
        invalid = np.zeros(stored.shape, bool)
        for mark in self.marks:
            invalid |= stored == mark
        if self.low > -np.inf:
            invalid |= stored < self.low
        if self.high < np.inf:
            invalid |= stored > self.high
        if self.scale != 1.0:
            values *= self.dtype.type(self.scale)
        if self.offset != 0.0:
            values += self.dtype.type(self.offset)
        return np.where(invalid, self.dtype.type(np.nan), values)[()]

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        parts = []
        if self.scale != 1.0 or self.offset != 0.0:
            parts.append(f"scaled by {self.scale:g} and shifted by {self.offset:g}")
        if self.marks or self.low > -np.inf or self.high < np.inf:
            parts.append("values declared as missing or out of range made invalid")
        return f"as the file declares, {' and '.join(parts)}"


def packing_of(stored: np.dtype[Any], attrs: Mapping[str, Any]) -> Packing | None:
    """Return how values are packed as attributes say; None if they are stored as they are."""
    scale, offset = _number(attrs, "scale_factor", 1.0), _number(attrs, "add_offset", 0.0)
    marks = [float(v) for key in MARKS for v in _numbers(attrs.get(key)) if np.isfinite(v)]
    span = _numbers(attrs.get("valid_range"))
    low = _number(attrs, "valid_min", span[0] if len(span) == 2 else -np.inf)
    high = _number(attrs, "valid_max", span[1] if len(span) == 2 else np.inf)
    if (scale, offset, low, high) == (1.0, 0.0, -np.inf, np.inf) and not marks:
        return None
    wide = stored.itemsize > (2 if stored.kind in "iu" else 4)
    return Packing(np.dtype(np.float64 if wide else np.float32), scale, offset, tuple(marks), low, high)


def _number(attrs: Mapping[str, Any], name: str, default: float) -> float:
    values = _numbers(attrs.get(name))
    return values[0] if len(values) == 1 and np.isfinite(values[0]) else default


def _numbers(value: Any) -> list[float]:
    if value is None:
        return []
    try:
        return [float(v) for v in np.ravel(np.asarray(value, dtype=np.float64))]
    except (TypeError, ValueError):
        return []
