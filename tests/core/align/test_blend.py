"""Frames that agree are grey, what only one of them has is in its colour."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes._core.align.blend import blend_frames
from napari_xanes._core.base.errors import InputError


def test_equal_frames_are_grey_whatever_their_contrast():
    image = np.random.default_rng(0).random((30, 40))
    picture = blend_frames(image, 5 + 3 * image)
    assert picture.shape == (30, 40, 3) and picture.dtype == np.float32
    np.testing.assert_allclose(picture[..., 0], picture[..., 1], atol=1e-5)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])


def test_what_one_frame_has_is_in_its_colour():
    first, second = np.zeros((10, 10)), np.zeros((10, 10))
    first[2:4, 2:4], second[6:8, 6:8] = 1, 1
    second[0, 0] = np.nan
    picture = blend_frames(first, second)
    assert picture[2, 2].tolist() == [1, 0, 1] and picture[6, 6].tolist() == [0, 1, 0]
    assert picture[0, 0].tolist() == [0, 0, 0]


def test_frames_must_be_alike():
    with pytest.raises(InputError, match="give two images alike"):
        blend_frames(np.zeros((3, 3)), np.zeros((3, 4)))
