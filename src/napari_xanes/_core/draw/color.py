"""Several maps in one picture: each in its colour, added like light.

The palette is the one of Okabe and Ito (2008), which people with any of the common kinds of colour blindness
can tell apart; its first two colours add up nearly to white, so that a mixture of two is seen as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import as_float32
from napari_xanes._core.base.door import public, short
from napari_xanes._core.base.errors import InputError

Color = str | Sequence[float]

COLOR_NAMES = {
    "#E69F00": "orange",
    "#56B4E9": "sky blue",
    "#009E73": "bluish green",
    "#D55E00": "vermilion",
    "#CC79A7": "reddish purple",
    "#0072B2": "blue",
    "#F0E442": "yellow",
}
"""What the colours of the palette are called."""
SAFE_COLORS = tuple(COLOR_NAMES)


@public
def mix_colors(
    maps: Sequence[ArrayLike] | NDArray[Any],
    colors: Sequence[Color],
    *,
    limits: tuple[float, float] | Sequence[tuple[float, float]],
    sigma: Sequence[ArrayLike] | NDArray[Any] | None = None,
    sigma_limit: float = 0.3,
    brightness: ArrayLike | None = None,
    brightness_limits: tuple[float, float] = (0.0, 1.0),
    background: Color = "black",
) -> NDArray[np.float32]:
    """Return one picture of several maps, each in its colour, added.

    Colours that people with any common kind of colour blindness can tell apart are those of B. Wong, Nature Methods 8,
    441 (2011), doi:10.1038/nmeth.1618.

    Parameters
    ----------
    maps : array (K, ...), or K arrays of one shape
        For example the fractions of K references.
    colors : sequence of K colours
        Names or hexadecimal codes that matplotlib knows, or (red, green, blue) in 0..1; `SAFE_COLORS` holds
        seven to take from.
    limits : (float, float), or K of them
        Values shown black and in full colour, for all maps or for each; what lies beyond is shown as its limit.
    sigma : array (...), or K of them, optional
        Uncertainty of the maps, as opacity: a pixel is covered by the background by the share that its largest
        sigma is of `sigma_limit`; where sigma is not known, wholly.
    sigma_limit : float
        From which on only the background is seen.
    brightness : array (...), optional
        Such as the thickness, which then is the light of each pixel; NaN is dark.
    brightness_limits : (float, float)
        Its values that are dark and bright.
    background : colour
        Seen where sigma is large.

    Returns
    -------
    array (..., 3)
        Red, green and blue in 0..1, float32.  A map that is NaN adds nothing; a pixel that is NaN in all maps
        is NaN.

    Raises
    ------
    InputError
        If maps differ in shape, or the numbers of maps, colours and limits do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> mix_colors([np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])], ["red", "blue"], limits=(0, 1)).round(2).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]
    """
    if isinstance(maps, Mapping) or not hasattr(maps, "__len__"):
        raise InputError(f"maps are {short(maps)}, expected a list of images.")
    images = [as_float32(m) for m in maps]
    if not images:
        raise InputError("mix_colors got no map; give at least one.")
    for k, image in enumerate(images):
        if image.shape != images[0].shape:
            raise InputError(
                f"map {k + 1} has shape {image.shape}, the first {images[0].shape}; they must be the same."
            )
    if isinstance(colors, str) or len(colors) != len(images):
        given = 1 if isinstance(colors, str) else len(colors)
        raise InputError(
            f"{len(images)} maps but {given} colors were given; give a list of one color per map."
        )
    mixed = np.zeros((*images[0].shape, 3), np.float32)
    nowhere = np.ones(images[0].shape, bool)
    for image, color, (lo, hi) in zip(images, colors, _limits(limits, len(images)), strict=True):
        missing = np.isnan(image)
        nowhere &= missing
        mixed += _share(image, (float(lo), float(hi)))[..., None] * _rgb(color)
    np.minimum(mixed, 1, out=mixed)
    if brightness is not None:
        mixed *= _share(_alike(brightness, images[0], "brightness"), brightness_limits)[..., None]
    if sigma is not None:
        mixed = _covered(mixed, sigma, sigma_limit, images[0], background)
    mixed[nowhere] = np.nan
    return mixed


def _share(image: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.float32]:
    """Return where values lie between two limits, 0 to 1; NaN is 0."""
    (lo, hi), *_ = _limits(limits, 1)
    share = np.clip((image - np.float32(lo)) / np.float32(hi - lo), 0, 1)
    return np.asarray(np.nan_to_num(share), np.float32)


def _alike(values: ArrayLike, image: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    given = as_float32(values)
    if given.shape != image.shape:
        raise InputError(f"{name} has shape {given.shape}, the maps {image.shape}; they must be the same.")
    return given


def _covered(
    mixed: NDArray[np.float32], sigma: Any, limit: float, image: NDArray[np.float32], background: Color
) -> NDArray[np.float32]:
    """Return the picture with the background shining through where sigma is large."""
    if not (np.isfinite(limit) and limit > 0):
        raise InputError(f"sigma_limit is {limit}, expected a positive number.")
    if np.ndim(sigma) == 0 or not len(sigma):
        raise InputError("sigma holds no image, expected one of each map.")
    each = [sigma] if np.shape(sigma) == image.shape else list(sigma)
    largest = np.max([_alike(one, image, "sigma") for one in each], axis=0)
    opacity = 1 - _share(np.where(np.isnan(largest), np.float32(limit), largest), (0.0, limit))
    return np.asarray(opacity[..., None] * mixed + (1 - opacity[..., None]) * _rgb(background), np.float32)


def _limits(limits: Any, n_maps: int) -> NDArray[np.float64]:
    """Return (lo, hi) of every map, (K, 2)."""
    try:
        pairs = np.asarray(limits, dtype=np.float64)
        pairs = np.broadcast_to(pairs, (n_maps, 2)) if pairs.shape in ((2,), (n_maps, 2)) else pairs[:0]
    except (TypeError, ValueError):
        pairs = np.empty(0)
    if pairs.shape != (n_maps, 2):
        raise InputError(f"limits are {limits!r}, expected (lo, hi) for all maps or {n_maps} such pairs.")
    for lo, hi in pairs:
        if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
            raise InputError(f"limits ({lo:g}, {hi:g}) are no range, expected a lower and a higher value.")
    return pairs


def _rgb(color: Color) -> NDArray[np.float32]:
    from matplotlib.colors import to_rgb

    try:
        return np.array(to_rgb(color), dtype=np.float32)  # type: ignore[arg-type]  # whatever is none is refused below
    except (TypeError, ValueError):
        raise InputError(
            f"{color!r} is no color, expected a name such as 'red', a code such as '#E69F00' or (r, g, b) in 0..1."
        ) from None
