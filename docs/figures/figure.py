"""Picture for docs/methods/colour.md: a figure of a fit as `save_figure` draws it."""

from __future__ import annotations

from pathlib import Path

import napari_xanes as nx


def main() -> None:
    simulation = nx.simulate((150, 190), max_drift=0)
    stack, references = simulation.stack, list(simulation.references)
    mu = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    edge = nx.normalize_edge(mu, stack.energy, slope="shared")
    inside = nx.threshold_mask(edge.thickness, above=0.05)
    fit = nx.fit_references(edge.normalized, stack.energy, references, constraint="nonnegative", mask=inside)
    maps = {"thickness": edge.thickness, "rms": fit.rms}
    for reference, fraction, sigma in zip(references, fit.fractions, fit.sigma, strict=True):
        maps |= {f"fraction_{reference.name}": fraction, f"sigma_{reference.name}": sigma}
    path = Path(__file__).parents[1] / "images" / "method_figure.png"
    nx.save_figure(path, maps, pixel_size_um=0.04, title="Nickel, simulated", dpi=160)


if __name__ == "__main__":
    main()
