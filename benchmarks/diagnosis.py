"""Are causes of a misfit named rightly?  Simulated scans, each with one cause, over energy grids and noise.

    python benchmarks/diagnosis.py [--repeats 4] [--seed 0]

Prints the confusion of causes as the table of docs/accuracy.md, and what was missed or raised in vain by grid and by
noise.  References, mixtures, thickness and sizes of the causes are drawn anew for every scan.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

import napari_xanes as nx

CAUSES = ("nothing", "energy shift", "resolution", "thickness", "flicker", "missing reference")
GRIDS = (10, 13, 16, 24, 40, 64, 128)
NOISE = (0.003, 0.01, 0.03, 0.1)
SHAPE = (64, 72)
E0 = 8340.0
THICKNESS = 0.7
"""Edge step of a mean pixel; noise is told in units of it."""

MATTERS = 0.02
"""Change of a mean fraction from which a cause is one that should be named."""

FINE = np.arange(8200.0, 8601.0, 0.1)

Matrix = NDArray[np.float64]


def grid(n: int) -> Matrix:
    """Energies, most of them about the edge."""
    before, after = max(2, round(0.2 * n)), max(2, round(0.25 * n))
    edge = np.linspace(8330, 8365, n - before - after)
    return np.r_[np.linspace(8225, 8318, before), edge, np.linspace(8395, 8575, after)]


def compounds(rng: np.random.Generator, n: int) -> Matrix:
    """Spectra of different compounds of one element on the fine grid, some eV apart."""
    spectra = []
    for k in range(n):
        e0 = E0 + 2.0 * k + rng.uniform(-0.5, 0.5)
        y = 0.5 + np.arctan((FINE - e0) / rng.uniform(1.0, 2.0)) / np.pi
        for height, at, width in (
            (rng.uniform(0.3, 0.9), rng.uniform(5, 9), rng.uniform(2.5, 4)),
            (rng.uniform(-0.15, 0.15), rng.uniform(14, 20), rng.uniform(4, 7)),
            (rng.uniform(0.0, 0.1), rng.uniform(-8, -5), rng.uniform(1.2, 2)),
        ):
            y += height * np.exp(-0.5 * ((FINE - e0 - at) / width) ** 2)
        spectra.append(y)
    return np.stack(spectra)


def scene(rng: np.random.Generator, n: int) -> tuple[Matrix, Matrix]:
    """Fractions (n, y, x) and thickness (y, x) of particles."""
    parts = np.exp(3 * np.stack([_smooth(rng, 6) for _ in range(n)]))
    thickness = THICKNESS * (1 + 0.6 * _smooth(rng, 5))
    return parts / parts.sum(axis=0), np.clip(thickness, 0.15, 2.0)


def _smooth(rng: np.random.Generator, size: float) -> Matrix:
    image = gaussian_filter(rng.normal(size=SHAPE), size, mode="wrap")
    return np.asarray(image / image.std())


def scan(
    rng: np.random.Generator, cause: str, n: int, noise: float
) -> tuple[nx.EnergyStack, list[nx.Reference]]:
    """A stack of optical density with one cause of a misfit, and the references that it is fitted with.

    Causes whose size can be anything are drawn anew until they move a mean fraction by `MATTERS`.
    """
    energy, k = grid(n), int(rng.integers(2, 4 if n >= 16 else 3))
    while True:
        spectra = compounds(rng, k + 1)
        references = [nx.Reference(f"compound {i + 1}", FINE, s) for i, s in enumerate(spectra[:k])]
        fractions, density = exact(rng, cause, energy, spectra, noise)
        if cause not in ("energy shift", "resolution", "thickness", "flicker"):
            break
        fit = nx.fit_references(density, energy, references, background=(0, 1))
        if np.abs((fit.fractions - fractions).mean(axis=(1, 2))).max() >= MATTERS:
            break
    density = density + rng.normal(0, noise * THICKNESS, density.shape)
    return nx.EnergyStack(density.astype(np.float32), energy, "optical_density"), references


def exact(
    rng: np.random.Generator, cause: str, energy: Matrix, spectra: Matrix, noise: float
) -> tuple[Matrix, Matrix]:
    """True fractions, and the optical density without noise, with the cause in it."""
    k = len(spectra) - 1
    fractions, thickness = scene(rng, k)
    true, at = spectra[:k], energy
    if cause == "energy shift":
        at = energy - rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)
    if cause == "resolution":
        true = gaussian_filter1d(true, rng.uniform(1.2, 2.0) / 0.1, axis=1, mode="nearest")
    if cause == "missing reference":
        true = spectra
        region = np.clip(_smooth(rng, 6) - 0.3, 0, 1) * rng.uniform(0.5, 1.0)
        fractions = np.concatenate([fractions * (1 - region), region[None]])
    mixed = np.einsum("ke,kyx->eyx", np.stack([np.interp(at, FINE, s) for s in true]), fractions)
    pre = 0.3 * thickness * (energy[:, None, None] / E0) ** -2.8
    density = thickness * mixed + pre + 0.05 * _smooth(rng, 8)
    if cause == "thickness":
        stray = rng.uniform(0.02, 0.1)
        density = -np.log((np.exp(-density) + stray) / (1 + stray))
    if cause == "flicker":
        size = max(noise, 0.005) * rng.uniform(0.5, 1.5)
        density = density + rng.normal(0, size, energy.size)[:, None, None]
    return fractions, density


def named(stack: nx.EnergyStack, references: list[nx.Reference], way: str, folder: Path) -> str:
    """The cause that the fit names."""
    if way == "direct":
        fit = nx.fit_references(stack.data, stack.energy, references, background=(0, 1))
        diagnosis = fit.diagnosis
    else:
        table = np.column_stack([FINE, *(r.mu for r in references)])
        header = "energy " + " ".join(r.name.replace(" ", "_") for r in references)
        np.savetxt(folder / "references.txt", table, fmt="%.6f", header=header)
        windows = {"e0": E0, "pre_edge": [8200, 8320], "post_edge": [8390, 8600]}
        fit_it = {"do": "fit", "references": [str(folder / "references.txt")], "references_as": "data"}
        steps = [{"do": "normalize", "divide_by": "step", **windows}, fit_it]
        diagnosis = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": steps}), stack).extra.get(
            "diagnosis"
        )
    if diagnosis is None:
        return "not told"
    return diagnosis.causes[0] if diagnosis.causes else "nothing"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--ways", nargs="*", default=["direct", "normalised"])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        for way in args.ways:
            confuse(way, args.repeats, args.seed, Path(folder))


def confuse(way: str, repeats: int, seed: int, folder: Path) -> None:
    """Print the confusion of causes for one way of fitting."""
    table: dict[str, Counter[str]] = {cause: Counter() for cause in CAUSES}
    wrong: Counter[tuple[str, object]] = Counter()
    for index, (n, noise) in enumerate((n, noise) for n in GRIDS for noise in NOISE):
        for cause in CAUSES:
            for repeat in range(repeats):
                rng = np.random.default_rng([seed, index, repeat, CAUSES.index(cause)])
                said = named(*scan(rng, cause, n, noise), way, folder)
                table[cause][said] += 1
                if said != cause:
                    wrong[(cause, n)] += 1
                    wrong[(cause, f"{noise:.1%}")] += 1
    columns = [*CAUSES, "alignment", "unclear", "not told"]
    print(f"\n{way}\n| true cause | " + " | ".join(columns) + " |\n|---" * 1 + "|---" * len(columns) + "|")
    for cause, row in table.items():
        total = sum(row.values())
        print(f"| {cause} | " + " | ".join(f"{100 * row[c] / total:.0f} %" for c in columns) + " |")
    print(
        "wrong, of",
        4 * repeats,
        "per grid and",
        len(GRIDS) * repeats,
        "per noise:",
        dict(wrong),
    )


if __name__ == "__main__":
    main()
