"""Whether opening stays lazy: memory to open a large scan and read one frame, and time per frame against np.fromfile.

    python benchmarks/formats.py [--size 2048] [--energies 100] [--only NAME] [--folder DIR]

Each format is written (1.7 GB by default), opened in a process of its own that has read a small file of the format before,
and deleted.  Memory is what the peak of the process rose by, in frames as float32; time is the median over ten frames,
the file in the cache of the system, divided by that of np.fromfile on as many bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from format_writers import FORMATS, plain

FRAMES = 10


def peak_bytes(*, reset: bool = False) -> int:
    """Return the most memory that this process had, since it was reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def child(small: str, large: str) -> None:
    """Print what one process needs to open a file and read frames, as json."""
    import napari_xanes as nx

    how = {"signal": "optical_density"}
    nx.read_stack(small, **how).read(1)
    before = peak_bytes(reset=True)
    start = time.perf_counter()
    stack = nx.read_stack(large, **how)
    opened = time.perf_counter() - start
    picks = np.linspace(0, stack.energy.size - 1, FRAMES).round().astype(int).tolist()
    stack.read(picks[FRAMES // 2])
    peak = peak_bytes()
    times = []
    for i in picks:
        start = time.perf_counter()
        stack.read(i)
        times.append(time.perf_counter() - start)
    print(json.dumps({"open": opened, "memory": peak - before, "frame": median(times)}))


def fromfile(folder: Path, size: int) -> float:
    """Return the seconds that np.fromfile takes for one frame."""
    path = plain(folder / "raw", b"", FRAMES, size)
    times = []
    for i in range(FRAMES):
        start = time.perf_counter()
        with open(path, "rb") as file:
            np.fromfile(file, "f4", size * size, offset=i * size * size * 4)
        times.append(time.perf_counter() - start)
    return median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--size", type=int, default=2048)
    arguments.add_argument("--energies", type=int, default=100)
    arguments.add_argument("--only")
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        child(*given.child)
        return
    frame = given.size**2 * 4
    print(
        f"{given.energies} x {given.size} x {given.size}, {frame * given.energies / 1e9:.2f} GB as float32\n"
    )
    print(
        "| format | seconds to open | memory, in frames | time per frame / np.fromfile |\n|---|---|---|---|"
    )
    for name, write in FORMATS.items():
        if given.only and given.only not in name:
            continue
        home = Path(tempfile.mkdtemp(dir=given.folder))
        try:
            baseline = fromfile(home, given.size)
            (home / "small").mkdir()
            (home / "large").mkdir()
            paths = [write(home / "small", 5, 16), write(home / "large", given.energies, given.size)]
            done = subprocess.run(
                [sys.executable, __file__, "--child", *map(str, paths)],
                check=True,
                capture_output=True,
                text=True,
            )
            found = json.loads(done.stdout)
            print(
                f"| {name} | {found['open']:.2f} | {found['memory'] / frame:.1f} | {found['frame'] / baseline:.1f} |",
                flush=True,
            )
        finally:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
