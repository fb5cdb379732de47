"""Every variant of the edge normalisation against a copy of the stack.

    python benchmarks/normalize.py [--size 1024] [--energies 100] [--rounds 5]

Prints median seconds and the ratio to a copy into a new array with all threads, into a new array and in place; the
default is to stay below 5 and 3.  All jobs take turns, so that the machine's moods are shared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from common import copy_stack, make_stack, measure

import napari_xanes as nx
from napari_xanes._core.edge.kernel import NormalizeKernel
from napari_xanes._core.engine import blocks

VARIANTS: dict[str, dict[str, object]] = {
    "line (default)": {},
    "step": {"divide_by": "step"},
    "step, flattened": {"divide_by": "step", "flatten": True},
    "step, parabola, flattened": {"divide_by": "step", "flatten": True, "post_order": 2},
    "line, parabola": {"post_order": 2},
    "line, Victoreen": {"pre": "victoreen"},
    "line, constants": {"pre": "constant", "post_order": 0},
    "line, shared slopes": {"slope": "shared"},
    "post-edge alone": {"divide_by": "post"},
    "area": {"divide_by": "area"},
    "line, gate": {"gate": 3.0},
    "e0 at half height": {"e0_method": "half_height"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--energies", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    mu, energy, _ = make_stack(args.size, args.energies)
    print(f"{args.energies} x {args.size} x {args.size} float32, {blocks.default_workers()} threads")
    owned, usable = mu.copy(), np.ones(len(energy), bool)
    jobs: dict[str, Callable[[], object]] = {"copy": lambda: copy_stack(mu)}
    for name, variant in VARIANTS.items():
        params = nx.normalize_edge(mu[:, :8], energy, **variant).params
        kernel = NormalizeKernel(params, energy, usable, mu[:, :8].reshape(len(mu), -1))
        jobs[f"{name}: new"] = lambda v=variant: nx.normalize_edge(mu, energy, **v)
        jobs[f"{name}: restore"] = lambda: np.copyto(owned, mu)
        jobs[f"{name}: place"] = lambda k=kernel: blocks.run_kernels([k], owned, out=owned)
    found = measure(args.rounds, **jobs)
    print(f"{'copy into a new array':28}{found['copy']:8.3f} s")
    print(f"{'variant':28}{'new array':>20}{'in place':>20}")
    for name in VARIANTS:
        seconds = [found[f"{name}: {where}"] for where in ("new", "place")]
        print(f"{name:28}" + "".join(f"{s:11.3f} s {s / found['copy']:5.2f} x" for s in seconds))


if __name__ == "__main__":
    main()
