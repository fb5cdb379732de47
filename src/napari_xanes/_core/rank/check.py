"""Can these references tell what is asked of them?  Said before the fit, in numbers and in words.

A fit always returns fractions.  How far to trust them depends on how alike the references are, against the noise
of the data, and on whether they are normalised and cover the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.checks import check_energy, check_mu, in_window
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.data.reference import Reference, interpolate_reference
from napari_xanes._core.engine.streamed import median_of
from napari_xanes._core.fit.fit import ILL_CONDITIONED, Extrapolate, fitted_indices
from napari_xanes._core.solve.least_squares import ALIKE, design

FloatArray = NDArray[np.floating[Any]]

APART = 0.2
"""Standard error of the fraction in a mixture of two references from which they cannot be told apart."""

TAIL = 0.2
"""Share of the energies at either end by which the level before and after the edge is judged."""

LEVEL = 0.1
"""Distance from 0 before and from 1 after the edge from which a reference is said not to be normalised."""

COARSE = 3
"""Energies of the data between two points of a reference from which it is said to be coarse."""


@dataclass(frozen=True, eq=False)
class ReferenceCheck:
    """What `check_references` returns, for K references.

    Attributes
    ----------
    names : tuple of str
    ranges : array (K, 2)
        First and last energy of each, eV.
    coverage : array (K,)
        Share of the fitted energies that lie within it.
    spacing : array (K,)
        Largest distance between its points within the fitted energies, eV.
    levels : array (K, 2)
        Its mean before and after the edge; 0 and 1 if it is normalised.
    correlation : array (K, K)
        Of the references at the fitted energies.
    condition_number : float
        Of the fit, background included: how much noise is amplified.
    sigma : array (K,) or None
        Standard error of each fraction of an even mixture of all, at the noise given.
    pair_sigma : array (K, K) or None
        Standard error of the fraction in an even mixture of two references, at the noise given.
    sentences : tuple of str
        What the user should know; empty if all is well.
    """

    names: tuple[str, ...]
    ranges: NDArray[np.float64]
    coverage: NDArray[np.float64]
    spacing: NDArray[np.float64]
    levels: NDArray[np.float64]
    correlation: NDArray[np.float64]
    condition_number: float
    sigma: NDArray[np.float64] | None
    pair_sigma: NDArray[np.float64] | None
    sentences: tuple[str, ...]


@public
def check_references(
    references: Sequence[Reference],
    energy: ArrayLike | None = None,
    *,
    noise: float | None = None,
    background: Sequence[int] = (),
    energy_range: Window | None = None,
    exclude: Sequence[Window] = (),
    extrapolate: Extrapolate | None = None,
) -> ReferenceCheck:
    """Judge references before a fit: units, coverage, spacing, normalisation, and what noise does to the fractions.

    Parameters
    ----------
    references : list of Reference
    energy : array (E,), optional
        Photon energies of the data in eV; by default those of the first reference that all references cover.
    noise : float, optional
        Standard deviation of one value of the data, in units of the edge step; see `estimate_noise`.
    background, energy_range, exclude, extrapolate
        As they will be fitted; see `fit_references`.

    Returns
    -------
    ReferenceCheck

    Raises
    ------
    InputError
        If there are no references, they share no energies, or the noise is not positive.
    """
    if not references:
        raise InputError("there are no references to check; give at least one.")
    if noise is not None and not noise > 0:
        raise InputError(f"noise is {noise!r}, expected a positive number in units of the edge step.")
    energies = _shared_energies(references) if energy is None else check_energy(energy, label="the data")
    fitted = energies[fitted_indices(energies, np.ones(energies.size, bool), energy_range, exclude)]
    ranges = np.array([r.energy[[0, -1]] for r in references])
    inside = (fitted >= ranges[:, :1]) & (fitted <= ranges[:, 1:])
    held = np.stack([interpolate_reference(r, fitted, extrapolate="hold") for r in references])
    common = inside.all(axis=0) if extrapolate is None else np.ones(fitted.size, bool)
    if common.sum() < len(references) + len(background):
        raise InputError(
            f"the references share {int(common.sum())} of the {fitted.size} energies, too few to compare them; "
            f"they cover {', '.join(f'{r.name} {lo:.1f} to {hi:.1f} eV' for r, (lo, hi) in zip(references, ranges, strict=True))}."
        )
    shared, spectra = fitted[common], held[:, common]
    whole = np.stack([interpolate_reference(r, energies, extrapolate="hold") for r in references])
    tail = _tail(energies)  # of all energies, as a narrow range would show no level
    names = tuple(r.name for r in references)
    columns, condition = _columns(shared, spectra, names, background)
    sigma = None if noise is None else noise * _mixture_sigma(columns, range(len(names)))
    pairs = None if noise is None else noise * _pair_sigma(columns, len(names))
    check = ReferenceCheck(
        names=names,
        ranges=ranges,
        coverage=inside.mean(axis=1),
        spacing=np.array([_largest_gap(r.energy, fitted) for r in references]),
        levels=np.stack([_level(whole, slice(0, tail)), _level(whole, slice(-tail, None))], 1),
        correlation=np.atleast_2d(np.corrcoef(spectra)),
        condition_number=condition,
        sigma=sigma,
        pair_sigma=pairs,
        sentences=(),
    )
    coarse = [_coarse(r.energy, fitted) for r in references]
    return ReferenceCheck(
        **{**vars(check), "sentences": tuple(_sentences(check, fitted, coarse, extrapolate))}
    )


def noise_of_fractions(
    references: Sequence[Reference], energy: NDArray[np.float64], background: Sequence[int] = ()
) -> float:
    """Return the largest standard error of a fraction in an even mixture of all references, for noise of one.

    Raises
    ------
    InputError
        If there are no references, or they share too few of the energies.
    """
    if not references:
        raise InputError("there are no references.")
    inside = np.logical_and.reduce([in_window(energy, (r.energy[0], r.energy[-1])) for r in references])
    shared = energy[inside]
    if shared.size < len(references) + len(background):
        raise InputError(f"the references share {shared.size} of the {energy.size} energies.")
    spectra = np.stack([interpolate_reference(r, shared) for r in references])
    columns, _ = _columns(shared, spectra, [r.name for r in references], background)
    return float(_mixture_sigma(columns, range(len(references))).max())


@public
def estimate_noise(mu: StackLike, energy: ArrayLike) -> float:
    """Return the standard deviation of one value of spectra, told from how much neighbouring energies differ.

    Parameters
    ----------
    mu : array (E, ...)
        Normalised spectra, so that the noise is in units of the edge step.
    energy : array (E,)
        eV, ascending.

    Returns
    -------
    float
        From the median over all energies and pixels of the distance of a value from the line through its neighbours,
        which the edge itself hardly changes; too large if energies are so far apart that spectra bend between them.

    Raises
    ------
    InputError
        If there are fewer than 3 energies or no valid value.
    """
    values, energies = check_mu(mu, energy)
    if energies.size < 3:
        raise InputError(f"noise is told from 3 or more energies, the data have {energies.size}.")
    share = ((energies[1:-1] - energies[:-2]) / (energies[2:] - energies[:-2]))[:, None]

    def apart(spectra: FloatArray) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", over="ignore"):
            found = spectra[1:-1] - (1 - share) * spectra[:-2] - share * spectra[2:]
        found /= np.sqrt(1 + (1 - share) ** 2 + share**2)
        valid: NDArray[np.float64] = np.abs(found[np.isfinite(found)])
        return valid

    median = median_of(values, apart)
    if np.isnan(median):
        raise InputError("mu holds no valid number; check what it was made from.")
    return median / 0.67449  # of a normal distribution, half lies within this many sigma


def _shared_energies(references: Sequence[Reference]) -> NDArray[np.float64]:
    first = max(r.energy[0] for r in references)
    last = min(r.energy[-1] for r in references)
    energy = references[0].energy
    shared: NDArray[np.float64] = energy[(energy >= first) & (energy <= last)]
    if shared.size < 2:
        ranges = ", ".join(f"{r.name} {r.energy[0]:.1f} to {r.energy[-1]:.1f} eV" for r in references)
        raise InputError(f"the references share no energies: {ranges}; are they of one edge and in one unit?")
    return shared


def _columns(
    energy: NDArray[np.float64],
    spectra: NDArray[np.float64],
    names: Sequence[str],
    background: Sequence[int],
) -> tuple[NDArray[np.float64], float]:
    """Return the references (n, K) without what the background explains, and the fit's condition number."""
    for spectrum, name in zip(spectra, names, strict=True):
        basis = design(energy, [spectrum], [name], background)
    flat = basis.q[:, : basis.background.shape[1]]
    columns = spectra.T - flat @ (flat.T @ spectra.T)
    every = np.concatenate([basis.background, spectra.T], axis=1)
    return columns, float(np.linalg.cond(every / np.linalg.norm(every, axis=0)))


def _mixture_sigma(columns: NDArray[np.float64], chosen: Sequence[int] | range) -> NDArray[np.float64]:
    """Return the standard error of each fraction of an even mixture of the chosen columns, for noise of one."""
    part = columns[:, list(chosen)]
    k = part.shape[1]
    if np.linalg.svd(part / np.linalg.norm(part, axis=0), compute_uv=False)[-1] < ALIKE:
        return np.full(k, np.inf)
    to_fractions = np.eye(k) - 1 / k  # d (x_i / sum x) / d x_j where all x are 1/k and sum to one
    covariance = to_fractions @ np.linalg.inv(part.T @ part) @ to_fractions.T
    sigma: NDArray[np.float64] = np.sqrt(np.diag(covariance))
    return sigma


def _pair_sigma(columns: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    sigma = np.zeros((n, n))
    for i, j in combinations(range(n), 2):
        sigma[i, j] = sigma[j, i] = _mixture_sigma(columns, (i, j))[0]
    return sigma


def _largest_gap(energy: NDArray[np.float64], fitted: NDArray[np.float64]) -> float:
    """Return the largest distance between points of a reference that lie within the fitted energies."""
    first = max(int(np.searchsorted(energy, fitted[0], "right")) - 1, 0)
    last = int(np.searchsorted(energy, fitted[-1]))
    return float(np.diff(energy[first : last + 1]).max(initial=0))


def _tail(energy: NDArray[np.float64]) -> int:
    return max(1, round(TAIL * energy.size))


def _level(spectra: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
    level: NDArray[np.float64] = np.asarray(spectra[:, part].mean(axis=1))
    return level


def _coarse(energy: NDArray[np.float64], fitted: NDArray[np.float64]) -> tuple[float, float, int]:
    """Return the two neighbouring points of a reference that have most fitted energies between them, and how many."""
    between = np.searchsorted(fitted, energy[1:], "left") - np.searchsorted(fitted, energy[:-1], "right")
    if not between.size:
        return np.nan, np.nan, 0
    worst = int(np.argmax(between))
    return float(energy[worst]), float(energy[worst + 1]), int(between[worst])


def _sentences(
    c: ReferenceCheck,
    fitted: NDArray[np.float64],
    coarse: list[tuple[float, float, int]],
    extrapolate: Extrapolate | None,
) -> list[str]:
    """Put into words what the numbers say."""
    said = []
    for name, coverage, (lo, hi), (below, above, count), (before, after) in zip(
        c.names, c.coverage, c.ranges, coarse, c.levels, strict=True
    ):
        if coverage < 1:
            held = "its end values are held there" if extrapolate else "choose an energy_range within it"
            said.append(
                f"{name} covers {lo:.1f} to {hi:.1f} eV, {100 * coverage:.0f} % of the fitted energies; {held}"
            )
        if count >= COARSE:
            said.append(
                f"{name} has no point between {below:.1f} and {above:.1f} eV, where the data have {count}; what the edge "
                "does there is not known"
            )
        if abs(before) > LEVEL or abs(after - 1) > LEVEL:
            said.append(
                f"{name} goes from {before:.2f} before to {after:.2f} after the edge, expected 0 and 1; "
                "normalise it, or its fractions are wrong by that factor"
            )
    if c.condition_number > ILL_CONDITIONED:
        said.append(
            f"the references are nearly combinations of one another or of the background (condition number "
            f"{c.condition_number:.0f})"
        )
    if c.pair_sigma is not None:
        for i, j in combinations(range(len(c.names)), 2):
            if (s := c.pair_sigma[i, j]) > APART:
                said.append(
                    f"{c.names[i]} and {c.names[j]} cannot be told apart at this noise: in a mixture of the two, a "
                    f"fraction is known to ± {100 * s:.0f} %"
                )
    if c.sigma is not None:
        poor = [f"{name} ± {100 * s:.0f} %" for name, s in zip(c.names, c.sigma, strict=True) if s > APART]
        if poor:
            said.append(
                f"with all {len(c.names)} references together, fractions are known to {', '.join(poor)}"
            )
    return said
