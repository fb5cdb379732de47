"""Let users without a plan loose in a window, one process a seed, and tell what they found.

    xvfb-run -a -s "-screen 0 1920x1080x24" python tools/monkey.py [--seeds 20] [--actions 500] [--look]

A line a seed: exceptions, messages in the log, threads left, memory at the start and after each third of the actions, and
the longest time that the event loop stood still, in which the window's thread had a processor, by this plugin and by
napari alone; `--look` tells of each over 0.3 s at which places of the source it was spent.  Memory is that with everything closed again, free pages given back to the system; of
what is alive then it is told of which kinds there are more after the last third than after the second.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import logging
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST, TOLD = 0.5, 0.3
"""Seconds with a processor that the event loop may stand still, and from which on it is told where."""
ROOT = Path(__file__).parents[1]
WITHIN = 1200.0
"""Seconds in which an action must be done, also where many others have the machine."""
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "benchmarks")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--actions", type=int, default=500)
    parser.add_argument("--look", action="store_true", help="also tell where the time goes")
    parser.add_argument("--seed", type=int, help="only this one, in this process")
    args = parser.parse_args()
    if args.seed is not None:
        sys.exit(one(args.seed, args.actions, args.look))
    bad = 0
    for seed in range(args.first, args.first + args.seeds):
        command = [
            sys.executable,
            "-X",
            "faulthandler",
            __file__,
            "--seed",
            str(seed),
            "--actions",
            str(args.actions),
        ]
        command += ["--look"] * args.look
        done = subprocess.run(command, capture_output=True, text=True)
        said = [line for line in done.stdout.splitlines() if line.startswith(("seed", "  "))]
        print("\n".join(said) or f"seed {seed}: died ({done.returncode})\n{done.stderr[-2000:]}", flush=True)
        bad += done.returncode != 0
    print(f"{bad} of {args.seeds} seeds found something")
    sys.exit(bool(bad))


def one(seed: int, actions: int, look: bool) -> int:
    """Act for one seed; returns 1 if anything was found."""
    folder = tempfile.mkdtemp()
    os.environ["NAPARI_CONFIG"] = f"{folder}/settings.yaml"
    import napari
    from heartbeat import Heartbeat
    from leaks import alive, grown
    from monkey import Complaints, Monkey, come_to_rest, without_dialogs

    import napari_xanes as nx

    faults: list[str] = []
    napari_s: list[str] = []

    def note(*error: Any) -> None:
        """Tell what went wrong with none of this plugin's code under way from what did with some."""
        text = "".join(traceback.format_exception(*error))
        (faults if f"napari_xanes{os.sep}_" in text else napari_s).append(text)

    sys.excepthook = note
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    scan = nx.simulate((64, 72), n_energies=41, max_drift=2.5, n_particles=5, seed=3).save(folder)
    viewer = napari.Viewer(show=True)
    sys.excepthook = note
    without_dialogs(_Set())
    monkey = Monkey(viewer, scan, sorted((scan.parent / "references").glob("*.txt")), seed)
    before = set(threading.enumerate())
    beat, memory, here = Heartbeat(look=True), [_memory()], []
    longest = {"us": (0.0, ""), "napari alone": (0.0, "")}
    for number in range(actions):
        found = beat.measure(monkey.act, quiet=0.02, within=WITHIN)
        who = "us" if 2 * found.ours > found.where.total() else "napari alone"
        longest[who] = max(longest[who], (found.busy, f"{number + 1} {monkey.done[-1]}"))
        if look and found.busy > TOLD:
            print(f"  {found.busy:.2f} s, {found.ours:.2f} s by us: {number + 1} {monkey.done[-1]}")
            for place, seconds in found.where.most_common(6):
                print(f"    {seconds:6.3f} {place}")
        if number + 1 in (actions // 3, 2 * actions // 3, actions):
            come_to_rest(viewer)
            here.append(alive())
            memory.append(_memory())
            monkey.opened = 0
        if faults or complaints.texts:
            break
    beat.close()
    come_to_rest(viewer)
    left = [one.name for one in set(threading.enumerate()) - before if not one.daemon and one.is_alive()]
    more = grown(*here[-2:]) if len(here) > 2 else {}
    worst = ", ".join(f"by {who} {busy:.2f} s at {what}" for who, (busy, what) in longest.items())
    at_rest = " then ".join(f"{one:.0f}" for one in memory)
    print(
        f"seed {seed}: {len(monkey.done)} actions, {len(faults)} exceptions ({len(napari_s)} more of napari alone), "
        f"{len(complaints.texts)} messages, "
        f"threads left {left or 'none'}, memory at rest {at_rest} MiB, more alive {more or 'nothing'}, blocked: {worst}"
    )
    for text in dict.fromkeys(one.strip().splitlines()[-1] for one in napari_s):
        print(f"  of napari alone: {text}")
    for text in (*faults, *complaints.texts):
        print("  " + text.replace("\n", "\n  "))
        print(f"  after {monkey.done[-15:]}")
    viewer.close()
    return int(bool(faults or complaints.texts or left or more or longest["us"][0] > MOST))


def _memory() -> float:
    """Return the MiB that this process holds, without free pages."""
    import psutil

    gc.collect()
    with suppress(OSError, AttributeError):  # not on every system
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss / 2**20


class _Set:
    """Sets attributes for good."""

    def setattr(self, owner: object, name: str, value: object, raising: bool = True) -> None:
        setattr(owner, name, value)


if __name__ == "__main__":
    main()
