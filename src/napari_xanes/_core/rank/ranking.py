"""Which references does a spectrum need?  All combinations of a library ranked, and the best one for every pixel.

A fit with more references is always closer, also when they are not there.  Combinations are therefore compared
by Akaike's criterion or an F-test, which weigh closeness against the number of references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.checks import check_choice, check_mu
from napari_xanes._core.base.door import StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Window
from napari_xanes._core.data.reference import Reference, interpolate_reference
from napari_xanes._core.engine.sampling import sampled_spectra
from napari_xanes._core.engine.streamed import run_kernels
from napari_xanes._core.fit.fit import Extrapolate, fit_references
from napari_xanes._core.fit.library import covered_indices, fitted_indices, usable_frames
from napari_xanes._core.rank.combinations import Combinations
from napari_xanes._core.rank.result import AS_GOOD, POOR, Combination, CombinationMap, Ranking
from napari_xanes._core.solve.least_squares import Constraint

FloatArray = NDArray[np.floating[Any]]
Criterion = Literal["aic", "f_test"]

KEPT = 20
"""Combinations that a ranking lists."""


@public
def rank_combinations(
    spectrum: ArrayLike,
    energy: ArrayLike,
    library: Sequence[Reference],
    *,
    at_most: int = 3,
    constraint: Constraint = "nonnegative",
    background: Sequence[int] = (),
    criterion: Criterion = "f_test",
    significance: float = 0.05,
    required: Sequence[str] = (),
    energy_range: Window | None = None,
    exclude: Sequence[Window] = (),
    extrapolate: Extrapolate | None = None,
) -> Ranking:
    """Fit a spectrum with every combination of references and rank them.

    Parameters
    ----------
    spectrum : array (E,)
        Such as the mean of a region or a cluster; normalised, or optical density with a `background`.
    energy : array (E,)
        eV, ascending.
    library : list of Reference
        What may be in the sample.
    at_most : int
        Largest number of references in a combination.
    constraint, background, energy_range, exclude, extrapolate
        See `fit_references`.
    criterion : {"f_test", "aic"}
        References are added as long as an F-test finds the improvement significant; or the smallest of Akaike's
        criterion, corrected for few data, which takes a reference too many more often.
    significance : float
        Of the F-test, for the library as a whole.
    required : sequence of str
        Names of references that are known to be there, and are in every combination.

    Returns
    -------
    Ranking

    Raises
    ------
    InputError
        If nothing can be fitted, or there are too many combinations.

    References
    ----------
    H. Akaike, IEEE Trans. Autom. Control 19, 716 (1974), doi:10.1109/TAC.1974.1100705.
    W. C. Hamilton, Acta Cryst. 18, 502 (1965), doi:10.1107/S0365110X65001081.
    """
    mu, energies = check_mu(spectrum, energy)
    if mu.ndim != 1:
        raise InputError(
            f"the spectrum has shape {mu.shape}, expected one number per energy; rank the mean of a region."
        )
    fitted = fitted_indices(energies, np.isfinite(mu), energy_range, exclude)
    fitted, _ = covered_indices(energies, fitted, library, energy_range, extrapolate)
    tried = tried_combinations(
        library, energies[fitted], background, at_most, constraint, criterion, extrapolate, required
    )
    errors, _ = tried.solve(mu[fitted, None])
    tried.count_independent(mu[fitted, None], errors)
    chosen = int(tried.choose(errors, criterion, significance)[0])
    if chosen < 0:
        raise InputError("no combination of the references explains the spectrum; check its sign and units.")
    aic = tried.akaike(errors)[:, 0]
    weights = np.exp(-0.5 * (aic - aic.min()))
    weights /= weights.sum()
    chances = tried.chances(errors)[:, 0]

    def fit(index: int) -> Combination:
        found = fit_references(
            mu,
            energies,
            [library[k] for k in tried.sets[index]],
            constraint=constraint,
            background=background,
            energy_range=energy_range or (float(energies[fitted[0]]), float(energies[fitted[-1]])),
            exclude=exclude,
            extrapolate=extrapolate,
            significance=None,
        )
        numbers = (
            found.coefficients,
            found.fractions,
            found.sigma * np.sqrt(fitted.size / tried.n_effective),
            float(found.error),
            float(found.r_factor),
        )
        chance = float(chances[len(found.names) - int(tried.sizes.min())])
        return Combination(found.names, *numbers, float(aic[index]), float(weights[index]), chance)

    order = [int(i) for i in np.argsort(aic, kind="stable") if np.isfinite(aic[i])]
    equal = _as_good(order, tried.sets, aic, chosen)
    listed = {i: fit(i) for i in {*order[:KEPT], *equal[:KEPT], chosen}}
    full = len(tried.sets[chosen]) == at_most or listed[chosen].r_factor > POOR
    ranked = sorted(listed.values(), key=lambda c: c.aic)
    return Ranking(
        tuple(ranked[:KEPT]) if chosen in order[:KEPT] else (*ranked[: KEPT - 1], listed[chosen]),
        listed[chosen],
        len(tried.sets),
        at_limit=full and at_most < len(library),
        at_most=at_most,
        n_energies=fitted.size,
        n_independent=tried.n_effective,
        correlation=tried.correlation,
        as_good=tuple(listed[i] for i in sorted({*equal[:KEPT], chosen}, key=lambda i: float(aic[i]))),
        in_all=tuple(
            r.name for k, r in enumerate(library) if all(k in tried.sets[i] for i in (*equal, chosen))
        ),
    )


def _as_good(
    order: Sequence[int], sets: Sequence[tuple[int, ...]], aic: NDArray[np.float64], chosen: int
) -> list[int]:
    """Return the sets that cannot be excluded, the smallest criterion first.

    Not those that hold the chosen one, or a better one, and more: what they add is not asked for.
    """
    equal: list[int] = []
    for i in order:
        if aic[i] > aic[order[0]] + AS_GOOD:
            break
        if not any(set(sets[j]) <= set(sets[i]) for j in (*equal, chosen)):
            equal.append(i)
    return equal


@public
def combination_map(
    mu: StackLike,
    energy: ArrayLike,
    library: Sequence[Reference],
    *,
    at_most: int = 2,
    constraint: Constraint = "nonnegative",
    background: Sequence[int] = (),
    criterion: Criterion = "f_test",
    significance: float = 0.05,
    required: Sequence[str] = (),
    energy_range: Window | None = None,
    exclude: Sequence[Window] = (),
    extrapolate: Extrapolate | None = None,
) -> CombinationMap:
    """Choose for every pixel the combination of references that its spectrum asks for.

    Parameters
    ----------
    mu : array (E, ...)
    energy : array (E,)
        eV, ascending.
    library, at_most, constraint, background, criterion, significance, required, energy_range, exclude, extrapolate
        See `rank_combinations`.

    Returns
    -------
    CombinationMap

    Raises
    ------
    InputError
        As `rank_combinations`.
    """
    values, energies = check_mu(mu, energy)
    fitted = fitted_indices(energies, usable_frames(values), energy_range, exclude)
    fitted, _ = covered_indices(energies, fitted, library, energy_range, extrapolate)
    tried = tried_combinations(
        library, energies[fitted], background, at_most, constraint, criterion, extrapolate, required
    )
    tried.count_independent_of_many(sampled_spectra(values)[fitted])
    kernel = CombinationKernel(tried, fitted, len(library), criterion, significance)
    (raw,) = run_kernels([kernel], values)
    return named_combinations(raw, tried, tuple(r.name for r in library))


def tried_combinations(
    library: Sequence[Reference],
    energy: NDArray[np.float64],
    background: Sequence[int],
    at_most: int,
    constraint: Constraint,
    criterion: Criterion,
    extrapolate: Extrapolate | None,
    required: Sequence[str] = (),
) -> Combinations:
    """Return the combinations that are tried at the given energies, or say why they cannot be."""
    check_choice("constraint", constraint, Constraint)
    check_choice("criterion", criterion, Criterion)
    if at_most < 1:
        raise InputError(f"at_most is {at_most}, expected 1 or more references in a combination.")
    if not library:
        raise InputError("the library is empty; give at least one reference.")
    spectra = [interpolate_reference(r, energy, extrapolate=extrapolate) for r in library]
    names = [r.name for r in library]
    if unknown := [name for name in required if name not in names]:
        raise InputError(f"required names '{unknown[0]}', but the library holds {', '.join(names)}.")
    if len(set(required)) > at_most:
        raise InputError(
            f"{len(set(required))} references are required but at_most is {at_most}; raise it or require fewer."
        )
    indices = [names.index(name) for name in dict.fromkeys(required)]
    return Combinations(energy, spectra, names, background, at_most, constraint, indices)


class CombinationKernel:
    """Chooses a combination for every spectrum, and gives the fractions of the whole library."""

    writes = False

    def __init__(
        self,
        tried: Combinations,
        fitted: NDArray[np.intp],
        n_library: int,
        criterion: Criterion,
        significance: float,
    ) -> None:
        self.maps: Mapping[str, tuple[int, ...]] = {"index": (), "fractions": (n_library,)}
        self.tried, self._fitted = tried, fitted
        self._criterion, self._significance = criterion, significance

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        errors, solutions = self.tried.solve(y[self._fitted])
        index = self.tried.choose(errors, self._criterion, self._significance)
        out["index"][...] = index
        fractions = np.where(index < 0, np.nan, np.zeros((len(out["fractions"]), 1)))
        for k in np.unique(index[index >= 0]):
            pixels = np.flatnonzero(index == k)
            x = solutions[k][:, pixels]
            total = x.sum(axis=0)
            fractions[np.ix_(self.tried.sets[k], pixels)] = x / np.where(total > 0, total, np.nan)
        out["fractions"][...] = fractions


def named_combinations(
    raw: Mapping[str, FloatArray], tried: Combinations, names: tuple[str, ...]
) -> CombinationMap:
    """Return the map that a kernel's raw maps are, combinations numbered by how often they were chosen."""
    index = np.asarray(raw["index"]).astype(np.int32)  # -1 where there is none
    counts = np.bincount(index.ravel() + 1, minlength=len(tried.sets) + 1)[1:]
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    labels = np.zeros(len(tried.sets) + 1, np.int32)
    labels[order] = np.arange(1, order.size + 1)
    combinations = tuple(tuple(names[i] for i in tried.sets[k]) for k in order)
    return CombinationMap(labels[index], combinations, counts[order], raw["fractions"], names)
