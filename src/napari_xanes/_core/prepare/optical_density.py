"""From transmission to optical density: -ln, frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_xanes._core.base.arrays import as_float32, unmasked
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.data.as_dask import computed
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines
from napari_xanes._core.engine.step import Step

DARK = 0.02
"""Share of values without light from which it is said that there are many."""


class OpticalDensityParams(Params):
    """Nothing to choose: optical density is -ln of the transmission."""


@public
def optical_density(transmission: StackLike) -> Float32:
    """Return -ln(transmission) as float32.

    Parameters
    ----------
    transmission : array
        I/I0, any shape.

    Returns
    -------
    array
        Optical density of the same shape; NaN where the transmission is not above 0.  A dask array where `transmission`
        was one, or of zarr, h5py, a memory map: computed where it is looked at.

    Examples
    --------
    >>> import numpy as np
    >>> [f"{value:.3f}" for value in optical_density(np.array([0.8, 0.5, 0.0]))]
    ['0.223', '0.693', 'nan']
    """
    if isinstance(transmission, Unread):
        return computed(
            lambda frames, i, rows: _negative_log(as_float32(frames[i, rows]).copy()), transmission
        )
    values = unmasked(transmission)
    if values.dtype.kind not in "fiub":
        raise InputError(f"transmission is of type {values.dtype}, expected real numbers.")
    density = as_float32(values).copy()
    for frame in density if density.ndim > 2 else (density,):
        _negative_log(frame)
    return density


def _negative_log(values: Float32) -> Float32:
    """Turn transmission into optical density in place."""
    with np.errstate(divide="ignore", invalid="ignore"):
        np.log(values, out=values)
    np.negative(values, out=values)
    if not np.isfinite(np.sum(values)):  # of a few rows; a sum is quicker than a look at each
        values[~np.isfinite(values)] = np.nan
    return values


def warn_of_darkness(share: float, found: Found) -> None:
    """Say so when many values show no light above the dark."""
    if share > DARK:
        found.warn(
            f"{100 * share:.0f} % of the values show no light and are invalid; check that the darks belong to this scan"
        )


def optical_density_step(
    chain: Chain, params: OpticalDensityParams, progress: Progress
) -> tuple[OpticalDensityParams, Found]:
    """Add -ln to the chain; data that are absorption already are left as they are, and that is said."""
    if chain.signal in ("optical_density", "normalized"):
        return params, Found({"skipped": f"the data are {chain.signal.replace('_', ' ')} already"})
    read = chain.frames(progress)
    found = Found()
    if chain.signal == "counts":
        found.warn(
            "-ln was taken of counts that were not divided by a flat; every energy keeps its beam intensity"
        )
    if chain.stack.signal == chain.signal:  # else it was looked at before the division
        warn_of_darkness(float((chain.sample().spectra <= 0).mean()), found)

    def read_density(index: int, rows: slice = slice(None)) -> Float32:
        return _negative_log(read(index, rows))

    chain.wrap(read_density, "optical_density")
    return params, found


def _optical_density_code(given: dict[str, Any], before: Before) -> Lines:
    """Return the step in Python."""
    return ["images = nx.optical_density(images)"] if before.signal in ("counts", "transmission") else []


OPTICAL_DENSITY = Step(
    name="optical_density",
    title="Optical density",
    does="-ln of the transmission",
    params=OpticalDensityParams,
    run=optical_density_step,
    order=40,
    gives="optical_density",
    whole_frames=True,
    after=("flat_field",),
    code=_optical_density_code,
    usual=True,
)
