"""The errors of step and thickness against the truth, and how much noise passes a gate."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx

WINDOWS = {"e0": 8340.0, "pre_edge": (8240, 8320), "post_edge": (8375, 8500)}


def energies(before, at, after):
    return np.r_[np.linspace(8250, 8310, before), np.linspace(8335, 8355, at), np.linspace(8380, 8460, after)]


@pytest.mark.parametrize(("before", "at", "after"), [(3, 2, 3), (4, 2, 4), (3, 4, 3), (20, 24, 20)])
@pytest.mark.parametrize("slope", ["pixel", "shared"])
def test_as_little_noise_passes_as_a_gate_of_three_sigma_lets_pass(before, at, after, slope):
    energy, rng = energies(before, at, after), np.random.default_rng(0)
    mu = 0.01 * rng.normal(size=(energy.size, 40_000))
    mu[:, :4000] += (energy > 8340)[:, None]
    found = nx.normalize_edge(mu, energy, gate=3, divide_by="step", slope=slope, **WINDOWS)
    passed = np.isfinite(found.normalized[0])
    assert passed[:4000].all() and 0 < passed[4000:].mean() < 0.003


def test_few_pixels_of_few_energies_are_judged_by_student():
    energy, passed = energies(4, 2, 4), []
    for seed in range(200):
        mu = 0.01 * np.random.default_rng(seed).normal(size=(energy.size, 30))
        found = nx.normalize_edge(mu, energy, gate=3, divide_by="step", slope="pixel", **WINDOWS)
        passed.append(np.isfinite(found.normalized[0]).mean())
    assert np.mean(passed) < 0.003
    mu[:, 0] += (energy > 8340)[:, None][:, 0]
    found = nx.normalize_edge(mu, energy, gate=3, divide_by="step", slope="pixel", **WINDOWS)
    assert np.isfinite(found.normalized[0, 0])


@pytest.mark.parametrize(("before", "after"), [(3, 4), (6, 8), (30, 40)])
@pytest.mark.parametrize("counted", [False, True])
def test_truth_lies_within_sigma(before, after, counted):
    energy, rng = energies(before, 4, after), np.random.default_rng(1)
    step = rng.uniform(0.3, 1.5, (60, 100))
    clean = 0.3 + step * (energy > 8340)[:, None, None]
    if counted:
        mu = -np.log(rng.poisson(1e4 * np.exp(-clean)) / 1e4)
    else:
        mu = clean + 0.01 * rng.normal(size=clean.shape)
    step_ = {"do": "normalize", "slope": "pixel", "uncertainty": True, **WINDOWS}
    stack = nx.EnergyStack(mu.astype(np.float32), energy, "optical_density")
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [step_]})
    one, other = (nx.run_recipe(recipe, stack, in_memory=where).maps for where in (True, False))
    for name in ("edge_step", "thickness"):
        distance = np.abs(one[name] - step) / one[f"{name}_sigma"]
        assert 0.66 < np.mean(distance < 1) < 0.70 and 0.94 < np.mean(distance < 2) < 0.965
        np.testing.assert_array_equal(one[f"{name}_sigma"], other[f"{name}_sigma"])


@pytest.mark.parametrize(
    ("slope", "fall", "bend", "said"),
    [
        ("pixel", 0.0, 0.0, False),
        ("pixel", 0.002, 0.0, False),
        ("pixel", 0.002, 0.5, True),
        ("shared", 0.0, 0.0, False),
        ("shared", 0.002, 0.0, True),
    ],
)
def test_steps_that_are_clearly_negative_are_said(slope, fall, bend, said):
    """Noise alone makes one in a thousand so; absorption of the others that the lines do not follow makes many."""
    energy, rng = energies(8, 10, 8), np.random.default_rng(0)
    x = energy[:, None, None] - 8340
    mu = 0.01 * rng.normal(size=(energy.size, 40, 50))
    mu[:, 20:] += x > 0
    mu[:, :20] += bend * (x / 100) ** 2 - fall * x
    stack = nx.EnergyStack(mu.astype(np.float32), energy, "optical_density")
    for uncertainty in (False, True):
        step = {"do": "normalize", "slope": slope, "uncertainty": uncertainty, **WINDOWS}
        result = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [step]}), stack)
        assert any("clearly negative" in text for text in result.warnings) == said


@pytest.mark.parametrize("power", [0, 3])
def test_shared_slopes_let_the_rest_of_the_sample_fall(power):
    """Supports and other elements absorb less at higher energies, which is no negative step where there are slopes of none."""
    energy, rng = energies(8, 10, 8), np.random.default_rng(0)
    rest, step = rng.uniform(0.2, 2, (40, 50)), rng.uniform(0.5, 1.5, (40, 50))
    step[:20] = 0
    x = energy[:, None, None] - 8340
    mu = rest * (1 + x / 8340) ** -power + step * (x > 0) + 0.01 * rng.normal(size=(energy.size, 40, 50))
    stack = nx.EnergyStack(mu.astype(np.float32), energy, "optical_density")
    recipe = {"do": "normalize", "slope": "shared", "uncertainty": True, **WINDOWS}
    result = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [recipe]}), stack)
    distance = (result.maps["edge_step"] - step) / result.maps["edge_step_sigma"]
    assert abs(distance[:20].mean()) < 0.5 and 0.9 < distance[:20].std() < 1.1
    assert not any("clearly negative" in text for text in result.warnings)
