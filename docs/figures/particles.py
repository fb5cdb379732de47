"""Picture for docs/methods/particles.md: touching particles parted, and the share of a compound from rim to core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

import napari_xanes as nx

COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
PIXEL_UM = 0.04


def main() -> None:
    simulation = nx.simulate((160, 200), max_drift=0, n_particles=14)
    stack = simulation.stack
    mu = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    edge = nx.normalize_edge(mu, stack.energy)
    fit = nx.fit_references(edge.normalized, stack.energy, simulation.references)
    mask = nx.threshold_mask(edge.thickness, above=nx.otsu_threshold(edge.thickness))
    labels = nx.label_particles(nx.fill_holes(mask), min_distance=6, min_pixels=60)
    name, fraction = simulation.references[0].name, fit.fractions[0]
    table = nx.particle_table(
        labels,
        {f"fraction_{name}": fraction},
        pixel_size_um=PIXEL_UM,
        sigma={f"fraction_{name}": fit.sigma[0]},
        thickness=edge.thickness,
    )
    profile = nx.core_to_rim(labels, fraction, pixel_size_um=PIXEL_UM)
    truth = nx.core_to_rim(labels, simulation.fractions[0], pixel_size_um=PIXEL_UM)

    figure = Figure(figsize=(8.6, 3.1), dpi=110, layout="constrained")
    image, sizes, depth = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _draw_particles(image, edge.thickness, labels, table)
    sizes.errorbar(
        table["area_um2"],
        table[f"fraction_{name}"],
        table[f"fraction_{name}_std"],
        fmt="o",
        ms=4,
        color="#0072B2",
        ecolor="#9EC9E2",
    )
    sizes.set(title="mean and spread", xlabel="area (um$^2$)", ylabel=f"fraction {name}")
    _draw_profile(depth, profile.relative, truth.relative)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_particles.png")
    whole = ~profile.cut
    print(f"{labels.max()} particles, {int((~whole).sum())} cut")
    print("standard errors", np.round(table[f"fraction_{name}_se"], 5))
    print(np.abs(profile.relative.pooled_mean - truth.relative.pooled_mean).round(3))


def _draw_particles(panel, thickness, labels, table) -> None:
    panel.imshow(thickness, cmap="gray")
    for k, label in enumerate(table["label"]):
        panel.contour(labels == label, [0.5], colors=COLORS[k % len(COLORS)], linewidths=1.1)
        panel.text(
            table["centroid_x"][k],
            table["centroid_y"][k],
            str(label),
            color="white",
            fontsize=8,
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2, foreground="black")],
        )
    panel.set(title="particles on the thickness", xticks=[], yticks=[])


def _draw_profile(panel, profile, truth) -> None:
    centres = (profile.edges[:-1] + profile.edges[1:]) / 2
    for row in profile.mean:
        panel.plot(centres, row, color="0.75", linewidth=0.8)
    panel.errorbar(
        centres,
        profile.pooled_mean,
        profile.pooled_std,
        fmt="o-",
        ms=4,
        color="#0072B2",
        label="all whole ones",
    )
    panel.plot(centres, truth.pooled_mean, "--", color="#D55E00", label="truth")
    panel.set(title="from rim to core", xlabel="depth / greatest depth", xlim=(0, 1))
    panel.legend(fontsize=8)


if __name__ == "__main__":
    main()
