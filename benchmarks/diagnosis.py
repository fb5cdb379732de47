"""Are causes of a misfit named rightly?  Simulated scans, each with one cause, over energy grids and noise.

    python benchmarks/diagnosis.py [--repeats 4] [--seed 0] [--grids 10 16]

Prints the confusion of causes, what was missed or raised in vain by grid and by noise, and what the diagnosis costs
beside the fit; `accuracy.py` puts it into docs/accuracy.md.  References, mixtures, thickness and
sizes of the causes are drawn anew for every scan.  Three ways of fitting: optical density with a line; normalised;
and from counts of a drifting sample through all steps.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, shift
from worlds import KINDS, MARGIN, SHAPE, THICKNESS, World, smooth

import napari_xanes as nx

CAUSES = (
    "nothing",
    "energy shift",
    "resolution",
    "thickness",
    "flicker",
    "alignment",
    "missing reference",
)
SAID = (*CAUSES, "unclear")
WAYS = {
    "direct": "optical density, fitted with a line",
    "normalised": "normalised, then fitted",
    "chain": "counts of a drifting sample: flat field, aligned, normalised, fitted",
}
GRIDS = (10, 13, 16, 24, 40, 64, 128)
NOISE = (0.003, 0.01, 0.03, 0.1)
MATTERS = 0.02
"""Change of a mean fraction from which a cause is one that should be named."""

MISSED = 0.25
"""Error of the drift, px (rms), from which displaced frames are a cause in truth."""

QUIET = 4
"""Scans without a cause for each scan with a given one, as false alarms are to be rare."""

Matrix = NDArray[np.float64]


def scan(
    rng: np.random.Generator, world: World, cause: str, n: int, noise: float, way: str
) -> tuple[nx.EnergyStack, list[nx.Reference], Matrix | None]:
    """A stack with one cause of a misfit, the references that it is fitted with, and how it drifts, if it is to be aligned.

    Causes whose size can be anything are drawn anew until they move a mean fraction by `MATTERS`.
    """
    energy, k = world.grid(n), int(rng.integers(2, 4 if n >= 16 else 3))
    while True:
        spectra = world.compounds(world, rng, k + 1)
        references = [nx.Reference(f"compound {i + 1}", world.fine, s) for i, s in enumerate(spectra[:k])]
        fractions, density = exact(rng, world, cause, energy, spectra, noise)
        if (
            cause in ("nothing", "missing reference", "alignment")
            or moved(world, density, energy, spectra[:k], fractions) >= MATTERS
        ):
            break
    inside = (slice(None), *(slice(MARGIN, -MARGIN),) * 2)
    if way == "chain":
        drift = None
        if cause != "alignment":
            drift = np.cumsum(rng.normal(0, 0.5, (energy.size, 2)), axis=0)
            drift = np.clip(drift - drift[-1], -MARGIN + 1, MARGIN - 1)
            density = displaced(density, drift)
        return photographed(rng, world, density[inside], energy, noise, inside), references, drift
    density = density[inside]
    density = density + rng.normal(0, noise * THICKNESS, density.shape)
    return nx.EnergyStack(density.astype(np.float32), energy, "optical_density"), references, None


def moved(world: World, density: Matrix, energy: Matrix, spectra: Matrix, fractions: Matrix) -> float:
    """By how much a fit misses the mean fractions."""
    line = np.stack([np.ones_like(energy), energy - world.e0], axis=1)
    columns = np.c_[line, np.stack([np.interp(energy, world.fine, s) for s in spectra], axis=1)]
    found = np.linalg.lstsq(columns, density.reshape(energy.size, -1), rcond=None)[0][2:]
    off = found / found.sum(axis=0) - fractions.reshape(len(fractions), -1)
    return float(np.abs(np.mean(off, axis=1)).max())


def exact(
    rng: np.random.Generator, world: World, cause: str, energy: Matrix, spectra: Matrix, noise: float
) -> tuple[Matrix, Matrix]:
    """True fractions, and the optical density without noise, with the cause in it."""
    k = len(spectra) - 1
    fractions, thickness = world.scene(rng, k)
    true, at = spectra[:k], energy
    if cause == "energy shift":
        at = energy - rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)
    if cause == "resolution":
        true = gaussian_filter1d(true, rng.uniform(1.2, 2.0) / 0.1, axis=1, mode="nearest")
    if cause == "missing reference":
        true = spectra
        region = np.clip(smooth(rng, 6) - 0.3, 0, 1) * rng.uniform(0.5, 1.0)
        fractions = np.concatenate([fractions * (1 - region), region[None]])
    mixed = np.einsum("ke,kyx->eyx", np.stack([np.interp(at, world.fine, s) for s in true]), fractions)
    pre = 0.3 * thickness * (energy[:, None, None] / world.e0) ** -2.8
    density = thickness * mixed + pre + 0.05 * smooth(rng, 8)
    if cause == "thickness":
        stray = rng.uniform(0.02, 0.1)
        density = -np.log((np.exp(-density) + stray) / (1 + stray))
    if cause == "flicker":
        size = max(noise, 0.005) * rng.uniform(0.5, 1.5)
        density = density + rng.normal(0, size, energy.size)[:, None, None]
    if cause == "alignment":
        density = displaced(density, rng.normal(0, rng.uniform(0.4, 1.2), (energy.size, 2)))
    return fractions, density


def displaced(density: Matrix, by: Matrix) -> Matrix:
    """Every frame moved by so many pixels."""
    return np.stack([shift(frame, d, mode="nearest") for frame, d in zip(density, by, strict=True)])


def photographed(
    rng: np.random.Generator, world: World, density: Matrix, energy: Matrix, noise: float, inside: Any
) -> nx.EnergyStack:
    """Counts behind a sample, with flats and darks; as many as make the noise in a mean pixel."""
    photons = np.exp(density[energy > world.e0].mean()) / (noise * THICKNESS) ** 2
    spot = photons * (1 + 0.2 * smooth(rng, 20)[inside[1:]].clip(-2, 2))
    flat = rng.poisson(spot, density.shape) + 100.0
    flat[:] = 100 + (flat - 100).mean(axis=0)  # the mean of as many frames as there are energies
    counts = rng.poisson(spot * np.exp(-density)) + 100.0
    dark = np.full((1, *SHAPE), 100.0, np.float32)
    return nx.EnergyStack(
        counts.astype(np.float32), energy, "counts", flat=flat.astype(np.float32), dark=dark
    )


def named(
    world: World,
    stack: nx.EnergyStack,
    references: list[nx.Reference],
    drift: Matrix | None,
    way: str,
    folder: Path,
) -> tuple[nx.FitDiagnosis | None, float]:
    """What the fit says, and by how much alignment missed the drift (rms, px)."""
    if way == "direct":
        fit = nx.fit_references(stack.data, stack.energy, references, background=(0, 1))
        return fit.diagnosis, 0.0
    table = np.column_stack([world.fine, *(r.mu for r in references)])[::3]
    header = "energy " + " ".join(r.name.replace(" ", "_") for r in references)
    np.savetxt(folder / "references.txt", table, fmt="%.6f", header=header)
    windows = {"e0": world.e0, "pre_edge": list(world.before), "post_edge": list(world.after)}
    fit_it = {"do": "fit", "references": [str(folder / "references.txt")], "references_as": "data"}
    steps: list[dict[str, Any]] = [{"do": "normalize", "divide_by": "step", **windows}, fit_it]
    if way == "chain":
        raw = [{"do": "flat_field"}, {"do": "optical_density"}]
        steps = [*raw, *([] if drift is None else [{"do": "align"}]), *steps]
    result = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": steps}), stack)
    missed = np.zeros((1, 2)) if drift is None else result.extra["drift"].shifts - drift
    missed -= np.median(missed, axis=0)
    return result.extra.get("diagnosis"), float(np.sqrt((missed**2).sum(axis=1).mean()))


def _first(diagnosis: nx.FitDiagnosis | None) -> str:
    return diagnosis.causes[0] if diagnosis is not None and diagnosis.causes else "nothing"


def confuse(
    way: str,
    repeats: int,
    grids: Sequence[int] = GRIDS,
    worlds: Sequence[str] = tuple(KINDS),
    seed: int = 0,
) -> str:
    """Return the confusion of causes for one way of fitting, and how it is over kinds of scans, grids and noise."""
    table: dict[str, Counter[str]] = {cause: Counter() for cause in CAUSES}
    right: dict[str, dict[object, list[bool]]] = {"scans": {}, "energies": {}, "noise": {}}
    missed = 0
    with TemporaryDirectory() as name:
        for index, (n, noise) in enumerate((n, noise) for n in grids for noise in NOISE):
            for cause in CAUSES:
                for repeat in range(repeats * (QUIET if cause == "nothing" else 1)):
                    rng = np.random.default_rng([seed, index, repeat, CAUSES.index(cause)])
                    kind = worlds[(index + repeat) % len(worlds)]
                    rest = np.inf
                    while rest > MISSED:
                        missed += np.isfinite(rest)
                        made = scan(rng, KINDS[kind], cause, n, noise, way)
                        diagnosis, rest = named(KINDS[kind], *made, way, Path(name))
                    said = _first(diagnosis)
                    table[cause][said] += 1
                    for what, at in (("scans", kind), ("energies", n), ("noise", f"{100 * noise:g} %")):
                        right[what].setdefault(at, []).append(said == cause)
    head = "| true cause | " + " | ".join(("nothing said", *SAID[1:])) + " |\n" + "|---" * (len(SAID) + 1)
    rows = [
        f"| {cause} | " + " | ".join(_share(row[c], sum(row.values())) for c in SAID) + " |"
        for cause, row in table.items()
    ]
    total = sum(sum(row.values()) for row in table.values())
    left = f", {missed} others left out, as alignment missed {MISSED} px" if missed else ""
    per = "; ".join(
        f"by {what}: " + ", ".join(f"{at} {100 * np.mean(told):.0f} %" for at, told in one.items())
        for what, one in right.items()
    )
    return (
        f"*{WAYS[way]}* ({total} scans of {', '.join(map(str, grids))} energies{left})\n\n{head}|\n"
        + "\n".join(rows)
        + f"\n\nRight, with nothing or without, {per}."
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if part else ""


SIZES = ((60, 768), (60, 128))
"""Energies, and pixels along each side, of the fits beside which the cost is told."""


def cost() -> str:
    """Return what the diagnosis takes of a fit, in a sentence."""
    told = []
    for n, size in SIZES:
        share = 100 * np.median(_shares_of_diagnosis(n, size))
        told.append(f"{share:.0f} % of a fit of {n} x {size} x {size} values")
    return f"Of the processor time of the rest of a fit, the diagnosis takes {' and '.join(told)}."


def _shares_of_diagnosis(n: int, size: int) -> list[float]:
    from napari_xanes._core.fit import fit as module

    rng = np.random.default_rng(0)
    world = KINDS["formulas, smooth"]
    energy, spectra = world.grid(n), world.compounds(world, rng, 3)
    fractions, thickness = (np.repeat(np.repeat(a, 12, -1), 12, -2) for a in world.scene(rng, 2))
    fractions, thickness = fractions[:, :size, :size], thickness[:size, :size]
    mixed = np.stack([np.interp(energy, world.fine, s) for s in spectra[:2]])
    density = (thickness * np.einsum("ke,kyx->eyx", mixed, fractions)).astype(np.float32)
    density += 0.02 * rng.standard_normal(density.shape, np.float32)
    references = [nx.Reference(f"compound {k + 1}", world.fine, s) for k, s in enumerate(spectra[:2])]
    spent, inner = [], module.diagnose

    def timed(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        found = inner(*args, **options)
        spent.append(time.process_time() - start)
        return found

    def share() -> float:
        start = time.process_time()
        nx.fit_references(density, energy, references)
        return spent[-1] / (time.process_time() - start - spent[-1])

    module.diagnose = timed
    try:
        return [share() for _ in range(9)]
    finally:
        module.diagnose = inner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--grids", nargs="*", type=int, default=list(GRIDS), help="numbers of energies")
    parser.add_argument("--worlds", nargs="*", default=list(KINDS), choices=KINDS, help="see worlds.py")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # they are what is looked at
    for way in args.ways:
        print(confuse(way, args.repeats, args.grids, args.worlds, args.seed), end="\n\n", flush=True)
    print(cost())


if __name__ == "__main__":
    main()
