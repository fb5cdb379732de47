"""What a simulated scan is made of: spectra, particles, their drift, the beam and the detector.

`phantom.simulate` and its neighbours put these together; sizes and noise are those of a full-field microscope.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.edges import edge_energies
from napari_xanes._core.data.reference import Reference

Float64 = NDArray[np.float64]

DARK_LEVEL, READ_NOISE = 100.0, 2.0
LOWEST_EDGE = 1000


def k_edge(element: str) -> float:
    energy = edge_energies().get((str(element).strip().capitalize(), "K"), 0.0)
    if energy < LOWEST_EDGE:
        raise InputError(
            f"element is {element!r}, expected the symbol of one with a K edge above {LOWEST_EDGE} eV, such as 'Ni'."
        )
    return energy


def scan_energies(e0: float, n: int) -> Float64:
    """Coarse before and after the edge, fine across it."""
    at = np.interp(np.linspace(0, 1, n), [0, 0.16, 0.78, 1], [-110.0, -14.0, 46.0, 245.0])
    return e0 + np.round(at, 2)


def make_references(element: str, e0: float) -> list[Reference]:
    energy = e0 + np.concatenate([np.arange(-130, -20, 2), np.arange(-20, 60, 0.25), np.arange(60, 281, 2)])
    shapes = {"reduced": (8.0, 0.75, 2.06), "oxidised": (10.6, 0.55, 1.93)}
    return [Reference(f"{element}_{name}", energy, _spectrum(energy - e0, *s)) for name, s in shapes.items()]


def _spectrum(at: Float64, shift: float, white_line: float, distance: float) -> Float64:
    """Return a normalised spectrum at `at` eV from the tabulated edge: a step, a white line, fine structure.

    The step rises `shift` eV above the tabulated edge, the white line 7 eV later; the fine structure is that of
    one shell of neighbours at `distance` angstrom.
    """
    x = at - shift
    step = 0.5 * (0.6 * special.erfc(-x / 2.2) + 0.4 * (1 + 2 / np.pi * np.arctan(x / 1.6)))
    peak = white_line * np.exp(-0.5 * ((x - 7.0) / 3.4) ** 2)
    pre_peak = 0.03 * np.exp(-0.5 * ((at - 0.5) / 1.3) ** 2)
    k = np.sqrt(0.2625 * np.clip(x - 4, 0, None))
    wiggle = (
        0.16
        * np.sin(2 * distance * k - 1.2)
        * np.exp(-0.03 * k**2)
        * special.erf(np.clip(x - 10, 0, None) / 14)
    )
    return np.asarray(step * (1 + wiggle) + peak + pre_peak, dtype=np.float64)


def random_drift(rng: np.random.Generator, n: int, farthest: float, n_axes: int = 2) -> Float64:
    """Return a random walk with one jump, as long as asked, zero in the last frame."""
    walk = np.cumsum(rng.standard_normal((n, n_axes)), axis=0)
    walk[: int(0.6 * n)] += rng.choice([-4, 4], n_axes)
    walk -= walk[-1]
    return np.asarray(walk * farthest / np.linalg.norm(walk, axis=1).max())


def make_sample(rng: np.random.Generator, shape: tuple[int, int], n: int) -> tuple[Float64, Float64]:
    """Return the amounts (2, Y, X) of the references in edge steps, and the support film in optical density."""
    texture = random_texture(rng, shape, 2.5)
    y, x = np.ogrid[: shape[0], : shape[1]]
    amounts = np.zeros((2, *shape))
    for _ in range(n):
        size = min(shape) * rng.uniform(0.045, 0.12)
        cy, cx = rng.uniform(0.08, 0.92, 2) * shape
        turn, stretch = rng.uniform(0, np.pi), rng.uniform(0.75, 1.3)
        dy, dx = y - cy, x - cx
        u = (dx * np.cos(turn) + dy * np.sin(turn)) / (size * stretch)
        v = (dy * np.cos(turn) - dx * np.sin(turn)) * stretch / size
        radius = np.hypot(u, v) * (1 + 0.05 * texture)
        thick = rng.uniform(0.5, 1.1) * np.sqrt(np.clip(1 - radius**2, 0, None)) * (1 + 0.12 * texture)
        core, rim = rng.uniform(0, 0.45), rng.uniform(0.55, 1)
        oxidized = (
            core + (rim - core) * special.expit((radius - rng.uniform(0.5, 0.75)) / 0.07) + 0.04 * texture
        )
        oxidized = np.clip(oxidized, 0, 1)
        amounts += np.clip(thick, 0, None) * np.stack([1 - oxidized, oxidized])
    amounts = ndimage.gaussian_filter(amounts, (0, 0.8, 0.8))
    amounts[:, amounts.sum(axis=0) < 1e-3] = 0
    return amounts, 0.12 + 0.015 * random_texture(rng, shape, 6)


def random_texture(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Float64:
    """Random ups and downs of a size in px, mean 0 and spread 1."""
    values = ndimage.gaussian_filter(rng.standard_normal(shape), size, mode="wrap")
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float64)


def attenuation(references: list[Reference], energy: Float64, e0: float) -> Float64:
    """Return what an edge step of each reference absorbs (n, E); other atoms of it absorb less and less."""
    return mu_at(references, energy) + 0.40 - 0.35 * (energy - e0) / 1000


def mu_at(references: list[Reference], energy: Float64) -> Float64:
    """Return the spectra of the references (n, E)."""
    return np.stack([np.interp(energy, one.energy, one.mu) for one in references])


def drifting_sum(maps: Float64, weights: Float64, drift: Float64, pad: int) -> Float64:
    """Return frames (E, Y, X) or (E, Z, Y, X): maps (n, ...) weighted by energy (n, E), displaced, without margin."""
    parts = [ndimage.spline_filter(one, mode="mirror") for one in maps]
    frames = []
    for weight, moved in zip(weights.T, drift, strict=True):
        frame = sum(w * part for w, part in zip(weight, parts, strict=True))
        for axis, distance in enumerate(moved):
            frame = _displaced(frame, distance, axis, pad)
        frames.append(frame)
    return np.stack(frames)


def _displaced(splines: Float64, distance: float, axis: int, pad: int) -> Float64:
    """Move cubic B-splines along an axis by less than the margin, and take the margin off; axis by axis is fast."""
    whole = int(np.floor(-distance))
    t = -distance - whole
    weights = np.array([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3]) / 6
    along, size = np.moveaxis(splines, axis, 0), splines.shape[axis] - 2 * pad
    starts = range(pad + whole - 1, pad + whole + 3)
    moved = sum(w * along[start : start + size] for w, start in zip(weights, starts, strict=True))
    return np.moveaxis(np.asarray(moved), 0, axis)


def make_beam(rng: np.random.Generator, shape: tuple[int, int], n: int, counts: float) -> Float64:
    """Return the counts without sample (E, Y, X): a spot and stripes that move, pattern and dust that stay."""
    y, x = (np.linspace(-1, 1, size) for size in shape)
    part = np.linspace(0, 1, n)[:, None, None]
    spot = np.exp(-0.5 * (((y[:, None] - 0.15 + 0.2 * part) / 1.3) ** 2 + ((x - 0.1 * part) / 1.5) ** 2))
    phase = rng.uniform(0, 2 * np.pi, 3)
    stripes = sum(
        a * np.sin(f * y[:, None] + p + 3 * part)
        for a, f, p in zip((0.03, 0.02, 0.015), (9, 23, 41), phase, strict=True)
    )
    pattern = 1 + 0.02 * random_texture(rng, shape, 1.2) + 0.03 * random_texture(rng, shape, 12)
    for cy, cx, size in zip(*rng.uniform(0, 1, (2, 12)), rng.uniform(1, 4, 12), strict=True):
        far = (np.arange(shape[0])[:, None] - cy * shape[0]) ** 2 + (np.arange(shape[1]) - cx * shape[1]) ** 2
        pattern *= 1 - 0.35 * np.exp(-0.5 * far / size**2)
    current = 1 + 0.01 * np.cumsum(rng.standard_normal((n, 1, 1)), axis=0) / np.sqrt(n)
    return np.asarray(counts * current * spot * (1 + stripes) * np.clip(pattern, 0.2, 1.3), dtype=np.float64)


def expose(rng: np.random.Generator, expected: Float64, n: int) -> NDArray[np.uint16]:
    """Return detector counts, the mean of `n` exposures: shot noise, read noise, dark level."""
    seen = rng.poisson(n * expected) / n + rng.normal(DARK_LEVEL, READ_NOISE / np.sqrt(n), expected.shape)
    return np.clip(np.rint(seen), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def always_seen(shape: tuple[int, ...], drift: Float64) -> NDArray[np.bool_]:
    """Where the sample of the last frame is in view in every frame."""
    inside = [
        (at + moved.min() >= 1) & (at + moved.max() <= size - 2)
        for size, moved, at in zip(shape, drift.T, map(np.arange, shape), strict=True)
    ]
    seen = np.logical_and.reduce(np.meshgrid(*inside, indexing="ij"))
    return np.asarray(seen, dtype=np.bool_)
