"""Stacks made of stacks that were not read: dask arrays whose blocks are computed when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.lazy import AnyArray, LazyArray
from napari_xanes._core.data.stack import ArrayLike, rows_are_cheap

BLOCK_BYTES = 2**20
"""Of a frame about so much is one block, where rows are cheap."""


class Computed(LazyArray):
    """Frames as a function gives them: ``make(index, rows)``, rows start:stop of one frame as a fresh array."""

    def __init__(
        self, make: Callable[[int, slice], AnyArray], shape: Sequence[int], dtype: Any, *, cheap_rows: bool
    ) -> None:
        super().__init__(shape, dtype, cheap_rows=cheap_rows)
        self.make = make

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of a frame."""
        return self.make(index, rows)


def computed(
    make: Callable[[int, slice], AnyArray],
    source: Unread,
    *,
    shape: Sequence[int] | None = None,
    dtype: Any = np.float32,
    cheap_rows: bool = True,
) -> AnyArray:
    """Return frames that are made of those of a source as a dask array.

    Parameters
    ----------
    make : callable
        As of `Computed`.
    source : Unread
        (E, ...).
    shape : sequence of int, optional
        Of the result, if it is not that of the source.
    cheap_rows : bool
        Whether a few rows can be made without making the frame.
    """
    lazy = Computed(
        make, shape or source.shape, dtype, cheap_rows=cheap_rows and rows_are_cheap(as_array(source))
    )
    rows = lazy.shape[1]
    if lazy.cheap_rows:
        rows = max(1, BLOCK_BYTES // max(1, prod(lazy.shape[2:]) * lazy.dtype.itemsize))
    return as_dask(lazy, (1, min(rows, lazy.shape[1]), *lazy.shape[2:]))


def as_dask(array: ArrayLike, chunks: Sequence[int]) -> AnyArray:
    """Return an array as one of dask, of blocks of a shape."""
    from dask.array import from_array  # long to load

    meta = np.empty((0,) * array.ndim, array.dtype)
    blocks: AnyArray = from_array(array, tuple(chunks), name=False, asarray=True, meta=meta)
    return blocks


def as_array(source: Unread) -> ArrayLike:
    """Return values that were not read as what they are, an array."""
    return source
