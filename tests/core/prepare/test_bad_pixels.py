"""Bad pixels put into images with noise and structure: all are found, hardly anything else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_xanes import EnergyStack, InputError, remove_bad_pixels
from napari_xanes._core.prepare.bad_pixels import BadPixelsParams
from napari_xanes._core.runs.pipeline import run_steps

N, SIDE = 24, 120


def scene(seed=0, shape=(SIDE, SIDE), counts=2000.0):
    """Counts (E, ...) behind a sample with smooth and sharp structure, with Poisson noise."""
    rng = np.random.default_rng(seed)
    density = gaussian_filter(rng.random(shape), 4)
    density = 2 * (density - density.min()) / np.ptp(density)
    density[..., 30:60, 40:44] += 1.0  # a sharp bar
    density[..., 80, 20:100] += 0.5  # a line one pixel wide
    density = gaussian_filter(density, 0.7)  # the resolution of a detector
    strength = 1 + 0.3 * np.linspace(0, 1, N)
    mean = counts * np.exp(-strength.reshape(-1, *[1] * len(shape)) * density)
    return rng.poisson(mean).astype(np.float32), rng


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (12, SIDE, 60)])
@pytest.mark.parametrize("seed", range(3))
def test_good_images_lose_nothing(shape, seed):
    images, _ = scene(seed, shape)
    density = -np.log(images / 2000)
    for given in (images, density):
        found = remove_bad_pixels(given)
        assert found.hot.sum() + found.dead.sum() == 0
        assert found.flashes.sum() <= 1e-6 * given.size + 1


@pytest.mark.parametrize("seed", range(3))
def test_bad_pixels_are_found_and_nothing_else(seed):
    images, rng = scene(seed)
    hot = rng.integers(2, SIDE - 2, (10, 2))
    dead = rng.integers(2, SIDE - 2, (10, 2))
    images[:, hot[:, 0], hot[:, 1]] += 3000
    images[:, dead[:, 0], dead[:, 1]] = 0
    flashes = rng.integers(2, SIDE - 2, (N, 2))
    images[np.arange(N), flashes[:, 0], flashes[:, 1]] += 4000
    found = remove_bad_pixels(images)
    assert found.hot[hot[:, 0], hot[:, 1]].mean() >= 0.9  # two may fall side by side
    assert found.dead[dead[:, 0], dead[:, 1]].mean() >= 0.9
    assert np.isnan(found.images[np.arange(N), flashes[:, 0], flashes[:, 1]]).mean() > 0.95
    assert abs(int(found.flashes.sum()) - N) <= 2
    good = np.isfinite(found.images)
    np.testing.assert_array_equal(found.images[good], images[good])
    expected = N * (found.hot | found.dead).sum() + found.flashes.sum()
    assert (~good).sum() == expected


def test_replaced_pixels_get_the_median_of_their_good_neighbours():
    images = np.full((4, 9, 9), 100, np.float32) + np.arange(81, dtype=np.float32).reshape(9, 9)
    images += np.random.default_rng(1).normal(0, 0.1, images.shape).astype(np.float32)
    images[:, 4, 4] = 1e4
    images[2, 4, 5] = 1e4  # beside the hot pixel, in one frame
    found = remove_bad_pixels(images, replace=True)
    assert found.hot[4, 4] and found.hot.sum() == 1
    assert found.flashes.tolist() == [0, 0, 1, 0]
    around = np.delete(images[2, 3:6, 3:6].ravel(), [4, 5])
    assert found.images[2, 4, 4] == pytest.approx(np.median(around))
    assert np.isfinite(found.images).all()
    assert images[0, 4, 4] == 1e4, "the input stays as it was"


def test_a_pixel_that_never_changes_is_stuck():
    images, _ = scene()
    images[:, 50, 70] = images[0, 50, 70]
    found = remove_bad_pixels(images)
    assert found.dead[50, 70] and found.dead.sum() == 1


def test_each_kind_can_be_left_alone():
    images, _ = scene()
    images[:, 50, 70] = 9000
    images[3, 20, 20] = 9000
    assert remove_bad_pixels(images, static=False, flashes=False).images == pytest.approx(images)
    only_static = remove_bad_pixels(images, flashes=False)
    assert np.isnan(only_static.images[:, 50, 70]).all() and np.isfinite(only_static.images[3, 20, 20])


@pytest.mark.parametrize("replace", [False, True])
def test_the_step_does_the_same_streamed_or_not(replace):
    images, _ = scene()
    images[:, 50, 70] = 9000
    images[3, 20, 20] = 9000
    stack = EnergyStack(images, 8300 + np.arange(N), "transmission")
    expected = remove_bad_pixels(images, replace=replace).images
    for in_memory in (True, False):
        result = run_steps(
            stack, [("bad_pixels", BadPixelsParams(replace=replace))], keep_stack=True, in_memory=in_memory
        )
        np.testing.assert_array_equal(result.stack.data, expected)
        found = result.history[-1]["found"]
        assert (found["hot_pixels"], found["dead_pixels"], found["flashes"]) == (1, 0, 1)
        assert found["replaced" if replace else "made_invalid"] == N + 1


def test_many_bad_pixels_are_warned_of():
    images, _ = scene()
    images[:, ::5, ::5] = 9000
    stack = EnergyStack(images, 8300 + np.arange(N), "transmission")
    result = run_steps(stack, [("bad_pixels", BadPixelsParams())], keep_stack=True)
    assert any("raise the limit" in text for text in result.warnings)


def test_an_image_is_no_stack():
    with pytest.raises(InputError, match=r"expected \(energy, y, x\)"):
        remove_bad_pixels(np.ones((5, 5)))
