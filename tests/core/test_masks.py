"""Masks by limits and by Otsu's method."""

import numpy as np
import pytest

from napari_xanes import InputError, otsu_threshold, threshold_mask

IMAGE = np.array([[0.0, 1, 2], [3, np.nan, np.inf]])


@pytest.mark.parametrize(
    ("limits", "inside"),
    [
        ({"above": 1}, [[0, 1, 1], [1, 0, 1]]),
        ({"below": 2}, [[1, 1, 1], [0, 0, 0]]),
        ({"above": 1, "below": 2}, [[0, 1, 1], [0, 0, 0]]),
        ({"above": 2, "below": 2}, [[0, 0, 1], [0, 0, 0]]),
        ({"above": -np.inf}, [[1, 1, 1], [1, 0, 1]]),
    ],
)
def test_limits_are_inside_and_nan_is_not(limits, inside):
    mask = threshold_mask(IMAGE, **limits)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, np.array(inside, bool))


def test_a_volume_of_whole_numbers():
    volume = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    np.testing.assert_array_equal(threshold_mask(volume, above=5, below=9.5), (volume >= 5) & (volume <= 9))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, "no limit"),
        ({"above": 2, "below": 1}, r"above \(2\) is greater than below \(1\)"),
        ({"above": np.nan}, "above is NaN"),
    ],
)
def test_limits_without_sense_are_refused(limits, says):
    with pytest.raises(InputError, match=says):
        threshold_mask(IMAGE, **limits)


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match="expected real numbers"):
        threshold_mask(["thick", "thin"], above=1)


@pytest.mark.parametrize("scale", [1, 1e-4, 1e5])
def test_otsu_parts_two_populations_at_any_scale(scale):
    rng = np.random.default_rng(5)
    low, high = rng.normal(0, 0.1, 5000), rng.normal(1, 0.1, 3000)
    image = np.concatenate([low, [np.nan, np.inf], high]) * scale
    found = otsu_threshold(image)
    assert isinstance(found, float)
    assert 0.3 * scale < found < 0.7 * scale
    mask = threshold_mask(image, above=found, below=1e30)
    assert mask[-3000:].mean() > 0.99 and mask[:5002].mean() < 0.01


def test_otsu_does_not_see_what_is_nan():
    image = np.random.default_rng(6).uniform(0, 1, (40, 50))
    spoiled = np.pad(image, 5, constant_values=np.nan)
    assert otsu_threshold(spoiled) == otsu_threshold(image)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.full((4, 4), np.nan), "no finite value"),
        (np.full((4, 4), 2.5), "every valid pixel of the image is 2.5"),
        (np.array([3, np.nan]), "every valid pixel of the image is 3"),
    ],
)
def test_otsu_refuses_what_has_no_two_classes(image, says):
    with pytest.raises(InputError, match=says):
        otsu_threshold(image)
