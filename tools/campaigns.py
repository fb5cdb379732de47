"""Faults of machines, brought about on purpose; each campaign prints what it tried and what failed.

    python tools/campaigns.py kill [rounds]     runs that are killed at any moment, and resumed
    python tools/campaigns.py volumes [rounds]  runs on volumes that are killed again and again, and resumed
    python tools/campaigns.py disk [rounds]     disks that are full at any moment
    python tools/campaigns.py memory [rounds]   limits of memory as jobs and containers have them (needs root)
    python tools/campaigns.py cluster [rounds]  workers and schedulers that are killed, and a full disk (as root)
    python tools/campaigns.py lock [rounds]     scans, results and folders that several processes use at once
    python tools/campaigns.py all

Nothing may be left half, nothing that was there may be lost, and every refusal is one sentence.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from campaign_checks import (
    RECIPE,
    RUN,
    Failed,
    check,
    forked,
    one_sentence,
    only_whole,
    prepare,
    prepare_volumes,
    same,
    small_disk,
)
from campaign_cluster import cluster

FOLDERS_V1 = Path("/sys/fs/cgroup/memory")


# -- killed ---------------------------------------------------------------------------------------


def kill(rounds: int = 12) -> Iterator[str]:
    """Kill runs with signals at any moment; resume; compare with a run that was left alone."""
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), random.Random(0)
        scan, recipe = prepare(folder)
        words = [*RUN, str(recipe), str(scan), "--export", "tiff", "--export", "csv"]
        began = time.monotonic()
        subprocess.run([*words, "--out", str(folder / "whole")], capture_output=True, check=True)
        lasts = time.monotonic() - began
        for number in range(rounds):
            out, how = folder / f"out{number}", rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            run = subprocess.Popen([*words, "--out", str(out)], stdout=-3, stderr=-3)
            time.sleep(lasts * rng.uniform(0.3, 1.0))
            run.send_signal(how)
            run.wait()
            only_whole(out)
            again = subprocess.run(
                [*words, "--out", str(out), "--resume"], capture_output=True, text=True, check=False
            )
            check(again.returncode == 0, f"not resumed: {again.stderr[-300:]}")
            same(out / f"{scan.stem}.h5", folder / "whole" / f"{scan.stem}.h5")
            left = [path.name for path in out.rglob(".napari-xanes-*.part")]
            check(not left, f"left over: {left}")
            exports = {path.name for path in (out / f"{scan.stem}_maps").iterdir()}
            wanted = {path.name for path in (folder / "whole" / f"{scan.stem}_maps").iterdir()}
            check(exports == wanted, f"exports {exports ^ wanted}")
            yield how.name


def volumes(rounds: int = 50) -> Iterator[str]:
    """Kill runs on volumes at any moment, each going on from the one before until one comes through.

    All that runs load is loaded already, so that what is killed is work.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), random.Random(0)
        scan, recipe = prepare_volumes(folder)
        words = ["run", str(recipe), str(scan), "--workers", "1", "--resume"]
        before = scan.read_bytes()
        for out in ("first", "whole"):
            began = time.monotonic()
            run = forked([*words, "--out", str(folder / out)], slabs=2)
            run.join()
            lasts = time.monotonic() - began
        check(run.exitcode == 0, "no run")
        for number in range(rounds):
            kind = ("h5", "zarr")[number % 2]
            each = [*words, "--out", str(folder / f"out{number}"), "--results", kind]
            run = forked(each, slabs=2)
            time.sleep(lasts * rng.uniform(0, 1))
            run.kill()
            run.join()
            kept = list(folder.glob(f"out{number}/*.begun/whole/*"))
            done = (folder / f"out{number}" / f"scan.{kind}").exists()
            again = forked(each, slabs=2)
            again.join()
            check(again.exitcode == 0, f"round {number} was not resumed")
            same(folder / f"out{number}" / f"scan.{kind}", folder / "whole" / "scan.h5")
            left = [path.name for path in (folder / f"out{number}").iterdir() if path.name.startswith(".")]
            check(not left, f"left over: {left}")
            check(scan.read_bytes() == before, "the scan was changed")
            yield f"{kind} {'whole' if done else 'with slabs' if kept else 'with nothing yet'}"


# -- full disks -----------------------------------------------------------------------------------


def disk(rounds: int = 12) -> Iterator[str]:
    """Run with too little room: on a small disk, or with a limit for the size of files where that is not allowed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan, recipe = prepare(folder)
        words = [*RUN, str(recipe), str(scan), "--export", "tiff"]
        subprocess.run([*words, "--out", str(folder / "whole")], capture_output=True, check=True)
        files = [path for path in (folder / "whole").rglob("*") if path.is_file()]
        need = sum(path.stat().st_size for path in files) // 1024
        largest = max(path.stat().st_size for path in files)
        for number in range(rounds):
            share = (number + 0.5) / rounds
            try:
                with small_disk(folder, max(16, int(share * 1.1 * need))) as place:
                    yield _full(words, place, scan, None)
            except PermissionError:
                out = folder / f"out{number}"
                yield _full(words, out, scan, int(share * largest))


def _full(words: list[str], place: Path, scan: Path, most: int | None) -> str:
    """Run where there is little room; what was there stays, and what is there is whole."""
    place.mkdir(exist_ok=True)
    (place / "mine.txt").write_text("mine")

    def limit() -> None:
        if most is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    out = place / "out"
    done = subprocess.run(
        [*words, "--out", str(out)], capture_output=True, text=True, check=False, preexec_fn=limit
    )
    one_sentence(done)
    only_whole(out)
    check((place / "mine.txt").read_text() == "mine", "another file was changed")
    result = out / f"{scan.stem}.h5"
    check(result.exists() == (done.returncode == 0), "a result without success, or the reverse")
    left = [path.name for path in place.rglob(".napari-xanes-*.part")]
    check(not left, f"left over: {left}, {done.stderr[-200:]}")
    return "done" if done.returncode == 0 else "refused"


# -- little memory --------------------------------------------------------------------------------


def memory(rounds: int = 4) -> Iterator[str]:
    """Run in cgroups of less and less memory: each run fits, or is refused before it begins."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan, recipe = _large_scan(folder)
        for number in range(rounds):
            most = int(2**20 * (1200 - 900 * number / max(rounds - 1, 1)))
            with _cgroup(most) as join:
                words = [*RUN, str(recipe), str(scan), "--out", str(folder / f"out{number}")]
                done = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=join)
            one_sentence(done)
            only_whole(folder / f"out{number}")
            yield f"{'done' if done.returncode == 0 else 'refused'} at {most >> 20} MiB"


def _large_scan(folder: Path) -> tuple[Path, Path]:
    """Return a scan of 0.4 GB unpacked, a frame a chunk, and its recipe without an alignment."""
    energy = np.linspace(8222.0, 8578.0, 41)
    edge = 0.2 + 0.9 / (1 + np.exp(-(energy - 8345) / 3))
    rng = np.random.default_rng(0)
    with h5py.File(folder / "large.h5", "w") as file:
        frames = file.create_dataset(
            "img_xanes", (41, 1600, 1600), "u2", chunks=(1, 1600, 1600), compression=1
        )
        for i, level in enumerate(edge):
            frames[i] = rng.integers(0, 60, (1600, 1600)) + int(12000 * np.exp(-level))
        file["X_eng"] = energy / 1000
        file["img_bkg"] = np.full((1, 1600, 1600), 12000, np.uint16)
    (folder / "large.toml").write_text(RECIPE.replace('[[step]]\ndo = "align"\n', ""))
    return folder / "large.h5", folder / "large.toml"


@contextmanager
def _cgroup(most: int) -> Iterator[Callable[[], None]]:
    """Give a function by which a process joins a cgroup of so many bytes; version 1 or 2."""
    old = FOLDERS_V1.is_dir()
    place = (FOLDERS_V1 if old else FOLDERS_V1.parent) / f"napari-xanes-{os.getpid()}"
    try:
        place.mkdir()
        (place / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(most))
    except OSError as error:
        raise SystemExit(f"cgroups cannot be made here ({error}); run as root") from None
    try:
        yield lambda: (place / "cgroup.procs").write_text(str(os.getpid())) and None
    finally:
        for _ in range(50):
            try:
                place.rmdir()
                break
            except OSError:
                time.sleep(0.1)


# -- used by several ------------------------------------------------------------------------------


def lock(rounds: int = 4) -> Iterator[str]:
    """Let runs share a folder, a scan be open to write, and a result be open while it is made anew."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan, recipe = prepare(folder)
        for number in range(rounds):
            out = folder / f"out{number}"
            copies = [scan, *(Path(shutil.copy(scan, folder / f"copy{i}.h5")) for i in range(2))]
            words = [[*RUN, str(recipe), str(one), "--out", str(out)] for one in copies]
            runs = [subprocess.Popen(each, stdout=-3, stderr=-3) for each in words]
            check([run.wait() for run in runs] == [0, 0, 0], "runs in one folder are in each other's way")
            only_whole(out)
            for one in copies[1:]:
                same(out / f"{one.stem}.h5", out / f"{scan.stem}.h5")
            yield "one folder"
            with h5py.File(out / f"{scan.stem}.h5", "r"):
                done = subprocess.run([*words[0], "--overwrite"], capture_output=True, text=True, check=False)
                one_sentence(done)
            only_whole(out)
            yield "result open to read"
            with h5py.File(scan, "r+"):
                done = subprocess.run([*words[0], "--overwrite"], capture_output=True, text=True, check=False)
                one_sentence(done)
            only_whole(out)
            yield "scan open to write"
            twice = [subprocess.Popen([*words[0], "--overwrite"], stdout=-3, stderr=-3) for _ in range(2)]
            check(all(run.wait() in (0, 1) for run in twice), "two runs of one result")
            only_whole(out)
            yield "the same result twice"


CAMPAIGNS: dict[str, Callable[..., Iterator[str]]] = {
    "kill": kill,
    "volumes": volumes,
    "disk": disk,
    "memory": memory,
    "lock": lock,
    "cluster": cluster,
}


def carry_out(name: str, *rounds: int) -> int:
    """Run a campaign to its end or its first failure; returns the number of failures."""
    tried: list[str] = []
    failed = 0
    began = time.time()
    try:
        tried.extend(CAMPAIGNS[name](*rounds))
    except Failed as error:
        failed = 1
        print(f"{name}: {error}")
    seen = ", ".join(f"{tried.count(what)} {what}" for what in dict.fromkeys(tried))
    print(
        f"{name}: {len(tried) + failed} tried, {failed} failed, {time.time() - began:.0f} s ({seen})",
        flush=True,
    )
    return failed


def main() -> None:
    """Carry out what is asked for."""
    if len(sys.argv) < 2 or sys.argv[1] not in (*CAMPAIGNS, "all"):
        print(__doc__)
        sys.exit(2)
    names = list(CAMPAIGNS) if sys.argv[1] == "all" else [sys.argv[1]]
    sys.exit(sum(carry_out(name, *map(int, sys.argv[2:3])) for name in names) > 0)


if __name__ == "__main__":
    main()
