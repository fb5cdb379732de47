"""Which pixels belong: limits on a map, and Otsu's choice of a limit.

A mask is a bool image.  What is not a number is never inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.errors import InputError


def threshold_mask(
    image: ArrayLike, *, above: float | None = None, below: float | None = None
) -> NDArray[np.bool_]:
    """Return where an image lies between two limits.

    Parameters
    ----------
    image : array
        Any shape; a map such as the thickness.
    above, below : float, optional
        Lowest and highest value that is inside, themselves included; one of them may be left out.

    Returns
    -------
    array of bool
        Shape of `image`; False where it is NaN.

    Raises
    ------
    InputError
        If no limit is given, a limit is not a number, or `above` is greater than `below`.
    """
    values = _real(image)
    if above is None and below is None:
        raise InputError("threshold_mask got no limit; give above, below or both.")
    for name, limit in (("above", above), ("below", below)):
        if limit is not None and np.isnan(limit):
            raise InputError(f"{name} is NaN, expected a number.")
    if above is not None and below is not None and above > below:
        raise InputError(f"above ({above:g}) is greater than below ({below:g}), so no value can be inside.")
    inside: NDArray[np.bool_] = ~np.isnan(values)
    if above is not None:
        inside &= values >= above
    if below is not None:
        inside &= values <= below
    return inside


def otsu_threshold(image: ArrayLike) -> float:
    """Return the value that best parts an image into two classes, by Otsu's method.

    Parameters
    ----------
    image : array
        Any shape; values that are not finite are left out.

    Returns
    -------
    float
        The threshold in units of the image; ``threshold_mask(image, above=...)`` makes the mask.

    Raises
    ------
    InputError
        If there is no finite value, or all are the same.

    References
    ----------
    N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979), doi:10.1109/TSMC.1979.4310076.
    """
    from skimage.filters import threshold_otsu

    values = _real(image)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise InputError("the image has no finite value, so no threshold can be found; choose another image.")
    if finite.min() == finite.max():
        raise InputError(
            f"every valid pixel of the image is {finite[0]:g}, so no threshold parts them; choose another image."
        )
    return float(threshold_otsu(finite))  # type: ignore[no-untyped-call]


def _real(image: ArrayLike) -> NDArray[Any]:
    values = np.asarray(image)
    if values.dtype.kind not in "fiub":
        raise InputError(f"the image has type {values.dtype}, expected real numbers.")
    return values.astype(np.uint8) if values.dtype == bool else values
