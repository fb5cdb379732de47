"""A simulated series of reconstructed volumes with its truth: particles with cores and rims, in three dimensions."""

from __future__ import annotations

import numpy as np
from scipy import special

from napari_xanes._core.base.door import NotNegative, Seed, public
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.simulate import parts
from napari_xanes._core.simulate.full_field import Simulation, check_sizes, margin, with_truth
from napari_xanes._core.simulate.parts import Float64

VOXEL_UM = 0.12
STEP_PER_UM = 0.65
"""Edge step of the solid oxide per micrometre, about that of NiO at the Ni K edge."""


@public
def simulate_volume(
    shape: tuple[int, int, int] = (32, 72, 80),
    *,
    element: str = "Ni",
    n_energies: int = 41,
    seed: Seed = 0,
    noise: NotNegative = 0.04,
    max_drift: float = 1.5,
    n_particles: int = 9,
) -> Simulation:
    """Simulate reconstructed volumes across the K edge of an element, one per energy.

    Parameters
    ----------
    shape : (int, int, int)
        Planes, rows and columns of a volume, voxels.
    element : str
        Symbol of the element whose K edge is scanned.
    n_energies : int
        Number of volumes, closer together at the edge.
    seed : int
        The same seed gives the same scan.
    noise : float
        Standard deviation of a voxel's attenuation, 1/um; where the particles are solid the edge step is 0.65.
    max_drift : float
        Farthest that the sample moves from where the last volume shows it, voxels.
    n_particles : int
        Number of particles, each with a core and a rim of different composition.

    Returns
    -------
    Simulation
        With a stack of attenuation (``signal="optical_density"``), float32 (E, Z, Y, X), in 1/um.

    Raises
    ------
    InputError
        If the element is unknown or a number is out of range.
    """
    check_sizes(shape, n_energies, 1, max_drift, n_particles)
    rng = np.random.default_rng(seed)
    e0 = parts.k_edge(element)
    energy = parts.scan_energies(e0, n_energies)
    references = parts.make_references(element, e0)
    drift = parts.random_drift(rng, n_energies, max_drift, 3)
    pad = margin(max_drift)
    amounts = STEP_PER_UM * _solids(rng, shape, pad, n_particles)
    volumes = parts.drifting_sum(amounts, parts.attenuation(references, energy, e0), drift, pad)
    volumes += noise * rng.standard_normal(volumes.shape)
    stack = EnergyStack(
        data=volumes.astype(np.float32),
        energy=energy,
        signal="optical_density",
        name=f"{element.lower()}_volume",
        pixel_size_um=VOXEL_UM,
        source={"simulated": element, "seed": seed},
    )
    return with_truth(stack, references, amounts, drift, pad, least=0.3 * STEP_PER_UM)


def _solids(rng: np.random.Generator, shape: tuple[int, ...], pad: int, n: int) -> Float64:
    """Return how much of a voxel each reference fills (2, Z, Y, X): ellipsoids in a cylinder about the z axis."""
    padded = tuple(size + 2 * pad for size in shape)
    texture = parts.random_texture(rng, padded, 2.0)
    grid = np.meshgrid(
        *[np.arange(size, dtype=np.float64) - pad for size in padded], indexing="ij", sparse=True
    )
    left = np.ones(padded)
    filled = np.zeros((2, *padded))
    for _ in range(n):
        turn, out = rng.uniform(0, 2 * np.pi), 0.36 * np.sqrt(rng.uniform())
        center = (rng.uniform(0.15, 0.85), 0.5 + out * np.sin(turn), 0.5 + out * np.cos(turn))
        radii = min(shape[1:]) * rng.uniform(0.08, 0.16) * rng.uniform(0.8, 1.25, 3)
        away = [(at - c * size) / r for at, c, size, r in zip(grid, center, shape, radii, strict=True)]
        radius = np.sqrt(sum(d**2 for d in away)) * (1 + 0.05 * texture)
        solid = left * special.expit((1 - radius) * radii.mean() / 0.5)
        core, rim = rng.uniform(0, 0.4), rng.uniform(0.6, 1)
        oxidized = core + (rim - core) * special.expit((radius - rng.uniform(0.5, 0.75)) / 0.07)
        oxidized = np.clip(oxidized + 0.03 * texture, 0, 1)
        filled += solid * np.stack([1 - oxidized, oxidized])
        left -= solid
    filled[:, filled.sum(axis=0) < 1e-3] = 0
    return filled
