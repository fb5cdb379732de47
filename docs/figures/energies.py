"""Picture for docs/methods/energies.md: what binning does to noise, and an energy scale put right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_xanes as nx
from napari_xanes._core.io import interpolate_reference
from napari_xanes._core.prepare.energies import ShiftEnergyParams
from napari_xanes._core.runs.pipeline import run_steps


def main() -> None:
    simulation = nx.simulate((120, 140), max_drift=0)
    stack, references = simulation.stack, list(simulation.references)
    energy = stack.energy
    rng = np.random.default_rng(0)
    spectra = np.stack([interpolate_reference(r, energy) for r in references])
    density = 0.8 * spectra.mean(axis=0)
    counts = rng.poisson(500 * np.exp(-density)[:, None, None] * np.ones((120, 120)))
    factors = np.arange(1, 6)
    spread = []
    for factor in factors:
        mu = nx.optical_density(nx.bin_pixels(counts / 500, int(factor)))
        spread.append(np.std(nx.fit_references(mu, energy, references).fractions[0]))

    figure = Figure(figsize=(8.4, 3.0), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(factors, spread[0] / factors, color="black", lw=1.2, label="1/b of independent pixels")
    left.plot(factors, spread, "o", ms=5, color="#E69F00", label="measured")
    left.set(xlabel="bin size b (px)", ylabel="scatter of a fraction", xticks=factors, ylim=(0, None))
    left.legend(fontsize=8)

    mu = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    off = nx.EnergyStack(mu, energy - 1.5, "optical_density")
    measured = nx.find_e0(off.energy, np.nanmean(mu, axis=(1, 2)))
    true = nx.find_e0(energy, np.nanmean(mu, axis=(1, 2)))
    put_right = run_steps(
        off, [("shift_energy", ShiftEnergyParams(measured=measured, true=true))], keep_stack=True
    ).stack
    for one, color, name in (
        (off, "#56B4E9", f"e0 at {measured:.1f} eV"),
        (put_right, "#D55E00", f"e0 at {true:.1f} eV"),
    ):
        right.plot(one.energy, np.nanmean(np.asarray(one.data), axis=(1, 2)), color=color, lw=1.4, label=name)
    right.set(xlabel="energy (eV)", ylabel="mean optical density", xlim=(true - 15, true + 25))
    right.legend(fontsize=8)
    figure.savefig(Path(__file__).parents[1] / "images" / "method_energies.png")


if __name__ == "__main__":
    main()
