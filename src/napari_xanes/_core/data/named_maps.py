"""A result made by hand: maps that a script computed, named as the steps of a recipe name theirs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import inside_of, unmasked
from napari_xanes._core.base.checks import check_energy
from napari_xanes._core.base.door import public
from napari_xanes._core.data.kinds import info_of
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack, Signal


@public
def make_result(
    stack: EnergyStack,
    maps: Mapping[str, NDArray[Any]],
    *,
    energy: ArrayLike | None = None,
    labels: Mapping[str, NDArray[Any]] | None = None,
    tables: Mapping[str, dict[str, NDArray[Any]]] | None = None,
    kinds: Collection[str] = (),
    binned: int = 1,
    kept: EnergyStack | None = None,
    signal: Signal | None = None,
) -> Result:
    """Put maps together to a result that can be saved and opened in napari.

    Parameters
    ----------
    stack : EnergyStack
        The scan that the maps are of, for its name, files and pixel size.
    maps : dict of str to array
        Named as steps name them: "thickness", "fraction_<reference>", "sigma_<reference>", "error", ...; other
        names are allowed.
    energy : array (E,), optional
        Photon energies in eV, if they are other ones than the scan's.
    labels : dict of str to integer array, optional
        Masks, clusters and particles by name.
    tables : dict of dict, optional
        Tables by name, each a dict of columns.
    kinds : collection of str, optional
        Only maps of these kinds are kept, such as "fraction".
    binned : int
        How many of the scan's pixels along each axis became one.
    kept : EnergyStack, optional
        The stack as it was made, to be saved with the maps.
    signal : {"optical_density", "normalized"}, optional
        What the spectra were that the maps were made from, which units follow; by default what `stack` holds.

    Returns
    -------
    Result
        Without a history: only a recipe knows how its maps were made.

    Raises
    ------
    InputError
        If energies are not ascending.
    """
    energies = stack.energy if energy is None else check_energy(energy)
    info = {name: info_of(name, signal or stack.signal) for name in maps}
    wanted = {
        name: unmasked(image) for name, image in maps.items() if not kinds or info[name]["kind"] in kinds
    }
    return Result(
        maps=wanted,
        info={name: info[name] for name in wanted},
        energy=energies,
        history=(),
        source=stack.source,
        labels={name: inside_of(one) for name, one in (labels or {}).items()},
        tables=dict(tables or {}),
        pixel_size_um=None if stack.pixel_size_um is None else binned * stack.pixel_size_um,
        name=stack.name,
        stack=kept,
    )
