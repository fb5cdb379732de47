"""What a recipe made of a stack: named maps, and how they came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.history import History, history_from_json
from napari_xanes._core.data.stack import EnergyStack


@dataclass(frozen=True, eq=False)
class Result:
    """What a recipe made of a stack.

    Attributes
    ----------
    maps : dict of str to array
        Result images by name: "thickness", "edge_step", "error", "rms", "r_factor", and "fraction_<reference>",
        "coefficient_<reference>", "amount_<reference>", "sigma_<reference>"; invalid pixels are NaN.
    labels : dict of str to integer array
        Masks and clusters by name.
    tables : dict of dict
        Tables by name, each a dict of columns (arrays whose first axis is the row).
    info : dict
        For each map: ``kind``, ``unit``, ``reference``.
    energy : array (E,)
        Photon energies in eV.
    history : tuple of Entry
        Every step with its resolved parameters and what was found, such as counts of invalid pixels.
    source : dict
        The files.
    pixel_size_um : float or None
    name : str
    stack : EnergyStack or None
        The stack after the last step, if it was asked for.
    levels : dict of tuple
        Of large maps in a Zarr store: the map itself, and copies of it that are ever coarser.
    extra : dict
        What steps leave besides maps: "drift" (Drift), "references" (list of Reference).
    warnings : tuple of str
        Sentences about what was not as it should be but did not stop the job.
    """

    maps: dict[str, NDArray[Any]]
    info: dict[str, dict[str, Any]]
    energy: NDArray[np.float64]
    history: History
    source: dict[str, Any]
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)
    tables: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    pixel_size_um: float | None = None
    name: str = ""
    stack: EnergyStack | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    levels: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", history_from_json(self.history))

    def __repr__(self) -> str:
        """Return a line that names what there is: values in all would be pages."""
        shape = " x ".join(map(str, next(iter(self.maps.values())).shape)) if self.maps else "no"
        steps = ", ".join(entry.step for entry in self.history)
        return f"<Result {self.name!r}: {shape} maps {', '.join(self.maps)}; steps {steps}>"
