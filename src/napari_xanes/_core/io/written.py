"""Numbers that a file holds as texts, such as "8333.5", "8333,5" or "8.3335 keV"."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.io.plausible import energy_unit_of

LONGEST = 100
"""Characters of a number with its unit."""
_WRITTEN = re.compile(r"[\"']?\s*([+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµ°%]*)\s*[\"']?")


def numbers_of(texts: Sequence[str]) -> tuple[NDArray[np.float64], str] | None:
    """Return the numbers (n,) that texts are, and the unit behind all of them; None if they are not.

    Texts with different units are no numbers, neither are those that mix decimal points and decimal commas, as of
    "8,333.5" and "8333" none can tell what a comma means.
    """
    found = [_WRITTEN.fullmatch(text) if len(text) <= LONGEST else None for text in map(str.strip, texts)]
    matches = [match for match in found if match is not None]
    units = {match[2] for match in matches}
    if not matches or len(matches) < len(found) or len(units) != 1:
        return None
    written = [match[1] for match in matches]
    if any("," in one for one in written) and any("." in one for one in written):
        return None
    return np.array([float(one.replace(",", ".")) for one in written]), units.pop()


def energies_of(texts: Sequence[str]) -> tuple[NDArray[np.float64], str] | None:
    """Return the energies that texts are, and their unit, "" if they have none; None if they are not energies."""
    found = numbers_of(texts)
    unit = None if found is None else energy_unit_of(found[1])
    return None if found is None or unit is None else (found[0], unit)
