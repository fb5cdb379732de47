"""Every step of the main job against its baseline and against the memory bandwidth of this machine.

    python benchmarks/steps.py [--size 1024] [--energies 100] [--rounds 5]

Prints a table: median seconds, ratio to the baseline named, ratio to reading the stack once with all threads.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import copy_stack, make_stack, measure, read_stack
from pystackreg import StackReg
from scipy import ndimage

import napari_xanes as nx
from napari_xanes._core.engine import blocks


def stackreg(frames: np.ndarray) -> None:
    """Measure translations against the last frame as pystackreg does."""
    for frame in frames[:-1]:
        StackReg(StackReg.TRANSLATION).register(frames[-1], frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--energies", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    mu, energy, references = make_stack(args.size, args.energies)
    few = mu[-5:]
    half = nx.Drift.from_shifts(np.full((5, 2), 0.37))
    fit = {"constraint": "nonnegative"}
    found = measure(
        args.rounds,
        read=lambda: read_stack(mu),
        copy=lambda: copy_stack(mu),
        normalize=lambda: nx.normalize_edge(mu, energy),
        fit_2=lambda: nx.fit_references(mu, energy, references[:2]),
        fit_4=lambda: nx.fit_references(mu, energy, references),
        nonnegative_2=lambda: nx.fit_references(mu, energy, references[:2], **fit),
        nonnegative_4=lambda: nx.fit_references(mu, energy, references, **fit),
        spline_shift=lambda: [ndimage.shift(frame, 0.37, order=3) for frame in few],
        apply_drift=lambda: nx.apply_drift(few, half),
    )
    nx.estimate_drift(few)  # what is loaded with the first one is not counted
    slow = measure(1, stackreg=lambda: stackreg(few), estimate_drift=lambda: nx.estimate_drift(few))
    found |= slow
    baseline = {"normalize": "copy", "apply_drift": "spline_shift", "estimate_drift": "stackreg"}
    per_stack = args.energies / len(few)
    print(f"{args.energies} x {args.size} x {args.size} float32, {blocks.default_workers()} threads")
    print(f"{'step':16}{'seconds':>9}  {'ratio to baseline':28}{'to reading once':>15}")
    for name, seconds in found.items():
        scale = per_stack if name in ("spline_shift", "apply_drift", "stackreg", "estimate_drift") else 1
        base = baseline.get(name, "read")
        ratio = found[base] / seconds if base in ("spline_shift", "stackreg") else seconds / found[base]
        word = (
            f"{ratio:6.1f} x faster than {base}"
            if base in ("spline_shift", "stackreg")
            else f"{ratio:6.1f} x {base}"
        )
        print(f"{name:16}{seconds:9.3f}  {word:28}{seconds * scale / found['read']:15.1f}")


if __name__ == "__main__":
    main()
