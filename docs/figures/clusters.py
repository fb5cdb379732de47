"""Picture for docs/methods/clusters.md: clusters of a simulated scan, their mean spectra, and how many are enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

import napari_xanes as nx

COLORS = ["#0072B2", "#E69F00", "#009E73"]


def main() -> None:
    simulation = nx.simulate((140, 160), seed=4, max_drift=0)
    stack = simulation.stack
    density = nx.optical_density(nx.flat_field(stack.data, stack.flat, stack.dark))
    normalized = nx.normalize_edge(density, stack.energy).normalized
    groups = nx.cluster_spectra(normalized, 3, mask=simulation.mask)
    quality = nx.cluster_quality(normalized, range(1, 8), mask=simulation.mask)

    figure = Figure(figsize=(8.2, 2.6), dpi=110, layout="constrained")
    image, spectra, number = figure.subplots(1, 3, width_ratios=(1, 1.2, 1.2))
    image.imshow(
        groups.labels, cmap=ListedColormap(["black", *COLORS]), vmin=0, vmax=3, interpolation="nearest"
    )
    image.set(title="clusters", xticks=[], yticks=[])
    for k, (spectrum, color) in enumerate(zip(groups.spectra, COLORS, strict=True), start=1):
        spectra.plot(stack.energy, spectrum, color=color, label=f"{k}: {groups.counts[k - 1]} px")
    spectra.set(title="their mean spectra", xlabel="energy (eV)", xlim=(8310, 8400))
    spectra.legend(fontsize=8, loc="lower right")
    number.plot(
        quality.n_clusters, quality.inertia / quality.inertia[0], "o-", color="black", label="inertia"
    )
    number.plot(quality.n_clusters, quality.silhouette, "s--", color="#D55E00", label="silhouette")
    number.set(title="how many?", xlabel="number of clusters", xticks=quality.n_clusters, ylim=(0, 1.05))
    number.legend(fontsize=8)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_clusters.png")
    print(np.round(quality.silhouette, 3), quality.best)


if __name__ == "__main__":
    main()
