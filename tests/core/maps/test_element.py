"""Pixels without the element are left out, and those that hold a little of it are not."""

import numpy as np
import pytest

from napari_xanes import EnergyStack, Recipe, run_recipe

ENERGY = np.concatenate([np.arange(8240, 8320, 8.0), np.arange(8320, 8380, 1.5), np.arange(8380, 8500, 8)])
NOISE = 0.05


def scan(signal):
    """Half without the element; the rest with more of it from row to row, in two states; a line in each pixel."""
    rng = np.random.default_rng(4)
    amount = np.repeat(np.array([0, 0, 0, 0, 0.03, 0.1, 0.3, 1.0]), 16)[:, None] * np.ones(64)
    e0 = np.where(np.arange(64) % 2, 8333.0, 8335.0)
    rise = 0.5 + np.arctan((ENERGY[:, None] - e0) / 1.5) / np.pi
    shape = rise + 0.6 * np.exp(-(((ENERGY[:, None] - e0 - 5) / 4) ** 2))
    line = (
        rng.uniform(0.1, 1, amount.shape) + rng.normal(0, 1e-3, amount.shape) * (ENERGY - 8330)[:, None, None]
    )
    mu = line + amount * shape[:, None, :] + NOISE * rng.normal(size=(ENERGY.size, *amount.shape))
    if signal == "normalized":  # as by a step that is uncertain by its noise
        mu = (mu - line) / (amount + 0.02 * rng.normal(size=amount.shape))
    return EnergyStack(mu.astype(np.float32), ENERGY, signal, name="scan"), amount


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("signal", ["optical_density", "normalized"])
def test_noise_is_left_out_and_a_little_of_the_element_is_kept(signal, in_memory):
    stack, amount = scan(signal)
    steps = [{"do": "element"}, {"do": "peak", "window": [8330.0, 8350.0]}]
    result = run_recipe(Recipe.from_dict({"schema": 1, "step": steps}), stack, in_memory=in_memory)
    kept = np.isfinite(result.maps["peak_energy"])
    assert kept[amount == 0].mean() < 0.01
    assert kept[amount >= 0.3].mean() > 0.99
    assert kept[amount == 0.1].mean() > 0.9
    assert result.history[-2].facts["pixels_without_element"] == np.count_nonzero(~kept)


def test_zero_keeps_all_and_few_energies_are_said():
    stack, _ = scan("optical_density")
    steps = [{"do": "element", "significance": 0.0}, {"do": "peak", "window": [8330.0, 8350.0]}]
    result = run_recipe(Recipe.from_dict({"schema": 1, "step": steps}), stack, in_memory=True)
    assert np.isfinite(result.maps["peak_energy"]).all()
    few = EnergyStack(stack.data[::14], ENERGY[::14], "optical_density", name="few")
    steps = [{"do": "element"}, {"do": "edge_position", "method": "derivative", "window": [8240.0, 8500.0]}]
    result = run_recipe(Recipe.from_dict({"schema": 1, "step": steps}), few, in_memory=True)
    assert "too few" in result.history[0].warnings[0]
