"""Noise that stays while the sample moves, from covariances that are known exactly."""

import numpy as np
import pytest

from napari_xanes._core.solve.still_noise import still_noise

N = 200
X = np.linspace(-1, 1, N)[:, None]
FITTED = np.hstack([np.arctan(8 * X), np.exp(-((4 * X) ** 2))])
REST = np.eye(N) - FITTED @ np.linalg.pinv(FITTED)
STEPS = np.random.default_rng(0).integers(-8, 9, N).astype(float)


def covariances(alike):
    return REST @ (0.5 * np.eye(N) + 0.5 * alike) @ REST.T


@pytest.mark.parametrize(
    "drift", [0 * STEPS, 3 + 0 * STEPS, 0.02 * STEPS, STEPS], ids=["none", "equal", "small", "one axis"]
)
def test_an_offset_in_each_pixel_is_not_told_from_noise_that_stays_where_nothing_moved(drift):
    shifts = np.stack([drift, 0 * drift], axis=1)
    assert still_noise(covariances(np.ones((N, N))), REST, shifts, 10000) is None


def test_noise_that_stays_is_found_where_the_sample_moved_along_one_axis():
    shifts = np.stack([STEPS, 0 * STEPS], axis=1)
    alike = np.exp(-((STEPS[:, None] - STEPS) ** 2) / 2)
    found = still_noise(covariances(alike), REST, shifts, 10000)
    np.testing.assert_allclose(found, 0.5 * np.eye(N) + 0.5 * alike, atol=0.02)
