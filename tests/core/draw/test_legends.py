"""Legends show what the mixed maps show for the same fractions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes import SAFE_COLORS, InputError, color_bar, color_triangle, mix_colors


def test_a_bar_goes_from_the_first_colour_to_the_second():
    bar = color_bar(SAFE_COLORS[:2], length=11, width=3)
    assert bar.shape == (3, 11, 3)
    for x, second in enumerate(np.linspace(0, 1, 11)):
        expected = mix_colors([[1 - second], [second]], SAFE_COLORS[:2], limits=(0, 1))[0]
        np.testing.assert_allclose(bar[:, x], np.tile(expected, (3, 1)), atol=1e-6)


def test_a_triangle_has_its_colours_at_the_corners_and_all_of_them_in_the_middle():
    size = 200
    triangle = color_triangle(["red", "lime", "blue"], size=size)
    rows = triangle.shape[0]
    assert rows == round(size * 0.8660254)
    np.testing.assert_allclose(triangle[-1, 1], [1, 0, 0], atol=0.02)
    np.testing.assert_allclose(triangle[-1, -2], [0, 1, 0], atol=0.02)
    np.testing.assert_allclose(triangle[2, size // 2], [0, 0, 1], atol=0.03)
    np.testing.assert_allclose(triangle[round(rows * 2 / 3), size // 2], [1 / 3] * 3, atol=0.02)
    inside = np.isfinite(triangle).all(axis=-1)
    assert inside.mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(triangle[inside].sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize(("legend", "n"), [(color_bar, 2), (color_triangle, 3)])
def test_the_number_of_colours(legend, n):
    with pytest.raises(InputError, match=f"of {n} colors, 4 were given"):
        legend(SAFE_COLORS[:4])
    with pytest.raises(InputError, match=r"colors is 'red', expected a list"):
        legend("red")
