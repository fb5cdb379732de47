"""Errors of peaks, edges and white lines against the truth: 68 and 95 % of pixels lie within one and two of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

import napari_xanes as nx

ENERGY = np.r_[np.linspace(8250, 8318, 14), np.arange(8320, 8370, 1.0), np.linspace(8376, 8500, 18)]
NORMALIZE = {
    "do": "normalize",
    "slope": "pixel",
    "e0": 8341.0,
    "pre_edge": [8240, 8320],
    "post_edge": [8376, 8600],
}
SPARSE = np.r_[np.linspace(8250, 8318, 3), np.linspace(8335, 8356, 10), np.linspace(8376, 8500, 3)]


def clean(energy, at=8341.0):
    return 0.5 + 0.5 * erf((energy - at) / 3) + 0.9 * np.exp(-(((energy - at - 7) / 5) ** 2))


def scene(noise, seed=0, shape=(48, 60), energy=ENERGY, moved=0.0, counted=0.0):
    """Return optical density; edges lie up to `moved` eV above 8341 eV, the more the farther right.

    Noise is that of one value, or that of counts in samples that are thicker by `counted`.
    """
    rng = np.random.default_rng(seed)
    thickness = counted + rng.uniform(0.7, 1.3, shape)
    spectra = clean(energy[:, None, None], 8341.0 + np.linspace(0, moved, shape[1]))
    mu = thickness * spectra + 0.3 - 0.0005 * (energy - 8341)[:, None, None]
    if counted:
        mu = -np.log(rng.poisson(np.exp(-mu) / noise**2) * noise**2)
    else:
        mu = mu + noise * rng.normal(size=mu.shape)
    return nx.EnergyStack(mu.astype(np.float32), energy, "optical_density")


def result_of(stack, step, **more):
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [NORMALIZE, step | {"uncertainty": True}]})
    return nx.run_recipe(recipe, stack, **more)


def run(stack, step, **more):
    return result_of(stack, step, **more).maps


STEPS = {
    "peak_energy": {"do": "peak", "window": [8340, 8358]},
    "peak_height": {"do": "peak", "window": [8340, 8358]},
    "edge_energy": {"do": "edge_position", "window": [8322, 8360]},
    "white_line_centroid": {"do": "white_line", "window": [8342, 8358], "baseline": 1.0},
    "white_line_area": {"do": "white_line", "window": [8342, 8358], "baseline": 1.0},
}


def truth(step):
    """What smoothing moves is not noise, so the truth is the value of the same spectrum with hardly any."""
    return {name: np.median(values) for name, values in run(scene(1e-5, shape=(8, 10)), step).items()}


@pytest.mark.parametrize(
    "names", [("peak_energy", "peak_height"), ("edge_energy",), ("white_line_centroid", "white_line_area")]
)
@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_truth_lies_within_sigma(names, noise):
    step = STEPS[names[0]]
    if step["do"] != "white_line":
        step = step | {"smoothing": 5.0}
    found, true = run(scene(noise), step), truth(step)
    for name in names:
        distance = np.abs(found[name] - true[name]) / found[f"{name}_sigma"]
        assert np.isfinite(distance).all()
        assert 0.65 < np.mean(distance < 1) < 0.72 and 0.93 < np.mean(distance < 2) < 0.97


@pytest.mark.parametrize("name", ["peak_energy", "edge_energy", "white_line_area"])
def test_errors_hold_where_counts_are_a_tenth_behind_the_edge(name):
    step = STEPS[name] | ({} if name.startswith("white") else {"smoothing": 5.0})
    found = run(scene(0.005, counted=1.0), step)
    distance = np.abs(found[name] - truth(step)[name]) / found[f"{name}_sigma"]
    assert 0.65 < np.mean(distance < 1) < 0.72 and 0.93 < np.mean(distance < 2) < 0.97


@pytest.mark.parametrize("counted", [0.0, 1.0])
def test_errors_scale_with_the_data(counted):
    """Fluorescence comes in counts, and spectra may be divided by anything."""
    mu = scene(0.005, shape=(30, 40), counted=counted).data.astype(np.float64)

    def errors(times):
        peak = nx.peak_map(times * mu, ENERGY, (8340, 8358), uncertainty=True)
        line = nx.white_line_map(times * mu, ENERGY, (8342, 8358), baseline=times, uncertainty=True)
        edge = nx.edge_map(times * mu, ENERGY, window=(8330, 8352), method="derivative", uncertainty=True)
        return peak.energy_sigma, peak.height_sigma / times, line.area_sigma / times, edge.sigma

    one = errors(1)
    for times in (10, 1000):
        for found, expected in zip(errors(times), one, strict=True):
            assert np.isfinite(expected).all()
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("background", [0.02, 0.2])
def test_errors_hold_of_fluorescence_whose_noise_rises_with_it(background):
    rng = np.random.default_rng(0)
    still = rng.uniform(0.8, 1.2, (48, 60)) * (clean(ENERGY) + background)[:, None, None] * 3000
    noisy, true = (
        nx.edge_map(mu, ENERGY, window=(8325, 8352), method="derivative", smoothing=5.0, uncertainty=True)
        for mu in (rng.poisson(still).astype(np.float64), still)
    )
    assert 0.62 < np.mean(np.abs(noisy.energy - true.energy) < noisy.sigma) < 0.74


def compounds(noise, energy, seed):
    """Return optical density of random mixtures of three compounds, and without noise."""
    rng = np.random.default_rng(seed)
    parts = rng.dirichlet(np.ones(3), (50, 60))
    spectra = [
        clean(energy, 8341 + rng.uniform(-1.5, 2.5))
        + rng.uniform(-0.4, 0.4) * np.exp(-(((energy - 8349 - rng.uniform(-2, 3)) / rng.uniform(3, 6)) ** 2))
        for _ in range(3)
    ]
    still = np.moveaxis(parts @ np.array(spectra), -1, 0)
    return still + noise * rng.normal(size=still.shape), still


@pytest.mark.parametrize(("window", "seed"), [((8342, 8360), 11), ((8338, 8362), 12)])
def test_compounds_that_few_energies_do_not_tell_apart_are_no_uneven_noise(window, seed):
    """Of six and seven energies structure is left, more of it where the absorption is high."""
    energy = np.linspace(8300, 8400, 31)
    noisy, still = (
        nx.peak_map(mu, energy, window, smoothing=2.0, uncertainty=True)
        for mu in compounds(0.005, energy, seed)
    )
    for name in ("energy", "height"):
        error, sigma = getattr(noisy, name) - getattr(still, name), getattr(noisy, f"{name}_sigma")
        assert 0.65 < np.mean(np.abs(error) < sigma) < 0.85
        assert np.median(sigma) < 1.4 * np.sqrt(np.mean(error**2))


@pytest.mark.parametrize("name", ["peak_energy", "edge_energy", "white_line_area"])
def test_errors_hold_of_few_energies_whether_spectra_differ_or_not(name):
    """A window with seven to ten energies, which a spline follows nearly without a rest."""
    step = STEPS[name] | ({} if name.startswith("white") else {"smoothing": 5.0})
    for moved in (0.0, 1.0):
        noisy, still = (result_of(scene(noise, energy=SPARSE, moved=moved), step) for noise in (0.005, 1e-5))
        truth = np.median(still.maps[name], axis=0)
        distance = np.abs(noisy.maps[name] - truth) / noisy.maps[f"{name}_sigma"]
        assert 0.64 < np.mean(distance < 1) < 0.74 and 0.93 < np.mean(distance < 2) < 0.97
        assert not any("too few to tell noise" in text for text in noisy.warnings)


def test_a_window_of_too_few_energies_is_said():
    made = result_of(scene(0.005, energy=SPARSE, moved=1.0), STEPS["peak_energy"] | {"window": [8344, 8354]})
    assert sum("too few to tell noise" in text for text in made.warnings) == 1


def test_the_steepest_point_has_an_error_too():
    step = {"do": "edge_position", "method": "derivative", "window": [8330, 8352], "smoothing": 20.0}
    found = run(scene(0.005), step)
    distance = np.abs(found["edge_energy"] - truth(step)["edge_energy"]) / found["edge_energy_sigma"]
    assert 0.64 < np.mean(distance < 1) < 0.72


@pytest.mark.parametrize("name", ["peak_energy", "edge_energy", "white_line_area"])
def test_the_same_bits_streamed_and_by_arrays(name):
    stack, step = scene(0.01, shape=(24, 30)), STEPS[name]
    one, other = (run(stack, step, in_memory=where)[f"{name}_sigma"] for where in (True, False))
    np.testing.assert_array_equal(one, other)
    made = nx.normalize_edge(
        stack.data, ENERGY, e0=8341.0, pre_edge=(8240, 8320), post_edge=(8376, 8600), slope="pixel"
    )
    more = {"uncertainty": True, "jacobian": made.jacobian}
    if step["do"] == "peak":
        by_array = nx.peak_map(made.normalized, ENERGY, (8340, 8358), **more).energy_sigma
    elif step["do"] == "edge_position":
        by_array = nx.edge_map(made.normalized, ENERGY, window=(8322, 8360), **more).sigma
    else:
        by_array = nx.white_line_map(made.normalized, ENERGY, (8342, 8358), **more).area_sigma
    np.testing.assert_allclose(by_array, one, rtol=1e-3)


def test_particle_means_have_errors_where_their_map_has():
    stack = scene(0.01)
    labels = np.zeros((48, 60), int)
    labels[4:40, 4:50] = 1
    maps = run(stack, STEPS["edge_energy"])
    sigma = {"edge_energy": maps["edge_energy_sigma"]}
    table = nx.particle_table(labels, {"edge_energy": maps["edge_energy"]}, sigma=sigma)
    assert table["edge_energy_se"][0] == pytest.approx(
        np.sqrt((maps["edge_energy_sigma"][4:40, 4:50] ** 2).sum()) / (36 * 46), rel=1e-3
    )
    spread = maps["edge_energy"][4:40, 4:50].std() / np.sqrt(36 * 46)
    assert table["edge_energy_se"][0] == pytest.approx(spread, rel=0.1)
    step = {"do": "particles", "of": "thickness", "above": 0.1, "maps": ["thickness", "edge_energy"]}
    recipe = [NORMALIZE | {"uncertainty": True}, STEPS["edge_energy"] | {"uncertainty": True}, step]
    made = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": recipe}), stack).tables["particles"]
    assert np.isfinite(made["thickness_se"]).all() and np.isfinite(made["edge_energy_se"]).all()
