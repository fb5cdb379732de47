"""What maps over a window of energies share: which frames can be used, what lacks, warnings in order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.history import Found
from napari_xanes._core.maps.spline import FloatArray

MANY_WITH_GAPS = 0.1
"""Share of the pixels with data that lack some energies of the window from which on the user is told."""


def usable_frames(sample: FloatArray) -> NDArray[np.bool_]:
    """Return which frames of sampled spectra (E, n) hold a valid number, or say that none does."""
    usable: NDArray[np.bool_] = np.any(np.isfinite(sample), axis=1)
    if not usable.any():
        raise InputError("mu holds no valid number; check what it was made from.")
    return usable


def warn_of_gaps(found: Found, spectra: FloatArray, inside: NDArray[np.intp]) -> None:
    """Say so if many of the sampled spectra (E, n) hold data, but not at all energies of the window."""
    with_data = np.isfinite(spectra).any(axis=0)
    gaps = with_data & ~np.isfinite(spectra[inside]).all(axis=0)
    if gaps.sum() > MANY_WITH_GAPS * with_data.sum():
        found.warn(
            f"about {100 * gaps.sum() / with_data.sum():.0f} % of the pixels with data have none at some energies of the "
            "window and come out invalid; crop borders that drift out of view, or leave out frames"
        )
