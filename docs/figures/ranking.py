"""Picture for docs/methods/ranking.md: errors of all combinations, and the chosen ones on a map."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx

ENERGY = np.linspace(8300, 8400, 60)
SHAPES = {
    "metal": (8333, 0.1, 6),
    "oxide": (8337, 0.9, 3),
    "hydroxide": (8338, 0.7, 5),
    "sulfide": (8334, 0.4, 4),
}


def edge(e0: float, white: float, width: float) -> np.ndarray:
    """Return an edge with a white line."""
    rise = 0.5 + np.arctan((ENERGY - e0) / 1.5) / np.pi
    return rise + white * np.exp(-(((ENERGY - e0 - 4) / width) ** 2))


def main() -> None:
    library = [nx.Reference(name, ENERGY, edge(*shape)) for name, shape in SHAPES.items()]
    spectra = np.stack([r.mu for r in library], axis=1)
    y, x = np.mgrid[:60, :60]
    share = np.clip((x - 15) / 30, 0, 1)
    weights = np.stack([share * (y < 40), (1 - share) * (y < 40), 0 * share, 1.0 * (y >= 40)])
    rng = np.random.default_rng(0)
    mu = np.tensordot(spectra, weights, 1) + 0.02 * rng.standard_normal((60, 60, 60))
    found = nx.combination_map(mu, ENERGY, library)
    ranking = nx.rank_combinations(mu[:, 10:30, 28:32].mean(axis=(1, 2)), ENERGY, library, at_most=2)

    figure = Figure(figsize=(7.6, 3), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    listed = ranking.combinations[:7]
    left.barh([" + ".join(c.names) for c in listed], [c.r_factor for c in listed], color="#56B4E9")
    left.invert_yaxis()
    left.set_xscale("log")
    left.set(xlabel="R-factor", title="combinations, best first")
    left.bar_label(
        left.containers[0], [f"AIC {c.aic - listed[0].aic:+.0f}" for c in listed], padding=2, fontsize=7
    )
    left.set_xlim(right=0.5)
    shown = found.combinations[:4]
    colours = mpl.colors.ListedColormap(["#dddddd", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#999999"])
    picture = right.imshow(
        np.minimum(found.labels, 5), cmap=colours, vmin=-0.5, vmax=5.5, interpolation="nearest"
    )
    right.set(title="chosen in each pixel", xticks=[], yticks=[])
    bar = figure.colorbar(picture, ax=right, ticks=range(6))
    names = [" + ".join(c) for c in shown]
    bar.ax.set_yticklabels(["none", *names, *[""] * (4 - len(names)), "others"], fontsize=7)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_ranking.png")


if __name__ == "__main__":
    main()
