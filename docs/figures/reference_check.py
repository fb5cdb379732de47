"""Picture for docs/methods/reference_check.md: two references, and how well noise lets them be told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx

ENERGY = np.linspace(7090, 7190, 101)


def edge(e0: float, white: float) -> np.ndarray:
    """Return an edge with a white line, 0 before and 1 after it."""
    rise = 0.5 + np.arctan((ENERGY - e0) / 1.5) / np.pi
    return rise + white * np.exp(-(((ENERGY - e0 - 5) / 4) ** 2))


def main() -> None:
    shapes = {"magnetite": (7121, 0.45), "maghemite": (7121.6, 0.5), "pyrite": (7118, 0.25)}
    references = [nx.Reference(name, ENERGY, edge(*shape)) for name, shape in shapes.items()]
    noise = np.geomspace(0.002, 0.2, 20)
    checks = [nx.check_references(references, ENERGY, noise=n) for n in noise]

    figure = Figure(figsize=(7.6, 3), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    for reference, colour in zip(references, ("#E69F00", "#56B4E9", "#009E73"), strict=True):
        left.plot(reference.energy, reference.mu, color=colour, label=reference.name)
    left.legend(frameon=False)
    left.set(xlabel="energy (eV)", ylabel="normalised absorption")
    for i, j in ((0, 1), (0, 2), (1, 2)):
        names = f"{references[i].name} / {references[j].name}"
        right.loglog(100 * noise, [100 * c.pair_sigma[i, j] for c in checks], label=names)
    right.axhline(20, color="0.6", ls=":")
    right.text(0.22, 23, "cannot be told apart", color="0.4", fontsize=8)
    right.legend(frameon=False, fontsize=8, loc="lower right")
    right.set(xlabel="noise of the data (% of the edge step)", ylabel="sigma of a fraction (%)")
    figure.savefig(Path(__file__).parents[1] / "images" / "method_reference_check.png")


if __name__ == "__main__":
    main()
