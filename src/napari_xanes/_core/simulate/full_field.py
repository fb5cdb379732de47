"""Simulated scans with their truth, to learn on, to demonstrate and to test with.

What makes real scans hard is in it: drift, a beam that moves and flickers, stripes, dust, shot noise, a support
film.  The reference spectra are formulas; they look like a compound's but are nobody's measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.door import Seed, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.files import whole_file
from napari_xanes._core.base.hdf5_file import whole_hdf5
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.data.stack import EnergyStack, Float32
from napari_xanes._core.simulate import parts
from napari_xanes._core.simulate.parts import Float64

MARGIN = 8
"""Pixels simulated around the frame, besides the drift, so that no border moves into view."""

BIGGEST_COUNT = 40_000
PIXEL_UM = 0.04


@dataclass(frozen=True, eq=False)
class Simulation:
    """A scan and what is true about it.

    Attributes
    ----------
    stack : EnergyStack
        What the detector saw or the reconstruction gave: (E, Y, X), or (E, Z, Y, X) of a volume.
    references : list of Reference
        The spectra that the sample is made of, normalised.
    fractions : array (n, Y, X) or (n, Z, Y, X)
        Share of each reference, NaN outside the particles; as the last frame shows the sample.
    thickness : array (Y, X) or (Z, Y, X)
        Amount of the element in edge steps, as the last frame shows it.
    drift : array (E, 2) or (E, 3)
        How far (dy, dx) or (dz, dy, dx), in px, each frame shows the sample displaced from the last frame.
    mask : bool array (Y, X) or (Z, Y, X)
        Where there is enough sample to be fitted, and every frame shows it.
    """

    stack: EnergyStack
    references: list[Reference]
    fractions: Float32
    thickness: Float32
    drift: Float64
    mask: NDArray[np.bool_]

    def save(self, folder: str | Path) -> Path:
        """Write the scan as a beamline does, the references as text and the truth, and return the scan's path.

        Parameters
        ----------
        folder : path
            Made if need be; gets ``<name>.h5`` (img_xanes, X_eng in keV, pixel_size if it is known, img_bkg and
            img_dark if there are flats and darks), ``truth.h5`` and ``references/<reference>.txt``.
        """
        folder = Path(folder)
        (folder / "references").mkdir(parents=True, exist_ok=True)
        scan = folder / f"{self.stack.name}.h5"
        with whole_hdf5(scan) as file:
            file["img_xanes"] = self.stack.data
            for key, value in (("img_bkg", self.stack.flat), ("img_dark", self.stack.dark)):
                if value is not None:
                    file[key] = value
            file["X_eng"] = self.stack.energy / 1000
            file["X_eng"].attrs["units"] = "keV"
            if self.stack.pixel_size_um:
                file["pixel_size"] = self.stack.pixel_size_um
                file["pixel_size"].attrs["units"] = "um"
            file["note"] = "simulated by napari-xanes"
        with whole_hdf5(folder / "truth.h5") as file:
            for name in ("fractions", "thickness", "drift", "mask"):
                file[name] = getattr(self, name)
            file["fractions"].attrs["references"] = [r.name for r in self.references]
        for reference in self.references:
            with whole_file(folder / "references" / f"{reference.name}.txt") as part:
                np.savetxt(
                    part,
                    np.column_stack([reference.energy, reference.mu]),
                    fmt="%.6f",
                    header=f"{reference.name}, simulated by napari-xanes\nenergy_eV  mu",
                )
        return scan


@public
def simulate(
    shape: tuple[int, int] = (200, 240),
    *,
    element: str = "Ni",
    n_energies: int = 61,
    seed: Seed = 0,
    counts: float = 12_000,
    max_drift: float = 6.0,
    n_particles: int = 18,
) -> Simulation:
    """Simulate a raw full-field scan across the K edge of an element.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a frame, px.
    element : str
        Symbol of the element whose K edge is scanned.
    n_energies : int
        Number of frames, closer together at the edge.
    seed : int
        The same seed gives the same scan.
    counts : float
        Detector counts at the centre of the beam.
    max_drift : float
        Farthest that the sample moves from where the last frame shows it, px.
    n_particles : int
        Number of particles, each with a core and a rim of different composition.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        If the element is unknown or a number is out of range.

    Examples
    --------
    >>> simulation = simulate((32, 40), n_energies=21, seed=1)
    >>> simulation.stack.data.shape, simulation.stack.signal
    ((21, 32, 40), 'counts')
    """
    check_sizes(shape, n_energies, counts, max_drift, n_particles)
    rng = np.random.default_rng(seed)
    e0 = parts.k_edge(element)
    energy = parts.scan_energies(e0, n_energies)
    references = parts.make_references(element, e0)
    drift = parts.random_drift(rng, n_energies, max_drift)
    pad = margin(max_drift)
    amounts, film = parts.make_sample(rng, (shape[0] + 2 * pad, shape[1] + 2 * pad), n_particles)
    weights = np.vstack([parts.attenuation(references, energy, e0), 1 - 0.36 * (energy - e0) / 1000])
    density = parts.drifting_sum(np.stack([*amounts, film]), weights, drift, pad)
    beam = parts.make_beam(rng, shape, n_energies, counts)
    flicker = 1 + 0.0015 * rng.standard_normal((n_energies, 1, 1))
    stack = EnergyStack(
        data=parts.expose(rng, beam * flicker * np.exp(-density), 1),
        energy=energy,
        signal="counts",
        flat=parts.expose(rng, beam, 10),
        dark=np.rint(rng.normal(parts.DARK_LEVEL, parts.READ_NOISE, (5, *shape))).astype(np.uint16),
        name=f"{element.lower()}_simulated",
        pixel_size_um=PIXEL_UM,
        source={"simulated": element, "seed": seed},
    )
    return with_truth(stack, references, amounts, drift, pad, least=0.15)


def margin(max_drift: float) -> int:
    """Return how many pixels to simulate around the frame."""
    return int(np.ceil(max_drift)) + MARGIN


def with_truth(
    stack: EnergyStack, references: list[Reference], amounts: Float64, drift: Float64, pad: int, least: float
) -> Simulation:
    """Return the scan with what is true of it, from amounts (n, Y, X) or (n, Z, Y, X) simulated with a margin."""
    inside = amounts[(slice(None), *[slice(pad, -pad)] * (amounts.ndim - 1))]
    thickness = inside.sum(axis=0)
    fractions = np.divide(inside, thickness, out=np.full_like(inside, np.nan), where=thickness > 0)
    mask = (thickness > least) & parts.always_seen(thickness.shape, drift)
    return Simulation(
        stack, references, fractions.astype(np.float32), thickness.astype(np.float32), drift, mask
    )


def check_sizes(
    shape: tuple[int, ...], n_energies: int, counts: float, max_drift: float, n_particles: int
) -> None:
    """Refuse what cannot be simulated."""
    limits = {
        "shape": (min(shape), 16, 65_536),
        "n_energies": (n_energies, 10, 10_000),
        "counts": (counts, 1, BIGGEST_COUNT),
        "max_drift": (max_drift, 0, min(shape) / 4),
        "n_particles": (n_particles, 1, 10_000),
    }
    for name, (value, lowest, highest) in limits.items():
        if not lowest <= value <= highest:
            raise InputError(f"{name} is {value:g}, expected {lowest:g} to {highest:g}.")
