"""One recipe on many scans: what will be written where, what is done already, and each scan in turn.

Everything that would have to be refused is refused before any work begins; a result appears under its name only
when it is whole, and last, so that whatever stops a run, it can be resumed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.base.files import check_disk, whole_file
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.kinds import kind
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.engine import blocks
from napari_xanes._core.fit.fit import FitParams, choose_references
from napari_xanes._core.io import read_stack
from napari_xanes._core.prepare.combine import combine_scans
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.export import WRITERS, export_maps
from napari_xanes._core.runs.pipeline import choose_memory, run_recipe
from napari_xanes._core.runs.result_file import load_result, read_fact, save_result

MARK = "# made by napari-xanes"
"""How a recipe begins that stands beside a result; such a file may be replaced when its result is made anew."""


@dataclass(frozen=True)
class Job:
    """One scan and where its result goes.

    Attributes
    ----------
    scan : Path
        File or folder.
    target : Path
        The result file; ``<target without .h5>.toml`` and ``..._maps/`` stand beside it.
    done : bool
        Whether the result is there already, of the same recipe and the same files.
    more : tuple of Path
        Scans that are combined with the first.
    """

    scan: Path
    target: Path
    done: bool = False
    more: tuple[Path, ...] = ()


def plan(
    recipe: Recipe,
    scans: Sequence[str | Path],
    folder: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    combine: bool = False,
) -> list[Job]:
    """Return what is to be done, or refuse it before anything is.

    Parameters
    ----------
    recipe : Recipe
    scans : sequence of path
        Each one scan: a file, or a folder of files.
    folder : path
        Where the results go.
    resume : bool
        Leave results alone that are there already, of the same recipe and unchanged files.
    overwrite : bool
        Replace any other result that is there.
    combine : bool
        Put all scans together to one, see `combine_scans`.

    Raises
    ------
    DataFileError
        If a scan is missing, or a result is there and may not be replaced.
    InputError
        If two scans would give the same result file, or a result would replace its scan.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise DataFileError(f"{folder} is a file, expected a folder for the results; choose another.")
    if not recipe.steps:
        raise InputError("the recipe has no steps, so there is nothing to do; add [[step]] tables.")
    jobs: dict[Path, Job] = {}
    paths = [Path(scan) for scan in scans]
    for missing in (path for path in paths if not path.exists()):
        raise DataFileError(f"{missing}: there is no such file or folder.")
    for scan, *more in [paths] if combine else [[path] for path in paths]:
        named = f"{_name(scan)}_and_{len(more)}_more" if more else _name(scan)
        target = folder / f"{named}.h5"
        if target in jobs:
            raise InputError(
                f"{jobs[target].scan} and {scan} would both be written to {target}; run them into two folders."
            )
        if target.resolve() == scan.resolve():
            raise InputError(
                f"the result would replace its own scan {scan}; choose another folder than {folder}."
            )
        done = resume and _is_done(recipe, [scan, *more], target)
        if target.is_dir():
            raise DataFileError(
                f"{target} is a folder, the result would be a file of that name; choose another --out."
            )
        for written in (target, target.with_suffix(".toml")):
            if written.exists() and not done and not overwrite and not (resume and _is_left_over(written)):
                raise DataFileError(_refusal(written, resume))
        jobs[target] = Job(scan, target, done, tuple(more))
    return list(jobs.values())


def _name(scan: Path) -> str:
    return scan.resolve().name if scan.is_dir() else scan.stem


def _is_left_over(written: Path) -> bool:
    """Whether a file is the recipe of a run that ended before its result was whole."""
    if written.suffix != ".toml" or written.with_suffix(".h5").exists():
        return False
    with open(written, "rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def _refusal(target: Path, resume: bool) -> str:
    if target.suffix == ".toml" and not target.with_suffix(".h5").exists() and not _is_left_over(target):
        return f"{target} is not of this program, and the recipe used would replace it; give --overwrite to allow that, or another --out."
    if resume:
        return f"{target} was made by another recipe or from files that have changed since; give --overwrite to replace it."
    return f"{target} exists already; give --resume to keep it, --overwrite to replace it, or another --out."


def run_job(
    recipe: Recipe,
    job: Job,
    *,
    export: Sequence[str] = (),
    stack: EnergyStack | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run a recipe on one scan and write the result, its recipe with all values resolved, and the exports.

    Parameters
    ----------
    recipe : Recipe
    job : Job
        From `plan`.
    export : sequence of {"tiff", "csv"}
        Written besides what the recipe says.
    stack : EnergyStack, optional
        The scan, if it is open already.
    workers, progress
        See `run_recipe`.

    Raises
    ------
    XanesError
        With one sentence for the user; nothing half-written is left.
    """
    stack = open_scan(recipe, job) if stack is None else stack
    made_from = _made_from(recipe, job, stack.source)
    result = run_recipe(recipe, stack, progress=progress, workers=workers)
    result = dataclasses.replace(result, extra=result.extra | {"made_from": made_from})
    if formats := (*recipe.output.export, *export):
        export_maps(result, _exports(job), formats)
    resolved = Recipe.of(result)
    resolved = dataclasses.replace(
        resolved, output=recipe.output, input=recipe.input if job.more else resolved.input
    )
    with whole_file(job.target.with_suffix(".toml")) as part:
        part.write_text(f"{MARK}: how {job.target.name} was made\n{resolved.to_toml()}", encoding="utf-8")
    save_result(result, job.target)
    return result


def export_again(recipe: Recipe, job: Job, export: Sequence[str]) -> None:
    """Write the exports of a result that is there already, if they are asked for and none are there."""
    if (formats := (*recipe.output.export, *export)) and not _exports(job).exists():
        export_maps(load_result(job.target), _exports(job), formats)


def _exports(job: Job) -> Path:
    return job.target.with_name(f"{job.target.stem}_maps")


def open_scan(recipe: Recipe, job: Job) -> EnergyStack:
    """Read a scan, or several as one, as the recipe's ``[input]`` says."""
    stacks = [read_stack(scan, **recipe.input.model_dump()) for scan in (job.scan, *job.more)]
    return combine_scans(stacks) if job.more else stacks[0]


def check_exports(formats: Sequence[str]) -> None:
    """Refuse formats that cannot be written."""
    for name in formats:
        if name not in WRITERS:
            raise InputError(f"export format is '{name}', expected one of {', '.join(WRITERS)}.")


def memory_needed(recipe: Recipe, stack: EnergyStack, workers: int | None = None) -> tuple[int, bool]:
    """Return about how many bytes the maps of a scan will take to compute, and whether it is streamed.

    Raises
    ------
    ResourceError
        If they are not free.
    """
    pixels, energies = prod(stack.image_shape), stack.shape[0]
    streamed = not (recipe.output.stack or choose_memory(stack))
    if streamed:
        band = blocks.row_blocks(stack.image_shape, energies)[0]
        share = (band.stop - band.start) / stack.image_shape[0] * (workers or blocks.default_workers())
        held = int(2 * min(share, 1) * pixels * energies)
    else:
        held = pixels * energies
    needed = 4 * (held + _count_maps(recipe) * pixels)
    check_memory(needed, f"{stack.name} {stack.shape}")
    return needed, streamed


def disk_needed(recipe: Recipe, stack: EnergyStack, target: Path, export: Sequence[str] = ()) -> int:
    """Return about how many bytes the result of a scan and its exports will take on the disk.

    Raises
    ------
    ResourceError
        If they are not free.
    """
    pixels, energies = prod(stack.image_shape), stack.shape[0]
    copies = 2 if "tiff" in (*recipe.output.export, *export) else 1
    values = copies * _count_maps(recipe) * pixels + (energies * pixels if recipe.output.stack else 0)
    check_disk(4 * values, target)
    return 4 * values


def _count_maps(recipe: Recipe) -> int:
    """Return how many maps the steps make, about; none of those that are not kept."""
    if not recipe.output.maps:
        return sum(STEPS[name].map_count(params) for name, params in recipe.steps)
    of_references = [len(choose_references(p)) for _, p in recipe.steps if isinstance(p, FitParams)]
    return sum(max(of_references, default=1) if kind(one).prefix else 1 for one in recipe.output.maps)


# -- what a result was made from ----------------------------------------------------------------------


def _made_from(recipe: Recipe, job: Job, source: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe and the sizes and times of all files that go in, as json can write them.

    The reader's `source` names the files that it found by itself, such as energies beside the images.
    """
    texts = [
        value
        for one in source.get("combined", [source])
        for value in one.values()
        if isinstance(value, str) and os.path.isabs(value)
    ]
    found = [Path(part) for text in texts for part in (text, text.partition(":/")[0])]  # file.h5:/dataset
    files = [
        *_scan_files(job.scan, *job.more),
        *_step_files(recipe),
        *(path for path in found if path.is_file()),
    ]
    return {**_asked_for(recipe), "files": {str(path.resolve()): _stamp(path) for path in files}}


def _is_done(recipe: Recipe, scans: Sequence[Path], target: Path) -> bool:
    """Whether a result is of this recipe and of files that are still as they were."""
    saved = read_fact(target, "made_from")
    if not isinstance(saved, dict) or {key: saved.get(key) for key in ("recipe", "stack")} != _asked_for(
        recipe
    ):
        return False
    needed = {str(path.resolve()) for path in (*_scan_files(*scans), *_step_files(recipe))}
    return needed <= saved["files"].keys() and all(
        os.path.isfile(path) and _stamp(Path(path)) == stamp for path, stamp in saved["files"].items()
    )


def _asked_for(recipe: Recipe) -> dict[str, Any]:
    table = recipe.to_dict()
    table.pop("output", None)
    return {"recipe": table, "stack": recipe.output.stack}


def _scan_files(*scans: Path) -> list[Path]:
    files: list[Path] = []
    for scan in scans:
        files += sorted(path for path in scan.iterdir() if path.is_file()) if scan.is_dir() else [scan]
    return files


def _step_files(recipe: Recipe) -> list[Path]:
    return [Path(path) for _, params in recipe.steps for paths in params.files().values() for path in paths]


def _stamp(path: Path) -> list[int]:
    try:
        about = path.stat()
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror}.") from None
    return [about.st_size, about.st_mtime_ns]
