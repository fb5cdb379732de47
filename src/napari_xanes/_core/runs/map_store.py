"""Maps on the disk while they are computed, so that memory does not depend on the number of voxels.

A pass over volumes puts the maps of each slab into a Zarr store beside the result, and steps then see them as dask arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.files import scratch_folder
from napari_xanes._core.engine.passes import RawMaps
from napari_xanes._core.runs.result_file import is_store_name
from napari_xanes._core.runs.result_zarr import CHUNK, lazy, new_store, packing


class MapStore:
    """The maps of passes over volumes, in a store that is removed afterwards."""

    rows: int = CHUNK[3][0]
    """Planes that are best put at once."""

    def __init__(self, folder: Path) -> None:
        self._root = new_store(folder)
        self._passes = 0
        self._arrays: list[dict[str, Any]] = []

    def put(self, slab: slice, image_shape: Sequence[int], maps: Sequence[Mapping[str, Any]]) -> None:
        """Write the maps of a slab of planes, one mapping for each kernel."""
        if slab.start == 0:
            self._begin(image_shape, maps)
        for arrays, kernel in zip(self._arrays, maps, strict=True):
            for name, array in arrays.items():
                array[..., slab, :, :] = kernel[name]

    def _begin(self, image_shape: Sequence[int], maps: Sequence[Mapping[str, Any]]) -> None:
        self._passes += 1
        chunks = tuple(min(c, n) for c, n in zip(CHUNK[3], image_shape, strict=True))
        self._arrays = [
            {
                name: self._root.create_array(
                    f"{self._passes}/{number}/{name}",
                    shape=(*part.shape[:-3], *image_shape),
                    chunks=(*(1,) * (part.ndim - 3), *chunks),
                    dtype=part.dtype,
                    fill_value=np.nan if part.dtype.kind == "f" else 0,
                    **packing(),
                )
                for name, part in kernel.items()
            }
            for number, kernel in enumerate(maps)
        ]

    def maps(self) -> RawMaps:
        """Return the maps of the last pass, read where they are looked at."""
        return [{name: lazy(array) for name, array in kernel.items()} for kernel in self._arrays]


@contextmanager
def maps_beside(target: str | Path) -> Iterator[MapStore | None]:
    """Give where maps are put while a result is made, if it is a Zarr store."""
    if not is_store_name(target):
        yield None
        return
    with scratch_folder(Path(target).parent) as folder:
        yield MapStore(folder / "maps")
