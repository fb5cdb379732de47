"""What a run loads, for a process that others are forked from; nothing here may start a thread."""

import dask.array
import distributed
import hdf5plugin
import zarr

import napari_xanes.cli
from napari_xanes._core.align import align
from napari_xanes._core.fit import step
from napari_xanes._core.recipe.recipe import STEPS
from napari_xanes._core.runs import batch, result_zarr, run
from napari_xanes._progress import shown_progress

__all__ = [
    "STEPS",
    "align",
    "batch",
    "dask",
    "distributed",
    "hdf5plugin",
    "napari_xanes",
    "result_zarr",
    "run",
    "shown_progress",
    "step",
    "zarr",
]
