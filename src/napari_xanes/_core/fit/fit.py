"""Linear-combination fit: every pixel's spectrum as a sum of reference spectra, and a polynomial background.

Follows M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071, section 7.2;
the solution itself is in `least_squares`, the step of a recipe in `fit_step`, and reading reference files in
`io.reference`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import inside_of, unmasked
from napari_xanes._core.base.checks import check_choice, check_mu
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.edge.params import EdgeNormalization
from napari_xanes._core.engine.streamed import run_kernels
from napari_xanes._core.fit.collect import amount_sigma
from napari_xanes._core.fit.diagnosis import diagnose
from napari_xanes._core.fit.leftover import Leftover
from napari_xanes._core.fit.library import (
    ILL_CONDITIONED,
    choose_references,
    count_unconverged,
    covered_indices,
    doubts_of,
    fitted_indices,
    gave_up,
    make_basis,
    sampled_divisor,
    sampled_pixels_of,
    shifted_references,
    usable_frames,
)
from napari_xanes._core.fit.params import Extrapolate, FitParams
from napari_xanes._core.fit.result import PixelModel, ReferenceFit
from napari_xanes._core.fit.shifts import check_shifts
from napari_xanes._core.fit.step import fit_step
from napari_xanes._core.fit.weights import Weights, check_weights
from napari_xanes._core.solve.admm import Solver
from napari_xanes._core.solve.least_squares import Constraint, FitKernel

__all__ = [
    "ILL_CONDITIONED",
    "Extrapolate",
    "FitParams",
    "PixelModel",
    "ReferenceFit",
    "choose_references",
    "fit_references",
    "fit_step",
    "fitted_indices",
]


@public
def fit_references(
    mu: StackLike,
    energy: ArrayLike,
    references: Sequence[Reference] | NDArray[Any],
    *,
    constraint: Constraint = "none",
    background: Sequence[int] = (),
    energy_range: Window | None = None,
    exclude: Sequence[Window] = (),
    mask: ArrayLike | None = None,
    extrapolate: Extrapolate | None = None,
    significance: float | None = 3.0,
    solver: Solver = "direct",
    weights: ArrayLike | Weights | None = None,
    noise: ArrayLike | None = None,
    reference_shifts: Mapping[str, float] | Sequence[float] | None = None,
    normalization: EdgeNormalization | None = None,
    uncertainty: bool = False,
) -> ReferenceFit:
    """Fit every spectrum with a linear combination of references.

    Parameters
    ----------
    mu : array
        Normalised absorption, or optical density with a `background`; energy first: (E,), (E, N), (E, Y, X) or
        (E, Z, Y, X); not changed.  Frames that are NaN everywhere are left out.
    energy : array (E,)
        Photon energies in eV, ascending.
    references : list of Reference, or array (K, E)
        Normalised spectra; interpolated linearly to the data's energies, or given at these.
    constraint : {"none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one"}
        What the coefficients must obey.
    background : sequence of int
        Orders of the polynomial in energy that is fitted along, such as (0, 1).
    energy_range : (float, float), optional
        Only energies lo <= E <= hi are fitted.
    exclude : sequence of (float, float)
        Windows that are not fitted.
    mask : array of bool, optional
        Pixels to fit; the others are NaN.
    extrapolate : "hold", optional
        Keep a reference's end values beyond its range; by default only energies that all references cover are fitted, and
        a given `energy_range` that goes beyond is refused.
    significance : float, optional
        Fractions are NaN where the sum of coefficients is below this many times its standard error, as far as that is known.
        None keeps all with a positive sum.
    solver : {"direct", "admm"}
        "direct" is exact; non-negative fits with it take up to 8 references.  "admm" iterates until its residuals
        are small, as the paper has it.
    weights : array (E,) or "counts", optional
        How much each energy counts, in proportion to 1 / variance.  "counts": exp(-mu) of the mean spectrum, `mu`
        being optical density behind a beam that is equally bright at all energies.  Error, rms and R-factor are
        always unweighted.
    noise : float or array (...), optional
        Standard deviation of the values of each pixel's spectrum (at an energy of mean weight), for `sigma` and
        `reduced_chi_square`; by default taken from the residual.
    reference_shifts : dict or sequence of float, optional
        eV by which references are moved up in energy, by name or in order, as `fit_reference_shifts` finds them.
    normalization : EdgeNormalization, optional
        How `mu` was normalised, by which `sigma` also holds the errors of the lines before and after the edge.
    uncertainty : bool
        Whether to return `amount_sigma`, too.

    Returns
    -------
    ReferenceFit

    Raises
    ------
    InputError
        If references do not cover the energies asked for or cannot be told apart, or there are fewer energies than
        unknowns.

    References
    ----------
    M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_xanes import Reference
    >>> energy = np.linspace(8250, 8500, 101)
    >>> reduced, oxidized = (1 / (1 + np.exp(-(energy - e0) / 2)) for e0 in (8340, 8343))
    >>> known = [Reference("NiO", energy, reduced), Reference("LiNiO2", energy, oxidized)]
    >>> fit = fit_references(0.25 * reduced + 0.75 * oxidized, energy, known)
    >>> {name: round(float(value), 3) for name, value in zip(fit.names, fit.fractions)}
    {'NiO': 0.25, 'LiNiO2': 0.75}
    """
    values, energies = check_mu(mu, energy)
    check_choice("constraint", constraint, Constraint)
    check_choice("solver", solver, Solver)
    fitted = fitted_indices(energies, usable_frames(values), energy_range, exclude)
    spectra = _as_references(references, energies)
    if reference_shifts is not None:
        spectra = shifted_references(spectra, check_shifts(reference_shifts, [r.name for r in spectra]))
    fitted, narrowed = covered_indices(energies, fitted, spectra, energy_range, extrapolate)
    chosen_weights = check_weights(weights, values, fitted)
    basis = make_basis(spectra, energies[fitted], extrapolate, background, chosen_weights)
    leftover = Leftover(values.shape[1:], fitted.size, len(spectra))
    kernel = FitKernel(
        basis,
        fitted,
        constraint,
        significance,
        solver=solver,
        keep=leftover,
        noise=_as_noise(noise, values.shape[1:]),
        mask=_as_mask(mask, values.shape[1:]),
        jacobian=None if normalization is None else normalization.jacobian,
        step_noise=0.0 if normalization is None else normalization.step_noise,
        uncertainty=uncertainty,
    )
    kernel.learn_noise(sampled_pixels_of(values, mask), *sampled_divisor(normalization, values, mask))
    (maps,) = run_kernels([kernel], values)
    unconverged = count_unconverged(maps)
    diagnosis = diagnose(
        leftover,
        spectra,
        energies[fitted],
        basis,
        constraint=constraint,
        normalized=not background,
        amounts=maps["coefficients"],
    )
    return ReferenceFit(
        names=tuple(r.name for r in spectra),
        **{name: maps[name][()] for name in kernel.maps if name not in INNER},
        amount_sigma=_amount_sigma(maps, normalization) if uncertainty else None,
        energy=energies[fitted],
        condition_number=basis.condition_number,
        weights=basis.weights,
        n_unconverged=unconverged,
        warnings=tuple(
            narrowed
            + doubts_of(spectra, basis, energies[fitted])
            + gave_up(unconverged, maps["error"].size)
            + ([] if diagnosis is None else [*diagnosis.warnings])
        ),
        diagnosis=diagnosis,
        _mu=values,
        _fitted=fitted,
        _basis=(basis.background, basis.references),
    )


INNER = ("unconverged", "coefficient_sigma", "with_thickness")
"""Maps of the kernel that are not given as they are."""


def _amount_sigma(maps: Mapping[str, NDArray[Any]], normalization: EdgeNormalization | None) -> NDArray[Any]:
    if normalization is None or normalization.thickness_sigma is None:
        return amount_sigma(maps, None)[()]
    return amount_sigma(maps, (normalization.thickness, normalization.thickness_sigma))[()]


def _as_references(
    spectra: Sequence[Reference] | NDArray[Any], energy: NDArray[np.float64]
) -> list[Reference]:
    if not isinstance(spectra, np.ndarray):
        if not isinstance(spectra, Sequence) or not all(isinstance(r, Reference) for r in spectra):
            raise InputError(
                "references are a list of Reference, as read_references returns it, or an array (K, E)."
            )
        return list(spectra)
    table = np.atleast_2d(unmasked(spectra).astype(np.float64))
    if table.ndim != 2 or table.shape[1] != energy.size:
        raise InputError(
            f"references have shape {table.shape}, expected (number of references, {energy.size} energies)."
        )
    return [Reference(f"reference {k + 1}", energy, spectrum) for k, spectrum in enumerate(table)]


def _as_noise(noise: ArrayLike | None, image_shape: tuple[int, ...]) -> NDArray[Any] | None:
    if noise is None:
        return None
    image = unmasked(noise).astype(np.float64)
    if image.shape not in ((), image_shape):
        raise InputError(f"noise has shape {image.shape}, expected one number or an image {image_shape}.")
    if (image <= 0).any():
        raise InputError("noise must be positive; make it NaN in pixels that are not to have a sigma.")
    return np.ascontiguousarray(np.broadcast_to(image, image_shape))


def _as_mask(mask: ArrayLike | None, image_shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    inside = np.ascontiguousarray(inside_of(mask))
    if inside.shape != image_shape:
        raise InputError(
            f"the mask has shape {inside.shape}, the images {image_shape}; they must be the same."
        )
    return inside.astype(bool)
