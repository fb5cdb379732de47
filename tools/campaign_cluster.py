"""A cluster on this machine whose parts are killed, and whose disk is full, while it works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

from campaign_checks import check, only_whole, prepare_volumes, same, small_disk

import napari_xanes as nx

WORKERS = 4
TRIES = 4
"""Times that a moment is chosen anew, earlier, where the run ended before it came."""
PLANES = 48  # a part for each worker
ALIGN = '[[step]]\ndo = "align"\n'
ENVIRONMENT = os.environ | {
    "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",  # as processes that wait take from those that work
}


@contextmanager
def processes(folder: Path) -> Iterator[tuple[Any, subprocess.Popen[bytes]]]:
    """Give a client of a scheduler with its workers, each a process, and the process of the scheduler."""
    from distributed import Client

    place = folder / f"scheduler{time.monotonic_ns()}.json"
    dask = [sys.executable, "-m", "dask"]
    options = ["--scheduler-file", str(place)]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0", *options],
        stdout=-3,
        stderr=-3,
        env=ENVIRONMENT,
    )
    many = ["--nworkers", str(WORKERS), "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"]
    workers = subprocess.Popen(
        [sys.executable, __file__, *many, *options, "--local-directory", str(folder)],
        stdout=-3,
        stderr=-3,
        env=ENVIRONMENT,
    )
    try:
        client = Client(scheduler_file=str(place), timeout=60)
        try:
            client.wait_for_workers(WORKERS, timeout=300)
            yield client, scheduler
        finally:
            client.close(timeout=5)
    finally:
        for one in (workers, scheduler):
            one.terminate()
        for one in (workers, scheduler):
            one.wait(60)


def cluster(rounds: int = 20) -> Iterator[str]:
    """Kill workers at any moment; then the scheduler, and fill the disk, and go on."""
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), random.Random(0)
        scan, recipe = prepare_volumes(folder, ALIGN, planes=PLANES)
        nx.save_result(nx.run_recipe(recipe, scan), folder / "whole.h5")
        before = scan.read_bytes()
        with processes(folder) as (client, _):
            lasts = _seconds(recipe, scan, folder / "first", client)
            lasts = min(lasts, _seconds(recipe, scan, folder / "second", client))
            for number in range(rounds):
                yield _lose_a_worker(recipe, scan, folder / f"out{number}", client, rng, lasts)
            for number in range(4):
                yield _fill_the_disk(recipe, scan, folder, client, (number + 0.5) / 4)
        for number in range(4):
            yield _lose_the_scheduler(recipe, scan, folder, number, lasts * rng.uniform(0.2, 0.9))
        check(scan.read_bytes() == before, "the scan was changed")


def _seconds(recipe: Path, scan: Path, out: Path, client: Any) -> float:
    began = time.monotonic()
    _run(recipe, scan, out, client)
    return time.monotonic() - began


def _run(recipe: Path, scan: Path, out: Path, client: Any, kind: str = "zarr") -> None:
    """Run on the cluster, or go on with what is there, and compare."""
    out.mkdir(exist_ok=True)
    nx.run_recipe(recipe, scan, into=out / f"scan.{kind}", client=client, resume=True)
    same(out / f"scan.{kind}", out.parent / "whole.h5")
    _nothing_left(out)


def _nothing_left(out: Path) -> None:
    deadline = time.monotonic() + 60
    while left := [path.name for path in out.iterdir() if path.name.startswith(".")]:
        check(time.monotonic() < deadline, f"left over: {left}")
        time.sleep(0.5)


def _lose_a_worker(recipe: Path, scan: Path, out: Path, client: Any, rng: random.Random, lasts: float) -> str:
    """Kill one of the workers at a moment of a run, which comes through all the same."""
    for attempt in range(TRIES):
        client.wait_for_workers(WORKERS, timeout=300)
        pids = sorted(client.run(os.getpid).values())
        timer = Timer(lasts * rng.uniform(0, 0.9) / 2**attempt, os.kill, (rng.choice(pids), signal.SIGKILL))
        timer.start()
        try:
            _run(recipe, scan, out.with_name(f"{out.name}_{attempt}"), client, rng.choice(("zarr", "h5")))
            in_time = timer.finished.is_set()
        finally:
            timer.cancel()
            timer.join()
        if in_time:
            return "worker killed while it ran"
    return "worker not killed, as runs ended before"


def _fill_the_disk(recipe: Path, scan: Path, folder: Path, client: Any, share: float) -> str:
    """Run where there is too little room, and go on where there is enough."""
    need = sum(path.stat().st_size for path in (folder / "first").rglob("*") if path.is_file()) // 1024
    with small_disk(folder, max(16, int(share * 2 * need))) as place:
        (place / "mine.txt").write_text("mine")
        out = place / "out"
        out.mkdir()
        refused = _refused(recipe, scan, out, client)
        subprocess.run(
            ["mount", "-o", f"remount,size={100 * need}k", str(place)], check=True, capture_output=True
        )
        nx.run_recipe(recipe, scan, into=out / "scan.zarr", client=client, resume=True)
        same(out / "scan.zarr", folder / "whole.h5")
        _nothing_left(out)
        check((place / "mine.txt").read_text() == "mine", "another file was changed")
    return "disk full, then gone on" if refused else "disk large enough"


def _lose_the_scheduler(recipe: Path, scan: Path, folder: Path, number: int, after: float) -> str:
    """Kill the scheduler, or tell it to end, while it works; go on with another one."""
    how = (signal.SIGKILL, signal.SIGTERM)[number % 2]
    for attempt in range(TRIES):
        out = folder / f"lost{number}_{attempt}"
        out.mkdir()
        with processes(folder) as (client, scheduler):
            timer = Timer(after / 2**attempt, scheduler.send_signal, (how,))
            timer.start()
            refused = _refused(recipe, scan, out, client)
            timer.join()
        if refused:
            with processes(folder) as (client, _):
                _run(recipe, scan, out, client)
            return f"scheduler lost by {how.name} while it ran"
    return "scheduler not lost, as runs ended before"


def _refused(recipe: Path, scan: Path, out: Path, client: Any) -> bool:
    """Run, and return whether that was refused; what is there afterwards is whole."""
    try:
        nx.run_recipe(recipe, scan, into=out / "scan.zarr", client=client, resume=True)
    except nx.XanesError as error:
        check("\n" not in str(error), f"no one sentence: {error}")
        check(not (out / "scan.zarr").exists(), "a result without success")
        return True
    finally:
        only_whole(out)
    return False


def main() -> None:
    """Be `dask worker`, with workers that are forked where all that they load is loaded already."""
    from distributed.cli.dask_worker import main as worker
    from distributed.utils import get_mp_context

    get_mp_context().set_forkserver_preload(["campaign_forks"])
    worker()


if __name__ == "__main__":
    main()
