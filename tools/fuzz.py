"""Feed damaged and odd files to the readers, in child processes; print what was tried and what failed.

    python tools/fuzz.py 100000 [seed]

An input passes if it is read, or refused with one sentence of this program, within 10 s and 1 GB.  A child takes many
inputs and says what came of each; if it dies or hangs, that is told, and another goes on behind that input.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import fuzz_inputs

SECONDS, BYTES, PER_CHILD = 10, 2**30, 250
HANGS, STARTS = 120, 600
"""Seconds without a word after which a child hangs, in an input and before the first: the machine may be busy."""


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


def child(folder: Path, seed: int, first: int, last: int) -> None:
    """Try inputs `first` to `last` and say of each what came of it, a line each."""
    import napari_xanes as nx

    logging.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names = json.loads((folder / "seeds.json").read_text())
    work = Path(tempfile.mkdtemp(dir=folder))
    made = fuzz_inputs.from_hypothesis(seed * 1_000_003 + first, (last - first) // 8)
    for number in range(first, last):
        rng = random.Random(f"{seed} {number}")
        kind = fuzz_inputs.KINDS[number % len(fuzz_inputs.KINDS)]
        path = work / f"x{fuzz_inputs.ENDINGS[kind]}"
        path.write_bytes(fuzz_inputs.one(kind, folder / rng.choice(names[kind]), rng, made))
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
        print(f"end {number} {kind} {said}", flush=True)


@dataclass
class Running:
    """A child and where it writes what it says."""

    folder: Path
    seed: int
    first: int
    last: int
    stuck: bool = False
    log: Path = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / f"log_{self.first}"
        words = [sys.executable, __file__, "--child", str(self.folder), str(self.seed), str(self.first)]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([*words, str(self.last)], stdout=out, stderr=subprocess.DEVNULL)

    def ended(self) -> bool:
        """Whether the child has ended; one that hangs is ended."""
        if self.process.poll() is None and time.time() - self.log.stat().st_mtime > (
            HANGS if self.log.stat().st_size else STARTS
        ):
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


def campaign(count: int, seed: int = 0, workers: int = 2) -> tuple[Counter[str], list[str]]:
    """Try `count` inputs; returns how often what came of them, and the failures."""
    seen: Counter[str] = Counter()
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listed = {}
        for kind, files in fuzz_inputs.seeds(folder).items():
            listed[kind] = [f"seed_{kind}_{i}" for i in range(len(files))]
            for file, raw in zip(listed[kind], files, strict=True):
                (folder / file).write_bytes(raw)
        (folder / "seeds.json").write_text(json.dumps(listed))
        todo = [(a, min(a + PER_CHILD, count)) for a in range(0, count, PER_CHILD)][::-1]
        running: list[Running] = []
        while todo or running:
            while todo and len(running) < workers:
                running.append(Running(folder, seed, *todo.pop()))
            time.sleep(0.1)
            for one in [one for one in running if one.ended()]:
                running.remove(one)
                found, left = one.said()
                seen.update(said.split(":")[0] for _, _, said in found)
                failed += [" ".join(each) for each in found if each[2].startswith("FAILED")]
                if left < one.last:
                    todo.append((left, one.last))
    return seen, failed


def main() -> None:
    """Run a campaign, or a child of one."""
    if sys.argv[1] == "--child":
        folder, seed, first, last = sys.argv[2:]
        child(Path(folder), int(seed), int(first), int(last))
        return
    started, seed = time.time(), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    seen, failed = campaign(int(sys.argv[1]), seed, os.cpu_count() or 1)
    for line in failed[:50]:
        print(line)
    print(f"{sum(seen.values())} tried, {len(failed)} failed, {time.time() - started:.0f} s: {dict(seen)}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
