"""Maps without references against a loop of scipy splines over the pixels, and against reading the stack once.

    python benchmarks/maps.py [--size 1024] [--rounds 5] [--pixels 300]

Normalised spectra of known peaks and edges, 1 % noise.  The loops do a few hundred pixels and are extrapolated.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import measure, read_stack
from scipy.interpolate import UnivariateSpline, make_smoothing_spline

import napari_xanes as nx

WINDOW = (8344.0, 8357.0)
NOISE = 0.01
GRID = np.linspace(*WINDOW, 10_001)


def make_edges(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return normalised spectra (E, size, size) at every eV, energies, and where each spectrum is shifted to."""
    rng = np.random.default_rng(0)
    energy = np.arange(8310.0, 8376.0)
    shift = rng.uniform(0, 3, (size, size)).astype(np.float32)
    mu = np.empty((energy.size, size, size), np.float32)
    for i, e in enumerate(energy):
        x = np.float32(e - 8341) - shift
        mu[i] = 0.5 + np.arctan(x / 1.5) / np.pi + 0.6 * np.exp(-(((x - 8) / 3) ** 2) / 2)
        mu[i] += NOISE * rng.standard_normal((size, size), np.float32)
    return mu, energy, shift


def true_peak() -> float:
    """Return the energy of the maximum of an unshifted spectrum."""
    x = np.linspace(5, 11, 600_001)
    return float(8341 + x[(np.arctan(x / 1.5) / np.pi + 0.6 * np.exp(-(((x - 8) / 3) ** 2) / 2)).argmax()])


def smoothing_loop(energy: np.ndarray, spectra: np.ndarray, smoothing: float) -> np.ndarray:
    """Maxima of scipy's smoothing spline with the same smoothing, on a dense grid."""
    return np.array([GRID[make_smoothing_spline(energy, y, lam=smoothing)(GRID).argmax()] for y in spectra.T])


def adaptive_loop(energy: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    """Maxima of scipy's FITPACK spline, smoothed to the noise that the spectra have, on a dense grid."""
    allowed = energy.size * NOISE**2
    return np.array([GRID[UnivariateSpline(energy, y, k=3, s=allowed)(GRID).argmax()] for y in spectra.T])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pixels", type=int, default=300)
    args = parser.parse_args()
    mu, energy, shift = make_edges(args.size)
    inside = (energy >= WINDOW[0]) & (energy <= WINDOW[1])
    few = mu[inside].reshape(inside.sum(), -1)[:, : args.pixels].astype(float)
    peak = nx.peak_map(mu, energy, WINDOW)
    found = measure(
        args.rounds,
        read=lambda: read_stack(mu),
        peak_map=lambda: nx.peak_map(mu, energy, WINDOW),
        half_height=lambda: nx.edge_map(mu, energy),
        derivative=lambda: nx.edge_map(mu, energy, method="derivative"),
        white_line=lambda: nx.white_line_map(mu, energy, WINDOW),
        smoothing_loop=lambda: smoothing_loop(energy[inside], few, peak.smoothing),
        adaptive_loop=lambda: adaptive_loop(energy[inside], few),
    )
    print(f"{energy.size} x {args.size} x {args.size} float32, window of {inside.sum()} energies")
    for name in ("peak_map", "half_height", "derivative", "white_line"):
        print(f"{name:14}{found[name]:8.3f} s  {found[name] / found['read']:6.1f} x reading the stack once")
    each = args.size**2 / args.pixels
    for name in ("smoothing_loop", "adaptive_loop"):
        seconds = found[name] * each
        print(f"{name:14}{seconds:8.0f} s  peak_map is {seconds / found['peak_map']:6.0f} x faster")
    accuracy(mu, energy, shift, few, peak)


def accuracy(
    mu: np.ndarray, energy: np.ndarray, shift: np.ndarray, few: np.ndarray, peak: nx.PeakMap
) -> None:
    """Print how far the peaks of the same pixels are from the truth, and ours from scipy's."""
    inside = (energy >= WINDOW[0]) & (energy <= WINDOW[1])
    truth = true_peak() + shift.ravel()[: few.shape[1]]
    found = {
        "peak_map": peak.energy.ravel()[: few.shape[1]],
        "smoothing_loop": smoothing_loop(energy[inside], few, peak.smoothing),
        "scipy's own cross-validation, each pixel": smoothing_loop(energy[inside], few, None),
        "adaptive_loop": adaptive_loop(energy[inside], few),
    }
    for name, at in found.items():
        error = at - truth
        print(f"{name}: error rms {np.sqrt(np.mean(error**2)):.3f} eV, mean {error.mean():+.3f} eV")
    double = nx.peak_map(few, energy[inside], WINDOW, smoothing=peak.smoothing)
    largest = np.abs(double.energy - found["smoothing_loop"]).max()
    print(
        f"peak_map and smoothing_loop differ by {largest:.4f} eV at most; the grid has {GRID[1] - GRID[0]:.4f} eV"
    )


if __name__ == "__main__":
    main()
