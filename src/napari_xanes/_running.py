"""What a command that runs recipes says, and what it does with one job, here or on a cluster.

Results go to stdout, warnings and errors to stderr, one sentence each.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from napari_xanes._core.base.errors import Cancelled, InputError, XanesError
from napari_xanes._core.base.files import shown

if TYPE_CHECKING:
    from napari_xanes._core.base.progress import Progress
    from napari_xanes._core.data.result import Result
    from napari_xanes._core.data.stack import EnergyStack
    from napari_xanes._core.recipe.recipe import Recipe
    from napari_xanes._core.runs.batch import Job
    from napari_xanes._core.runs.watch import Seen, Watch


def sentence(error: Exception, what: object) -> str:
    """Return what happened in one sentence, also if it is a fault of this program."""
    if isinstance(error, XanesError):
        return str(error)
    logging.getLogger("napari_xanes").error("internal fault", exc_info=error)
    reason = " ".join(str(error).split())[:200]
    if isinstance(error, (OSError, MemoryError)):
        return f"{what}: {reason or 'there is not enough memory'}"
    return f"{what}: internal fault, please report it: {type(error).__name__}: {reason}"


def note(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


class Rows:
    """The table of a run, a line of json for each change of a row, for a program that shows it; nothing if not wanted."""

    def __init__(self, wanted: bool) -> None:
        self.wanted, self._seen = wanted, dict[Path, str]()
        self._since: dict[Path, float] = {}

    def tell(self, scan: Path, **row: Any) -> None:
        """Tell what is new of a scan: state, part that is done, what is being done, seconds, result, what is to be said."""
        if self.wanted:
            say(json.dumps({"scan": str(scan), **row}))

    def tell_seen(self, seen: Iterable[Seen]) -> None:
        """Tell the states of a watched folder that have changed."""
        for one in seen:
            if self._seen.get(one.scan) != one.state:
                self._seen[one.scan] = one.state
                said = {} if one.state == "done" and not one.said else {"said": one.said}  # warnings stay
                self.tell(one.scan, state=one.state, seconds=round(one.seconds, 1), **said)

    @contextmanager
    def progress(self, scan: Path) -> Iterator[Progress]:
        """Give a progress callback that tells each hundredth; without a table, what a terminal shows."""
        from napari_xanes._progress import shown_progress

        if not self.wanted:
            with shown_progress(scan.name) as progress:
                yield progress
            return
        yield self._parts(scan)

    def start(self, scan: Path) -> None:
        """Tell that a scan is being run."""
        self._since[scan] = time.monotonic()
        self.tell(scan, state="running", part=0.0, said="")

    def _parts(self, scan: Path) -> Progress:
        told = (-1, "")

        def tell(done: int, total: int, text: str) -> None:
            nonlocal told
            if (now := (100 * done // max(total, 1), text)) != told:
                told = now
                self.tell(scan, part=now[0] / 100, doing=text)

        return tell

    def waiting(self, scan: Path) -> Progress:
        """Return a callback that tells a scan to be running when it is first heard of, then each hundredth."""
        parts = self._parts(scan)

        def tell(done: int, total: int, text: str) -> None:
            if scan not in self._since:
                self.start(scan)
            parts(done, total, text)

        return tell

    def tell_done(self, job: Job, result: Result) -> None:
        """Tell what a job has come to."""
        seconds = round(time.monotonic() - self._since.get(job.scan, time.monotonic()), 1)
        said = " ".join(map(str, result.warnings))
        self.tell(job.scan, state="done", seconds=seconds, result=str(job.target), said=said)


class Failed:
    """The scans of a run that could not be done; one of them is no reason to leave out the others."""

    def __init__(self, count: int, rows: Rows) -> None:
        self.count, self.rows, self.names = count, rows, list[str]()
        self._told = set[str]()

    @contextmanager
    def noted(self, job: Job) -> Iterator[None]:
        """Tell what goes wrong with a job."""
        try:
            yield
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001
            self.names.append(shown(job.scan.name))
            said = sentence(error, job.scan)
            if said not in self._told:  # what ends all of them, as a lost scheduler does, is said once
                self._told.add(said)
                note(f"error: {said}")
            self.rows.tell(job.scan, state="failed", said=said)

    def end(self) -> None:
        """End with an error if there are any."""
        if not self.names:
            return
        if self.count > 1:
            note(f"{len(self.names)} of {self.count} scans failed: {', '.join(self.names)}")
        raise typer.Exit(1)


def run_on_cluster(
    scheduler: str,
    loaded: Recipe,
    places: dict[Job, str],
    formats: tuple[str, ...],
    workers: int | None,
    failed: Failed,
) -> None:
    """Have jobs done by the workers of a scheduler."""
    from napari_xanes._core.runs import cluster, connect
    from napari_xanes._progress import lines

    local, rows = scheduler == "local", failed.rows
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not local:
        say(f"asking for the scheduler at {scheduler}, {connect.PATIENCE} s at most")
    for job in places:
        _tell_begun(job)
    try:
        with connect.connected(scheduler, workers) as client:
            _quiet()
            threads = client.nthreads().values()
            say(f"{len(threads)} workers, {sum(threads)} threads")
            if not threads:
                note(f"waiting for workers; start some with dask worker {scheduler}, or end with Ctrl-C")
            done = cluster.run_jobs(
                client,
                loaded,
                list(places),
                export=formats,
                workers=None if local else workers,
                progress=lambda job: rows.waiting(job.scan) if rows.wanted else lines(job.scan.name),
            )
            for job, outcome in done:
                with failed.noted(job):
                    if isinstance(outcome, Exception):
                        raise outcome
                    tell(loaded, job, outcome, places[job])
                    rows.tell_done(job, outcome)
    except KeyboardInterrupt:
        raise Cancelled from None


def _quiet() -> None:
    """Leave out what dask logs when connections are lost, pages of tracebacks; what came of it is said in a sentence."""
    for name in ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def run_here(
    loaded: Recipe, job: Job, place: str, export: Any, workers: int | None, rows: Rows | None = None
) -> Result:
    """Do one job of `batch`, telling what it takes and what came of it."""
    from napari_xanes._core.runs import batch, needs

    rows = rows or Rows(wanted=False)
    rows.start(job.scan)
    stack = batch.open_scan(loaded, job)
    takes = needs.needs_of(loaded, stack, job.target, export, workers).sentence()
    size = " x ".join(map(str, stack.shape))
    say(f"{place}{' + '.join(map(str, (job.scan, *job.more)))}: {size}, {stack.signal}, {takes}")
    for what in ("flat", "dark"):
        if stack.source.get(what):
            say(f"  {what}s: {stack.source[what]}, {stack.source.get(f'{what}_reason')}")
    for warning in _doubts(loaded, stack):
        note(f"warning: {warning}")
    _tell_begun(job)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended is like Ctrl-C: cleaned up
    try:
        with rows.progress(job.scan) as progress:
            result = batch.run_job(
                loaded, job, export=export, stack=stack, workers=workers, progress=progress
            )
    except KeyboardInterrupt:
        raise Cancelled from None  # which no library between here and `main` has words of its own for
    tell(loaded, job, result, place)
    rows.tell_done(job, result)
    return result


def _doubts(loaded: Recipe, stack: EnergyStack) -> list[str]:
    """Return what is doubtful of references at the energies of a scan, as is known before any work."""
    from napari_xanes._core.fit.library import choose_references
    from napari_xanes._core.fit.other_edge import strangers
    from napari_xanes._core.fit.params import LibraryParams

    libraries = [choose_references(params) for _, params in loaded.steps if isinstance(params, LibraryParams)]
    return [said for library in libraries for said in strangers(library, stack.energy)]


def _tell_begun(job: Job) -> None:
    """Say what becomes of what a run of this job has left that was ended."""
    from napari_xanes._core.runs.map_store import begun_folder

    if begun_folder(job.target).is_dir():
        goes_on = "goes on from a run that was ended, if recipe, files and version are the same"
        anew = "a run that was ended is made anew; --resume would go on from it"
        say(f"  {goes_on if job.resume else anew}")


def tell(loaded: Recipe, job: Job, result: Result, place: str) -> None:
    """Say what a job has come to."""
    from napari_xanes._progress import describe_steps

    for line in describe_steps(result, loaded.steps):
        say(f"  {line}")
    for warning in result.warnings:
        note(f"warning: {warning}")
    say(f"{place}{job.target}: {len(result.maps)} maps")


def watch_folder(
    watched: Watch,
    recipe_file: Path,
    formats: tuple[str, ...],
    results: str,
    workers: int | None,
    once: bool,
    rows: Rows,
    overwrite: bool,
) -> None:
    """Run a recipe on the scans of a folder as they come in."""
    from napari_xanes._core.recipe.recipe import Recipe
    from napari_xanes._core.runs import batch

    loaded = Recipe.load(recipe_file)
    plan = partial(
        batch.plan, loaded, folder=watched.out, recipe_file=recipe_file, results=results, export=formats
    )
    plan(scans=[])
    made = set[Path]()  # here: what is written on after it was taken for whole is run again

    def work(scan: Path) -> None:
        (job,) = plan(scans=[scan], resume=True, overwrite=overwrite or scan in made)
        if job.fault:
            raise InputError(job.fault)
        if job.done:
            say(f"{scan}: done already, {job.target} is kept")
            batch.export_again(loaded, job, formats)
            rows.tell(scan, result=str(job.target))
            return
        run_here(loaded, job, "", formats, workers, rows)
        made.add(scan)

    say(f"watching {watched.folder}; Ctrl-C ends it")
    while True:
        whole = watched.look()
        rows.tell_seen(watched.seen.values())
        for scan in whole:
            one = watched.run(scan, work, sentence)
            rows.tell_seen([one])
            if one.said:
                note(f"error: {one.said}")
        if once and not watched.is_waiting:
            break
        time.sleep(min(1.0, max(watched.settle / 5, 0.05)))
