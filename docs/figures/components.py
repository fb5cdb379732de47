"""Picture for docs/methods/components.md: a reference left out, as the residuals show it."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

import napari_xanes as nx

COLORS = {"both references": "#0072B2", "one left out": "#D55E00"}


def main() -> None:
    simulation = nx.simulate((140, 160), seed=4, max_drift=0)
    stack = simulation.stack
    density = nx.optical_density(nx.flat_field(stack.data, stack.flat, stack.dark))
    found = {
        "both references": nx.residual_components(
            density, stack.energy, simulation.references, mask=simulation.mask
        ),
        "one left out": nx.residual_components(
            density, stack.energy, simulation.references[:1], mask=simulation.mask
        ),
    }

    figure = Figure(figsize=(8.2, 2.6), dpi=110, layout="constrained")
    scree, spectrum, image = figure.subplots(1, 3, width_ratios=(1.2, 1.2, 1))
    for name, one in found.items():
        scree.semilogy(range(1, 11), one.strength[:10], "o", color=COLORS[name], label=name)
    scree.axhline(found["one left out"].limit, color="grey", lw=1, label="limit of noise")
    scree.set(title="variance / noise", xlabel="component of the residuals", xticks=(1, 5, 10))
    scree.legend(fontsize=8)
    missed = found["one left out"]
    spectrum.plot(stack.energy, missed.spectra[0], color=COLORS["one left out"])
    spectrum.axhline(0, color="grey", lw=0.5)
    spectrum.set(title="what is missing", xlabel="energy (eV)", xlim=(8310, 8400))
    image.imshow(missed.maps[0], cmap="viridis", vmin=0)
    image.set(title="where", xticks=[], yticks=[], facecolor="black")
    figure.savefig(Path(__file__).parents[1] / "images" / "method_components.png")
    for one in found.values():
        print(one.message)


if __name__ == "__main__":
    main()
