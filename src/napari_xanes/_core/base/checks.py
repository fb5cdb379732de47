"""Checks at the door, shared by all public functions; whatever is behind the door trusts its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, SupportsInt, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Roi, Window
from napari_xanes._core.base.unread import Unread

SHOWN = 0.005
"""eV; energies are shown and typed with two decimals, so 8222.00 is meant to hold 8221.997."""


def check_energy(energy: ArrayLike, n: int | None = None, label: str = "the stack") -> NDArray[np.float64]:
    """Return `energy` as float64 (E,), or say what is wrong with it.

    Energies must be finite, positive and strictly ascending, and there must be `n` of them if `n` is given.
    """
    try:
        values = np.asarray(unmasked(energy), dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the energies of {label} are not numbers; give them in eV.") from None
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()
    if values.ndim != 1:
        raise InputError(f"the energies of {label} have shape {values.shape}, expected one number per image.")
    if n is not None and values.size != n:
        raise InputError(
            f"{label} has {n} images but {values.size} energies were given; there must be one energy per image."
        )
    if values.size == 0:
        raise InputError(f"{label} has no energies.")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if bad.size:
        raise InputError(
            f"energy {bad[0] + 1} of {values.size} of {label} is {values[bad[0]]}; "
            "every energy must be a positive number, mend the list."
        )
    steps = np.flatnonzero(np.diff(values) <= 0)
    if steps.size:
        i = int(steps[0])
        raise InputError(
            f"the energies of {label} do not ascend: {values[i]:g} eV is followed by {values[i + 1]:g} eV; "
            "sort energies and images together and merge duplicates."
        )
    return values


def check_mu(mu: ArrayLike, energy: ArrayLike) -> tuple[Any, NDArray[np.float64]]:
    """Return `mu` as a float array with energy first, unread if it is `Unread`, and its checked energies.

    float64 stays float64; everything else becomes float32, except a single spectrum, which becomes float64.
    """
    array = mu if isinstance(mu, Unread) else unmasked(mu)
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise InputError(
            f"mu has shape {array.shape} and type {array.dtype}, expected real numbers with energy as the first axis."
        )
    energies = check_energy(energy, array.shape[0], "mu")
    double = array.dtype.newbyteorder("=") == np.float64 or array.ndim == 1
    if isinstance(array, Unread):
        return array.astype(np.float64 if double else np.float32), energies
    return np.ascontiguousarray(array, dtype=np.float64 if double else np.float32), energies


def check_choice(name: str, value: object, choices: Any) -> None:
    """Refuse what is not one of the choices, a Literal or some words."""
    words = get_args(choices) or tuple(choices)
    if value not in words:
        raise InputError(f"{name} is {value!r}, expected one of {', '.join(words)}.")


def window_indices(
    energy: NDArray[np.float64],
    window: Window,
    name: str,
    *,
    at_least: int = 1,
    usable: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """Return the indices of the energies lo <= E <= hi; an error names the window when it holds too few.

    Energies that are not `usable` (a lost frame) do not count.
    """
    lo, hi = check_window(window, name)
    inside = in_window(energy, (lo, hi))
    if usable is not None:
        inside &= usable
    found = int(inside.sum())
    if found < at_least:
        raise InputError(
            f"{name} ({lo:g}, {hi:g}) eV holds {found} of the energies, at least {at_least} are needed; "
            f"the data cover {energy[0]:g} to {energy[-1]:g} eV, so choose another window."
        )
    return np.flatnonzero(inside)


def in_window(energy: NDArray[np.float64], window: Window) -> NDArray[np.bool_]:
    """Return which energies lie in a window, its ends included as they are shown, to `SHOWN`."""
    lo, hi = window
    return (energy >= lo - SHOWN) & (energy <= hi + SHOWN)


def check_window(window: Window, name: str) -> Window:
    """Return (lo, hi) as floats with lo < hi, or say what is wrong."""
    try:
        lo, hi = (float(v) for v in window)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {window!r}, expected two energies (lo, hi) in eV.") from None
    if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
        raise InputError(f"{name} is ({lo:g}, {hi:g}) eV, expected a lower and a higher energy.")
    return lo, hi


def check_roi(roi: Iterable[SupportsInt] | None, image_shape: Sequence[int]) -> Roi:
    """Return (y0, y1, x0, x1) that lie within the image, all of it for None, or say what is wrong."""
    height, width = image_shape[-2:]
    if roi is None:
        return 0, height, 0, width
    try:
        y0, y1, x0, x1 = (int(v) for v in roi)
    except (TypeError, ValueError):
        raise InputError(f"roi is {roi!r}, expected four whole numbers (y0, y1, x0, x1).") from None
    if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
        raise InputError(
            f"roi ({y0}, {y1}, {x0}, {x1}) does not lie within the image of {height} rows and {width} columns; "
            "give (y0, y1, x0, x1) with y0 < y1 and x0 < x1."
        )
    return y0, y1, x0, x1
