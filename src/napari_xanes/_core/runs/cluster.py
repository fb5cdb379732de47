"""Recipes carried out by the workers of dask.distributed, on this machine or on many.

Each scan is a task, which measures the drift, and each part of its volumes another, for which the worker opens the files
itself and writes its chunks of the maps.  What is whole is known from the disk, so whoever is lost, no more than its part is
made again; and all that passes through the scheduler are names of files.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from napari_xanes._core.base.errors import Cancelled, DataFileError, ResourceError
from napari_xanes._core.base.files import whole_file
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.result import Result
from napari_xanes._core.engine.blocks import default_workers
from napari_xanes._core.engine.slabs import SlabPass
from napari_xanes._core.io.hdf5 import files_kept_open
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.runs.batch import Job, open_scan, run_job
from napari_xanes._core.runs.map_store import MapStore, forget_begun
from napari_xanes._core.runs.needs import disk_needed, size_text
from napari_xanes._core.runs.result_file import open_result

if TYPE_CHECKING:
    from distributed import Client

FEWEST_PLANES, MOST_PLANES = 32, 64
"""Of a part, beside which the planes around it that are read twice are few; of low volumes a quarter at least."""
PARTS = 3
"""Parts for each thread at least, so that none waits long for the last one."""
SELDOM = 5
"""Seconds from one look at whether there are workers to the next."""
OFTEN = 0.3
"""Seconds from one report of a task to the next."""


def run_jobs(
    client: Client,
    recipe: Recipe,
    jobs: Sequence[Job],
    *,
    export: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[[Job], Progress],
) -> Iterator[tuple[Job, Result | Exception]]:
    """Have jobs of `plan` done, all at once, and yield each with its result, or what went wrong, when it is through.

    Parameters
    ----------
    client : Client
    recipe, jobs, export
        See `run_job`.
    workers : int, optional
        Number of threads of a task; one, but as many as a machine has for the drift of a single scan.
    progress : callable
        Gives a callback for each job; whatever a callback raises cancels all of them.
    """
    topic, told = f"napari-xanes-{token_hex(8)}", SimpleQueue[tuple[int, tuple[int, int, str]]]()
    callbacks = [progress(job) for job in jobs]
    threads = workers or (default_workers() if len(jobs) == 1 else 1)
    task = partial(_do_job, recipe, export=tuple(export), topic=topic, threads=threads, workers=workers or 1)
    for job in jobs:
        if not job.resume:
            forget_begun(job.target, SharedStore.patience)
    client.subscribe_topic(topic, lambda event: told.put(event[1]))
    left = {
        client.submit(task, n, _in_any_folder(job), key=f"{topic}-{n}"): (n, job)
        for n, job in enumerate(jobs)
    }
    last, are_gone = dict[int, tuple[int, int, str]](), _AllGone(client)
    try:
        while left:
            while not told.empty():
                number, report = told.get()
                callbacks[number](*report)
                last[number] = report
            for number in last if are_gone() else ():
                callbacks[number](*last[number][:2], "Waiting for workers, as none is left")
            for future in [one for one in left if one.done()]:
                number, job = left.pop(future)
                last.pop(number, None)
                failed = _failure(future)
                future.release()  # or it would be done again, were its worker lost now
                yield job, failed or _done(job)
            time.sleep(0.05)
    finally:
        client.cancel(list(left))
        client.unsubscribe_topic(topic)


class _AllGone:
    """Tells, once each time, that no worker is left."""

    def __init__(self, client: Client) -> None:
        self._client, self._gone, self._looked = client, False, time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._looked < SELDOM or self._client.status != "running":
            return False
        before, self._looked = self._gone, time.monotonic()
        with suppress(OSError):  # of a scheduler that ends now, which is said of its tasks
            self._gone = not self._client.nthreads()
        return self._gone and not before


def _in_any_folder(job: Job) -> Job:
    """Return a job as it can be done, or gone on with, by a worker in any folder."""
    more = tuple(path.absolute() for path in job.more)
    scan, target = job.scan.absolute(), job.target.absolute()
    return dataclasses.replace(job, scan=scan, target=target, more=more, resume=True)


def _done(job: Job) -> Result:
    """Return the result of a job that is through."""
    result = open_result(job.target)
    # Unreadable is what is left of a job that began anew after its worker was lost, and was then cancelled.
    with suppress(DataFileError):
        forget_begun(job.target, SharedStore.patience)
    return result


def _failure(future: Any) -> Exception | None:
    """Return in a sentence why a task that has ended has no result; None if it has."""
    from distributed import KilledWorker

    if future.status == "finished":
        return None
    if future.status != "error":
        return ResourceError(
            "the scheduler has ended, or was told to cancel; --resume goes on from what is whole."
        )
    error = future.exception()
    if isinstance(error, KilledWorker):
        return ResourceError(
            "workers were lost again and again while they worked on it, as where memory is short; give them more, or "
            "fewer to a machine, and --resume."
        )
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def _do_job(
    recipe: Recipe,
    number: int,
    job: Job,
    *,
    export: tuple[str, ...],
    topic: str,
    threads: int,
    workers: int,
) -> None:
    """Do a job on a worker, and have the parts of its volumes done by all of them."""
    from dask import config
    from distributed import get_client

    report = _Report(lambda event: (number, event), topic)
    stack = open_scan(recipe, job)
    takes = size_text(disk_needed(recipe, stack, job.target, export))
    report(0, 1, f"{' x '.join(map(str, stack.shape))}, {stack.signal}, about {takes} of disk")
    get_client()  # from which on each chunk of maps would be read by way of the scheduler
    with config.set(scheduler="synchronous"):
        run_job(
            recipe,
            job,
            export=export,
            stack=stack,
            workers=threads,
            progress=report,
            store=partial(SharedStore, workers=workers),
        )


class _Report:
    """Tells whoever waits for a task how far it is, and ends the task when nobody does any more."""

    def __init__(self, event: Callable[[Any], Any] | None = None, topic: str = "") -> None:
        from distributed import get_worker

        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self._event, self._topic = event, topic
        self._text, self._last = "", 0.0

    def __call__(self, done: int, total: int, text: str) -> None:
        task = self._worker.state.tasks.get(self._key)
        if task is None or task.state == "cancelled":
            raise Cancelled
        now = time.monotonic()
        soon = now - self._last < OFTEN and text in ("", self._text) and done < total
        if self._event is None or soon:
            return
        self._text, self._last = text or self._text, now
        self._worker.log_event(self._topic, self._event((done, total, text)))


class SharedStore(MapStore):
    """A store whose parts are put by all workers of the cluster that this process belongs to."""

    patience = 60.0
    """For a task that was cancelled, or whose worker is taken to be lost, to end."""

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder)
        self._workers, self._seceded = workers, False

    def carry_out(self, work: SlabPass, progress: Progress, workers: int | None) -> None:
        """Have all parts of the pass put that are not there, each by a task of its own."""
        import cloudpickle
        from distributed import as_completed, get_client, secede

        path = self.folder / "work" / token_hex(8)
        with whole_file(path) as part:
            part.write_bytes(cloudpickle.dumps((self, work)))
        client = get_client()
        if not self._seceded:
            secede()  # for good, as what is left to do waits for no place among the parts
            self._seceded = True
        parts = self.parts(sum(client.nthreads().values()))
        done, total = 0, sum(part.stop - part.start for part in parts)
        progress(0, total, "Computing maps")
        futures = client.map(
            partial(_put_part, path, workers=self._workers),
            parts,
            key=[f"maps-{path.name}-{planes.start}" for planes in parts],
            priority=1,  # before scans that have not begun
        )
        waiting = as_completed(futures)
        try:
            while waiting.count():
                for future in waiting.next_batch(block=False):
                    done += future.result()
                progress(done, total, "Computing maps")
                time.sleep(0.05)
        finally:
            client.cancel(futures)

    def parts(self, threads: int) -> list[slice]:
        """Return the parts that are to be done, whole numbers of chunks."""
        planes = self.planes
        fewest = min(FEWEST_PLANES, planes // 4)
        most = min(MOST_PLANES, max(fewest, -(-planes // (PARTS * threads))))
        height = max(self.rows, -(-most // self.rows) * self.rows)
        parts = [slice(a, min(a + height, planes)) for a in range(0, planes, height)]
        return [part for part in parts if not self.holds(part)]


def _put_part(path: Path, planes: slice, *, workers: int) -> int:
    """Put the maps of some planes; returns how many."""
    import cloudpickle

    store, work = cloudpickle.loads(path.read_bytes())
    with files_kept_open():
        work.into(store, planes, _Report(), workers)
    return int(planes.stop - planes.start)
