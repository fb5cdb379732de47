"""Mixing maps as light."""

import numpy as np
import pytest

from napari_xanes import SAFE_COLORS, InputError, mix_colors

RED, GREEN = [[0.0, 0.5, 1.0]], [[1.0, 0.5, 0.0]]


def test_colours_add_up():
    mixed = mix_colors([RED, GREEN], ["red", (0, 1, 0)], limits=(0, 1))
    assert mixed.dtype == np.float32 and mixed.shape == (1, 3, 3)
    np.testing.assert_allclose(mixed[0], [[0, 1, 0], [0.5, 0.5, 0], [1, 0, 0]])


def test_limits_of_all_maps_or_of_each():
    maps = np.stack([RED, GREEN])
    np.testing.assert_allclose(mix_colors(maps, ["r", "lime"], limits=(0.5, 1))[0, 1], 0)
    mixed = mix_colors(maps, ["r", "lime"], limits=[(0, 2), (0, 0.5)])
    np.testing.assert_allclose(mixed[0], [[0, 1, 0], [0.25, 1, 0], [0.5, 0, 0]])


def test_light_stays_within_0_and_1():
    rng = np.random.default_rng(2)
    maps = rng.normal(0, 3, (5, 8, 9))
    maps[0, 0, 0] = np.inf
    mixed = mix_colors(maps, SAFE_COLORS[:5], limits=(-1, 1))
    assert mixed.min() >= 0 and mixed.max() == 1


def test_nan_adds_nothing_unless_all_maps_are_nan():
    maps = np.array([[1.0, np.nan, np.nan], [np.nan, 1.0, np.nan]])
    mixed = mix_colors(maps, ["#ff0000", "blue"], limits=(-1, 1))  # NaN adds nothing, though 0 would
    np.testing.assert_allclose(mixed, [[1, 0, 0], [0, 0, 1], [np.nan] * 3])


def test_maps_are_not_written_to():
    maps = np.random.default_rng(3).normal(0, 1, (2, 4, 5)).astype(np.float32)
    before = maps.copy()
    mix_colors(maps, ["red", "blue"], limits=(0, 1))
    np.testing.assert_array_equal(maps, before)


def test_the_palette_is_of_distinct_colours_and_its_first_two_make_white():
    pure = mix_colors(np.eye(len(SAFE_COLORS)), SAFE_COLORS, limits=(0, 1))
    apart = np.abs(pure[:, None] - pure[None]).max(axis=-1) + np.eye(len(SAFE_COLORS))
    assert apart.min() > 0.2
    assert mix_colors([[1.0], [1.0]], SAFE_COLORS[:2], limits=(0, 1)).min() > 0.9


@pytest.mark.parametrize(
    ("maps", "colors", "limits", "says"),
    [
        ([], [], (0, 1), "no map"),
        ([RED, [[1.0]]], ["r", "g"], (0, 1), r"map 2 has shape \(1, 1\)"),
        ([RED, GREEN], ["r"], (0, 1), "2 maps but 1 colors"),
        ([RED, GREEN], "rg", (0, 1), "colors is 'rg', expected a list"),
        ([RED], ["no such"], (0, 1), "'no such' is no color"),
        ([RED], [(2, 0, 0)], (0, 1), "is no color"),
        ([RED], ["r"], (1, 1), r"limits \(1, 1\) are no range"),
        ([RED], ["r"], (0, np.nan), "expected two numbers"),
        ([RED, GREEN], ["r", "g"], (0, 1, 2), "expected two numbers"),
        ([RED, GREEN], ["r", "g"], "auto", "expected two numbers"),
    ],
)
def test_what_does_not_fit_is_refused(maps, colors, limits, says):
    with pytest.raises(InputError, match=says):
        mix_colors(maps, colors, limits=limits)


def test_sigma_lets_the_background_through():
    maps, sigma = [[0.0, 1.0, 1.0, 1.0]], [0.0, 0.0, 0.15, np.nan]
    mixed = mix_colors(maps, ["red"], limits=(0, 1), sigma=[sigma], sigma_limit=0.3, background="white")
    np.testing.assert_allclose(mixed, [[0, 0, 0], [1, 0, 0], [1, 0.5, 0.5], [1, 1, 1]], atol=1e-6)
    both = mix_colors([[1.0], [0.0]], ["red", "blue"], limits=(0, 1), sigma=[[0.1], [0.2]], sigma_limit=0.4)
    np.testing.assert_allclose(both, [[0.5, 0, 0]], atol=1e-6)
    one = mix_colors([[1.0], [0.0]], ["red", "blue"], limits=(0, 1), sigma=[0.2], sigma_limit=0.4)
    np.testing.assert_allclose(one, both)


def test_thickness_is_light():
    mixed = mix_colors(
        [[1.0, 1.0, 1.0]], ["#ff8000"], limits=(0, 1), brightness=[0.0, 1.0, np.nan], brightness_limits=(0, 2)
    )
    np.testing.assert_allclose(mixed, [[0, 0, 0], [0.5, 0.25098, 0], [0, 0, 0]], atol=1e-4)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sigma": [[0.1, 0.2]]}, "sigma has shape"),
        ({"sigma": [0.1], "sigma_limit": 0}, "sigma_limit is 0"),
        ({"brightness": [1.0, 2.0]}, "brightness has shape"),
        ({"brightness": [1.0], "brightness_limits": (1, 1)}, "are no range"),
    ],
)
def test_misuse_of_sigma_and_brightness(given, says):
    with pytest.raises(InputError, match=says):
        mix_colors([[1.0]], ["red"], limits=(0, 1), **given)
