"""Picture for docs/methods/masks.md: a thickness map, Otsu's mask, and the mask cleaned."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

import napari_xanes as nx


def main() -> None:
    stack = nx.simulate((160, 200), max_drift=0).stack
    mu = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    thickness = nx.normalize_edge(mu, stack.energy).thickness
    mask = nx.threshold_mask(thickness, above=nx.otsu_threshold(thickness))
    cleaned = nx.remove_small(nx.erode(nx.fill_holes(mask), 1), 40)

    figure = Figure(figsize=(7.6, 2.4), dpi=110, layout="constrained")
    panels = figure.subplots(1, 3)
    shown = panels[0].imshow(thickness, cmap="magma")
    figure.colorbar(shown, ax=panels[0], shrink=0.8)
    for panel, image in zip(panels[1:], (mask, cleaned), strict=True):
        panel.imshow(thickness, cmap="gray")
        panel.contour(image, [0.5], colors="#E69F00", linewidths=0.9)
    for panel, title in zip(panels, ("thickness", "Otsu", "filled, eroded, cleaned"), strict=True):
        panel.set(title=title, xticks=[], yticks=[])
    figure.savefig(Path(__file__).parents[1] / "images" / "method_masks.png")


if __name__ == "__main__":
    main()
