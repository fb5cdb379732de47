"""A stack seen through a mask: NaN outside, without a copy of the stack, which may be larger than memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.history import Entry
from napari_xanes._core.data.stack import ArrayLike, pieces, rows_are_cheap

MASKED = "xanes_mask"
"""Where a layer's metadata keep what a mask hides.

"inside" is the mask, "original" and "shown" are the data without and with it, "entry" is that of the history, "history"
the one before.
"""


class MaskedStack:
    """An array-like with energy first whose pixels outside a mask are NaN.

    Parameters
    ----------
    base : array-like (E, ...)
        The stack; never written to.
    inside : array of bool (...)
    """

    def __init__(self, base: ArrayLike, inside: NDArray[np.bool_]) -> None:
        self.base, self.inside = base, inside
        self.shape, self.ndim = tuple(base.shape), base.ndim
        self.dtype = base.dtype if np.dtype(base.dtype).kind == "f" else np.dtype(np.float32)
        self.cheap_rows, self.pieces = rows_are_cheap(base), pieces(base)

    def __getitem__(self, key: Any) -> Any:
        """Return a part as a new array."""
        keys = key if isinstance(key, tuple) else (key,)
        where = [k is Ellipsis for k in keys]
        if any(where):
            i = where.index(True)
            fill = (slice(None),) * (self.ndim - len(keys) + 1)
            keys = (*keys[:i], *fill, *keys[i + 1 :])
        values = np.asarray(self.base[keys])
        return np.where(self.inside[keys[1:]], values, np.nan).astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of it, in memory."""
        return np.asarray(self[:], dtype=dtype)


def data_of(layer: Any) -> Any:
    """Return a layer's data themselves: docks may be given layers that wrap every object of a package named napari..."""
    data = getattr(layer.data, "__wrapped__", layer.data)
    return data[0] if getattr(layer, "multiscale", False) else data  # of the finest copy


def mask_entry(layer: Any) -> Entry | None:
    """Return what the history of a stack's results has to say of the mask that its layer is seen through."""
    kept = layer.metadata.get(MASKED)
    return Entry.from_json(kept["entry"]) if kept and kept["shown"] is data_of(layer) else None


def applied_mask(layer: Any) -> NDArray[np.bool_] | None:
    """Return the mask that a layer is seen through, or None."""
    kept = layer.metadata.get(MASKED)
    inside: NDArray[np.bool_] | None = (
        kept.get("inside") if kept and kept["shown"] is data_of(layer) else None
    )
    return inside
