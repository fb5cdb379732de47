"""How often the truth lies within one and two stated standard errors: of fractions and of drift, as tables.

    python benchmarks/within_sigma.py

Spectra are mixtures of two formulas that are 0 before and 1 after the edge, so that nothing but noise is between fit and
truth.  `accuracy.py` prints these tables after its own.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scipy.special import erf

import napari_xanes as nx

FINE = np.linspace(8200, 8600, 1601)
SHAPE = (64, 128)
WINDOWS = {"e0": 8341.0, "pre_edge": [8240, 8320], "post_edge": [8374, 8600]}


def edge(energy: np.ndarray, at: float, width: float, white: float) -> np.ndarray:
    return 0.5 + 0.5 * erf((energy - at) / width) + white * np.exp(-(((energy - at - 5) / 4) ** 2))


REFERENCES = [
    nx.Reference("a", FINE, edge(FINE, 8340, 1.5, 0.3)),
    nx.Reference("b", FINE, edge(FINE, 8343, 2, 0.8)),
]


def energies(n: int) -> np.ndarray:
    """Return n energies, most of them at the edge."""
    if n == 5:
        return np.array([8250.0, 8339.0, 8343.0, 8348.0, 8400.0])
    few = max(3 if n > 6 else 2, n // 5)
    return np.r_[
        np.linspace(8250, 8318, few), np.linspace(8335, 8356, n - 2 * few), np.linspace(8376, 8500, few)
    ]


def counted_scan(n: int, noise: float, step: tuple[float, float]) -> tuple[nx.EnergyStack, np.ndarray]:
    """Return transmission with counting noise, and the fractions of the first reference."""
    rng, energy = np.random.default_rng(0), energies(n)
    f, thickness = rng.random(SHAPE), rng.uniform(*step, SHAPE)
    a, b = (np.interp(energy, r.energy, r.mu)[:, None, None] for r in REFERENCES)
    density = thickness * (f * a + (1 - f) * b + 0.4 - 0.0006 * (energy - 8341)[:, None, None])
    transmission = np.maximum(rng.poisson(np.exp(-density) / noise**2), 1) * noise**2
    return nx.EnergyStack(transmission.astype(np.float32), energy, "transmission"), f


def within(stack: nx.EnergyStack, f: np.ndarray, *steps: dict[str, object]) -> str:
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "optical_density"}, *steps]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            maps = nx.run_recipe(recipe, stack).maps
        except nx.InputError:  # a window with one energy has no line
            return "too few"
    distance = np.abs(maps["fraction_a"] - f) / maps["sigma_a"]
    distance = distance[np.isfinite(distance)]
    if distance.size < 0.5 * f.size:
        return "no sigma"
    return f"{100 * np.mean(distance < 1):.0f}, {100 * np.mean(distance < 2):.0f}"


def fractions() -> None:
    print(
        "| energies | noise | edge step | fit with a line | normalised | slopes shared |\n|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        files = write_references(Path(folder))
        fit = {"do": "fit", "references": files}
        for n, noise, step in CASES:
            stack, f = counted_scan(n, noise, step)
            columns = [
                within(stack, f, fit | {"background": [0, 1]}),
                within(stack, f, {"do": "normalize", "slope": "pixel", **WINDOWS}, fit),
                within(stack, f, {"do": "normalize", "slope": "shared", **WINDOWS}, fit),
            ]
            print(f"| {n} | {100 * noise:g} % | {step[0]:g} to {step[1]:g} | {' | '.join(columns)} |")


def others() -> None:
    """Print the same of what else has a stated error, normalised."""
    steps = {
        "amount": ({"do": "fit", "uncertainty": True}, "amount_a", "amount_sigma_a"),
        "thickness": (None, "thickness", "thickness_sigma"),
        "edge step": (None, "edge_step", "edge_step_sigma"),
        "energy shift": ({"do": "shift_map"}, "energy_shift", "energy_shift_sigma"),
    }
    print(f"| energies | noise | {' | '.join(steps)} |\n{'|---' * (len(steps) + 2)}|")
    normalize = {"do": "normalize", "slope": "pixel", "uncertainty": True, **WINDOWS}
    with tempfile.TemporaryDirectory() as folder:
        files = write_references(Path(folder))
        for n, noise, _ in CASES[3:9]:
            stack, f = counted_scan(n, noise, (0.5, 1.5))
            rng = np.random.default_rng(0)
            rng.random(SHAPE)  # as in the scan
            thickness, columns = rng.uniform(0.5, 1.5, SHAPE), []
            energy = stack.energy
            after = energy[(energy >= WINDOWS["post_edge"][0]) & (energy <= WINDOWS["post_edge"][1])]
            rise = sum(np.interp(after, r.energy, r.mu).mean() for r in REFERENCES) / 2
            truth = {
                "amount": f * thickness,
                "thickness": rise * thickness,
                "edge step": thickness,
                "energy shift": 0,
            }
            for name, (step, key, sigma) in steps.items():
                more = [] if step is None else [step | {"references": files}]
                recipe = [{"do": "optical_density"}, normalize, *more]
                maps = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": recipe}), stack).maps
                distance = np.abs(maps[key] - truth[name]) / maps[sigma]
                columns.append(f"{100 * np.mean(distance < 1):.0f}, {100 * np.mean(distance < 2):.0f}")
            print(f"| {n} | {100 * noise:g} % | {' | '.join(columns)} |", flush=True)


def write_references(folder: Path) -> list[str]:
    files = []
    for r in REFERENCES:
        np.savetxt(path := folder / f"{r.name}.txt", np.c_[r.energy, r.mu])
        files.append(str(path))
    return files


CASES = [
    *((n, 0.005, (0.5, 1.5)) for n in (5, 6, 8, 16, 32, 64, 128)),
    *((64, noise, (0.5, 1.5)) for noise in (0.001, 0.02, 0.05)),
    *((64, 0.005, step) for step in ((0.1, 0.3), (1.5, 2.5))),
]
"""Number of energies, noise of one value without sample, range of the edge step."""


def drifts() -> None:
    """Print how far measured displacements are from the true ones, and what is stated of that."""
    print(
        "| noise, share of the contrast | rms error | stated sigma | within one, two sigma |\n|---|---|---|---|"
    )
    y, x = np.mgrid[:128, :160]
    for noise in (0.02, 0.1, 0.3, 1.0):
        errors, sigmas = [], []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            way = np.cumsum(rng.normal(0, 1, (12, 2)), 0)
            made = zip(rng.uniform(30, 98, 15), rng.uniform(30, 130, 15), rng.uniform(3, 8, 15), strict=True)
            blobs = list(made)
            frames = np.stack(
                [
                    sum(
                        np.exp(-((y - b - v[0]) ** 2 + (x - c - v[1]) ** 2) / (2 * s * s))
                        for b, c, s in blobs
                    )
                    for v in way
                ]
            )
            drift = nx.estimate_drift(frames + noise * rng.normal(size=frames.shape))
            errors.append((drift.shifts - (way - way[-1]))[:-1])
            sigmas.append(drift.sigma[:-1])
        error, sigma = np.concatenate(errors), np.concatenate(sigmas)
        distance = np.abs(error) / sigma
        print(
            f"| {100 * noise:g} % | {np.sqrt((error**2).mean()):.3f} px | {np.sqrt((sigma**2).mean()):.3f} px | "
            f"{100 * np.mean(distance < 1):.0f}, {100 * np.mean(distance < 2):.0f} % |"
        )


def main() -> None:
    logging.disable(logging.WARNING)  # they are what is looked at
    fractions()
    print()
    others()
    print()
    drifts()


if __name__ == "__main__":
    main()
