"""The choice of references as a step of a recipe: for every pixel, and for the mean spectra of clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.fit.library import check_library, choose_references, covered_indices, fitted_indices
from napari_xanes._core.fit.params import LibraryParams
from napari_xanes._core.fit.step import treated_references
from napari_xanes._core.rank.ranking import (
    CombinationKernel,
    Criterion,
    named_combinations,
    rank_combinations,
    tried_combinations,
)
from napari_xanes._core.rank.result import CombinationMap, Ranking
from napari_xanes._core.solve.design import Constraint, FloatArray

MOST_AT_ONCE = 8
"""Largest number of references in a combination."""

PROPOSED_SETS = 1000
"""Combinations that a larger limit may have and be proposed; those of one reference more may always be."""


class RankParams(LibraryParams):
    """Parameters of the choice of references."""

    constraint: Constraint = field(
        "nonnegative",
        "Constraint",
        "As in the fit; 'nonnegative' rules out combinations that need a negative amount.",
    )
    at_most: int = field(
        2, "Max. references", "Largest number of references in a combination.", ge=1, le=MOST_AT_ONCE
    )
    criterion: Criterion = field(
        "f_test",
        "Criterion",
        "'f_test' adds references as long as they improve the fit significantly; 'aic' is Akaike's criterion, which more "
        "often takes one too many.",
    )
    significance: float = field(
        0.05, "Significance", "Of the F-test, for the library as a whole.", gt=0, lt=1
    )
    required: tuple[str, ...] = field(
        (),
        "Required",
        "Names of references that are known to be there, and are in every combination.",
        example=["NiO"],
        rare=True,
    )


def rank_step(chain: Chain, params: RankParams, progress: Progress) -> tuple[RankParams, Found]:
    """Choose references for every pixel; labels "combination", tables "combinations" and "ranking".

    Ranked are the mean spectrum of all valid pixels (region 0), and those of the clusters if there are any; of spectra
    that were normalised, each counts by the thickness it was divided by.
    """
    chain.compute(progress)
    found = Found()
    usable = chain.usable_energies(found)
    fitted = fitted_indices(chain.energy, usable, params.energy_range, params.exclude)
    library = treated_references(params, chain)
    fitted, narrowed = covered_indices(chain.energy, fitted, library, params.energy_range, params.extrapolate)
    found.warn(*narrowed)
    energy = chain.energy[fitted]
    tried = tried_combinations(
        library,
        energy,
        params.background,
        params.at_most,
        params.constraint,
        params.criterion,
        params.extrapolate,
        params.required,
    )
    tried.count_independent_of_many(chain.sample().spectra[fitted])
    kernel = CombinationKernel(tried, fitted, len(library), params.criterion, params.significance)
    rankings = _rank_regions(chain, params, library, usable, found)
    found["mean_spectrum"] = rankings[0].sentence()
    if rankings[0].at_limit and params.at_most < MOST_AT_ONCE:
        more = _more_references(params.at_most, len(library))
        found.warn(f"set at_most = {more} to try up to {more} references at once")
    chain.tables["ranking"] = _ranking_table(rankings)
    chain.add_kernel(kernel, _Collect(chain, kernel, tuple(r.name for r in library)))
    ends = (float(energy[0]), float(energy[-1]))
    return params.model_copy(update={"names": tuple(r.name for r in library), "energy_range": ends}), found


@dataclass(frozen=True, eq=False)
class _Collect:
    """Names the combinations and leaves them as labels."""

    chain: Chain
    kernel: CombinationKernel
    names: tuple[str, ...]

    def __call__(self, raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        chosen = named_combinations(raw, self.kernel.tried, self.names)
        self.chain.labels["combination"] = chosen.labels
        self.chain.tables["combinations"] = _combination_table(chosen)
        maps = {
            f"chosen_{name}": NamedMap(data, "chosen_fraction", "", name)
            for name, data in zip(self.names, chosen.fractions, strict=True)
        }
        invalid = int((chosen.labels == 0).sum())
        return maps, Found({"combinations": len(chosen.combinations), "pixels_without_combination": invalid})


def _combination_table(chosen: CombinationMap) -> dict[str, NDArray[Any]]:
    return {
        "label": np.arange(1, len(chosen.combinations) + 1),
        "references": np.array([" + ".join(names) for names in chosen.combinations], dtype=str),
        "pixels": chosen.counts,
    }


def _rank_regions(
    chain: Chain, params: RankParams, library: list[Reference], usable: NDArray[np.bool_], found: Found
) -> dict[int, Ranking]:
    """Rank the mean spectrum of all pixels that are valid, and of each cluster."""
    clusters = chain.labels.get("clusters")
    regions = np.zeros(chain.image_shape, np.intp) if clusters is None else clusters.astype(np.intp)
    means = _mean_spectra(chain, regions, usable)
    rankings = {}
    for region, mean in means.items():
        try:
            rankings[region] = rank_combinations(
                mean,
                chain.energy,
                library,
                at_most=params.at_most,
                constraint=params.constraint,
                background=params.background,
                criterion=params.criterion,
                significance=params.significance,
                required=params.required,
                energy_range=params.energy_range,
                exclude=params.exclude,
                extrapolate=params.extrapolate,
            )
        except InputError as error:
            if region == 0:
                raise
            found.warn(f"cluster {region} was not ranked: {error}")
    return rankings


def _more_references(at_most: int, library: int) -> int:
    """Return how many references at once may be proposed rather than `at_most`: all, unless there are too many sets."""
    more = min(library, MOST_AT_ONCE)
    while more > at_most + 1 and sum(comb(library, k) for k in range(1, more + 1)) > PROPOSED_SETS:
        more -= 1
    return more


def _mean_spectra(
    chain: Chain, regions: NDArray[np.intp], usable: NDArray[np.bool_]
) -> dict[int, NDArray[np.float64]]:
    """Return the mean of the valid pixels of the image (0) and of each region from 1; NaN where frames are lost.

    Thin pixels, whose normalised spectra are mostly noise, count as little as they do before normalisation.
    """
    amount = np.ones(chain.image_shape)
    if chain.signal == "normalized" and ("thickness" in chain.maps or chain.thickness is not None):
        amount = np.fmax(chain.found_map("thickness", "rank"), 0).astype(np.float64)
    count = int(regions.max()) + 1
    bands = chain.bands()
    sums = np.zeros((len(bands), count, chain.energy.size + 1))

    def add(number: int) -> None:
        y = chain.band(bands[number])
        valid = np.flatnonzero(np.isfinite(y[usable]).all(axis=0))
        which, weights = regions[bands[number]].ravel()[valid], amount[bands[number]].ravel()[valid]
        for region in range(count):
            mine = which == region
            sums[number, region, :-1] = y[:, valid[mine]] @ weights[mine]
            sums[number, region, -1] = weights[mine].sum()

    blocks.run(add, range(len(bands)), workers=chain.workers)
    total = sums.sum(axis=0)
    total[0] = total.sum(axis=0)
    if not total[0, -1]:
        raise InputError("no pixel is valid at all usable energies, so references cannot be ranked.")
    return {
        region: np.where(usable, row[:-1] / row[-1], np.nan) for region, row in enumerate(total) if row[-1]
    }


def _ranking_table(rankings: Mapping[int, Ranking]) -> dict[str, NDArray[Any]]:
    """Return a row for each combination that was ranked: 0 is the mean of all pixels, then the clusters."""
    rows = [
        (
            *(region, rank, " + ".join(c.names), c is ranking.best, c in ranking.as_good),
            *(c.r_factor, c.aic, c.weight, c.chance),
        )
        for region, ranking in rankings.items()
        for rank, c in enumerate(ranking.combinations, 1)
    ]
    columns = ("region", "rank", "references", "chosen", "as_good", "r_factor", "aic", "weight", "chance")
    return {name: np.array(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}


RANK = Step(
    name="rank",
    title="Find references",
    does="find which references explain the spectra",
    params=RankParams,
    run=rank_step,
    order=190,
    takes=("optical_density", "normalized"),
    makes=("chosen_fraction",),
    map_count=lambda params: len(choose_references(params)) + 1,
    measures=True,
    check=check_library,
    after=("flat_field", "optical_density", "normalize"),
)
