"""What the colours of mixed maps mean: a bar for two, a triangle for three.

Legends are mixed by `mix_colors` like the maps themselves, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.door import Limits, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.draw.color import Color, mix_colors

Pixels = Annotated[int, Limits(1, 10_000)]


@public
def color_bar(colors: Sequence[Color], *, length: Pixels = 128, width: Pixels = 16) -> NDArray[np.float32]:
    """Return a bar from the first of two colours, at the left, to the second.

    Parameters
    ----------
    colors : sequence of 2 colours
        As `mix_colors` takes them.
    length, width : int
        px.

    Returns
    -------
    array (width, length, 3)
        Red, green and blue in 0..1; at x the fraction of the second is x / (length - 1).

    Raises
    ------
    InputError
        If there are not two colours.
    """
    _check(colors, 2, "bar")
    second = np.linspace(0, 1, length)
    row = mix_colors([1 - second, second], colors, limits=(0, 1))
    return np.repeat(row[None], width, axis=0)


@public
def color_triangle(colors: Sequence[Color], *, size: Pixels = 128) -> NDArray[np.float32]:
    """Return a triangle whose corners are three colours: the first left, the second right, the third at the top.

    Parameters
    ----------
    colors : sequence of 3 colours
        As `mix_colors` takes them.
    size : int
        Length of its base, px.

    Returns
    -------
    array (rows, size, 3)
        Red, green and blue in 0..1, NaN outside the triangle; a point's fractions are its barycentric coordinates.

    Raises
    ------
    InputError
        If there are not three colours.
    """
    _check(colors, 3, "triangle")
    rows = round(size * np.sqrt(3) / 2)
    y, x = np.mgrid[:rows, :size]
    third = 1 - (y + 0.5) / rows
    second = (x + 0.5) / size - third / 2
    first = 1 - second - third
    fractions = np.stack([first, second, third])
    inside = (fractions >= 0).all(axis=0)
    return mix_colors(np.where(inside, fractions, np.nan), colors, limits=(0, 1))


def _check(colors: Sequence[Color], n: int, what: str) -> None:
    if isinstance(colors, str) or len(colors) != n:
        given = 1 if isinstance(colors, str) else len(colors)
        raise InputError(f"a {what} is of {n} colors, {given} were given.")
