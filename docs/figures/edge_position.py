"""Picture for docs/methods/edge_position.md: which crossing is taken, and the map by both methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx

ENERGY = np.concatenate([np.arange(8300, 8325, 2.5), np.arange(8325, 8365, 1.0), np.arange(8365, 8400, 5)])


def simulate() -> np.ndarray:
    """Return normalised spectra (E, Y, X) with 8 % noise, edges at 8338 to 8342 eV, a pre-edge peak."""
    y, x = np.mgrid[:48, :48]
    e0 = 8340 + 2 * np.sin(x / 9) * np.cos(y / 7)
    at = ENERGY[:, None, None] - e0
    mu = 0.5 + np.arctan(at / 1.5) / np.pi + 0.6 * np.exp(-(((at - 7) / 3.4) ** 2) / 2)
    mu += 0.35 * np.exp(-(((at + 9) / 1.2) ** 2))
    return mu + 0.08 * np.random.default_rng(0).normal(size=mu.shape)


def main() -> None:
    mu = simulate()
    half, steepest = (nx.edge_map(mu, ENERGY, method=m) for m in ("half_height", "derivative"))
    figure = Figure(figsize=(8, 2.6), dpi=110, layout="constrained")
    left, *panels = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
    noisy = mu[(ENERGY > 8322) & (ENERGY < 8335)].max(axis=0)
    y, x = np.unravel_index(noisy.argmax(), noisy.shape)
    left.plot(ENERGY, mu[:, y, x], "o-", ms=2.5, lw=0.7, color="#999999")
    left.axhline(0.5, color="#0072B2", lw=0.8)
    left.axvline(half.energy[y, x], color="#D55E00", label="half height")
    left.axvline(steepest.energy[y, x], color="#009E73", ls="--", label="steepest")
    left.set(title="one pixel", xlabel="energy (eV)", xlim=(8315, 8372))
    left.legend(frameon=False, fontsize=8, loc="lower right")
    for panel, (title, found) in zip(
        panels, {"half height (eV)": half, "steepest (eV)": steepest}.items(), strict=True
    ):
        shown = panel.imshow(found.energy, cmap="viridis", interpolation="nearest", vmin=8336.5, vmax=8343.5)
        panel.set(title=title, xticks=[], yticks=[])
    figure.colorbar(shown, ax=panels)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_edge_position.png")


if __name__ == "__main__":
    main()
