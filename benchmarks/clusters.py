"""K-means clusters of a stack against scikit-learn on the raw spectra: time, agreement, worse minima, memory.

    python benchmarks/clusters.py [--size 1024] [--energies 100] [--rounds 5] [--seeds 20]

Two stacks: "phases", in which every pixel holds one of four materials, and "texture", all materials everywhere, where
no clusters are and boundaries are arbitrary.  scikit-learn is given a copy of the spectra in its own order, not timed,
and starts once where ours starts five times.  The limits are: >= 4 x faster, adjusted Rand index >= 0.995 on phases
(against KMeans with n_init=5, and against the truth), no seed with an inertia more than 0.5 % above the best.
"""

from __future__ import annotations

import argparse
import tracemalloc

import numpy as np
from common import make_stack, measure, read_stack
from scipy import ndimage
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import napari_xanes as nx
from napari_xanes._core.engine import blocks

N = 4


def phases_stack(texture: np.ndarray, references: list[nx.Reference]) -> tuple[np.ndarray, np.ndarray]:
    """Return a stack in which each pixel holds one reference, with noise, and which one it is."""
    rng = np.random.default_rng(1)
    smooth = [ndimage.gaussian_filter(rng.standard_normal(texture.shape[1:]), 8) for _ in references]
    which = np.argmax(smooth, axis=0)
    spectra = np.stack([r.mu for r in references]).astype(np.float32)
    mu = np.empty_like(texture)
    for i, frame in enumerate(mu):
        np.add(spectra[:, i][which], 0.05 * rng.standard_normal(frame.shape, np.float32), out=frame)
    return mu, which.ravel()


def compare(name: str, mu: np.ndarray, truth: np.ndarray | None, args: argparse.Namespace) -> None:
    """Print what one stack shows."""
    raw = np.ascontiguousarray(mu.reshape(len(mu), -1).T)
    seconds = measure(
        args.rounds,
        read=lambda: read_stack(mu),
        ours=lambda: nx.cluster_spectra(mu, N),
        sklearn=lambda: KMeans(N, n_init=1, random_state=0).fit(raw),
    )
    full = KMeans(N, n_init=5, random_state=0).fit(raw)
    found = nx.cluster_spectra(mu, N)
    inertia = np.array([nx.cluster_spectra(mu, N, seed=seed).inertia for seed in range(args.seeds)])
    tracemalloc.start()
    nx.cluster_spectra(mu, N)
    peak = tracemalloc.get_traced_memory()[1] - found.labels.nbytes
    tracemalloc.stop()
    print(f"{name}:")
    print(f"  seconds: ours {seconds['ours']:.3f}, one run of scikit-learn {seconds['sklearn']:.3f}")
    print(
        f"  ratio {seconds['sklearn'] / seconds['ours']:.1f} (limit 4); {seconds['ours'] / seconds['read']:.0f} x reading once"
    )
    print(
        f"  adjusted Rand index to KMeans(n_init=5): {adjusted_rand_score(full.labels_, found.labels.ravel()):.4f}"
    )
    if truth is not None:
        print(f"  adjusted Rand index to the truth: {adjusted_rand_score(truth, found.labels.ravel()):.4f}")
    print(
        f"  inertia over {args.seeds} seeds: worst {100 * (inertia.max() / inertia.min() - 1):.4f} % above the best; "
        f"best {100 * (inertia.min() / full.inertia_ - 1):+.4f} % to KMeans(n_init=5)"
    )
    print(
        f"  memory besides input and labels: {peak / 2**20:.0f} MiB, {100 * peak / mu.nbytes:.1f} % of the input"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--energies", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    texture, _, references = make_stack(args.size, args.energies)
    print(
        f"{args.energies} x {args.size} x {args.size} float32, {blocks.default_workers()} threads, {N} clusters"
    )
    compare("phases", *phases_stack(texture, references), args)
    compare("texture", texture, None, args)


if __name__ == "__main__":
    main()
