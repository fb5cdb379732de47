"""Feed damaged and odd files to the readers, in child processes; print what was tried and what failed.

    python tools/fuzz.py 100000 [seed] [--log FILE] [--workers N]
    python tools/fuzz.py 78 [seed] --first 77       # input 77 alone

An input passes if it is read, or refused with one sentence of this program, within 10 s of computing and 1 GB.  A child takes many
inputs and says what came of each; if it dies or hangs, that is told, and another goes on behind that input.  With a log,
inputs that failed are kept beside it, and the same command goes on where the log ends.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import fuzz_inputs

SECONDS, BYTES, PER_CHILD = 10, 2**30, 1000
HANGS, WAITS = 60, 1200
"""Seconds without a word after which a child hangs: of computing, and of any kind, as the machine may be busy."""


def attempt(kind: str, path: Path, scan: Path) -> None:
    """Read a file as what it claims to be."""
    import numpy as np

    import napari_xanes as nx
    from napari_xanes import _reader
    from napari_xanes._core.io.describe import list_contents
    from napari_xanes._core.io.mask_file import read_mask
    from napari_xanes._core.runs.result_file import check_result

    if kind in ("tiff", "hdf5", "tree", "heaps"):
        _reader.get_reader(str(path))
        stack = nx.read_stack(path, energy=np.arange(8300.0, 8312) if kind == "tiff" else None)
        np.asarray(stack.data[0])
        list_contents(path)
    elif kind == "energies":
        nx.read_stack(scan, energy=str(path))
    else:
        if kind == "result":
            check_result(path)
        readers = {
            "references": nx.read_references,
            "nxxas": nx.read_references,
            "recipe": nx.Recipe.load,
            "drift": nx.Drift.load,
        }
        ({**readers, "result": nx.load_result, "mask": read_mask})[kind](path)


def most_memory() -> int:
    """Return the most memory that this process had, in bytes; not that of who started it, which `getrusage` counts in."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def computed(pid: int) -> float:
    """Return the seconds that a process and its children have computed; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def child(folder: Path, seed: int, first: int, last: int) -> None:
    """Try inputs `first` to `last` and say of each what came of it, a line each."""
    import napari_xanes as nx

    logging.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names = json.loads((folder / "seeds.json").read_text())
    work = Path(tempfile.mkdtemp(dir=folder))
    base = first - first % PER_CHILD  # so that an input is the same whichever it is begun with
    made = fuzz_inputs.from_hypothesis(seed * 1_000_003 + base, PER_CHILD // fuzz_inputs.EVERY)
    for number in range(first, last):
        rng = random.Random(f"{seed} {number}")
        kind = fuzz_inputs.KINDS[number % len(fuzz_inputs.KINDS)]
        path = work / f"{number}{fuzz_inputs.ENDINGS[kind]}"
        path.write_bytes(fuzz_inputs.one(kind, folder / rng.choice(names[kind]), rng, made, number))
        print(f"begin {number} {kind}", flush=True)
        Path("/proc/self/clear_refs").write_text("5")  # what earlier inputs took is not of this one
        started, said = time.process_time(), "read"
        try:
            attempt(kind, path, folder / "ni_simulated.h5")
        except nx.XanesError as error:
            clear = "\n" not in str(error) and 10 < len(str(error)) < 1200
            said = "refused" if clear else f"FAILED: no one sentence {str(error)[:80]!r}"
        except BaseException as error:  # noqa: BLE001 - this is what is looked for
            said = f"FAILED: {type(error).__name__} {str(error)[:100]!r}"
        if time.process_time() - started > SECONDS:
            said = "FAILED: too slow"
        if most_memory() > BYTES:
            said = "FAILED: too much memory"
        if not said.startswith("FAILED"):
            path.unlink()
        print(f"end {number} {kind} {said}", flush=True)


@dataclass
class Running:
    """A child and where it writes what it says."""

    folder: Path
    seed: int
    first: int
    last: int
    stuck: bool = False
    word: float = 0.0
    used: float = 0.0
    log: Path = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / f"log_{self.first}"
        words = [sys.executable, __file__, "--child", str(self.folder), str(self.seed), str(self.first)]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([*words, str(self.last)], stdout=out, stderr=subprocess.DEVNULL)

    def ended(self) -> bool:
        """Whether the child has ended; one that hangs is ended."""
        word, used = self.log.stat().st_mtime, computed(self.process.pid)
        if word != self.word:
            self.word, self.used = word, used
        if self.process.poll() is None and (used - self.used > HANGS or time.time() - word > WAITS):
            self.stuck = True
            self.process.kill()
            self.process.wait()
        return self.process.poll() is not None

    def said(self) -> tuple[list[tuple[str, str, str]], int]:
        """Return number, kind and what came of each input, and from which on there is more to do."""
        lines = self.log.read_text(errors="replace").splitlines()
        found = [tuple(line.split(" ", 3)[1:]) for line in lines if line.startswith("end ")]
        begun = [line.split(" ", 2)[1:] for line in lines if line.startswith("begin ")]
        if len(begun) == len(found):
            if self.process.returncode:
                raise RuntimeError(f"a child could not start, it said {lines[-3:]}")
            return found, self.last  # type: ignore[return-value]
        number, kind = begun[-1]  # it died or hung in this one
        how = "hung" if self.stuck else f"died of {self.process.returncode}"
        return [*found, (number, kind, f"FAILED: {how}")], int(number) + 1  # type: ignore[list-item]


def campaign(
    count: int, seed: int = 0, workers: int = 2, log: Path | None = None, first: int = 0
) -> tuple[Counter[str], list[str]]:
    """Try the inputs from `first` to `count`; returns how often what came of them, and the failures."""
    done = (
        [tuple(line.split(" ", 2)) for line in log.read_text().splitlines()] if log and log.exists() else []
    )
    known = {int(number) for number, _, _ in done}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_seeds(folder)
        parts = [(max(a, first), min(a + PER_CHILD, count)) for a in range(0, count, PER_CHILD)]
        begun = [(next((i for i in range(a, b) if i not in known), b), b) for a, b in parts]
        todo = [(a, b) for a, b in begun if a < b][::-1]
        running: list[Running] = []
        while todo or running:
            while todo and len(running) < workers:
                running.append(Running(folder, seed, *todo.pop()))
            time.sleep(0.1)
            for one in [one for one in running if one.ended()]:
                running.remove(one)
                found, left = one.said()
                done += found
                if log:
                    _keep(log, found, folder)
                if left < one.last:
                    todo.append((left, one.last))
    seen = Counter(said.split(":")[0] for _, _, said in done)
    return seen, [" ".join(each) for each in done if each[2].startswith("FAILED")]


def _keep(log: Path, found: list[tuple[str, str, str]], folder: Path) -> None:
    """Add to the log, and copy the inputs that failed."""
    with open(log, "a") as file:
        file.writelines(" ".join(each) + "\n" for each in found)
    for number, _, said in found:
        for path in folder.glob(f"*/{number}.*") if said.startswith("FAILED") else ():
            shutil.copy(path, log.parent)


def _write_seeds(folder: Path) -> None:
    """Write the sound files, and a list of their names."""
    listed = {}
    for kind, files in fuzz_inputs.seeds(folder).items():
        listed[kind] = [f"seed_{kind}_{i}" for i in range(len(files))]
        for file, raw in zip(listed[kind], files, strict=True):
            (folder / file).write_bytes(raw)
    (folder / "seeds.json").write_text(json.dumps(listed))


def main() -> None:
    """Run a campaign, or a child of one."""
    if sys.argv[1] == "--child":
        folder, seed, first, last = sys.argv[2:]
        child(Path(folder), int(seed), int(first), int(last))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=2000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first", type=int, default=0, help="the input to begin with")
    wanted = parser.parse_args()
    started = time.time()
    seen, failed = campaign(wanted.count, wanted.seed, wanted.workers, wanted.log, wanted.first)
    for line in failed[:50]:
        print(line)
    print(f"{sum(seen.values())} tried, {len(failed)} failed, {time.time() - started:.0f} s: {dict(seen)}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
