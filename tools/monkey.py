"""Let users without a plan loose in a window, one process a seed, and tell what they found.

    xvfb-run -a -s "-screen 0 1920x1080x24" python tools/monkey.py [--seeds 20] [--actions 500]

A line a seed: exceptions, messages in the log, growth of memory from the first half of the actions to the second, both
times with everything closed again, and the longest time that the event loop stood still while this plugin was at work,
with where; `busy` is the time in which the window's thread had a processor.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
WITHIN = 1200.0
"""Seconds in which an action must be done, also where many others have the machine."""
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "benchmarks")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--actions", type=int, default=500)
    parser.add_argument("--seed", type=int, help="only this one, in this process")
    args = parser.parse_args()
    if args.seed is not None:
        sys.exit(one(args.seed, args.actions))
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
        done = subprocess.run(command, capture_output=True, text=True)
        said = [line for line in done.stdout.splitlines() if line.startswith(("seed", "  "))]
        print("\n".join(said) or f"seed {seed}: died ({done.returncode})\n{done.stderr[-2000:]}", flush=True)
        bad += done.returncode != 0
    print(f"{bad} of {args.seeds} seeds found something")
    sys.exit(bool(bad))


def one(seed: int, actions: int) -> int:
    """Act for one seed; returns 1 if anything was found."""
    folder = tempfile.mkdtemp()
    os.environ["NAPARI_CONFIG"] = f"{folder}/settings.yaml"
    import napari
    import psutil
    from heartbeat import Heartbeat
    from monkey import Complaints, Monkey, come_to_rest, without_dialogs

    import napari_xanes as nx

    faults: list[str] = []
    sys.excepthook = lambda *error: faults.append("".join(traceback.format_exception(*error)))
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    scan = nx.simulate((64, 72), n_energies=41, max_drift=2.5, n_particles=5, seed=3).save(folder)
    viewer = napari.Viewer(show=True)
    sys.excepthook = lambda *error: faults.append("".join(traceback.format_exception(*error)))
    without_dialogs(_Set())
    monkey = Monkey(viewer, scan, sorted((scan.parent / "references").glob("*.txt")), seed)
    beat, slow, memory = Heartbeat(look=True), [], []
    for number in range(actions):
        found = beat.measure(monkey.act, quiet=0.02, within=WITHIN)
        ours = sum(n for place, n in found.where.items() if not place.startswith("not ours"))
        if found.longest > 0.5 and 2 * ours > found.where.total():
            place = found.where.most_common(1)[0][0].split(" | ")[0]
            slow.append((found.busy, found.longest, monkey.done[-1], place))
        if number + 1 in (actions // 2, actions):
            come_to_rest(viewer)
            gc.collect()
            memory.append(psutil.Process().memory_info().rss / 2**20)
            monkey.opened = 0
        if faults or complaints.texts:
            break
    beat.close()
    come_to_rest(viewer)
    slow.sort(reverse=True)
    worst = (
        f"{slow[0][0]:.2f} s busy ({slow[0][1]:.2f} s) by {slow[0][2]} in {slow[0][3]}"
        if slow
        else "none over 0.5 s"
    )
    at_rest = " then ".join(f"{one:.0f}" for one in memory)
    print(
        f"seed {seed}: {len(monkey.done)} actions, {len(faults)} exceptions, {len(complaints.texts)} messages, "
        f"memory at rest {at_rest} MiB, blocked: {worst}"
    )
    for text in (*faults, *complaints.texts):
        print("  " + text.replace("\n", "\n  "))
        print(f"  after {monkey.done[-15:]}")
    viewer.close()
    return int(bool(faults or complaints.texts))


class _Set:
    """Sets attributes for good."""

    def setattr(self, owner: object, name: str, value: object, raising: bool = True) -> None:
        setattr(owner, name, value)


if __name__ == "__main__":
    main()
