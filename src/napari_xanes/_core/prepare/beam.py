"""Energies at which the beam was not itself: its brightness jumps there and comes back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.door import NotNegative, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.history import Found
from napari_xanes._core.engine.judge import named_energies

LEAST = 0.02
"""Smallest relative jump that is worth a word."""

TIMES = 6.0
"""How many times the usual scatter a jump must be."""


@public
def suspect_energies(
    level: ArrayLike, *, times: NotNegative = TIMES, least: NotNegative = LEAST
) -> NDArray[np.bool_]:
    """Return at which energies the beam jumps, for a person to look at; nothing is left out.

    Parameters
    ----------
    level : array (E,)
        Brightness of the beam at each energy, any unit; NaN where it is not known.
    times : float
        How many times the usual scatter a jump must be, against the median of the energies around.
    least : float
        Smallest relative jump.

    Returns
    -------
    array (E,), bool
        Also True where the brightness is zero or not known.

    Raises
    ------
    InputError
        If the level is no spectrum.
    """
    values = unmasked(level).astype(np.float64)
    if values.ndim != 1:
        raise InputError(f"level has shape {values.shape}, expected one brightness per energy.")
    known = np.isfinite(values) & (values > 0)
    suspect = ~known
    if known.sum() < 5:
        return suspect
    logs = np.log(values[known])
    logs -= np.median(np.diff(logs)) * np.arange(logs.size)  # a beam that decays does not jump
    windows = np.lib.stride_tricks.sliding_window_view(logs, 5)
    nearest = np.clip(np.arange(logs.size) - 2, 0, len(windows) - 1)
    apart = np.abs(logs - np.median(windows[nearest], axis=1))
    scatter = 1.4826 * float(np.median(np.abs(np.diff(logs)))) / np.sqrt(2)
    suspect[known] = apart > max(times * scatter, np.log1p(least))
    return suspect


def warn_of_jumps(level: NDArray[np.float64], energy: NDArray[np.float64], found: Found) -> None:
    """Name the suspect energies in `found`."""
    suspect = suspect_energies(level) & np.isfinite(level)
    if suspect.any():
        found["suspect_energies"] = energy[suspect].tolist()
        found.warn(
            f"the beam jumps at {int(suspect.sum())} of {suspect.size} energies, look at these frames: "
            f"{named_energies(energy[suspect])}; drop_energies leaves frames out"
        )
