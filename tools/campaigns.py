"""Faults of machines, brought about on purpose; each campaign prints what it tried and what failed.

    python tools/campaigns.py kill [rounds]     runs that are killed at any moment, and resumed
    python tools/campaigns.py volumes [rounds]  runs on volumes that are killed again and again, and resumed
    python tools/campaigns.py disk [rounds]     disks that are full at any moment
    python tools/campaigns.py memory [rounds]   limits of memory as jobs and containers have them (needs root)
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

import napari_xanes as nx

RUN = [sys.executable, "-m", "napari_xanes", "run"]
RECIPE = """schema = 1
[[step]]
do = "flat_field"
[[step]]
do = "optical_density"
[[step]]
do = "align"
[[step]]
do = "normalize"
e0 = 8333.0
pre_edge = [8222.0, 8312.0]
post_edge = [8392.0, 8578.0]
"""
FOLDERS_V1 = Path("/sys/fs/cgroup/memory")


class Failed(Exception):
    """A campaign found what must not be."""


def check(right: bool, what: str) -> None:
    """Say what must not be."""
    if not right:
        raise Failed(what)


def prepare(folder: Path, shape: tuple[int, int] = (96, 112)) -> tuple[Path, Path]:
    """Return a scan and a recipe."""
    scan = nx.simulate(shape, n_energies=31, n_particles=6, max_drift=2).save(folder)
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE)
    return scan, recipe


def one_sentence(done: subprocess.CompletedProcess[str]) -> None:
    """Check that a run that was refused says why in one line, and did not die."""
    check(done.returncode in (0, 1), f"died: {done.returncode} {done.stderr[-300:]}")
    said = [line for line in done.stderr.splitlines() if line.startswith("error")]
    check(done.returncode == 0 or len(said) == 1, f"no one sentence: {done.stderr[-300:]!r}")
    check("Traceback" not in done.stderr, f"a traceback: {done.stderr[-300:]}")


def only_whole(out: Path) -> None:
    """Check that what stands under its name in a folder is whole."""
    for path in out.rglob("*") if out.exists() else ():
        if path.suffix == ".h5":
            nx.load_result(path)
        elif path.suffix == ".toml":
            nx.Recipe.load(path)
        elif path.is_file() and ".napari-xanes-" not in str(path):
            check(path.stat().st_size > 0, f"{path} is empty")


def same(one: Path, other: Path) -> None:
    """Check that two results hold the same maps, to the last bit."""
    maps, others = nx.load_result(one).maps, nx.load_result(other).maps
    check(maps.keys() == others.keys(), f"other maps: {sorted(maps)} and {sorted(others)}")
    for name, values in maps.items():
        check(np.asarray(values).tobytes() == np.asarray(others[name]).tobytes(), f"{name} differs")


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


IN_SLABS = """
from napari_xanes import cli
from napari_xanes._core.engine import slabs
slabs.slab_height = lambda *_: 2
cli.main()
"""
VOLUMES = """schema = 1
input.signal = "optical_density"
[[step]]
do = "normalize"
[[step]]
do = "fit"
references = ["Ni_reduced.txt", "Ni_oxidised.txt"]
"""


def volumes(rounds: int = 50) -> Iterator[str]:
    """Kill runs on volumes at any moment, each going on from the one before until one comes through."""
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), random.Random(0)
        made = nx.simulate_volume((64, 48, 56), n_energies=31, seed=5, n_particles=20)
        scan, recipe = folder / "scan.h5", folder / "recipe.toml"
        with h5py.File(scan, "w") as file:
            file["img_xanes"], file["X_eng"] = made.stack.data, made.stack.energy
        for one in made.references:
            np.savetxt(folder / f"{one.name}.txt", np.stack([one.energy, one.mu], axis=1))
        recipe.write_text(VOLUMES)
        words = [sys.executable, "-c", IN_SLABS, "run", str(recipe), str(scan), "--workers", "1", "--resume"]
        before = scan.read_bytes()
        began = time.monotonic()
        subprocess.run([*words, "--out", str(folder / "whole")], capture_output=True, check=True)
        lasts = time.monotonic() - began
        for number in range(rounds):
            kind = ("h5", "zarr")[number % 2]
            each = [*words, "--out", str(folder / f"out{number}"), "--results", kind]
            run = subprocess.Popen(each, stdout=-3, stderr=-3)
            time.sleep(lasts * rng.uniform(0.4, 1.0))
            run.kill()
            run.wait()
            kept = list(folder.glob(f"out{number}/*.begun/whole/*"))
            again = subprocess.run(each, capture_output=True, text=True, check=False)
            check(again.returncode == 0, f"not resumed: {again.stderr[-300:]}")
            same(folder / f"out{number}" / f"scan.{kind}", folder / "whole" / "scan.h5")
            left = [path.name for path in (folder / f"out{number}").iterdir() if path.name.startswith(".")]
            check(not left, f"left over: {left}")
            check(scan.read_bytes() == before, "the scan was changed")
            yield f"{kind} with {'slabs' if kept else 'nothing yet'}"


# -- full disks -----------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Give a disk of a size, where that is allowed."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    options = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if subprocess.run(options, capture_output=True, check=False).returncode:
        raise PermissionError
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


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
