"""References normalised as the data: what that does to fractions is said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

import napari_xanes as nx

ENERGY = np.r_[np.linspace(8250, 8318, 14), np.arange(8320, 8370, 1.0), np.linspace(8376, 8500, 18)]


@pytest.mark.parametrize("factor", [1.0, 1.25])
def test_fractions_that_mean_something_else_are_announced(tmp_path, factor):
    a = 0.5 + 0.5 * erf((ENERGY - 8338) / 3)
    b = 0.5 + 0.5 * erf((ENERGY - 8343) / 3)
    paths = []
    for name, mu in (("a", a), ("b", factor * b)):
        np.savetxt(tmp_path / f"{name}.txt", np.c_[ENERGY, mu])
        paths.append(str(tmp_path / f"{name}.txt"))
    f = np.linspace(0.2, 0.8, 63).reshape(7, 9)
    mu = f * a[:, None, None] + (1 - f) * factor * b[:, None, None]
    mu = mu + 0.001 * np.random.default_rng(0).normal(size=mu.shape)
    stack = nx.EnergyStack(mu.astype(np.float32), ENERGY, "optical_density")
    normalize = {"do": "normalize", "e0": 8340.0, "pre_edge": [8240, 8320], "post_edge": [8376, 8600]}
    fit = {"do": "fit", "references": paths, "references_as": "data"}
    result = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [normalize, fit]}), stack)
    said = [text for text in result.warnings if "normalised as the data" in text]
    assert len(said) == (factor != 1)
    if said:
        assert "that of 'b' 1.25 times as much" in said[0] and "'a'" not in said[0]
        amounts = factor * (1 - f)
        np.testing.assert_allclose(result.maps["fraction_b"], amounts / (f + amounts), atol=0.01)
