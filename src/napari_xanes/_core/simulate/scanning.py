"""Simulated scans of scanning microscopes with their truth: soft X-ray transmission, and fluorescence of a nano-probe.

Neither has flats.  In the first the empty part of the picture shows the beam; the second is measured against an
ion chamber and is absorption as it comes.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from napari_xanes._core.base.door import Seed, public
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.simulate import parts
from napari_xanes._core.simulate.full_field import Simulation, check_sizes, margin, with_truth
from napari_xanes._core.simulate.parts import Float64

FE_L3, FE_L2 = 706.8, 719.9
"""Tabulated Fe L3 and L2 edges, eV."""
STXM_AT = [0, 0.12, 0.62, 0.9, 1], [700.0, 705.0, 715.0, 727.0, 732.0]
"""Which energy, in eV, is reached after which share of the frames."""
THICKEST_STEP = 0.3
"""Edge step of the thickest particles, about 100 nm of an iron oxide."""
SCATTERED = 0.6
"""What is scattered into the detector, as a multiple of what the film of a transmission scan absorbs."""


@public
def simulate_stxm(
    shape: tuple[int, int] = (120, 140),
    *,
    n_energies: int = 81,
    seed: Seed = 0,
    counts: float = 3_000,
    max_drift: float = 2.0,
    n_particles: int = 10,
) -> Simulation:
    """Simulate a scanning transmission scan across the Fe L edges, without flats.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a frame, px.
    n_energies : int
        Number of frames, from 700 to 732 eV, closer together at the L3 peaks.
    seed : int
        The same seed gives the same scan.
    counts : float
        Detector counts of a pixel where there is no sample.
    max_drift : float
        Farthest that the sample moves from where the last frame shows it, px.
    n_particles : int
        Number of particles, each with a core and a rim of different composition.

    Returns
    -------
    Simulation
        With a stack of counts, uint16 (E, Y, X); its references are iron(II) and iron(III), normalised.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    check_sizes(shape, n_energies, counts, max_drift, n_particles)
    rng = np.random.default_rng(seed)
    energy = np.round(np.interp(np.linspace(0, 1, n_energies), *STXM_AT), 2)
    references = _iron_references()
    drift = parts.random_drift(rng, n_energies, max_drift)
    pad = margin(max_drift)
    amounts, _ = parts.make_sample(rng, (shape[0] + 2 * pad, shape[1] + 2 * pad), n_particles)
    amounts *= THICKEST_STEP
    density = parts.drifting_sum(amounts, parts.attenuation(references, energy, FE_L3), drift, pad)
    beam = (1 - 0.004 * (energy - energy[0])) * _flicker(rng, n_energies)
    seen = rng.poisson((counts * beam)[:, None, None] * np.exp(-density))
    stack = EnergyStack(
        data=np.minimum(seen, np.iinfo(np.uint16).max).astype(np.uint16),
        energy=energy,
        signal="counts",
        name="fe_stxm",
        pixel_size_um=0.05,
        source={"simulated": "Fe L", "seed": seed},
    )
    return with_truth(stack, references, amounts, drift, pad, least=0.05)


@public
def simulate_fluorescence(
    shape: tuple[int, int] = (72, 84),
    *,
    element: str = "Fe",
    n_energies: int = 51,
    seed: Seed = 0,
    counts: float = 1_500,
    max_drift: float = 1.5,
    n_particles: int = 8,
) -> Simulation:
    """Simulate fluorescence maps of a nano-probe across the K edge of an element, divided by the ion chamber.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a map, px.
    element : str
        Symbol of the element whose K edge is scanned.
    n_energies : int
        Number of maps, closer together at the edge.
    seed : int
        The same seed gives the same scan.
    counts : float
        Fluorescence counts of a pixel with an edge step of one, above the edge.
    max_drift : float
        Farthest that the sample moves from where the last map shows it, px.
    n_particles : int
        Number of particles, each with a core and a rim of different composition.

    Returns
    -------
    Simulation
        With a stack of absorption (``signal="optical_density"``), float32 (E, Y, X), on a scattered background.

    Raises
    ------
    InputError
        If the element is unknown or a number is out of range.
    """
    check_sizes(shape, n_energies, counts, max_drift, n_particles)
    rng = np.random.default_rng(seed)
    e0 = parts.k_edge(element)
    energy = parts.scan_energies(e0, n_energies)
    references = parts.make_references(element, e0)
    drift = parts.random_drift(rng, n_energies, max_drift)
    pad = margin(max_drift)
    amounts, film = parts.make_sample(rng, (shape[0] + 2 * pad, shape[1] + 2 * pad), n_particles)
    weights = np.vstack([parts.mu_at(references, energy), np.ones(n_energies)])
    signal = parts.drifting_sum(np.stack([*amounts, SCATTERED * film]), weights, drift, pad)
    chamber = _flicker(rng, n_energies)[:, None, None]
    seen = rng.poisson(np.clip(counts * chamber * signal, 0, None)) / (counts * chamber)
    stack = EnergyStack(
        data=seen.astype(np.float32),
        energy=energy,
        signal="optical_density",
        name=f"{element.lower()}_fluorescence",
        pixel_size_um=0.2,
        source={"simulated": element, "seed": seed},
    )
    return with_truth(stack, references, amounts, drift, pad, least=0.1)


def _flicker(rng: np.random.Generator, n: int) -> Float64:
    """Return the intensity of the beam at each energy, about one."""
    return np.asarray(1 + 0.02 * np.cumsum(rng.standard_normal(n)) / np.sqrt(n))


def _iron_references() -> list[Reference]:
    """Return spectra like those of iron(II) and iron(III): two peaks at L3, two at L2, on steps of 2 : 1."""
    energy = np.arange(698, 735.01, 0.1)
    peaks = {"Fe2": ((707.9, 3.6), (709.5, 1.4)), "Fe3": ((708.0, 1.5), (709.7, 4.4))}
    return [Reference(name, energy, _l_edges(energy, pair)) for name, pair in peaks.items()]


def _l_edges(energy: Float64, pair: tuple[tuple[float, float], ...]) -> Float64:
    """Return a normalised L3,2 spectrum with a pair of peaks (eV, height) at L3 and, smaller and wider, at L2."""
    steps = sum(
        share * special.expit((energy - at) / 0.4)
        for share, at in ((2 / 3, FE_L3 + 1.5), (1 / 3, FE_L2 + 1.5))
    )
    peaks = sum(
        height * np.exp(-0.5 * ((energy - at) / 0.55) ** 2)
        + 0.35 * height * np.exp(-0.5 * ((energy - at - (FE_L2 - FE_L3)) / 0.8) ** 2)
        for at, height in pair
    )
    return np.asarray(steps + peaks, dtype=np.float64)
