"""Noise that is learned from all pixels: right sigma also with few energies, in memory and streamed alike."""

import numpy as np
import pytest

from napari_xanes import EnergyStack, Recipe, fit_references, run_recipe
from napari_xanes._core.engine.pooled import ALIKE, PooledNoise

CURVES = np.array([[0, 0.05, 0.55, 1.6, 1.0, 1.1], [0, 0.1, 1.0, 1.3, 1.0, 0.9]])
ENERGY = np.array([8250, 8330, 8345, 8350, 8400, 8450.0])


@pytest.mark.parametrize("n", [4, 5, 6])
@pytest.mark.parametrize("constraint", ["none", "nonnegative"])
def test_truth_lies_within_sigma_with_few_energies(n, constraint):
    background = (0,) if n == 4 else (0, 1)
    rng = np.random.default_rng(0)
    mu = CURVES[:, :n].T @ [[0.6], [0.4]] + rng.normal(0, 0.01, (n, 20000))
    fit = fit_references(mu, ENERGY[:n], CURVES[:, :n], background=background, constraint=constraint)
    z = np.abs(fit.fractions[0] - 0.6) / fit.sigma[0]
    assert 0.66 < (z < 1).mean() < 0.70
    assert 0.94 < (z < 2).mean() < 0.96
    assert np.percentile(fit.sigma[0], 95) < 1.2 * np.percentile(fit.sigma[0], 5)


def test_noise_follows_the_thickness():
    rng = np.random.default_rng(1)
    thickness = rng.uniform(0.2, 2, 40000)
    noise = 0.01 * np.exp(thickness / 2)
    mu = (CURVES.T @ [[0.6], [0.4]]) * thickness + noise * rng.normal(size=(6, 40000))
    fit = fit_references(mu, ENERGY, CURVES, background=(0,))
    z = np.abs(fit.fractions[0] - 0.6) / fit.sigma[0]
    for part in (thickness < 0.5, thickness > 1.7, thickness > 0):
        assert 0.65 < (z[part] < 1).mean() < 0.71
        assert 0.93 < (z[part] < 2).mean() < 0.965


def test_noise_that_differs_without_reason_leaves_each_pixel_its_say():
    rng = np.random.default_rng(2)
    variance = 20 / rng.chisquare(20, 30000)
    pool = PooledNoise(variance * rng.chisquare(3, 30000), np.full(30000, 3.0), None)
    assert 14 < pool.freedom < 28
    same = PooledNoise(rng.chisquare(3, 30000), np.full(30000, 3.0), None)
    assert same.freedom == ALIKE
    np.testing.assert_allclose(same(np.array([0.0, 9.0]), 3.0), 1, rtol=0.03)


def test_pixels_without_a_level_have_the_noise_of_the_lowest():
    """As those whose thickness comes out below zero, of which there is no logarithm."""
    rng = np.random.default_rng(4)
    level = rng.uniform(-3, 0, 30000)
    squares = np.exp(-level) * rng.chisquare(3, 30000)
    pool = PooledNoise(squares, np.full(30000, 3.0), level)
    unknown = pool(squares[:3], 3.0, np.array([np.nan, np.nan, -3.0]))
    np.testing.assert_allclose(unknown, np.exp(3), rtol=0.1)
    assert np.isnan(pool(np.array([np.nan]), 3.0, np.array([np.nan]))).all()


def test_a_pixel_with_energies_enough_and_few_pixels_speak_for_themselves():
    rng = np.random.default_rng(3)
    curves, energy = np.tile(CURVES, 8), 8250 + 5.0 * np.arange(48)
    mu = curves.T @ [[0.6], [0.4]] + rng.normal(0, 0.01, (48, 500))
    one, all_of_them = fit_references(mu[:, :1], energy, curves), fit_references(mu, energy, curves)
    # but for how noise is spread over the energies, which is learned
    np.testing.assert_allclose(all_of_them.sigma[:, :1], one.sigma, rtol=0.01)
    few = fit_references(mu[:6, :20], energy[:6], curves[:, :6])
    each = fit_references(mu[:6, 3], energy[:6], curves[:, :6])
    np.testing.assert_allclose(few.sigma[:, 3], each.sigma, rtol=1e-6)


@pytest.mark.parametrize("normalize", [True, False])
def test_streamed_and_in_memory_learn_the_same(tmp_path, normalize):
    energy = np.r_[8230:8320:15.0, 8330:8370:8.0, 8400:8500:20.0]
    fine = np.linspace(8200, 8600, 900)
    edges = [0.5 + np.arctan((fine - e) / 2) / np.pi for e in (8338, 8344)]
    np.savetxt(tmp_path / "refs.csv", np.c_[fine, *edges], delimiter=",", header="energy,a,b", comments="")
    at = np.array([np.interp(energy, fine, edge) for edge in edges])
    rng = np.random.default_rng(0)
    mu = (at.T @ [0.6, 0.4])[:, None, None] * rng.uniform(0.5, 2, (50, 60))
    stack = EnergyStack((mu + rng.normal(0, 0.01, mu.shape)).astype(np.float32), energy, "optical_density")
    fit = {"do": "fit", "references": [str(tmp_path / "refs.csv")], "background": [0]}
    steps = [{"do": "normalize", "e0": 8340.0}, fit] if normalize else [fit]
    recipe = Recipe.from_dict({"schema": 1, "step": steps})
    one, other = (run_recipe(recipe, stack, in_memory=where) for where in (True, False))
    np.testing.assert_array_equal(one.maps["sigma_a"], other.maps["sigma_a"])
    sigma, thickness = one.maps["sigma_a"], one.maps["thickness"]
    assert np.corrcoef(np.log(sigma.ravel()), np.log(thickness.ravel()))[0, 1] < -0.95
