"""Picture for docs/methods/align.md: drift found by both methods on a simulated scan, against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx


def main() -> None:
    simulation = nx.simulate((200, 240), max_drift=6)
    stack = simulation.stack
    mu = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    found = {
        "correlation": nx.estimate_drift(mu).shifts,
        "StackReg": nx.estimate_drift(mu, method="stackreg").shifts,
    }
    true = simulation.drift - simulation.drift[-1]

    figure = Figure(figsize=(7.6, 2.9), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axis, (name, colour) in enumerate((("y", "#0072B2"), ("x", "#D55E00"))):
        left.plot(stack.energy, true[:, axis], color=colour, lw=1, label=f"{name}, true")
        left.plot(
            stack.energy, found["correlation"][:, axis], ".", color=colour, ms=4, label=f"{name}, measured"
        )
    left.set(xlabel="energy (eV)", ylabel="drift (px)")
    left.legend(frameon=False, fontsize=8)
    for (name, shifts), colour in zip(found.items(), ("#009E73", "#CC79A7"), strict=True):
        error = shifts - true
        error -= error.mean(axis=0)
        right.semilogy(stack.energy, np.hypot(*error.T) + 1e-4, ".-", ms=4, lw=0.7, color=colour, label=name)
    right.set(xlabel="energy (eV)", ylabel="error (px)")
    right.legend(frameon=False, fontsize=8)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_align.png")


if __name__ == "__main__":
    main()
