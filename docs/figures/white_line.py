"""Picture for docs/methods/white_line.md: the area that is measured, centroid against area, and a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx

WINDOW = (8338.0, 8368.0)
ENERGY = np.concatenate([np.arange(8320, 8335, 2.5), np.arange(8335, 8365, 1.0), np.arange(8365, 8400, 3)])


def simulate() -> np.ndarray:
    """Return normalised spectra (E, Y, X) with 2 % noise of grains with a weak and a strong white line."""
    y, x = np.mgrid[:48, :48]
    strong = 1 / (1 + np.exp(-(np.sin(x / 7) + np.cos(y / 6)) * 3))
    at = ENERGY[:, None, None] - 8340 - strong
    mu = 0.5 + np.arctan(at / 1.2) / np.pi + (0.35 + 0.5 * strong) * np.exp(-(((at - 7) / 3) ** 2) / 2)
    return mu + 0.02 * np.random.default_rng(0).normal(size=mu.shape)


def main() -> None:
    mu = simulate()
    line = nx.white_line_map(mu, ENERGY, WINDOW)
    figure = Figure(figsize=(8, 2.6), dpi=110, layout="constrained")
    left, *panels = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    inside = (ENERGY >= WINDOW[0]) & (ENERGY <= WINDOW[1])
    spectrum = mu[:, 25, 15]
    left.plot(ENERGY, spectrum, "o-", ms=2.5, lw=0.8, color="#0072B2")
    above = np.maximum(spectrum[inside], 1)
    left.fill_between(ENERGY[inside], 1, above, color="#56B4E9", alpha=0.6, label="area")
    left.axhline(1, color="#999999", lw=0.8)
    left.axvline(line.centroid[25, 15], color="#D55E00", label="centroid")
    left.set(title="one pixel", xlabel="energy (eV)", xlim=(8330, 8375))
    left.legend(frameon=False, fontsize=8, loc="lower right")
    for panel, (title, image) in zip(
        panels, {"centroid (eV)": line.centroid, "area (eV)": line.area}.items(), strict=True
    ):
        shown = panel.imshow(image, cmap="viridis", interpolation="nearest")
        panel.set(title=title, xticks=[], yticks=[])
        figure.colorbar(shown, ax=panel)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_white_line.png")


if __name__ == "__main__":
    main()
