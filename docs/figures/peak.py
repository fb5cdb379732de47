"""Picture for docs/methods/peak.md: a spectrum with its spline, the peak map, its error against the smoothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.interpolate import make_smoothing_spline

import napari_xanes as nx

WINDOW = (8342.0, 8359.0)
ENERGY = np.arange(8320.0, 8376.0)


def simulate() -> tuple[np.ndarray, np.ndarray]:
    """Return normalised spectra (E, Y, X) with 2 % noise and how far each is shifted."""
    y, x = np.mgrid[:48, :48]
    shift = 1.5 + 1.4 * np.sin(x / 9) * np.cos(y / 7)
    at = ENERGY[:, None, None] - 8342 - shift
    mu = 0.5 + np.arctan(at / 1.5) / np.pi + 0.6 * np.exp(-(((at - 7) / 3) ** 2) / 2)
    return mu + 0.02 * np.random.default_rng(0).normal(size=mu.shape), shift


def main() -> None:
    mu, shift = simulate()
    truth = 8342 + shift + 7 + 0.135  # the step moves the maximum of the Gaussian
    peak = nx.peak_map(mu, ENERGY, WINDOW)
    figure = Figure(figsize=(8, 2.6), dpi=110, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.2, 1, 1.2))

    inside = (ENERGY >= WINDOW[0]) & (ENERGY <= WINDOW[1])
    spectrum, grid = mu[:, 20, 30], np.linspace(*WINDOW, 400)
    left.plot(ENERGY, spectrum, "o", ms=3, color="#999999")
    spline = make_smoothing_spline(ENERGY[inside], spectrum[inside], lam=peak.smoothing)
    left.plot(grid, spline(grid), color="#0072B2")
    left.plot(peak.energy[20, 30], peak.height[20, 30], "v", color="#D55E00")
    left.set(title="one pixel", xlabel="energy (eV)", xlim=(8335, 8370), ylim=(0.2, 1.7))

    shown = middle.imshow(peak.energy, cmap="viridis", interpolation="nearest")
    middle.set(title="peak energy (eV)", xticks=[], yticks=[])
    figure.colorbar(shown, ax=middle)

    tried = np.geomspace(1e-3, 100, 31)
    found = [nx.peak_map(mu, ENERGY, WINDOW, smoothing=s).energy - truth for s in tried]
    right.loglog(tried, [np.sqrt(np.mean(error**2)) for error in found], color="#0072B2")
    right.axvline(peak.smoothing, color="#D55E00", lw=1, label="chosen")
    right.set(title="rms error (eV)", xlabel="smoothing (eV³)")
    right.legend(frameon=False)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_peak.png")


if __name__ == "__main__":
    main()
