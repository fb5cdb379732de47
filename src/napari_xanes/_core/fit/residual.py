"""What a fit of references leaves: noise, or the trace of a compound that is not among them.

The residuals of a sample of pixels are decomposed, and compared with noise in `noise_level`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.checks import check_energy
from napari_xanes._core.base.door import Count, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.reference import Reference, interpolate_reference
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.fit import fit_references
from napari_xanes._core.fit.noise import Standing, stand_out
from napari_xanes._core.fit.result import ReferenceFit
from napari_xanes._core.fit.verdict import FitDiagnosis
from napari_xanes._core.groups.covariance import Float64, Spectra, alone
from napari_xanes._core.groups.source import spectra_of

SAMPLE_PIXELS = 20_000

LEAST_ENERGIES = 4
"""Energies needed beyond the number of unknowns."""

LEAST_PIXELS = 3

NORMALIZED = 0.1
"""Distance from one of the sum of coefficients up to which spectra are taken to be normalised."""


@dataclass(frozen=True, eq=False)
class ResidualComponents:
    """What `residual_components` returns: m components, the strongest first; m is 1 where none stands above noise.

    Attributes
    ----------
    spectra : array (m, E)
        What the missing part of the spectra looks like, as far as the references do not explain it: length 1, turned
        so that the maps are positive on average; NaN at energies not used.
    maps : array (m, ...)
        How much of it is in each pixel; NaN outside the mask and where the spectrum is invalid.
    strength : array (p,)
        Variance of all components of the residuals, in units of the noise.
    limit : float
        The strength that noise alone reaches, once in a thousand cases.
    n_significant : int
        Number of components above noise.
    smooth : array of bool (m,)
        Whether the component's spectrum runs smoothly over the energies, as a compound's does; one that jumps from
        frame to frame is a change of whole frames (brightness, a glitch).
    share : array (m,)
        Size of each component: root mean square over pixels and energies, over that of mu, noise taken off.
    noise : array (E,)
        Standard deviation of the noise at each energy, NaN at energies not used.
    missing : bool
        Whether a reference is missing.
    message : str
        This in a sentence.
    """

    spectra: Float64
    maps: FloatArray
    strength: Float64
    limit: float
    n_significant: int
    smooth: NDArray[np.bool_]
    share: Float64
    noise: Float64
    missing: bool
    message: str


@public
def residual_components(
    mu: StackLike,
    energy: ArrayLike,
    references: ReferenceFit | Sequence[Reference] | NDArray[Any],
    *,
    energy_range: Window | None = None,
    mask: ArrayLike | None = None,
    slopes: bool = True,
    progress: Progress = no_progress,
    workers: Count | None = None,
) -> ResidualComponents:
    """Tell whether a reference is missing, from what the references leave of the spectra.

    Parameters
    ----------
    mu : array (E, ...)
        Spectra that are fitted, energy first; not changed.
    energy : array (E,)
        Photon energies in eV, ascending.
    references : ReferenceFit, list of Reference, or array (K, E)
        What explains the spectra, in any amounts, also negative ones.  Of a fit its references, background and
        energies are taken.
    energy_range : (float, float), optional
        Only energies lo <= E <= hi are looked at.
    mask : array of bool, optional
        Pixels to look at, shape of one image; leave out those without sample.
    slopes : bool
        Also explained by a line in energy, and by each reference times energy: there normalisation leaves its errors.
    progress : callable, optional
        Called with (done, total, text).
    workers : int, optional
        Number of threads; the result does not depend on it.

    Returns
    -------
    ResidualComponents

    Raises
    ------
    InputError
        If shapes do not fit, a reference does not cover the energies, or there are too few energies or pixels.

    References
    ----------
    E. R. Malinowski, Anal. Chem. 49, 612 (1977), doi:10.1021/ac50012a027; I. M. Johnstone, Ann. Stat. 29, 295 (2001),
    doi:10.1214/aos/1009210544.
    """
    energies = check_energy(energy)
    chosen = None if not isinstance(references, ReferenceFit) else np.isin(energies, references.energy)
    spectra = spectra_of(
        mu,
        energy=energy,
        energy_range=energy_range,
        mask=mask,
        chosen=chosen,
        progress=progress,
        workers=workers,
    )
    return analyze_residuals(spectra, energies, references, slopes)


def analyze_residuals(
    spectra: Spectra,
    energies: Float64,
    references: ReferenceFit | Sequence[Reference] | NDArray[Any],
    slopes: bool = True,
    diagnosis: FitDiagnosis | None = None,
) -> ResidualComponents:
    """Do what `residual_components` does, with spectra that are chosen already, and maybe the fit's diagnosis."""
    columns, n = _columns(references, energies, spectra, slopes)
    sample = spectra.sample(SAMPLE_PIXELS, 0).astype(np.float64) + spectra.center[spectra.used]
    if len(sample) < LEAST_PIXELS or columns.shape[0] < columns.shape[1] + LEAST_ENERGIES:
        raise InputError(
            f"there are {len(sample)} valid pixels and {columns.shape[0]} energies for {columns.shape[1]} unknowns, at least "
            f"{LEAST_PIXELS} pixels and {columns.shape[1] + LEAST_ENERGIES} energies are needed; widen the energy_range or "
            "the mask, or set slopes=False."
        )
    if not (sample**2).any():
        raise InputError("mu is zero everywhere, so nothing can be told of it; check what it was made from.")
    found: list[Standing] = []
    crowding = len(sample) / spectra.count
    alone(lambda: found.append(stand_out(np.ascontiguousarray(sample.T), columns, crowding)))
    if diagnosis is None:
        diagnosis = _diagnosis(references, sample.T, energies, spectra, slopes)
    return _judged(_described(spectra, energies, found[0], n), diagnosis)


def noise_of_maps(
    made: ResidualComponents,
    references: NDArray[Any],
    energies: Float64,
    spectra: Spectra,
    slopes: bool,
) -> FloatArray:
    """Return the standard error of every map in each pixel (m, ...), told by what nothing explains of its spectrum."""
    noise = made.noise[spectra.used]
    noise = np.where(noise > 0, noise, 1.0)
    columns, _ = _columns(references, energies, spectra, slopes)
    axes = made.spectra[:, spectra.used] / noise
    left = spectra.left_by(np.concatenate([columns / noise[:, None], axes.T], axis=1), noise)
    length = np.linalg.norm(axes, axis=1)
    size = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    noise_of_each: FloatArray = np.multiply.outer(size, left)
    return noise_of_each


def _diagnosis(
    references: Any, sample: Float64, energies: Float64, spectra: Spectra, slopes: bool
) -> FitDiagnosis | None:
    """Return the diagnosis of the fit, or of one that is made here of the sample (e, n)."""
    if isinstance(references, ReferenceFit):
        return references.diagnosis
    known = references[:, spectra.used] if isinstance(references, np.ndarray) else references
    plain = fit_references(sample, energies[spectra.used], known)
    low, middle, high = np.nanpercentile(plain.coefficients.sum(axis=0), (25, 50, 75))
    if not slopes or (abs(middle - 1) < NORMALIZED and high - low < 2 * NORMALIZED):
        return plain.diagnosis
    return fit_references(sample, energies[spectra.used], known, background=(0, 1)).diagnosis


_MISSING = "a reference seems to be missing"
_HARMLESS = "; what is left is too weak to change the fractions or not shared by neighbouring pixels, so no reference seems to be missing"


def _judged(found: ResidualComponents, diagnosis: FitDiagnosis | None) -> ResidualComponents:
    """Let a cause that explains the residuals speak in place of a reference that would be missing, and the reverse."""
    if diagnosis is None:
        return found
    if not diagnosis.causes:
        message = found.message.removeprefix(f"{_MISSING}: ") + _HARMLESS
        return replace(found, missing=False, message=message) if found.missing else found
    missing = "missing reference" in diagnosis.causes
    if missing == found.missing:
        return found
    return replace(found, missing=missing, message=diagnosis.warnings[0])


def _columns(references: Any, energy: Float64, spectra: Spectra, slopes: bool) -> tuple[Float64, int]:
    """Return what explains the spectra, (e, c), and the number of references."""
    at = energy[spectra.used]
    background: Float64 = np.empty((at.size, 0))
    if isinstance(references, ReferenceFit):
        rows = np.searchsorted(references.energy, at)
        background, known = (part[rows] for part in references._basis)  # noqa: SLF001 - kept for this room, not for users
    elif isinstance(references, np.ndarray):
        if references.ndim != 2 or references.shape[1] != energy.size:
            raise InputError(
                f"references have shape {references.shape}, expected (number of references, {energy.size} energies)."
            )
        known = unmasked(references)[:, spectra.used].T.astype(np.float64)
    elif (
        isinstance(references, Sequence) and references and all(isinstance(r, Reference) for r in references)
    ):
        known = np.stack([interpolate_reference(r, at) for r in references], axis=1)
    else:
        raise InputError("references are a ReferenceFit, a list of Reference, or an array (K, E).")
    if not (np.isfinite(known).all() and known.any(axis=0).all()):
        raise InputError("a reference is zero or not finite at the energies used; leave it out.")
    columns = [background, known]
    if slopes:
        x = (2 * (at - at[0]) / max(np.ptp(at), 1e-12) - 1)[:, None]
        columns += [np.ones_like(x), x, known * x]
    return np.concatenate(columns, axis=1), known.shape[1]


def _described(spectra: Spectra, energy: Float64, found: Standing, n: int) -> ResidualComponents:
    """Turn axes in units of the noise into spectra and maps, and say what they mean."""
    noise = np.where(found.noise > 0, found.noise, 1.0)
    shapes = found.axes * noise
    length = np.linalg.norm(shapes, axis=1, keepdims=True)
    length[length == 0] = 1
    shapes /= length
    maps = spectra.project(found.axes / noise * length, np.zeros(spectra.used.size))
    smooth = _smooth(shapes)
    missing = bool(smooth[: found.significant].any())
    return ResidualComponents(
        spectra=spectra.placed(shapes),
        maps=maps,
        strength=found.strength,
        limit=found.limit,
        n_significant=found.significant,
        smooth=smooth,
        share=found.share,
        noise=spectra.placed(found.noise),
        missing=missing,
        message=_sentence(found, shapes, smooth, energy[spectra.used], n),
    )


def _smooth(shapes: Float64) -> NDArray[np.bool_]:
    """Return which spectra (m, e) change less from energy to energy than noise does (ratio of von Neumann)."""
    ratio = (np.diff(shapes, axis=1) ** 2).sum(axis=1) / np.maximum((shapes**2).sum(axis=1), 1e-300)
    smooth: NDArray[np.bool_] = ratio < 2 - 5 / np.sqrt(shapes.shape[1])
    return smooth


def _sentence(found: Standing, shapes: Float64, smooth: NDArray[np.bool_], energy: Float64, n: int) -> str:
    name = f"the {n} references" if n > 1 else "the one reference"
    strongest = f"{found.strength[0]:.3g} x the variance of noise (limit {found.limit:.3g})"
    if not found.significant:
        return f"nothing but noise is left by {name}: the strongest component has {strongest}"
    shown = np.flatnonzero(smooth[: found.significant])
    if not shown.size:
        return f"no reference seems to be missing besides {name}, but frame-to-frame intensity changes remain: {strongest}"
    k = int(shown[0])
    many = f"{shown.size} components" if shown.size > 1 else "a component"
    high, low = energy[shapes[k].argmax()], energy[shapes[k].argmin()]
    return (
        f"{_MISSING}: {name} leave{'s' if n == 1 else ''} {many} above noise, the strongest with "
        f"{found.strength[k]:.3g} x the variance of noise (limit {found.limit:.3g}) and {100 * found.share[k]:.2g} % of the absorption, "
        f"highest at {high:.2f} eV, lowest at {low:.2f} eV"
    )
