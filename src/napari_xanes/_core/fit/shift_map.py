"""The shift in energy of each pixel's spectrum against the references.

The monochromator drifts during a scan, or differs over the field of view; and a shift is taken for chemistry where
it is not looked for.  All references are moved together, by steps; each step is a linear fit for all pixels at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.checks import check_mu
from napari_xanes._core.base.door import Limits, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.unread import at_once
from napari_xanes._core.base.words import of_pixels
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.kinds import unit_of
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.edge.handover import normalization_of, sampled_thickness
from napari_xanes._core.edge.params import EdgeNormalization
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.engine.streamed import run_kernels
from napari_xanes._core.fit.library import (
    check_library,
    fitted_indices,
    sampled_divisor,
    sampled_pixels_of,
    usable_frames,
)
from napari_xanes._core.fit.origin import origin_of
from napari_xanes._core.fit.params import Extrapolate, LibraryParams
from napari_xanes._core.fit.shift_kernel import ShiftKernel
from napari_xanes._core.fit.shifts import LARGEST_SHIFT
from napari_xanes._core.fit.step import treated_references
from napari_xanes._core.solve.design import FloatArray


@dataclass(frozen=True, eq=False)
class ShiftMap:
    """What `energy_shift_map` returns.

    Attributes
    ----------
    shift : array (...)
        eV by which the references must be moved up in energy to match the pixel; NaN where it is at the limit or
        nothing can be said.
    sigma : array (...)
        Standard error, from what is left of the pixel, and of all where energies are few; NaN where a shift by the limit
        would do nearly as well.
    at_limit : array of bool (...)
        Whether the best shift lies at the end of those tried.
    """

    shift: FloatArray
    sigma: FloatArray
    at_limit: NDArray[np.bool_]


class ShiftMapParams(LibraryParams):
    """Parameters of the map of energy shifts."""

    limit: float = field(
        LARGEST_SHIFT, "Largest shift", "How far the references are moved, up and down.", unit="eV", gt=0
    )


NOT_TOLD = 0.01
"""Part of the pixels without a sigma from which it is worth a word."""


@public
def energy_shift_map(
    mu: StackLike,
    energy: ArrayLike,
    references: Sequence[Reference],
    *,
    limit: Annotated[float, Limits(most=100)] = LARGEST_SHIFT,
    background: Sequence[int] = (),
    energy_range: Window | None = None,
    exclude: Sequence[Window] = (),
    extrapolate: Extrapolate | None = "hold",
    normalization: EdgeNormalization | None = None,
) -> ShiftMap:
    """Return the energy shift at which a combination of the references matches each pixel best.

    Parameters
    ----------
    mu : array (E, ...)
        Normalised absorption, or optical density with a `background`.
    energy : array (E,)
        eV, ascending.
    references : list of Reference
        All are moved by the same shift, and combined by least squares without bounds, with a slope of the edge step.
    limit : float
        Largest shift that is tried, eV.
    background, energy_range, exclude, extrapolate
        See `fit_references`.
    normalization : EdgeNormalization, optional
        How `mu` was normalised, by which `sigma` also holds the errors of the lines before and after the edge.

    Returns
    -------
    ShiftMap

    Raises
    ------
    InputError
        If nothing can be fitted, or the limit is not positive.
    """
    if not limit > 0:
        raise InputError(f"limit is {limit!r}, expected a positive number of eV.")
    values, energies = check_mu(mu, energy)
    fitted = fitted_indices(energies, usable_frames(values), energy_range, exclude)
    thickness, image = sampled_divisor(normalization, values)
    kernel = ShiftKernel(
        references,
        energies,
        fitted,
        limit,
        background,
        extrapolate,
        sampled_pixels_of(values),
        jacobian=None if normalization is None else normalization.jacobian,
        thickness=thickness,
        image=image,
    )
    (maps,) = run_kernels([kernel], values)
    return ShiftMap(maps["shift"][()], maps["sigma"][()], maps["at_limit"].astype(bool)[()])


def shift_map_step(chain: Chain, params: ShiftMapParams, progress: Progress) -> tuple[ShiftMapParams, Found]:
    """Map the energy shift of every pixel; maps "energy_shift" and "energy_shift_sigma"."""
    found = Found()
    fitted = fitted_indices(chain.energy, chain.usable_energies(found), params.energy_range, params.exclude)
    references = treated_references(params, chain)
    direct, normalized = chain.signal == "optical_density", normalization_of(chain)
    thickness, image = (None, None) if direct else sampled_thickness(chain)
    kernel = ShiftKernel(
        references,
        chain.energy,
        fitted,
        params.limit,
        params.background,
        params.extrapolate or "hold",
        chain.sample().spectra,
        jacobian=None if direct or normalized is None else normalized.jacobian,
        thickness=thickness,
        image=image,
        origin=origin_of(chain),
    )

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        maps = {
            name: NamedMap(raw[key], name, unit_of(name))
            for name, key in (("energy_shift", "shift"), ("energy_shift_sigma", "sigma"))
        }
        known, sure = np.isfinite(raw["shift"]), np.isfinite(raw["sigma"])
        weights = np.where(sure, 1 / np.maximum(raw["sigma"], 1e-6) ** 2, 0)
        told = at_once(
            {
                "shifts": (weights * np.where(sure, raw["shift"], 0)).sum(),
                "weights": weights.sum(),
                "at_limit": raw["at_limit"].sum(),
                "unknown": (~known).sum(),
                "unsure": (known & ~sure).sum(),
            }
        )
        weight, unsure = float(told["weights"]), int(told["unsure"])
        facts = {
            "mean_shift": round(float(told["shifts"] / weight), 6)
            if weight
            else None,  # eV; sums differ by rounding
            "pixels_at_limit": int(told["at_limit"]),
            "invalid_pixels": int(told["unknown"]),
        }
        found = Found(facts)
        if unsure > NOT_TOLD * known.size:
            found.warn(
                f"the shift of {of_pixels(unsure, known.size)} has no sigma, as a shift by the limit of {params.limit:g} eV would do "
                "nearly as well; measure at more energies, or fit fewer references"
            )
        return maps, found

    chain.add_kernel(kernel, collect)
    return params.model_copy(update={"names": tuple(r.name for r in references)}), found


SHIFT_MAP = Step(
    name="shift_map",
    title="Energy-shift map",
    does="find by how much spectra are shifted against the references",
    params=ShiftMapParams,
    run=shift_map_step,
    order=180,
    takes=("optical_density", "normalized"),
    makes=("energy_shift", "energy_shift_sigma"),
    map_count=lambda params: 2,
    check=check_library,
    measures=True,
    after=("flat_field", "optical_density", "normalize"),
)
