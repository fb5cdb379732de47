"""Run a recipe on a scan from Python: in memory, into a result that is written as it comes, or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_xanes._core.base.door import Count, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.io import read_stack
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.runs.batch import job_into, run_job
from napari_xanes._core.runs.cluster import run_jobs
from napari_xanes._core.runs.pipeline import run_steps


@public
def run_recipe(
    recipe: Recipe | str | Path,
    path_or_stack: EnergyStack | str | Path | Sequence[str | Path],
    *,
    progress: Progress | None = None,
    in_memory: bool | None = None,
    workers: Count | None = None,
    into: str | Path | None = None,
    resume: bool = False,
    client: Any = None,
) -> Result:
    """Read a scan, carry out the steps of a recipe and return the maps.

    Parameters
    ----------
    recipe : Recipe or path
        What to do.
    path_or_stack : EnergyStack, path or list of paths
        What to do it with; files are read as the recipe's ``[input]`` says.
    progress : callable, optional
        ``progress(done, total, text)``; raises `Cancelled` to stop.
    in_memory : bool, optional
        True keeps the whole stack in memory as float32, False streams it in bands of rows and keeps only maps;
        None streams, too, and first unpacks what would have to be unpacked again and again, see `unpack`.  The numbers
        are the same.
    workers : int, optional
        Number of threads.
    into : path, optional
        Where the result is written, ending in .h5 or .zarr, maps of volumes as they come, which are then read where they
        are looked at.  A result that is there is replaced.
    resume : bool
        With `into`, go on from what an earlier run of the same has left that was ended.
    client : distributed.Client, optional
        With `into`, the cluster that does the work; its workers open the files themselves.

    Returns
    -------
    Result

    Raises
    ------
    XanesError
        With one sentence for the user.
    """
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    if into is not None or client is not None:
        return _run_into(recipe, path_or_stack, into, resume, client, progress or no_progress, workers)
    if isinstance(path_or_stack, EnergyStack):
        stack = path_or_stack
    else:
        stack = read_stack(path_or_stack, **recipe.input.model_dump())
    return run_steps(
        stack,
        recipe.steps,
        keep_stack=recipe.output.stack,
        kinds=recipe.output.maps,
        progress=progress,
        in_memory=in_memory,
        workers=workers,
    )


def _run_into(
    recipe: Recipe,
    scan: object,
    into: str | Path | None,
    resume: bool,
    client: Any,
    progress: Progress,
    workers: int | None,
) -> Result:
    """Run a recipe on a file or folder and write the result, here or on a cluster."""
    if into is None:
        raise InputError("a cluster writes its results itself; give into, the name of a .zarr or .h5 result.")
    if not isinstance(scan, (str, Path)):
        raise InputError(
            "a result that is written while it is made needs the scan's file or folder, not a stack."
        )
    job = job_into(recipe, scan, into, resume=resume)
    if client is None:
        return run_job(recipe, job, workers=workers, progress=progress)
    ((_, outcome),) = run_jobs(client, recipe, [job], workers=workers, progress=lambda _: progress)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
