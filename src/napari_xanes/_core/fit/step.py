"""The fit as a step of a recipe: references from files, treated as asked for, and maps with names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.checks import in_window
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found, Grave
from napari_xanes._core.data.reference import Reference, interpolate_reference
from napari_xanes._core.edge.handover import normalization_of, sampled_thickness
from napari_xanes._core.edge.references import normalize_references
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.fit.code import fit_code
from napari_xanes._core.fit.collect import Collect, divided_out
from napari_xanes._core.fit.diagnosis import diagnose
from napari_xanes._core.fit.leftover import Leftover
from napari_xanes._core.fit.library import (
    check_library,
    choose_references,
    covered_indices,
    doubts_of,
    fitted_indices,
    make_basis,
    redefined,
    shifted_references,
)
from napari_xanes._core.fit.origin import origin_of
from napari_xanes._core.fit.other_edge import strangers
from napari_xanes._core.fit.params import FitParams, LibraryParams
from napari_xanes._core.fit.pixels import Divisor
from napari_xanes._core.fit.shifts import check_shifts, fit_reference_shifts
from napari_xanes._core.fit.verdict import FitDiagnosis
from napari_xanes._core.fit.weights import beam_spectrum, counting_weights
from napari_xanes._core.solve.design import Design, FloatArray
from napari_xanes._core.solve.least_squares import FitKernel


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit hands over: the indices of the energies fitted (n,), and the references at these energies (K, n)."""

    indices: NDArray[np.intp]
    references: NDArray[np.float64]


def fit_step(chain: Chain, params: FitParams, progress: Progress) -> tuple[FitParams, Found]:
    """Add the fit to the chain; maps of fractions, coefficients, amounts, their uncertainty, and errors."""
    references = treated_references(params, chain)
    resolved, found = add_fit(chain, params, references)
    if params.references_as == "data":
        found.warn(*redefined(choose_references(params), references))
    return resolved, found


def add_fit(chain: Chain, params: FitParams, references: Sequence[Reference]) -> tuple[FitParams, Found]:
    """Add the fit of these references to the chain; see `fit_step`, which reads them from files."""
    found = Found()
    every = fitted_indices(chain.energy, chain.usable_energies(found), params.energy_range, params.exclude)
    limits = (params.energy_range, params.extrapolate)
    fitted, narrowed = covered_indices(chain.energy, every, references, *limits)
    shifts = _choose_shifts(references, params, chain, fitted, found)
    if shifts:
        references = shifted_references(references, shifts)
        fitted, narrowed = covered_indices(chain.energy, every, references, *limits)
    found.warn(*narrowed, *map(Grave, strangers(references, chain.energy)))
    energy = chain.energy[fitted]
    weights = _step_weights(params, chain, fitted, found)
    basis = make_basis(references, energy, params.extrapolate, params.background, weights)
    found.update({"condition_number": round(basis.condition_number, 2), "fitted_energies": int(fitted.size)})
    direct = chain.signal == "optical_density"
    found.warn(*doubts_of(references, basis, energy))
    if direct and not params.background:
        found.warn(
            "optical density was fitted without a background, so what other elements absorb goes into the references; "
            "set background = [0, 1], or normalize first"
        )
    chain.extra["references"] = references
    at_energies = [interpolate_reference(r, energy, extrapolate=params.extrapolate) for r in references]
    chain.hand_over(Fitted(fitted, np.stack(at_energies)))
    normalized = normalization_of(chain)
    leftover = Leftover(chain.image_shape, fitted.size, len(references))
    kernel = FitKernel(
        basis,
        fitted,
        params.constraint,
        params.significance,
        jacobian=None if direct or normalized is None else normalized.jacobian,
        step_noise=0.0 if direct or normalized is None else normalized.step_noise,
        solver=params.solver,
        keep=leftover,
        uncertainty=params.uncertainty,
    )
    _learn_noise(kernel, chain, direct, found)
    if not direct:  # else the thickness is their sum
        kernel.optional = {**kernel.optional, "coefficients": "coefficient"}
    if params.uncertainty:
        _leave_what_amounts_need(kernel, direct)
    names = tuple(r.name for r in references)

    diagnosed = _Diagnose(chain, params, leftover, references, shifts, energy, basis, direct)
    chain.add_kernel(kernel, Collect(chain, names, direct, diagnosed, params.uncertainty))
    ends = (float(energy[0]), float(energy[-1]))
    resolved = {
        "names": names,
        "energy_range": ends if ends[0] < ends[1] else params.energy_range,
        "reference_shifts": shifts,
        "shift_references": False,
    }
    return params.model_copy(update=resolved), found


def _leave_what_amounts_need(kernel: FitKernel, direct: bool) -> None:
    """Leave the maps of which the errors of amounts are made, and no others for them; see `amount_sigma`."""
    spare = "with_thickness" if direct else "coefficient_sigma"
    kernel.maps = {name: lead for name, lead in kernel.maps.items() if name != spare}
    if not direct:
        kernel.optional = {name: kind for name, kind in kernel.optional.items() if name != "sigma"}


def _learn_noise(kernel: FitKernel, chain: Chain, direct: bool, found: Found) -> None:
    """Let the kernel learn the noise from sampled spectra, and say what its sigma does not hold."""
    made = {entry.step for entry in (*chain.stack.history, *chain.entries)}
    kernel.learn_noise(
        chain.sample().spectra,
        *((None, None) if direct else sampled_thickness(chain)),
        origin=origin_of(chain),
    )
    if kernel.noise_unknown:
        found.warn(
            "the fit has as many unknowns as independent values, so nothing is left to tell the noise by, and there is no "
            "sigma; measure at more energies"
        )
    if "denoise" in made:
        found.warn(
            "the images were denoised, so sigma holds the noise that is left, not the detail that was smoothed away"
        )


@dataclass(frozen=True, eq=False)
class _Diagnose:
    """Says what the fit leaves and why, once the pass has kept it."""

    chain: Chain
    params: FitParams
    leftover: Leftover
    references: Sequence[Reference]
    shifts: tuple[float, ...]
    energy: NDArray[np.float64]
    basis: Design
    direct: bool

    def __call__(self, raw: Mapping[str, FloatArray]) -> FitDiagnosis | None:
        divisor = None if self.direct else _divisor(self.chain)
        measured = None
        if self.params.references_as == "data":
            measured = choose_references(self.params)
            if self.shifts:
                measured = shifted_references(measured, self.shifts)
        return diagnose(
            self.leftover,
            self.references,
            self.energy,
            self.basis,
            constraint=self.params.constraint,
            divisor=divisor,
            normalized=not self.direct,
            measured=measured,
            amounts=raw["coefficients"] if self.direct else None if divisor is None else raw["fractions"],
        )


def treated_references(params: LibraryParams, chain: Chain) -> list[Reference]:
    """Return the references of the files as given, or normalised as the data were."""
    references = choose_references(params)
    if params.references_as == "given":
        return references
    normalization = normalization_of(chain)
    if normalization is None:
        raise InputError(
            "references_as is 'data', but how the data were normalised is not known; put normalize before fit, or give "
            "normalised references and references_as = 'given'."
        )
    return normalize_references(references, normalization.params, energy=chain.energy)


def _choose_shifts(
    references: Sequence[Reference],
    params: FitParams,
    chain: Chain,
    fitted: NDArray[np.intp],
    found: Found,
) -> tuple[float, ...]:
    """Return the shift of each reference in eV, as given or fitted to the mean spectrum; empty for none."""
    names = [r.name for r in references]
    if not params.shift_references:
        return check_shifts(params.reference_shifts, names) if params.reference_shifts else ()
    if params.reference_shifts:
        raise InputError(
            "shift_references would fit shifts that reference_shifts gives already; leave one of them out."
        )
    energy = chain.energy[fitted]
    covered = np.logical_and.reduce([(energy >= r.energy[0]) & (energy <= r.energy[-1]) for r in references])
    if params.extrapolate is None:
        covered[:] = True  # an uncovered energy is then refused, by name
    shifts = fit_reference_shifts(
        chain.sample().mean[fitted][covered],
        energy[covered],
        references,
        limit=params.shift_limit,
        constraint=params.constraint,
        background=params.background,
    )
    found["reference_shift_sigma"] = [None if np.isnan(s) else round(float(s), 4) for s in shifts.sigma]
    for name, shift, at_limit in zip(names, shifts.shifts, shifts.at_limit, strict=True):
        if np.isnan(shift):
            text = f"the mean spectrum holds nothing of '{name}', so no energy shift of it was found"
            found.warn(text)
        elif at_limit:
            text = f"the energy shift of '{name}' went to its limit of {shift:+.2f} eV"
            found.warn(Grave(f"{text}; check the energy scales, or whether it is the right compound"))
    return tuple(float(s) for s in np.nan_to_num(shifts.shifts).round(4))


def _step_weights(
    params: FitParams, chain: Chain, fitted: NDArray[np.intp], found: Found
) -> NDArray[np.float64] | None:
    """Return the weights of the fitted energies, from the mean spectrum and the beam if that is known."""
    if params.weights == "none":
        return None
    if chain.signal != "optical_density":
        raise InputError(
            "weights = 'counts' needs optical density, from which counts follow; fit with a background instead of "
            "normalising, or set weights = 'none'."
        )
    beam = beam_spectrum(chain)
    weights = counting_weights(chain.sample().mean[fitted], None if beam is None else beam[fitted])
    found["weights"] = {
        "beam": "flats" if beam is not None else "taken to be equally bright at all energies",
        "most_over_least": round(float(weights.max() / weights.min()), 2),
    }
    return weights


def _divisor(chain: Chain) -> Divisor | None:
    """Return what the spectra were divided by, as far as that is known; its slope follows from two of its means."""
    thickness, step = divided_out(chain), chain.maps.get("edge_step")
    if thickness is None:
        return None
    made = normalization_of(chain)
    params = None if made is None else made.params
    if params is None or step is None or params.divide_by == "area":
        return Divisor(thickness)
    assert params.e0 and params.post_edge
    after = chain.energy[in_window(chain.energy, params.post_edge)].mean() - params.e0
    if params.divide_by != "line" or after <= 0:
        return Divisor(step.data)
    return Divisor(step.data, thickness, float(after), params.e0)


FIT = Step(
    name="fit",
    title="Fit",
    does="write every spectrum as a sum of references",
    params=FitParams,
    run=fit_step,
    order=210,
    takes=("optical_density", "normalized"),
    makes=("fraction", "sigma", "coefficient", "amount", "amount_sigma", "error", "rms", "r_factor"),
    map_count=lambda params: (4 + params.uncertainty) * len(choose_references(params)) + 4,
    measures=True,
    check=check_library,
    after=("flat_field", "optical_density", "normalize"),
    code=fit_code,
    usual=True,
    starts={"background": (0, 1), "significance": 3.0},  # which is best for maps of pixels with noise
)
