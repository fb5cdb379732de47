"""Noise filters: less noise, steps kept, invalid pixels neither used nor repaired."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter

from napari_xanes import EnergyStack, InputError, denoise
from napari_xanes._core.prepare.denoise import DenoiseParams, noise_of_image
from napari_xanes._core.runs.pipeline import run_steps

RNG = np.random.default_rng(4)
STEP = np.where(np.arange(80) < 40, 0.2, 1.0) * np.ones((70, 1))


@pytest.mark.parametrize("method", ["median", "nonlocal_means"])
def test_noise_goes_and_steps_stay(method):
    noisy = STEP + RNG.normal(0, 0.05, STEP.shape)
    clean = denoise(noisy, method=method)
    assert np.std(clean - STEP) < 0.5 * 0.05
    assert abs(np.mean(clean[:, :40]) - 0.2) < 0.01 and abs(np.mean(clean[:, 40:]) - 1.0) < 0.01
    assert noisy.dtype == np.float64 and clean.dtype == np.float32


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(40, 50), (7, 20, 22)])
def test_the_median_is_of_the_valid_pixels(size, shape):
    image = RNG.random(shape).astype(np.float32)
    axes = len(shape)
    np.testing.assert_array_equal(
        denoise(image, size=size, axes=axes), median_filter(image, size, mode="reflect")
    )
    image[(3,) * axes] = np.nan
    image[(4,) * axes] = np.inf
    found = denoise(image, size=size, axes=axes)
    assert np.isnan(found).sum() == 2 and np.isnan(found[(3,) * axes]) and np.isnan(found[(4,) * axes])
    at = (3,) * (axes - 1) + (4,)
    window = image[tuple(slice(i - size // 2, i + size // 2 + 1) for i in at)]
    if all(i - size // 2 >= 0 for i in at):
        assert found[at] == pytest.approx(np.median(window[np.isfinite(window)]))


def test_invalid_pixels_stay_invalid_and_do_not_spread():
    image = STEP + RNG.normal(0, 0.05, STEP.shape)
    image[10:13, 20:23] = np.nan
    for method in ("median", "nonlocal_means"):
        found = denoise(image, method=method)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(image))
    assert np.isnan(denoise(np.full((20, 20), np.nan), method="nonlocal_means")).all()


def test_noise_is_measured():
    for sigma in (0.01, 0.2):
        noisy = STEP + RNG.normal(0, sigma, STEP.shape)
        assert noise_of_image(noisy) == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("method", ["median", "nonlocal_means"])
@pytest.mark.parametrize("shape", [(5, 300, 40), (5, 10, 9, 8)])
def test_the_step_does_the_same_streamed_or_not(method, shape):
    data = RNG.random(shape).astype(np.float32)
    data[2, 7, 7] = data[3] = np.nan  # and a frame that is lost
    stack = EnergyStack(data, 8300 + np.arange(5), "optical_density")
    expected = denoise(data, method=method, axes=len(shape) - 1)
    for in_memory in (True, False):
        result = run_steps(
            stack, [("denoise", DenoiseParams(method=method))], keep_stack=True, in_memory=in_memory
        )
        np.testing.assert_array_equal(result.stack.data, expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 4}, "size is 4, expected an odd"),
        ({"method": "gauss"}, "method is 'gauss', expected one of"),
    ],
)
def test_misuse(given, said):
    with pytest.raises(InputError, match=said):
        denoise(np.ones((9, 9)), **given)
    with pytest.raises(InputError, match="at least 3 axes"):
        denoise(np.ones((9, 9)), axes=3)
