"""One recipe on many scans: what will be written where, what is done already, and each scan in turn.

Everything that would have to be refused is refused before any work begins; a result appears under its name only
when it is whole, and last, so that whatever stops a run, it can be resumed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_xanes._core.base.checks import check_choice
from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.base.files import (
    LONGEST_NAME,
    check_folder,
    checked_path,
    shown,
    write_text,
)
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.io import read_stack
from napari_xanes._core.prepare.combine import combine_scans
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.runs.beside import FACT, all_in_place, are_complete, check_own, replace_exports
from napari_xanes._core.runs.export import WRITERS
from napari_xanes._core.runs.made_from import check_unchanged, is_made_of, made_from
from napari_xanes._core.runs.map_store import MapStore, forget_begun, maps_beside
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._core.runs.result_file import (
    SUFFIXES,
    check_result,
    is_result_file,
    load_result,
    open_result,
    save_made,
    save_result,
)

Results = Literal["h5", "zarr"]
NO_STEPS = "the recipe has no steps, so there is nothing to do; add [[step]] tables."
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
    fault : str
        Why it cannot be done, a sentence; empty if it can.
    resume : bool
        Whether to go on from what a run has left that was ended.
    """

    scan: Path
    target: Path
    done: bool = False
    more: tuple[Path, ...] = ()
    fault: str = ""
    resume: bool = False


def plan(
    recipe: Recipe,
    scans: Sequence[str | Path],
    folder: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    combine: bool = False,
    export: Sequence[str] = (),
    recipe_file: str | Path | None = None,
    results: str = "h5",
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
        Leave results alone that are there already, of the same recipe and unchanged files, and go on from what is whole
        of the volumes that a run was ended in.
    overwrite : bool
        Replace any other result that is there; never a file that this program did not write.
    combine : bool
        Put all scans together to one, see `combine_scans`.
    export : sequence of {"tiff", "csv"}
        Written besides what the recipe says.
    recipe_file : path, optional
        Where the recipe stands, which must not be replaced.
    results : {"h5", "zarr"}
        What results are written as.

    Raises
    ------
    DataFileError
        If a scan is missing, or a result is there and may not be replaced.
    InputError
        If two scans would give the same result file, or a result would replace its scan.
    """
    check_choice("results", results, Results)
    folder = checked_path(folder, "folder")
    if folder.exists() and not folder.is_dir():
        raise DataFileError(f"{folder} is a file, expected a folder for the results; choose another.")
    if not recipe.steps:
        raise InputError(NO_STEPS)
    jobs: dict[Path, Job] = {}
    paths = [checked_path(scan, "scan") for scan in scans]
    for missing in (path for path in paths if not path.exists()):
        raise DataFileError(f"{missing}: there is no such file or folder.")
    for scan, *more in [paths] if combine else [[path] for path in paths]:
        named = f"{name_of(scan)}_and_{len(more)}_more" if more else name_of(scan)
        target = folder / f"{named}.{results}"
        if target in jobs:
            raise InputError(
                f"{jobs[target].scan} and {scan} would both be written to {target}; run them into two folders."
            )
        if (fault := _name_fault(target)) and not more:
            jobs[target] = Job(scan, target, fault=fault)
            continue
        if any(_is_same(target, one) for one in (scan, *more)):
            raise InputError(
                f"the result would replace its own scan {scan}; choose another folder than {folder}."
            )
        done = resume and is_made_of(recipe, [scan, *more], target) and not check_result(target)
        if target.is_dir() and results == "h5":
            raise DataFileError(
                f"{target} is a folder, the result would be a file of that name; choose another --out."
            )
        for written in () if done else (target, target.with_suffix(".toml")):
            _check_replaceable(written, resume=resume, overwrite=overwrite, recipe_file=recipe_file)
        if not done:
            check_own(target)
        jobs[target] = Job(scan, target, done, tuple(more), resume=resume)
    if not all(
        job.done and are_complete(job.target, (*recipe.output.export, *export)) for job in jobs.values()
    ):
        check_folder(folder)
    return list(jobs.values())


def job_into(recipe: Recipe, scan: str | Path, target: str | Path, *, resume: bool = False) -> Job:
    """Return the job whose result has a given name; a result of this program that is there is replaced.

    Raises
    ------
    DataFileError
        If the scan is missing, or something else has the name.
    InputError
        If the name cannot be that of a result.
    """
    scan, target = checked_path(scan, "scan"), checked_path(target, "result")
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"{shown(target)} is no name of a result, which ends in .h5 or .zarr.")
    if not recipe.steps:
        raise InputError(NO_STEPS)
    if not scan.exists():
        raise DataFileError(f"{scan}: there is no such file or folder.")
    if _is_same(target, scan):
        raise InputError(f"the result would replace its own scan {scan}; choose another name.")
    for written in (target, target.with_suffix(".toml")):
        _check_replaceable(written, resume=resume, overwrite=True, recipe_file=None)
    check_own(target)
    check_folder(target.parent)
    return Job(scan, target, resume=resume)


def _name_fault(target: Path) -> str:
    """Return why there can be no files of a result's name; nothing if there can."""
    longest = max(len(os.fsencode(f"{target.stem}{ending}")) for ending in (".toml", "_maps"))
    if longest <= LONGEST_NAME:
        return ""
    return (
        f"{shown(target.stem[:40])}... is too long a name: those of its result would have {longest} bytes, at most "
        f"{LONGEST_NAME} are possible; rename the scan."
    )


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths are one file, also by a link."""
    return path.resolve() == other.resolve() or (path.exists() and path.samefile(other))


def _check_replaceable(
    written: Path, *, resume: bool, overwrite: bool, recipe_file: str | Path | None
) -> None:
    """Refuse to replace a file that may not be replaced."""
    if not os.path.lexists(written):
        return
    if recipe_file is not None and _is_same(written, Path(recipe_file)):
        raise DataFileError(
            f"{shown(written)} is the recipe in use, and the recipe with all values would replace it; choose another "
            "--out, or rename it."
        )
    own = _is_ours(written) if written.suffix == ".toml" else is_result_file(written)
    if written.suffix == ".toml" and not own:
        raise DataFileError(
            f"{shown(written)} is not of this program, and the recipe used would replace it; move it away, or choose "
            "another --out."
        )
    if overwrite and not own:
        raise DataFileError(
            f"{shown(written)} is no result of this program and is not replaced; move it away, or choose another --out."
        )
    if not overwrite and not (resume and _is_left_over(written)):
        raise DataFileError(_refusal(written, resume))


def _is_ours(recipe_file: Path) -> bool:
    """Whether a recipe was written beside a result."""
    if not recipe_file.is_file():
        return False
    with open(recipe_file, "rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def name_of(scan: Path) -> str:
    """Return the name that the result of a scan has, without the ending."""
    return scan.resolve().name if scan.is_dir() else scan.stem


def _is_left_over(written: Path) -> bool:
    """Whether a file is the recipe of a run that ended before its result was whole."""
    made = any(written.with_suffix(suffix).exists() for suffix in SUFFIXES)
    return written.suffix == ".toml" and not made and _is_ours(written)


def _refusal(target: Path, resume: bool) -> str:
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
    store: Callable[[Path], MapStore] | None = None,
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
    store : callable, optional
        Makes what the maps of volumes are put into, where they are not computed here; volumes are then not unpacked.

    Raises
    ------
    XanesError
        With one sentence for the user; nothing half-written is left.
    """
    stack = open_scan(recipe, job) if stack is None else stack
    scans = (job.scan, *job.more)
    made = made_from(recipe, scans, stack.source)
    of = [made, recipe.output.maps]
    volumes = len(stack.image_shape) > 2
    beside = maps_beside(job.target, of, resume=job.resume, store=store or MapStore)
    with beside if volumes else nullcontext() as sink:
        result = run_steps(
            stack,
            recipe.steps,
            keep_stack=recipe.output.stack,
            kinds=recipe.output.maps,
            progress=progress,
            in_memory=False if store and volumes else None,
            workers=workers,
            sink=sink,
        )
        check_unchanged(made)
        exported = replace_exports(result, job.target, (*recipe.output.export, *export))
        result = dataclasses.replace(result, extra=result.extra | {"made_from": made, FACT: exported})
        resolved = Recipe.of(result)
        resolved = dataclasses.replace(
            resolved, output=recipe.output, input=recipe.input if job.more else resolved.input
        )
        head = f"{MARK}: how {shown(job.target.name)} was made"
        write_text(job.target.with_suffix(".toml"), f"{head}\n{resolved.to_toml()}")
        save_made(result, job.target, None if sink is None else sink.packed)
    all_in_place(job.target)
    return open_result(job.target) if volumes else result


def export_again(recipe: Recipe, job: Job, export: Sequence[str]) -> None:
    """Write the exports of a result that is there already, if any that are asked for or were there are not, or not whole."""
    forget_begun(job.target)  # of a run that was ended after its result was whole
    formats = (*recipe.output.export, *export)
    if are_complete(job.target, formats):
        return
    result = load_result(job.target)
    before = result.extra.get(FACT) or {"formats": []}
    exported = replace_exports(result, job.target, (*before["formats"], *formats))
    save_result(dataclasses.replace(result, extra=result.extra | {FACT: exported}), job.target)
    all_in_place(job.target)


def open_scan(recipe: Recipe, job: Job) -> EnergyStack:
    """Read a scan, or several as one, as the recipe's ``[input]`` says."""
    stacks = [read_stack(scan, **recipe.input.model_dump()) for scan in (job.scan, *job.more)]
    return combine_scans(stacks) if job.more else stacks[0]


def check_exports(formats: Sequence[str]) -> None:
    """Refuse formats that cannot be written."""
    for name in formats:
        if name not in WRITERS:
            raise InputError(f"export format is '{name}', expected one of {', '.join(WRITERS)}.")
