"""What the benchmarks share: a synthetic stack, taking turns, and a table of ratios."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from scipy import ndimage

import napari_xanes as nx
from napari_xanes._core.engine import blocks


def make_stack(size: int, energies: int) -> tuple[np.ndarray, np.ndarray, list[nx.Reference]]:
    """Return optical density (E, size, size) of smooth texture, energies, and four references."""
    rng = np.random.default_rng(0)
    energy = np.linspace(8230, 8580, energies)
    spectra = [
        0.5 + np.arctan((energy - e0) / 1.5) / np.pi + 0.6 * np.exp(-(((energy - e0 - 5) / 4) ** 2))
        for e0 in (8333, 8337, 8341, 8335)
    ]
    amounts = [ndimage.gaussian_filter(rng.random((size, size), np.float32), 2) for _ in spectra]
    mu = np.empty((energies, size, size), np.float32)
    for i in range(energies):
        mu[i] = sum(a * s[i] for a, s in zip(amounts, spectra, strict=True))
        mu[i] += 0.3 + 0.01 * rng.standard_normal((size, size), np.float32)
    return mu, energy, [nx.Reference(f"reference {k}", energy, s) for k, s in enumerate(spectra)]


def measure(rounds: int, **jobs: Callable[[], object]) -> dict[str, float]:
    """Return the median seconds of each job, the jobs taking turns."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
    return {name: median(seconds) for name, seconds in times.items()}


def read_stack(mu: np.ndarray) -> None:
    """Read every value once, with all threads: the limit that memory sets."""
    blocks.run(lambda i: mu[i].max(), range(len(mu)))


def copy_stack(mu: np.ndarray) -> None:
    """Copy into a new array with all threads."""
    target = np.empty_like(mu)
    blocks.run(lambda i: np.copyto(target[i], mu[i]), range(len(mu)))
