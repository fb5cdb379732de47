"""What is known of each particle: its size, its place, and the mean of maps in it with their spread and error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.door import Positive, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.regions.label import check_image, check_labels, check_pixel_size

WEIGHTED = ("fraction_", "chosen_")
"""How the names of maps begin that are shares, whose mean over a particle is weighted by the thickness."""

Columns = dict[str, NDArray[Any]]


@public
def particle_table(
    labels: ArrayLike,
    maps: Mapping[str, ArrayLike],
    *,
    pixel_size_um: Positive | None = None,
    sigma: Mapping[str, ArrayLike] | None = None,
    thickness: ArrayLike | None = None,
) -> Columns:
    """Measure every particle, and maps within it.

    Parameters
    ----------
    labels : array of int (Y, X) or (Z, Y, X)
        0 is outside; a mask is one particle.
    maps : dict of str to array
        Maps of the labels' shape by name.  Those that begin with "fraction_" or "chosen_" are weighted by the
        thickness, if there is one, so that their mean is the share in the whole particle.
    pixel_size_um : float, optional
        Size of a pixel (of a voxel, the same along all axes) in um.
    sigma : dict of str to array, optional
        Standard error of each pixel of some of the maps, by the map's name.
    thickness : array, optional
        Weights, of the labels' shape; if not given, the map "thickness" among `maps`.

    Returns
    -------
    dict of str to array (n,)
        One row a particle, in the order of labels: ``label``; ``pixels``; ``area_um2`` or ``volume_um3`` where the
        pixel's size is known; ``diameter_px`` and ``diameter_um`` of the disc or sphere as large; ``centroid_z``,
        ``centroid_y``, ``centroid_x`` in px; ``cut``, whether it reaches the border of the image.  For each map
        its mean under its own name; ``<map>_std``, the standard deviation between the particle's pixels;
        ``<map>_se``, the standard error of the mean where `sigma` is given; ``<map>_invalid``, the number of pixels that
        were left out, being NaN or without a positive weight.  Without valid pixels all but the last are NaN, and so is
        the standard error where that of a valid pixel is not known.

    Raises
    ------
    InputError
        If labels are not whole numbers, an array is of another shape, the pixel's size is not positive, or `sigma` is
        of no map.

    Notes
    -----
    With weights w, values x and their errors s: mean = sum(w x) / sum(w), and its error is
    sqrt(sum(w^2 s^2)) / sum(w).  Errors of different pixels count as independent, the thickness as exact.

    References
    ----------
    P. R. Bevington, Data Reduction and Error Analysis for the Physical Sciences, ch. 4; error propagation: H. H. Ku,
    J. Res. Natl. Bur. Stand. 70C, 263 (1966), doi:10.6028/jres.070C.025.
    """
    regions = check_labels(labels)
    check_pixel_size(pixel_size_um)
    sigma = dict(sigma or {})
    if unknown := sorted(set(sigma) - set(maps)):
        raise InputError(f"sigma is given of '{unknown[0]}', which is none of the maps {', '.join(maps)}.")
    inside = np.nonzero(regions)
    ids, which = np.unique(regions[inside].astype(np.int64), return_inverse=True)
    columns = _shapes(ids, which, inside, regions.shape, pixel_size_um)
    weights = maps.get("thickness") if thickness is None else thickness
    weight = None if weights is None else check_image(weights, regions.shape, "the thickness")[inside]
    for name, image in maps.items():
        values = check_image(image, regions.shape, f"the map '{name}'")[inside]
        error = None
        if name in sigma:
            error = check_image(sigma[name], regions.shape, f"sigma of '{name}'")[inside]
        used = weight if name.startswith(WEIGHTED) else None
        columns |= _statistics(name, values, error, used, which, ids.size)
    return columns


def _shapes(
    ids: NDArray[np.int64],
    which: NDArray[np.intp],
    inside: tuple[NDArray[np.intp], ...],
    shape: tuple[int, ...],
    pixel_size_um: float | None,
) -> Columns:
    """Return the columns that do not depend on maps."""
    n, ndim = ids.size, len(shape)
    pixels = np.bincount(which, minlength=n)
    columns: Columns = {"label": ids, "pixels": pixels}
    diameter = np.sqrt(4 * pixels / np.pi) if ndim == 2 else np.cbrt(6 * pixels / np.pi)
    if pixel_size_um is not None:
        columns["area_um2" if ndim == 2 else "volume_um3"] = pixels * pixel_size_um**ndim
    columns["diameter_px"] = diameter
    if pixel_size_um is not None:
        columns["diameter_um"] = diameter * pixel_size_um
    at_border = np.zeros(which.size, bool)
    for axis, positions, size in zip("zyx"[-ndim:], inside, shape, strict=True):
        columns[f"centroid_{axis}"] = np.bincount(which, positions, n) / pixels
        at_border |= (positions == 0) | (positions == size - 1)
    columns["cut"] = np.bincount(which[at_border], minlength=n) > 0
    return columns


def _statistics(
    name: str,
    values: NDArray[np.float64],
    error: NDArray[np.float64] | None,
    weight: NDArray[np.float64] | None,
    which: NDArray[np.intp],
    n: int,
) -> Columns:
    """Return mean, spread, standard error and number of invalid pixels of one map in each of n particles."""
    valid = np.isfinite(values)
    if weight is not None:
        valid &= np.isfinite(weight) & (weight > 0)
    w = np.ones(int(valid.sum())) if weight is None else weight[valid]
    x, at = values[valid], which[valid]
    total = np.bincount(at, w, n)
    with np.errstate(invalid="ignore", over="ignore"):  # 0 / 0 is NaN: a particle without valid pixels
        mean = np.bincount(at, w * x, n) / total
        columns: Columns = {
            name: mean,
            f"{name}_std": np.sqrt(np.bincount(at, w * (x - mean[at]) ** 2, n) / total),
        }
        if error is not None:
            columns[f"{name}_se"] = np.sqrt(np.bincount(at, (w * error[valid]) ** 2, n)) / total
    columns[f"{name}_invalid"] = np.bincount(which[~valid], minlength=n)
    return columns
