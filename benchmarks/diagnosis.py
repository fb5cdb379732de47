"""Are causes of a misfit named rightly?  Simulated scans, each with one cause, over energy grids and noise.

    python benchmarks/diagnosis.py [--repeats 4] [--seed 9201] [--grids 10 16]

Prints the confusion of causes, how many are named rightly at each number of energies and noise, and what the diagnosis
costs beside the fit; `accuracy.py` puts it into docs/accuracy.md.  References, mixtures, thickness and
sizes of the causes are drawn anew for every scan.  Three ways of fitting: optical density with a line; normalised;
and from counts of a drifting sample through all steps.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from worlds import KINDS, MARGIN, THICKNESS, World, displaced, photographed, smooth

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
LITTLE = "nothing said, moves fractions by less than sigma"
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

SEED = 9201
"""No threshold was chosen on scans of this seed."""

QUIET = 4
"""Scans without a cause for each scan with a given one, as false alarms are to be rare."""

Matrix = NDArray[np.float64]


def scan(
    rng: np.random.Generator, world: World, cause: str, n: int, noise: float, way: str
) -> tuple[nx.EnergyStack, list[nx.Reference], Matrix | None, float]:
    """A stack with one cause of a misfit, the references that it is fitted with, and how it drifts, if it is to be aligned.

    And by how much the cause moves fractions, rms over the pixels with sample.
    Causes whose size can be anything are drawn anew until they move a mean fraction by `MATTERS`.
    """
    energy, k = world.grid(n), int(rng.integers(2, 4 if n >= 16 else 3))
    while True:
        spectra = world.compounds(world, rng, k + 1)
        references = [nx.Reference(f"compound {i + 1}", world.fine, s) for i, s in enumerate(spectra[:k])]
        fractions, density = exact(rng, world, cause, energy, spectra, noise)
        mean, spread = moved(world, density, energy, spectra[:k], fractions)
        if cause in ("nothing", "missing reference", "alignment") or mean >= MATTERS:
            break
    inside = (slice(None), *(slice(MARGIN, -MARGIN),) * 2)
    if way == "chain":
        drift = None
        if cause != "alignment":
            drift = np.cumsum(rng.normal(0, 0.5, (energy.size, 2)), axis=0)
            drift = np.clip(drift - drift[-1], -MARGIN + 1, MARGIN - 1)
            density = displaced(density, drift)
        made = photographed(rng, world, density[inside], energy, noise, inside)
        return made, references, drift, spread
    density = density[inside]
    density = density + rng.normal(0, noise * THICKNESS, density.shape)
    made = nx.EnergyStack(density.astype(np.float32), energy, "optical_density")
    return made, references, None, spread


def moved(
    world: World, density: Matrix, energy: Matrix, spectra: Matrix, fractions: Matrix
) -> tuple[float, float]:
    """By how much a fit misses the fractions of the known compounds: in the mean, and rms over pixels with sample."""
    line = np.stack([np.ones_like(energy), energy - world.e0], axis=1)
    columns = np.c_[line, np.stack([np.interp(energy, world.fine, s) for s in spectra], axis=1)]
    found = np.linalg.lstsq(columns, density.reshape(energy.size, -1), rcond=None)[0][2:]
    known = fractions[: len(found)].reshape(len(found), -1)
    there = found.sum(axis=0) > THICKNESS / 3
    off = (found / found.sum(axis=0) - known / known.sum(axis=0))[:, there]
    return float(np.abs(off.mean(axis=1)).max()), float(np.sqrt((off**2).mean(axis=1)).max())


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


@dataclass(frozen=True)
class Told:
    """One scan: its cause, what was said, its energies and noise, and whether the cause moves fractions by more than sigma."""

    cause: str
    said: str
    n: int
    noise: float
    seen: bool

    @property
    def right(self) -> bool:
        return self.said == self.cause

    @property
    def heard(self) -> str:
        """What was said; of a cause of which nothing is said, whether a single pixel could show it."""
        return LITTLE if self.cause != self.said == "nothing" and not self.seen else self.said


def ask(
    way: str, repeats: int, grids: Sequence[int], worlds: Sequence[str], seed: int
) -> tuple[list[Told], int]:
    """Make scans, and tell what their fits say; and how many were left out, as alignment missed their drift."""
    told, missed = [], 0
    with TemporaryDirectory() as name:
        for index, (n, noise) in enumerate((n, noise) for n in grids for noise in NOISE):
            for cause in CAUSES:
                for repeat in range(repeats * (QUIET if cause == "nothing" else 1)):
                    rng = np.random.default_rng([seed, index, repeat, CAUSES.index(cause)])
                    world = KINDS[worlds[(index + repeat) % len(worlds)]]
                    rest = np.inf
                    while rest > MISSED:
                        missed += np.isfinite(rest)
                        *made, moves = scan(rng, world, cause, n, noise, way)
                        diagnosis, rest = named(world, *made, way, Path(name))
                    said = diagnosis.causes[0] if diagnosis is not None and diagnosis.causes else "nothing"
                    seen = diagnosis is not None and moves > diagnosis.sigma.max()
                    told.append(Told(cause, said, n, noise, seen))
    return told, missed


def confuse(
    way: str,
    repeats: int,
    grids: Sequence[int] = GRIDS,
    worlds: Sequence[str] = tuple(KINDS),
    seed: int = SEED,
) -> str:
    """Return the confusion of causes for one way of fitting, and what is told at each number of energies and noise."""
    told, missed = ask(way, repeats, grids, worlds, seed)
    left = f", {missed} others left out, as alignment missed {MISSED} px" if missed else ""
    title = f"*{WAYS[way]}* ({len(told)} scans of {', '.join(map(str, grids))} energies{left})"
    head = (
        "| true cause | "
        + " | ".join(("nothing said", LITTLE, *SAID[1:]))
        + " |\n"
        + "|---" * (len(SAID) + 2)
        + "|"
    )
    rows = []
    for cause in CAUSES:
        said = Counter(one.heard for one in told if one.cause == cause)
        columns = (SAID[0], LITTLE, *SAID[1:])
        rows.append(f"| {cause} | " + " | ".join(_share(said[c], said.total()) for c in columns) + " |")
    return "\n".join([title, "", head, *rows, "", by_cell(told, grids), "", _not_right(told)])


def by_cell(told: Sequence[Told], grids: Sequence[int]) -> str:
    """Return the causes that are named rightly at each number of energies and noise; of those seen; and false alarms."""
    lines = ["| energies | " + " | ".join(f"noise {100 * noise:g} %" for noise in NOISE) + " |"]
    lines.append("|---" * (len(NOISE) + 1) + "|")
    for n in grids:
        cells = []
        for noise in NOISE:
            here = [one for one in told if (one.n, one.noise) == (n, noise)]
            causes = [one for one in here if one.cause != "nothing"]
            counts = [_of(causes), _of([one for one in causes if one.seen])]
            cells.append(
                ", ".join([*counts, _of([one for one in here if one.cause == "nothing"], wrong=True)])
            )
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _of(some: Sequence[Told], wrong: bool = False) -> str:
    return f"{sum(one.right != wrong for one in some)}/{len(some)}"


def _not_right(told: Sequence[Told]) -> str:
    """Say what becomes of causes that are not named, and how many alarms are false."""
    causes = [one for one in told if one.cause != "nothing"]
    seen, quiet = [one for one in causes if one.seen], [one for one in told if one.cause == "nothing"]
    parts = []
    for some, which in (
        (causes, "all"),
        (seen, "those that move fractions by more than the sigma of one pixel"),
    ):
        said = Counter(one.said for one in some if not one.right)
        silent, unclear = said.pop("nothing", 0), said.pop("unclear", 0)
        parts.append(
            f"of {len(some)} scans with a cause ({which}) {sum(one.right for one in some)} are named rightly, of "
            f"{silent} nothing is said, {unclear} are unclear, {said.total()} are named wrongly"
        )
    alarms = sum(not one.right for one in quiet)
    return f"In numbers: {'; '.join(parts)}; {alarms} of {len(quiet)} scans without a cause are said to have one."


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if part else ""


SIZES = ((60, 768), (60, 512), (60, 256), (60, 128))
"""Energies, and pixels along each side, of the fits beside which the cost is told."""


def cost() -> str:
    """Return what the diagnosis takes of a fit, in a sentence."""
    told = []
    for n, size in SIZES:
        share = 100 * np.median(_shares_of_diagnosis(n, size))
        told.append(f"{share:.0f} % of a fit of {n} x {size} x {size} values")
    return f"Of the processor time of the rest of a fit, the diagnosis takes {', '.join(told[:-1])} and {told[-1]}."


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
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # they are what is looked at
    for way in args.ways:
        print(confuse(way, args.repeats, args.grids, args.worlds, args.seed), end="\n\n", flush=True)
    print(cost())


if __name__ == "__main__":
    main()
