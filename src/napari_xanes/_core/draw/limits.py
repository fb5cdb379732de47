"""Limits of colours, from the pixels that have something to show.

Most pixels of a scan are often empty.  There every quantity that is divided by the edge step is noise over noise,
with errors of millions, and limits that look at all pixels show the sample in one colour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.kinds import Scale

NOISES = 3.0
"""How many standard deviations an edge step must stand above zero."""
NORMAL = 1.4826
"""From the median of absolute values to the standard deviation of normal noise."""
MEDIANS = 10.0
"""Errors span decades; on the linear scale of a picture they are told apart up to so many times their median."""
NARROW = 2.0
"""% of the pixels at either end that do not count for energies, where a few that took another peak would hide the rest."""
LEAST = 20
"""How many pixels are needed for limits."""


def with_edge(step: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where the edge step is well above its noise.

    The noise is told by the pixels with a negative step: absorption cannot fall at an edge, so that noise alone
    makes them, and it makes as many positive ones.  Where there is none, every positive step is one.
    """
    below = step[step < 0]
    sigma = NORMAL * float(np.median(-below)) if below.size else 0.0
    return np.asarray(step > NOISES * sigma)


def color_limits(
    values: NDArray[Any], scale: Scale = "spread", where: NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Return the values between which nearly all of the pixels looked at lie.

    Parameters
    ----------
    values : array
    scale : str
        As said of the kind of a map.
    where : array of bool, optional
        The pixels to be looked at; all, if hardly any of them is valid.
    """
    finite = np.isfinite(values)
    chosen = finite if where is None else finite & where
    valid = values[chosen if np.count_nonzero(chosen) >= LEAST else finite]
    if scale == "share" or valid.size == 0:
        return 0.0, 1.0
    ends = NARROW if scale == "narrow" else 0.5
    low, high = (float(v) for v in np.percentile(valid, (ends, 100 - ends)))
    if scale == "from zero":
        low = min(low, 0.0)
    elif scale == "decades":
        high = min(high, MEDIANS * float(np.median(valid)))
    elif scale == "around zero" and low < 0:
        high = max(-low, high)
        low = -high
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))
