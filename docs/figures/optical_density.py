"""Picture for docs/methods/optical_density.md: one frame as counts, transmission and optical density."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx


def main() -> None:
    stack = nx.simulate((160, 160), max_drift=0).stack
    counts = np.asarray(stack.data[:])
    transmission = nx.flat_field(counts, stack.flat, stack.dark)
    density = nx.optical_density(transmission)
    last = len(counts) - 1

    figure = Figure(figsize=(8.2, 2.5), dpi=110, layout="constrained")
    panels = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.2))
    images = {"counts": counts[last], "transmission": transmission[last], "optical density": density[last]}
    for panel, (title, image) in zip(panels, images.items(), strict=False):
        shown = panel.imshow(image, cmap="gray")
        panel.set(title=title, xticks=[], yticks=[])
        figure.colorbar(shown, ax=panel, orientation="horizontal", shrink=0.9)
    y, x = np.unravel_index(np.nanargmax(density[last]), density[last].shape)
    region = np.s_[:, max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
    panels[3].plot(stack.energy, np.nanmean(density[region], axis=(1, 2)), color="#0072B2")
    panels[3].set(title="a particle", xlabel="energy (eV)", ylabel="optical density")
    figure.savefig(Path(__file__).parents[1] / "images" / "method_optical_density.png")


if __name__ == "__main__":
    main()
