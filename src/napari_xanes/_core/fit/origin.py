"""How the spectra of a chain came about, as far as their noise tells of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.solve.still_noise import Origin


def origin_of(chain: Chain) -> Origin:
    """Return whether spectra were made from counts, and by how much frames were moved, in this run or an earlier one."""
    made = (*chain.stack.history, *chain.entries)
    shape = chain.energy.size, len(chain.image_shape)
    moved = [_array(entry.facts.get("shifts", ()), shape) for entry in made if entry.step == "align"]
    known = [shifts for shifts in moved if shifts is not None]
    return Origin(
        counted="optical_density" in {entry.step for entry in made},
        shifts=np.sum(known, axis=0) if known and len(known) == len(moved) else None,
    )


def _array(rows: Sequence[Sequence[float]], shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """Return shifts (E, axes) as the history keeps them, NaN where a frame's is not known; None if they are of other frames."""
    if len(rows) != shape[0] or any(len(row) not in (0, shape[1]) for row in rows):
        return None
    return np.array([row or [np.nan] * shape[1] for row in rows], np.float64)
