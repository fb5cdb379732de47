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
from napari_xanes._core.base.door import Limits, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.kinds import unit_of
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.fit.library import fitted_indices, make_basis, shifted_references, usable_frames
from napari_xanes._core.fit.params import Extrapolate, LibraryParams
from napari_xanes._core.fit.shifts import LARGEST_SHIFT
from napari_xanes._core.fit.step import treated_references
from napari_xanes._core.solve.design import FloatArray, Matrix

STEP = 0.1
"""eV between the shifts that are tried; the minimum is found between them."""


@dataclass(frozen=True, eq=False)
class ShiftMap:
    """What `energy_shift_map` returns.

    Attributes
    ----------
    shift : array (...)
        eV by which the references must be moved up in energy to match the pixel; NaN where it is at the limit or
        nothing can be said.
    sigma : array (...)
        Standard error, from the residual of the pixel's own fit.
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


@public
def energy_shift_map(
    mu: ArrayLike,
    energy: ArrayLike,
    references: Sequence[Reference],
    *,
    limit: Annotated[float, Limits(most=100)] = LARGEST_SHIFT,
    background: Sequence[int] = (),
    energy_range: Window | None = None,
    exclude: Sequence[Window] = (),
    extrapolate: Extrapolate | None = "hold",
) -> ShiftMap:
    """Return the energy shift at which a combination of the references matches each pixel best.

    Parameters
    ----------
    mu : array (E, ...)
        Normalised absorption, or optical density with a `background`.
    energy : array (E,)
        eV, ascending.
    references : list of Reference
        All are moved by the same shift, and combined by least squares without bounds.
    limit : float
        Largest shift that is tried, eV.
    background, energy_range, exclude, extrapolate
        See `fit_references`.

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
    kernel = ShiftKernel(references, energies, fitted, limit, background, extrapolate)
    (maps,) = blocks.run_kernels([kernel], values)
    return ShiftMap(maps["shift"][()], maps["sigma"][()], maps["at_limit"].astype(bool)[()])


class ShiftKernel:
    """Tries all shifts on every spectrum and takes the minimum of the parabola through the best three."""

    writes = False
    maps: Mapping[str, tuple[int, ...]] = {"shift": (), "sigma": (), "at_limit": ()}
    flags = ("at_limit",)

    def __init__(
        self,
        references: Sequence[Reference],
        energy: Matrix,
        fitted: NDArray[np.intp],
        limit: float,
        background: Sequence[int],
        extrapolate: Extrapolate | None,
    ) -> None:
        steps = max(2, round(2 * limit / STEP))
        self._shifts = np.linspace(-limit, limit, steps + 1)
        self._fitted = fitted
        bases = [
            make_basis(
                shifted_references(references, [s] * len(references)),
                energy[fitted],
                extrapolate,
                background,
                None,
            )
            for s in self._shifts
        ]
        self._rows = np.concatenate([basis.q.T for basis in bases])
        self._unknowns = bases[0].q.shape[1]
        self._freedom = fitted.size - self._unknowns - 1
        if self._freedom < 1:
            raise InputError(
                f"{fitted.size} energies are fitted with {self._unknowns} unknowns and a shift; fit more energies."
            )

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        data = y[self._fitted].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            projected = (self._rows @ data).reshape(len(self._shifts), self._unknowns, -1)
            errors = np.einsum("ij,ij->j", data, data) - np.einsum("skj,skj->sj", projected, projected)
        valid = np.isfinite(errors).all(axis=0)
        best = np.argmin(np.where(valid, errors, 0), axis=0)
        end = valid & ((best == 0) | (best == len(errors) - 1))
        inner = np.clip(best, 1, len(errors) - 2)
        below, least, above = (errors[inner + k, np.arange(inner.size)] for k in (-1, 0, 1))
        step = self._shifts[1] - self._shifts[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            bend = below - 2 * least + above
            shift = self._shifts[inner] + 0.5 * step * (below - above) / bend
            noise = np.maximum(least - (below - above) ** 2 / (8 * bend), 0) / self._freedom
            sigma = step * np.sqrt(2 * noise / bend)
        known = valid & ~end & (bend > 0)
        out["shift"][...] = np.where(known, shift, np.nan)
        out["sigma"][...] = np.where(known, sigma, np.nan)
        out["at_limit"][...] = end


def shift_map_step(chain: Chain, params: ShiftMapParams, progress: Progress) -> tuple[ShiftMapParams, Found]:
    """Map the energy shift of every pixel; maps "energy_shift" and "energy_shift_sigma"."""
    found = Found()
    fitted = fitted_indices(chain.energy, chain.usable_energies(found), params.energy_range, params.exclude)
    references = treated_references(params, chain)
    kernel = ShiftKernel(
        references, chain.energy, fitted, params.limit, params.background, params.extrapolate or "hold"
    )

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        maps = {
            name: NamedMap(raw[key], name, unit_of(name))
            for name, key in (("energy_shift", "shift"), ("energy_shift_sigma", "sigma"))
        }
        known = np.isfinite(raw["shift"])
        weights = np.where(known, 1 / np.maximum(raw["sigma"], 1e-6) ** 2, 0)
        mean = (
            float((weights * np.where(known, raw["shift"], 0)).sum() / weights.sum()) if known.any() else None
        )
        facts = {
            "mean_shift": mean,
            "pixels_at_limit": int(raw["at_limit"].sum()),
            "invalid_pixels": int((~known).sum()),
        }
        return maps, Found(facts)

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
    measures=True,
    after=("flat_field", "optical_density", "normalize"),
)
