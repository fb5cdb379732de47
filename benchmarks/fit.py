"""Every kind of linear-combination fit, with all its maps, against reading the stack once.

    python benchmarks/fit.py [--size 1024] [--energies 100] [--rounds 5] [--admm]

Prints median seconds and the ratio to reading every value once with all threads.  "mixed" pixels hold all
references; in "pure" ones most are absent, so that most pixels are at a bound.  The jobs take turns, so the machine's
moods are shared.  The aim is <= 8 for least squares, and for non-negative <= 16 with 2 and <= 28 with 4 references.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from common import make_stack, measure, read_stack

import napari_xanes as nx
from napari_xanes._core.engine import blocks

LIMITS = {"none": {2: 8, 3: 8, 4: 8}, "nonnegative": {2: 16, 4: 28}}


def pure_stack(mixed: np.ndarray, references: list[nx.Reference]) -> np.ndarray:
    """Return a stack of the same noise in which each pixel holds one reference."""
    rng = np.random.default_rng(1)
    which = rng.integers(0, len(references), mixed.shape[1:])
    spectra = np.stack([r.mu for r in references]).astype(np.float32)
    pure = np.empty_like(mixed)
    for i, frame in enumerate(pure):
        np.add(spectra[:, i][which], 0.02 * rng.standard_normal(frame.shape, np.float32), out=frame)
    return pure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--energies", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--admm", action="store_true", help="also the iterative solver, which takes minutes")
    args = parser.parse_args()
    mixed, energy, references = make_stack(args.size, args.energies)
    print(f"{args.energies} x {args.size} x {args.size} float32, {blocks.default_workers()} threads")
    print(f"{'pixels':8}{'fit':28}{'references':>11}{'seconds':>9}{'ratio':>7}{'limit':>7}")
    half = np.arange(args.size**2).reshape(mixed.shape[1:]) % args.size < args.size // 2
    kinds: dict[str, dict[str, object]] = {
        "none": {},
        "nonnegative": {"constraint": "nonnegative"},
        "nonnegative_sum_to_one": {"constraint": "nonnegative_sum_to_one"},
        "none, line": {"background": (0, 1)},
        "none, weights": {"weights": "counts"},
        "none, noise": {"noise": 0.02},
        "none, mask of half": {"mask": half},
    }
    if args.admm:
        kinds["nonnegative, admm"] = {"constraint": "nonnegative", "solver": "admm"}
    for pixels in ("mixed", "pure"):
        mu = mixed if pixels == "mixed" else pure_stack(mixed, references)
        for kind, options in kinds.items():
            fits = {
                f"fit_{k}": partial(nx.fit_references, mu, energy, references[:k], **options)
                for k in (2, 3, 4)
            }
            found = measure(args.rounds, read=partial(read_stack, mu), **fits)
            for k in (2, 3, 4):
                seconds, limit = found[f"fit_{k}"], LIMITS.get(kind, {}).get(k, "")
                ratio = seconds / found["read"]
                print(f"{pixels:8}{kind:28}{k:11}{seconds:9.3f}{ratio:7.1f}{limit:>7}", flush=True)


if __name__ == "__main__":
    main()
