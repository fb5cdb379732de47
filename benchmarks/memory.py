"""How much memory each method takes at its peak, above its input and its output.

    python benchmarks/memory.py [--size 1024] [--energies 100]

Input is float32 in memory, as in a script; files are streamed with less, see main_job.py.
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from common import make_stack

import napari_xanes as nx


def output_bytes(result: Any) -> int:
    """Return the bytes of all arrays in a result, views of one array once."""
    if is_dataclass(result):
        values = [getattr(result, field.name) for field in fields(result)]
    elif isinstance(result, dict):
        values = list(result.values())
    else:
        values = list(result) if isinstance(result, (list, tuple)) else [result]
    arrays = {id(v if v.base is None else v.base): v.nbytes for v in values if isinstance(v, np.ndarray)}
    return sum(arrays.values())


def extra_bytes(job: Callable[[], Any], given: int) -> int:
    """Return the peak of what a job allocates, less its output; `given` are bytes of input that it hands on."""
    job()  # what is loaded once is not the method's
    tracemalloc.start()
    result = job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    out = output_bytes(result)
    return peak - (out - given if out >= given else out)


def methods(
    mu: np.ndarray, energy: np.ndarray, references: list[nx.Reference]
) -> dict[str, Callable[[], Any]]:
    """Return every method that goes over a whole stack."""
    drift = nx.Drift.from_shifts(np.linspace(-2, 2, 2 * len(mu)).reshape(-1, 2))
    window = (8330.0, 8360.0)
    return {
        "flat_field": lambda: nx.flat_field(mu, mu[-1]),
        "optical_density": lambda: nx.optical_density(mu),
        "estimate_drift": lambda: nx.estimate_drift(mu),
        "apply_drift": lambda: nx.apply_drift(mu, drift),
        "normalize_edge": lambda: nx.normalize_edge(mu, energy),
        "fit_references": lambda: nx.fit_references(mu, energy, references),
        "fit, non-negative": lambda: nx.fit_references(mu, energy, references, constraint="nonnegative"),
        "peak_map": lambda: nx.peak_map(mu, energy, window),
        "white_line_map": lambda: nx.white_line_map(mu, energy, window),
        "cluster_spectra": lambda: nx.cluster_spectra(mu, 4),
        "decompose": lambda: nx.decompose(mu, 4),
        "combination_map": lambda: nx.combination_map(mu, energy, references),
    }


HANDS_ON = ("fit_references", "fit, non-negative")
"""Methods whose result refers to the input."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--energies", type=int, default=100)
    args = parser.parse_args()
    mu, energy, references = make_stack(args.size, args.energies)
    print(f"{args.energies} x {args.size} x {args.size} float32, {mu.nbytes / 2**20:.0f} MiB")
    print(f"{'method':20}{'MiB above input + output':>26}{'of the input':>14}")
    for name, job in methods(mu, energy, references).items():
        extra = extra_bytes(job, mu.nbytes if name in HANDS_ON else 0)
        print(f"{name:20}{extra / 2**20:26.1f}{extra / mu.nbytes:14.1%}")


if __name__ == "__main__":
    main()
