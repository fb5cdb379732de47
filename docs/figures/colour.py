"""Picture for docs/methods/colour.md: fractions mixed, faded by sigma, lit by thickness, and the legends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx


def main() -> None:
    simulation = nx.simulate((150, 190), max_drift=0)
    stack, references = simulation.stack, list(simulation.references)
    mu = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    edge = nx.normalize_edge(mu, stack.energy)
    fit = nx.fit_references(edge.normalized, stack.energy, references, constraint="nonnegative")
    colors = nx.SAFE_COLORS[:2]
    pictures = {
        "mixed": nx.mix_colors(fit.fractions, colors, limits=(0, 1)),
        "sigma as opacity": nx.mix_colors(
            fit.fractions, colors, limits=(0, 1), sigma=fit.sigma, sigma_limit=0.3, background="white"
        ),
        "thickness as light": nx.mix_colors(
            fit.fractions, colors, limits=(0, 1), brightness=edge.thickness, brightness_limits=(0, 1)
        ),
    }
    figure = Figure(figsize=(9.6, 2.7), dpi=110, layout="constrained")
    *panels, legends = figure.subplots(1, 4, width_ratios=[1, 1, 1, 0.7])
    for panel, (title, picture) in zip(panels, pictures.items(), strict=True):
        panel.imshow(np.nan_to_num(picture, nan=0.0 if "light" in title else 1.0))
        panel.set(title=title, xticks=[], yticks=[])
    legends.axis("off")
    bar = legends.inset_axes([0.1, 0.82, 0.8, 0.1])
    bar.imshow(nx.color_bar(colors), aspect="auto", extent=(0, 1, 0, 1))
    bar.set(yticks=[], xticks=[0, 1], xticklabels=[r.name.replace("Ni_", "") for r in references])
    bar.tick_params(labelsize=7, length=0)
    triangle = legends.inset_axes([0.15, 0.02, 0.7, 0.6])
    triangle.imshow(np.nan_to_num(nx.color_triangle(nx.SAFE_COLORS[:3]), nan=1.0))
    triangle.axis("off")
    for x, y, text in ((0.0, -0.1, "A"), (1.0, -0.1, "B"), (0.5, 1.04, "C")):
        triangle.text(x, y, text, transform=triangle.transAxes, ha="center", fontsize=8)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_colour.png")


if __name__ == "__main__":
    main()
