"""How often the truth lies within one and two stated standard errors: of fractions and of drift, as tables for `accuracy.py`.

Spectra are mixtures of two formulas that are 0 before and 1 after the edge, so that nothing but noise is between fit and
truth.  `accuracy.py` prints these tables after its own.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import h5py
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
    if n == 4:
        return np.array([8250.0, 8339.0, 8345.0, 8400.0])
    if n == 5:
        return np.array([8250.0, 8339.0, 8343.0, 8348.0, 8400.0])
    few = max(3 if n > 6 else 2, n // 5)
    return np.r_[
        np.linspace(8250, 8318, few), np.linspace(8335, 8356, n - 2 * few), np.linspace(8376, 8500, few)
    ]


def counted_scan(
    n: int, noise: float, step: tuple[float, float], slope: float = -0.0006
) -> tuple[nx.EnergyStack, nx.EnergyStack, np.ndarray]:
    """Return transmission with counting noise, the same without, and the fractions of the first reference."""
    rng, energy = np.random.default_rng(0), energies(n)
    f, thickness = rng.random(SHAPE), rng.uniform(*step, SHAPE)
    a, b = (np.interp(energy, r.energy, r.mu)[:, None, None] for r in REFERENCES)
    density = thickness * (f * a + (1 - f) * b + 0.4 + slope * (energy - 8341)[:, None, None])
    exact = np.exp(-density)
    counted = np.maximum(rng.poisson(exact / noise**2), 1) * noise**2
    made = [nx.EnergyStack(t.astype(np.float32), energy, "transmission") for t in (counted, exact)]
    return made[0], made[1], f


def maps_of(stack: nx.EnergyStack, *steps: dict[str, object]) -> dict[str, np.ndarray]:
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "optical_density"}, *steps]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(nx.run_recipe(recipe, stack).maps)


def shares(found: np.ndarray, truth: np.ndarray, sigma: np.ndarray) -> str:
    """Return per cent within one and two sigma."""
    distance = np.abs(found - truth) / sigma
    inside = np.isfinite(distance)
    if inside.sum() < 0.5 * inside.size:
        return "no sigma"
    return f"{100 * np.mean(distance[inside] < 1):.0f}, {100 * np.mean(distance[inside] < 2):.0f}"


def within(stack: nx.EnergyStack, f: np.ndarray, *steps: dict[str, object]) -> str:
    try:
        maps = maps_of(stack, *steps)
    except nx.InputError:  # a window with one energy has no line
        return "too few"
    return shares(maps["fraction_a"], f, maps["sigma_a"])


def fractions() -> str:
    rows = ["| energies | noise | edge step | with a constant | with a line | normalised | slopes shared |"]
    rows.append("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        fit = {"do": "fit", "references": write_references(Path(folder))}
        for n, noise, step in CASES:
            stack, _, f = counted_scan(n, noise, step)
            level, _, same = counted_scan(n, noise, step, slope=0.0)
            columns = [
                within(level, same, fit | {"background": [0]}),
                within(stack, f, fit | {"background": [0, 1]}),
                within(stack, f, {"do": "normalize", "slope": "pixel", **WINDOWS}, fit),
                within(stack, f, {"do": "normalize", "slope": "shared", **WINDOWS}, fit),
            ]
            rows.append(f"| {n} | {100 * noise:g} % | {step[0]:g} to {step[1]:g} | {' | '.join(columns)} |")
    return "\n".join(rows)


OTHERS: dict[str, tuple[dict[str, object] | None, str, str]] = {
    "amount": ({"do": "fit", "uncertainty": True}, "amount_a", "amount_sigma_a"),
    "thickness": (None, "thickness", "thickness_sigma"),
    "edge step": (None, "edge_step", "edge_step_sigma"),
    "energy shift": ({"do": "shift_map"}, "energy_shift", "energy_shift_sigma"),
    "peak": ({"do": "peak", "window": [8340, 8356], "smoothing": 5.0}, "peak_energy", "peak_energy_sigma"),
    "edge": (
        {"do": "edge_position", "window": [8322, 8356], "smoothing": 5.0},
        "edge_energy",
        "edge_energy_sigma",
    ),
    "white line": (
        {"do": "white_line", "window": [8342, 8356], "baseline": 1.0},
        "white_line_area",
        "white_line_area_sigma",
    ),
}
"""Maps with a stated error of normalised data: step, map, and its error."""

BLOCK = 8
"""Side of the squares that stand for particles, px."""


def others() -> str:
    """Return the same of what else has a stated error; the truth is the map of the scan without noise."""
    rows = [f"| energies | noise | edge step | {' | '.join(OTHERS)} | mean of a particle |"]
    rows.append("|---" * (len(OTHERS) + 4) + "|")
    normalize = {"do": "normalize", "slope": "pixel", "uncertainty": True, "divide_by": "step", **WINDOWS}
    with tempfile.TemporaryDirectory() as folder:
        files = write_references(Path(folder))
        for n, noise, step in CASES:
            stack, exact, f = counted_scan(n, noise, step)
            columns = []
            for more, key, sigma in OTHERS.values():
                steps = [] if more is None else [{**more, "uncertainty": True}]
                if more is not None and more["do"] in ("fit", "shift_map"):
                    steps = [more | {"references": files}]
                try:
                    found, truth = (maps_of(one, normalize, *steps) for one in (stack, exact))
                    columns.append(shares(found[key], truth[key], found[sigma]))
                except nx.InputError:
                    columns.append("too few")
            columns.append(particles(stack, f, files))
            rows.append(f"| {n} | {100 * noise:g} % | {step[0]:g} to {step[1]:g} | {' | '.join(columns)} |")
    return "\n".join(rows)


def particles(stack: nx.EnergyStack, f: np.ndarray, files: list[str]) -> str:
    """Return the same of mean fractions of squares, fitted with a line."""
    y, x = np.indices(SHAPE) // BLOCK
    labels = 1 + y * (SHAPE[1] // BLOCK) + x
    try:
        maps = maps_of(stack, {"do": "fit", "references": files, "background": [0, 1]})
    except nx.InputError:
        return "too few"
    table = nx.particle_table(labels, {"f": maps["fraction_a"]}, sigma={"f": maps["sigma_a"]})
    truth = np.array([f[labels == label].mean() for label in table["label"]])
    return shares(np.asarray(table["f"]), truth, np.asarray(table["f_se"]))


def write_references(folder: Path) -> list[str]:
    files = []
    for r in REFERENCES:
        np.savetxt(path := folder / f"{r.name}.txt", np.c_[r.energy, r.mu])
        files.append(str(path))
    return files


CASES = [
    *((n, 0.005, (0.5, 1.5)) for n in (4, 5, 6, 8, 16, 32, 64, 128)),
    *((64, noise, (0.5, 1.5)) for noise in (0.001, 0.02, 0.05)),
    *((64, 0.005, step) for step in ((0.1, 0.3), (1.5, 2.5))),
]
"""Number of energies, noise of one value without sample, range of the edge step."""


def drifts(repeats: int, folder: Path) -> str:
    """Return how far measured displacements are from the true ones along each axis, and what is stated of that."""
    rows = [
        "| data | noise, share of the contrast | axis | rms error | stated sigma | within one, two sigma |"
    ]
    rows.append("|---|---|---|---|---|---|")
    raw = [{"do": "flat_field"}, {"do": "optical_density"}]
    phantoms = {
        "Ni 2D": ("phantom_ni_2d", "ni_txm_raw.h5", raw, "yx"),
        "Ni 3D": ("phantom_ni_3d", "", [], "zyx"),
    }
    for title, (name, scan, steps, axes) in phantoms.items():
        recipe = nx.Recipe.from_dict({"schema": 1, "step": [*steps, {"do": "align"}]})
        drift = nx.run_recipe(recipe, folder / name / scan).extra["drift"]
        with h5py.File(folder / name / "truth.h5") as file:
            missed = drift.shifts - file["shifts"][()]
        rows += _drift_rows(title, "", axes, missed - np.median(missed, axis=0), drift.sigma)
    for noise in (0.02, 0.1, 0.3, 1.0):
        made = [_blobs(seed, noise) for seed in range(repeats)]
        rows += _drift_rows(
            "blurred spots",
            f"{100 * noise:g} %",
            "yx",
            *(np.concatenate(one) for one in zip(*made, strict=True)),
        )
    return "\n".join(rows)


def _blobs(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the drift of a scene of blurred spots is missed (n, 2), and what is stated."""
    y, x = np.mgrid[:128, :160]
    rng = np.random.default_rng(seed)
    way = np.cumsum(rng.normal(0, 1, (12, 2)), 0)
    spots = list(zip(rng.uniform(30, 98, 15), rng.uniform(30, 130, 15), rng.uniform(3, 8, 15), strict=True))
    frames = np.stack(
        [
            sum(np.exp(-((y - b - v[0]) ** 2 + (x - c - v[1]) ** 2) / (2 * s * s)) for b, c, s in spots)
            for v in way
        ]
    )
    drift = nx.estimate_drift(frames + noise * rng.normal(size=frames.shape))
    return (drift.shifts - (way - way[-1]))[:-1], drift.sigma[:-1]


def _drift_rows(title: str, noise: str, axes: str, missed: np.ndarray, sigma: np.ndarray) -> list[str]:
    told = (sigma > 0).any(axis=1)  # the reference frame has none
    rows = []
    for axis, error, stated in zip(axes, missed[told].T, sigma[told].T, strict=True):
        rms, mean = np.sqrt((error**2).mean()), np.sqrt((stated**2).mean())
        rows.append(
            f"| {title} | {noise} | {axis} | {rms:.3f} px | {mean:.3f} px | {shares(error, np.zeros(error.size), stated)} % |"
        )
    return rows
