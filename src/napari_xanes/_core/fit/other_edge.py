"""Are references of the edge that was scanned?  Told from energies alone, before any image is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.checks import in_window
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.edge.elements import edge_near
from napari_xanes._core.edge.energy import find_e0

FAR = 30.0
"""eV from the energies of a scan, or from its edge, beyond which the edge of a reference is another one: more than oxidation
moves an edge, and less than lies between the edges of neighbouring elements."""

FOREIGN = 0.1
"""Share of the fitted energies of which a reference covers less if it is of another edge."""


@lru_cache(maxsize=512)
def edge_energy(reference: Reference) -> float | None:
    """Return where a reference rises most, eV; None if it does not."""
    try:
        return find_e0(reference.energy, reference.mu)
    except InputError:
        return None


def edge_text(reference: Reference) -> str:
    """Return where the edge of a reference is and of which element, such as "7709 eV (Co K)"; empty if it has none."""
    at = edge_energy(reference)
    if at is None:
        return ""
    edge = edge_near(at)
    return f"{at:.0f} eV{f' ({edge})' if edge else ''}"


def of_another_edge(reference: Reference, energy: NDArray[np.float64], e0: float | None = None) -> bool:
    """Whether the edge of a reference lies outside of the energies of a scan, or far from its edge `e0` if that is known."""
    at = edge_energy(reference)
    if at is None:
        return False
    return not energy[0] - FAR <= at <= energy[-1] + FAR or (e0 is not None and abs(at - e0) > FAR)


def covered(reference: Reference, energy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which energies a reference covers."""
    return in_window(energy, (float(reference.energy[0]), float(reference.energy[-1])))


def foreign(reference: Reference, energy: NDArray[np.float64]) -> InputError:
    """Return the error of a reference that covers hardly any of the energies of a scan."""
    return InputError(
        f"reference '{reference.name}' covers {reference.energy[0]:.2f} to {reference.energy[-1]:.2f} eV, the scan is fitted from "
        f"{energy[0]:.2f} to {energy[-1]:.2f} eV: is it of another element?  Choose references of the edge that was "
        "scanned, or check the unit of the energies."
    )


def strangers(references: Sequence[Reference], energy: NDArray[np.float64]) -> list[str]:
    """Say which references have their edge outside of the energies of a scan."""
    other = [one for one in references if of_another_edge(one, energy)]
    if not other:
        return []
    edges = ", ".join(f"'{one.name}' at {edge_text(one)}" for one in other[:3])
    edges += f" and {len(other) - 3} more" if len(other) > 3 else ""
    said = f"references have their edge outside of the scan's {energy[0]:.0f} to {energy[-1]:.0f} eV: {edges}"
    return [f"{said}; are they of another element?"]
