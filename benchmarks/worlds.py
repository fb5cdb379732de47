"""What simulated scans for the diagnosis are made of: elements, spectra, grids of energies and textures that differ.

`KINDS` has one world for each way in which scans differ; none was used to choose a threshold but the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

import napari_xanes as nx

Matrix = NDArray[np.float64]

MARGIN, SHAPE = 6, (64, 72)
THICKNESS = 0.7
"""Edge step of a mean pixel."""

LIBRARY = Path(__file__).parents[1] / "tests/data/refs/fe/FeLibNov2021.nor"


@dataclass(frozen=True)
class World:
    """Energies (fine, edge, windows), how n of them are chosen, spectra of compounds, and where these are."""

    fine: Matrix
    e0: float
    near: tuple[float, float]
    before: tuple[float, float]
    after: tuple[float, float]
    compounds: Callable[[World, np.random.Generator, int], Matrix]
    scene: Callable[[np.random.Generator, int], tuple[Matrix, Matrix]]

    def grid(self, n: int) -> Matrix:
        """Energies, most of them about the edge."""
        before, after = max(2, round(0.2 * n)), max(2, round(0.25 * n))
        edge = np.linspace(*self.near, n - before - after)
        return np.r_[np.linspace(*self.before, before), edge, np.linspace(*self.after, after)]


def formulas(world: World, rng: np.random.Generator, n: int) -> Matrix:
    """Spectra of different compounds of one element on the fine grid, some eV apart."""
    spectra = []
    for k in range(n):
        e0 = world.e0 + 2.0 * k + rng.uniform(-0.5, 0.5)
        y = 0.5 + np.arctan((world.fine - e0) / rng.uniform(1.0, 2.0)) / np.pi
        for height, at, width in (
            (rng.uniform(0.3, 0.9), rng.uniform(5, 9), rng.uniform(2.5, 4)),
            (rng.uniform(-0.15, 0.15), rng.uniform(14, 20), rng.uniform(4, 7)),
            (rng.uniform(0.0, 0.1), rng.uniform(-8, -5), rng.uniform(1.2, 2)),
        ):
            y += height * np.exp(-0.5 * ((world.fine - e0 - at) / width) ** 2)
        spectra.append(y)
    return np.stack(spectra)


def with_fine_structure(world: World, rng: np.random.Generator, n: int) -> Matrix:
    """Spectra with a shoulder on the edge, as copper's, and waves far above it."""
    spectra = []
    for k in range(n):
        e0 = world.e0 + 2.2 * k + rng.uniform(-0.5, 0.5) - 3
        above = np.clip(world.fine - e0, 0, None)
        y = 0.5 + np.arctan((world.fine - e0) / rng.uniform(0.8, 1.6)) / np.pi
        for height, at, width in (
            (rng.uniform(0.1, 0.6), rng.uniform(8, 14), rng.uniform(3, 6)),
            (rng.uniform(0.05, 0.3), rng.uniform(-1, 2), rng.uniform(0.8, 1.5)),
        ):
            y += height * np.exp(-0.5 * ((world.fine - e0 - at) / width) ** 2)
        wave = np.sin(2 * rng.uniform(1.8, 2.5) * np.sqrt(0.2625 * above) + rng.uniform(0, 6))
        spectra.append(y + 0.08 * wave * np.exp(-above / 150) * (1 - np.exp(-((above / 25) ** 4))))
    return np.stack(spectra)


def measured(world: World, rng: np.random.Generator, n: int) -> Matrix:
    """Measured spectra of compounds of iron that differ, drawn from a library of eleven."""
    table = np.stack([np.interp(world.fine, r.energy, r.mu) for r in nx.read_references(LIBRARY)])
    while True:
        spectra: Matrix = table[rng.choice(len(table), n, replace=False)]
        if min(float((a - b).std()) for i, a in enumerate(spectra) for b in spectra[:i]) > 0.06:
            return spectra


def smooth(rng: np.random.Generator, size: float) -> Matrix:
    image = gaussian_filter(rng.normal(size=[n + 2 * MARGIN for n in SHAPE]), size, mode="wrap")
    return np.asarray(image / image.std())


def clouds(rng: np.random.Generator, n: int) -> tuple[Matrix, Matrix]:
    """Fractions (n, y, x) and thickness (y, x) that run smoothly."""
    parts = np.exp(3 * np.stack([smooth(rng, 6) for _ in range(n)]))
    return parts / parts.sum(axis=0), np.clip(THICKNESS * (1 + 0.6 * smooth(rng, 5)), 0.15, 2.0)


def grains(rng: np.random.Generator, n: int) -> tuple[Matrix, Matrix]:
    """Grains with sharp boundaries, each of one mixture and thickness."""
    y, x = np.indices([s + 2 * MARGIN for s in SHAPE])
    at = rng.uniform(0, 1, (40, 2)) * y.shape
    grain = np.argmin((y[..., None] - at[:, 0]) ** 2 + (x[..., None] - at[:, 1]) ** 2, axis=-1)
    parts = np.stack([gaussian_filter(row[grain], 0.8) for row in rng.dirichlet([0.4] * n, 40).T])
    thickness = gaussian_filter((THICKNESS * rng.uniform(0.4, 1.8, 40))[grain], 0.8)
    return parts / parts.sum(axis=0), np.clip(thickness, 0.05, 2)


def particles(rng: np.random.Generator, n: int) -> tuple[Matrix, Matrix]:
    """Round particles, nothing between them."""
    fractions, _ = clouds(rng, n)
    y, x = np.indices([s + 2 * MARGIN for s in SHAPE])
    thickness = np.zeros(y.shape)
    for _ in range(9):
        radius, (row, column) = rng.uniform(6, 14), rng.uniform(0, 1, 2) * y.shape
        thickness += np.sqrt(np.clip(radius**2 - (y - row) ** 2 - (x - column) ** 2, 0, None)) / radius
    thickness = gaussian_filter(thickness, 0.7)
    thickness *= THICKNESS / thickness[thickness > 0.1].mean()
    return fractions, np.clip(thickness, 0, 2.5)


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


_NICKEL = (np.arange(8200.0, 8601.0, 0.1), 8340.0, (8330.0, 8365.0), (8225.0, 8318.0), (8395.0, 8575.0))
_COPPER = (np.arange(8850.0, 9251.0, 0.1), 8985.0, (8975.0, 9012.0), (8860.0, 8965.0), (9035.0, 9240.0))
_IRON = (np.arange(7090.0, 7199.9, 0.1), 7124.0, (7111.0, 7145.0), (7091.0, 7107.0), (7152.0, 7199.0))

KINDS = {
    "formulas, smooth": World(*_NICKEL, formulas, clouds),
    "formulas, grains": World(*_NICKEL, formulas, grains),
    "shoulder and fine structure, particles": World(*_COPPER, with_fine_structure, particles),
    "measured iron, smooth": World(*_IRON, measured, clouds),
    "measured iron, grains": World(*_IRON, measured, grains),
}
