"""The background that pixels with shared slopes have in common."""

import numpy as np
import pytest

from napari_xanes._core.edge.curves import background_fall, donor_coefficients, fitted_curves

E0 = 8340.0
ENERGY = np.r_[np.linspace(8222, 8312, 8), np.linspace(8320, 8380, 20), np.linspace(8392, 8570, 8)]
BEFORE, AFTER = np.arange(8), np.arange(28, 36)


def power(air, seed, noise=0.02, n=4000):
    """Return by which power of the energy the host falls, in an image of which a share shows only noise."""
    rng = np.random.default_rng(seed)
    host = 0.5 * (ENERGY / E0) ** -3
    step = (0.5 + np.arctan((ENERGY - E0) / 2) / np.pi)[:, None] * rng.uniform(0.3, 1, n)
    mu = np.where(np.arange(n) < air * n, 0, host[:, None] + step) + rng.normal(0, noise, (ENERGY.size, n))
    curves = fitted_curves(ENERGY, E0, BEFORE, AFTER)
    donor = donor_coefficients(mu, curves, BEFORE, AFTER)
    return E0 * background_fall(mu, curves, BEFORE, AFTER, donor, E0)


@pytest.mark.parametrize("seed", range(12))
def test_noise_of_air_is_no_background_that_falls(seed):
    assert power(0.5, seed) == 0


def test_the_fall_of_a_host_is_told():
    assert np.mean([power(0.0, seed) for seed in range(12)]) == pytest.approx(-3, abs=0.3)
