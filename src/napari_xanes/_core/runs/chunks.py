"""How the chunks of a result get into its Zarr store: those that are written already by links, all others once.

While volumes are computed, their maps are written in chunks as the result has them (see `map_store`).  So a map of the
result that is one of them is neither read nor packed again: the files of its chunks get a second name.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMED = {"name": "default", "configuration": {"separator": "/"}}
"""How the file of a chunk is named that lies in a known place."""
ALIKE = ("zarr_format", "data_type", "chunk_key_encoding", "fill_value", "codecs", "storage_transformers")
"""What arrays say of themselves that have chunks of the same bytes."""


@dataclass(frozen=True)
class Packed:
    """An image whose chunks are written: an array of a Zarr store by its folder, or one of the images (K, ...) in it."""

    folder: Path
    lead: tuple[int, ...] = ()

    def link_into(self, folder: Path) -> bool:
        """Give the chunks to a new array if they are just what it is to hold; return whether they are."""
        here, there = (json.loads((one / "zarr.json").read_bytes()) for one in (self.folder, folder))
        if any(here.get(name) != there.get(name) for name in ALIKE) or there["chunk_key_encoding"] != NAMED:
            return False
        grid, chunk = (one["chunk_grid"]["configuration"]["chunk_shape"] for one in (here, there))
        n, shape = len(self.lead), there["shape"]
        if here["shape"][n:] != shape or grid != [*[1] * n, *chunk]:
            return False
        *rows, last = (range(-(-size // part)) for size, part in zip(shape, chunk, strict=True))
        begin = self.folder.joinpath("c", *map(str, self.lead))
        for row in product(*rows):
            place = Path(*map(str, row))
            (folder / "c" / place).mkdir(parents=True)
            for i in last:
                _link(begin / place / str(i), folder / "c" / place / str(i))
        return True


def packed_images(folder: Path, images: Any) -> Iterator[tuple[str, Packed]]:
    """Yield the names that dask has for a volume, or volumes (K, ...) and each of them, and where their chunks are."""
    yield images.name, Packed(folder)
    for k in range(len(images) if images.ndim == 4 else 0):
        yield images[k].name, Packed(folder, (k,))


def _link(chunk: Path, name: Path) -> None:
    """Give a chunk another name, or copy it where files have but one; one that is empty is no file."""
    with suppress(FileNotFoundError):
        try:
            os.link(chunk, name)
        except OSError:
            shutil.copyfile(chunk, name)


def fill(images: Sequence[tuple[Any, Any, Path]], packed: Mapping[str, Packed]) -> None:
    """Fill arrays of a new store, each given with its image before it and its folder behind it.

    All images that dask computes are computed together, so that what they are made of is read once.
    """
    unread = []
    for image, array, folder in images:
        one = packed.get(getattr(image, "name", ""))
        if one is not None and one.link_into(folder):
            continue
        if hasattr(image, "dask"):
            unread.append((image.rechunk(array.chunks), array))
            continue
        for block in blocks_of(array.shape, array.chunks):
            array[block] = np.asarray(image[block])
    if unread:
        from dask.array.core import store

        sources, targets = zip(*unread, strict=True)
        store(list(sources), list(targets), lock=False)


def fill_coarser(levels: Sequence[Any]) -> None:
    """Fill ever coarser copies of an image, the first of the arrays, chunk by chunk."""
    for finer, array in pairwise(levels):
        step = step_of(finer.shape)
        for block in blocks_of(array.shape, array.chunks):
            wide = tuple(slice(b.start * s, b.stop * s) for b, s in zip(block, step, strict=True))
            array[block] = _coarser(finer[wide], step)


def step_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Return how many pixels along each axis become one in the next coarser copy."""
    return tuple(2 if n > 1 else 1 for n in shape)


def blocks_of(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield where the chunks of an array lie."""
    starts = (range(0, n, c) for n, c in zip(shape, chunks, strict=True))
    for start in product(*starts):
        yield tuple(slice(a, min(a + c, n)) for a, c, n in zip(start, chunks, shape, strict=True))


def _coarser(values: NDArray[Any], step: Sequence[int]) -> NDArray[Any]:
    """Return means over `step` pixels along each axis, of the valid ones; of whole numbers every so many."""
    if values.dtype.kind != "f":
        return values[tuple(slice(None, None, s) for s in step)]
    missing = [(0, -n % s) for n, s in zip(values.shape, step, strict=True)]
    parts = np.pad(values, missing, constant_values=np.nan)
    parts = parts.reshape([m for n, s in zip(parts.shape, step, strict=True) for m in (n // s, s)])
    axes = tuple(range(1, parts.ndim, 2))
    valid = np.isfinite(parts)
    count = valid.sum(axis=axes)
    total = np.where(valid, parts, 0).sum(axis=axes, dtype=np.float64)
    mean: NDArray[Any] = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(values.dtype)
    return mean
