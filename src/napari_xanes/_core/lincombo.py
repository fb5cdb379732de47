"""Linear-combination fit: every pixel's spectrum as a sum of reference spectra, and a polynomial background.

Follows M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071, section 7.2;
the solution itself is in `least_squares`.  Reading reference files is done by `io.reference`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core import blocks
from napari_xanes._core._validate import check_mu, check_window, in_window, window_indices
from napari_xanes._core.chain import Chain, Found, NamedMap, count_invalid
from napari_xanes._core.errors import InputError
from napari_xanes._core.io.reference import Reference, interpolate_reference, read_references
from napari_xanes._core.least_squares import Constraint, FitKernel, design
from napari_xanes._core.params import Params, Window, field
from napari_xanes._core.progress import Progress

FloatArray = NDArray[np.floating[Any]]

ILL_CONDITIONED = 1000.0
"""Condition number from which a fit is said to be doubtful."""

Extrapolate = Literal["hold"]


class FitParams(Params):
    """Parameters of the linear-combination fit."""

    references: tuple[str, ...] = field(
        ...,
        "References",
        "Files with spectra of known compounds; a file may hold several.",
        widget="references",
        min_length=1,
        example=["reference1.txt", "reference2.txt"],
    )
    names: tuple[str, ...] = field(
        (),
        "Which spectra",
        "Names of the spectra to use, where files hold more. Empty: all.",
        example=["NiO"],
    )
    constraint: Constraint = field(
        "none",
        "Constraint",
        "'none' is plain least squares; 'nonnegative' allows no negative amount; 'sum_to_one' takes the step of normalised "
        "data for exact, which noise spoils; 'nonnegative_sum_to_one' is both.",
    )
    background: tuple[int, ...] = field(
        (),
        "Background",
        "Orders of a polynomial fitted along: [0, 1] is a line, needed when optical density is fitted directly.",
        widget="background",
        max_length=6,
        example=[0, 1],
    )
    energy_range: Window | None = field(
        None,
        "Energy range",
        "Energies that are fitted. Empty: all of the scan.",
        unit="eV",
        widget="window",
        example=[8325.0, 8370.0],
    )
    exclude: tuple[Window, ...] = field(
        (),
        "Leave out",
        "Windows of energies that are not fitted, such as a glitch of the beam.",
        unit="eV",
        widget="windows",
        example=[[8340.0, 8342.0]],
    )
    extrapolate: Extrapolate | None = field(
        None,
        "Beyond the references",
        "'hold' keeps a reference's end values where the scan goes further. Empty: such a scan is refused.",
        example="hold",
    )
    significance: float | None = field(
        None,
        "Least significance",
        "Fractions are invalid where there is less of the element than this many times its uncertainty. "
        "Empty: only where there is none.",
        ge=0,
        example=3.0,
    )


@dataclass(frozen=True, eq=False)
class PixelModel:
    """The fit of one pixel: energies (n,), measured and fitted values (n,), components (K, n), background (n,)."""

    energy: NDArray[np.float64]
    measured: FloatArray
    fitted: FloatArray
    components: FloatArray
    background: FloatArray


@dataclass(frozen=True, eq=False)
class ReferenceFit:
    """What `fit_references` returns; K references, maps of the images' shape, NaN in invalid pixels.

    Attributes
    ----------
    names : tuple of str
        The references, in order.
    coefficients : array (K, ...)
        Weight of each reference.
    fractions : array (K, ...)
        Coefficients divided by their sum; NaN where the sum is not positive (or not significant).
    sigma : array (K, ...)
        Standard error of each fraction, from the residual of its own pixel: the noise is taken to be the same at
        all energies, and bounds on the coefficients are not taken into account.
    error : array (...)
        Sum over the fitted energies of (y - fit)^2.
    rms : array (...)
        Root of the mean squared residual.
    r_factor : array (...)
        Sum of squared residuals over sum of squared data.
    energy : array (n,)
        The energies that were fitted, eV.
    condition_number : float
        Of the references and background as fitted, columns of equal length: how much noise is amplified.
    """

    names: tuple[str, ...]
    coefficients: FloatArray
    fractions: FloatArray
    sigma: FloatArray
    error: FloatArray
    rms: FloatArray
    r_factor: FloatArray
    energy: NDArray[np.float64]
    condition_number: float
    _mu: FloatArray = attribute(repr=False)
    _fitted: NDArray[np.intp] = attribute(repr=False)
    _basis: tuple[NDArray[np.float64], NDArray[np.float64]] = attribute(repr=False)

    def model(self, index: int | tuple[int, ...] = ()) -> PixelModel:
        """Return the fit of one pixel, given its index in the maps, such as ``(y, x)``."""
        pixel: Any = (slice(None), *(index if isinstance(index, tuple) else (index,)))
        y = self._mu[self._fitted][pixel].astype(np.float64)
        background, references = self._basis
        components = references.T * self.coefficients[pixel][:, None].astype(np.float64)
        rest = y - components.sum(axis=0)
        curve = background @ (np.linalg.pinv(background) @ rest) if background.size else np.zeros_like(y)
        return PixelModel(self.energy, y, components.sum(axis=0) + curve, components, curve)


def fit_references(
    mu: ArrayLike,
    energy: ArrayLike,
    references: Sequence[Reference] | NDArray[Any],
    *,
    constraint: Constraint = "none",
    background: Sequence[int] = (),
    energy_range: Window | None = None,
    exclude: Sequence[Window] = (),
    mask: ArrayLike | None = None,
    extrapolate: Extrapolate | None = None,
    significance: float | None = None,
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
        What the coefficients must obey; all are solved exactly.
    background : sequence of int
        Orders of the polynomial in energy that is fitted along, such as (0, 1).
    energy_range : (float, float), optional
        Only energies lo <= E <= hi are fitted.
    exclude : sequence of (float, float)
        Windows that are not fitted.
    mask : array of bool, optional
        Pixels to fit; the others are NaN.
    extrapolate : "hold", optional
        Keep a reference's end values beyond its range; by default that is refused.
    significance : float, optional
        Fractions are NaN where the sum of coefficients is below this many times its standard error.

    Returns
    -------
    ReferenceFit

    Raises
    ------
    InputError
        If references do not cover the fitted energies or cannot be told apart, or there are fewer energies than
        unknowns.

    References
    ----------
    M. Ge and W.-K. Lee, J. Synchrotron Rad. 27, 567 (2020), doi:10.1107/S1600577520001071.
    """
    values, energies = check_mu(mu, energy)
    if constraint not in get_args(Constraint):
        raise InputError(f"constraint is {constraint!r}, expected one of {', '.join(get_args(Constraint))}.")
    usable = np.isfinite(values.reshape(energies.size, -1)).any(axis=1)
    if not usable.any():
        raise InputError("mu holds no valid number; check what it was made from.")
    fitted = fitted_indices(energies, usable, energy_range, exclude)
    spectra = _as_references(references, energies)
    basis = design(
        energies[fitted],
        [interpolate_reference(r, energies[fitted], extrapolate=extrapolate) for r in spectra],
        [r.name for r in spectra],
        background,
    )
    kernel = FitKernel(basis, fitted, constraint, significance)
    (maps,) = blocks.run_kernels([kernel], values)
    if mask is not None:
        _apply_mask(maps, np.asarray(mask), values.shape[1:])
    return ReferenceFit(
        names=tuple(r.name for r in spectra),
        **{name: maps[name][()] for name in kernel.maps},
        energy=energies[fitted],
        condition_number=basis.condition_number,
        _mu=values,
        _fitted=fitted,
        _basis=(basis.background, basis.references),
    )


def fitted_indices(
    energy: NDArray[np.float64],
    usable: NDArray[np.bool_],
    energy_range: Window | None,
    exclude: Sequence[Window],
) -> NDArray[np.intp]:
    """Return the indices of the energies that are fitted."""
    keep = usable.copy()
    for window in exclude:
        keep &= ~in_window(energy, check_window(window, "exclude"))
    if energy_range is None:
        energy_range = (float(energy[0]), float(energy[-1]))
    return window_indices(energy, energy_range, "energy_range", usable=keep)


def _as_references(
    spectra: Sequence[Reference] | NDArray[Any], energy: NDArray[np.float64]
) -> list[Reference]:
    if not isinstance(spectra, np.ndarray):
        if not isinstance(spectra, Sequence) or not all(isinstance(r, Reference) for r in spectra):
            raise InputError(
                "references are a list of Reference, as read_references returns it, or an array (K, E)."
            )
        return list(spectra)
    table = np.atleast_2d(np.asarray(spectra, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] != energy.size:
        raise InputError(
            f"references have shape {table.shape}, expected (number of references, {energy.size} energies)."
        )
    return [Reference(f"reference {k + 1}", energy, spectrum) for k, spectrum in enumerate(table)]


def _apply_mask(maps: Mapping[str, FloatArray], mask: NDArray[Any], image_shape: tuple[int, ...]) -> None:
    if mask.shape != image_shape:
        raise InputError(f"the mask has shape {mask.shape}, the images {image_shape}; they must be the same.")
    for array in maps.values():
        array[..., ~mask.astype(bool)] = np.nan


def choose_references(params: FitParams) -> list[Reference]:
    """Read the reference files and keep the spectra that are named, in the order of the names."""
    found = read_references(*params.references)
    if params.names:
        missing = [name for name in params.names if name not in {r.name for r in found}]
        if missing:
            raise InputError(
                f"there is no reference '{missing[0]}' in {', '.join(params.references)}; "
                f"these are: {', '.join(r.name for r in found)}."
            )
        found = [next(r for r in found if r.name == name) for name in params.names]
    names = [r.name for r in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two references are named '{twice[0]}'; rename a file or choose one by names.")
    return found


def fit_step(chain: Chain, params: FitParams, progress: Progress) -> tuple[FitParams, Found]:
    """Add the fit to the chain; maps of fractions, coefficients, amounts, their uncertainty, and errors."""
    if chain.signal not in ("optical_density", "normalized"):
        missing = "flat_field and optical_density" if chain.signal == "counts" else "optical_density"
        raise InputError(
            f"fit needs optical density or normalised data, the data are {chain.signal}; put {missing} before it."
        )
    references = choose_references(params)
    found: Found = {}
    fitted = fitted_indices(chain.energy, chain.usable_energies(found), params.energy_range, params.exclude)
    energy = chain.energy[fitted]
    spectra = [interpolate_reference(r, energy, extrapolate=params.extrapolate) for r in references]
    names = [r.name for r in references]
    basis = design(energy, spectra, names, params.background)
    found |= {"condition_number": round(basis.condition_number, 2), "fitted_energies": int(fitted.size)}
    if basis.condition_number > ILL_CONDITIONED:
        found.setdefault("warnings", []).append(_doubt(names, basis.condition_number))
    direct = chain.signal == "optical_density"
    if direct and not params.background:
        found.setdefault("warnings", []).append(
            "optical density was fitted without a background, so what other elements absorb goes into the references; "
            "set background = [0, 1], or normalize first"
        )

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        maps = _name_maps(raw, names, "optical density" if direct else "")
        thickness = _divided_out(chain)
        if direct:
            thickness = raw["coefficients"].sum(axis=0)
            maps["thickness"] = NamedMap(thickness, "thickness", "optical density")
        if thickness is not None:
            for name, fraction in zip(names, raw["fractions"], strict=True):
                maps[f"amount_{name}"] = NamedMap(fraction * thickness, "amount", "optical density", name)
        invalid = {
            "invalid_pixels": count_invalid(raw["error"]),
            "invalid_fractions": count_invalid(raw["fractions"][0]),
        }
        return maps, invalid

    chain.extra["references"] = references
    step_noise = 0.0 if direct else chain.step_noise
    kernel = FitKernel(basis, fitted, params.constraint, params.significance, step_noise=step_noise)
    chain.add_kernel(kernel, collect, found)
    ends = (float(energy[0]), float(energy[-1]))
    resolved = {"names": tuple(names), "energy_range": ends if ends[0] < ends[1] else params.energy_range}
    return params.model_copy(update=resolved), found


def _doubt(names: Sequence[str], condition_number: float) -> str:
    return (
        f"the references {', '.join(names)} are nearly combinations of one another or of the background (condition "
        f"number {condition_number:.0f}), so small noise gives large errors of the fractions; use fewer"
    )


def _divided_out(chain: Chain) -> FloatArray | None:
    """Return the thickness that normalisation divided out, in this run or an earlier one."""
    return chain.maps["thickness"].data if "thickness" in chain.maps else chain.stack.thickness


def _name_maps(raw: Mapping[str, FloatArray], names: Sequence[str], unit: str) -> dict[str, NamedMap]:
    maps = {}
    for key, kind in (("fractions", "fraction"), ("sigma", "sigma"), ("coefficients", "coefficient")):
        for name, data in zip(names, raw[key], strict=True):
            maps[f"{kind}_{name}"] = NamedMap(data, kind, unit if kind == "coefficient" else "", name)
    maps["error"] = NamedMap(raw["error"], "error", f"({unit})^2" if unit else "")
    maps["rms"] = NamedMap(raw["rms"], "rms", unit)
    maps["r_factor"] = NamedMap(raw["r_factor"], "r_factor")
    return maps
