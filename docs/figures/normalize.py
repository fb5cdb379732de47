"""Picture for docs/methods/normalize.md: curves, variants and the gate, on simulated data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

import napari_xanes as nx

COLORS = {"line": "#0072B2", "step": "#D55E00", "step, flattened": "#009E73", "post": "#999999"}


def spectrum(energy: np.ndarray) -> np.ndarray:
    """Return a spectrum on the tail of other elements, its absorption falling above the edge."""
    x = energy - 8333
    edge = 0.5 + np.arctan((energy - 8338) / 1.4) / np.pi + 0.5 * np.exp(-(((energy - 8344) / 4) ** 2))
    wiggle = np.where(x > 20, 0.02 * np.sin(x / 12) * np.exp(-x / 120), 0)
    return 0.6 * (energy / 8333) ** -6 + (edge + wiggle) * (1 - 1.2e-3 * x + 1.5e-6 * x**2)


def main() -> None:
    energy = np.concatenate([np.arange(8220, 8320, 4), np.arange(8320, 8370, 0.5), np.arange(8370, 8580, 4)])
    mu = spectrum(energy)
    windows = {"e0": 8333.0, "pre_edge": (8222.0, 8312.0), "post_edge": (8392.0, 8577.0)}
    figure = Figure(figsize=(8.2, 2.7), dpi=110, layout="constrained")
    curves, variants, image = figure.subplots(1, 3, width_ratios=(1.2, 1.2, 1))

    found = nx.normalize_edge(mu, energy, post_order=2, **windows)
    x = energy - found.e0
    for window in (found.pre_edge, found.post_edge):
        curves.axvspan(*window, color="0.92", lw=0)
    curves.plot(energy, mu, color="black", lw=1)
    curves.plot(energy, np.polynomial.polynomial.polyval(x, found.pre_line), color="#56B4E9", label="pre")
    curves.plot(
        energy[x > 0],
        np.polynomial.polynomial.polyval(x, found.post_line)[x > 0],
        color="#E69F00",
        label="post, order 2",
    )
    ends = np.array([found.pre_line[0], found.post_line[0]])
    curves.annotate("", (8333, ends[0]), (8333, ends[1]), arrowprops={"arrowstyle": "<->", "color": "0.4"})
    curves.text(8330, ends.mean(), "edge step", ha="right", va="center", fontsize=8)
    curves.set(title="mu and its curves", xlabel="energy (eV)")
    curves.legend(fontsize=7, loc="upper right")

    for name, color in COLORS.items():
        divide_by, flatten = name.split(",")[0], "flattened" in name
        one = nx.normalize_edge(
            mu, energy, divide_by=divide_by, flatten=flatten, post_order=1 if name == "line" else 2, **windows
        )
        variants.plot(energy, one.normalized, color=color, label=name, lw=1.2)
    variants.axhline(1, color="0.8", lw=0.6, zorder=0)
    variants.set(title="divide_by", xlabel="energy (eV)")
    variants.legend(fontsize=7, loc="lower right")

    simulation = nx.simulate((120, 140), seed=2, max_drift=0)
    stack = simulation.stack
    density = nx.optical_density(nx.flat_field(stack.data, stack.flat, stack.dark))
    gated = nx.normalize_edge(density, stack.energy, divide_by="step", gate=3)
    passed = np.isfinite(gated.normalized).all(axis=0)
    state = np.where(passed, 2, np.where(gated.edge_step > 0, 1, 0))
    image.imshow(state, cmap=ListedColormap(["black", "#D55E00", "#F0E442"]), interpolation="nearest")
    image.set(title="gate = 3", xticks=[], yticks=[])
    image.set_xlabel("kept; step below 3 sigma; none", fontsize=8)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_normalize.png")
    print(
        f"{passed.mean():.2f} of the pixels pass, {gated.n_gated} do not; {simulation.mask.mean():.2f} hold material"
    )


if __name__ == "__main__":
    main()
