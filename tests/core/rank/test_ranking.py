"""Choosing references: the right ones are found, and none that are not there."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import nnls

from napari_xanes import (
    EnergyStack,
    InputError,
    Recipe,
    Reference,
    combination_map,
    fit_references,
    rank_combinations,
    read_references,
    read_stack,
    run_recipe,
)
from napari_xanes._core.rank.rank import MOST_AT_ONCE
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.linspace(8300, 8400, 60)


def edge(e0, white, width):
    rise = 0.5 + np.arctan((ENERGY - e0) / 1.5) / np.pi
    return rise + white * np.exp(-(((ENERGY - e0 - 4) / width) ** 2))


LIBRARY = [
    Reference(name, ENERGY, edge(*shape))
    for name, shape in {
        "metal": (8333, 0.1, 6),
        "oxide": (8337, 0.9, 3),
        "hydroxide": (8338, 0.7, 5),
        "sulfide": (8334, 0.4, 4),
        "peroxide": (8341, 0.5, 3),
    }.items()
]
TABLE = np.stack([r.mu for r in LIBRARY])


def noisy(weights, noise=0.01, seed=0, n=None):
    rng = np.random.default_rng(seed)
    shape = ENERGY.shape if n is None else (*ENERGY.shape, n)
    clean = np.asarray(weights) @ TABLE
    return (clean if n is None else clean[:, None]) + noise * rng.standard_normal(shape)


@pytest.mark.parametrize("criterion", ["f_test", "aic"])
@pytest.mark.parametrize("weights", [[0, 1, 0, 0, 0], [0.4, 0, 0, 0, 0.6], [0.3, 0.3, 0, 0.4, 0]])
def test_the_references_that_are_there_are_found(criterion, weights):
    ranking = rank_combinations(noisy(weights, 0.002), ENERGY, LIBRARY, criterion=criterion)
    there = tuple(r.name for r, w in zip(LIBRARY, weights, strict=True) if w)
    assert set(there) <= set(ranking.best.names)
    if criterion == "f_test":
        assert ranking.best.names == there
        np.testing.assert_allclose(ranking.best.fractions, [w for w in weights if w], atol=0.02)
    assert ranking.tried == 25
    assert there[0] in ranking.sentence() and "25 combinations" in ranking.sentence()


def test_too_many_references_are_rarely_chosen():
    """The F-test's significance is for the library as a whole: of single compounds about 5 % get a second one."""
    chosen = combination_map(noisy([0, 1, 0, 0, 0], n=2000), ENERGY, LIBRARY, constraint="none")
    assert chosen.combinations[0] == ("oxide",)
    assert 0.93 < chosen.counts[0] / 2000 < 0.98


def test_weights_and_order_are_those_of_the_criterion():
    ranking = rank_combinations(noisy([0.5, 0.5, 0, 0, 0]), ENERGY, LIBRARY, criterion="aic", at_most=2)
    aic = [c.aic for c in ranking.combinations]
    assert aic == sorted(aic) and ranking.best is ranking.combinations[0]
    assert 0.99 < sum(c.weight for c in ranking.combinations) <= 1
    ratio = ranking.combinations[1].weight / ranking.combinations[0].weight
    assert ratio == pytest.approx(np.exp(-(aic[1] - aic[0]) / 2), rel=1e-9)
    n, best = ENERGY.size, ranking.best
    p = len(best.names) + 1
    wanted = n * np.log(best.error / n) + 2 * p + 2 * p * (p + 1) / (n - p - 1)
    assert best.aic == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("constraint", ["none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one"])
@pytest.mark.parametrize("background", [(), (0, 1)])
def test_a_map_agrees_with_fits_of_its_combinations(constraint, background):
    rng = np.random.default_rng(2)
    mu = (rng.dirichlet([0.3] * 5, 30) @ TABLE).T + 0.01 * rng.standard_normal((60, 30))
    options = {"constraint": constraint, "background": background}
    found = combination_map(mu, ENERGY, LIBRARY, **options)
    for number, names in enumerate(found.combinations, 1):
        pixels = found.labels == number
        chosen = [r for r in LIBRARY if r.name in names]
        fit = fit_references(mu[:, pixels], ENERGY, chosen, **options)
        rows = [found.names.index(name) for name in names]
        np.testing.assert_allclose(found.fractions[rows][:, pixels], fit.fractions, atol=1e-5)
        others = [k for k in range(5) if k not in rows]
        assert not found.fractions[others][:, pixels].any()
    assert found.counts.sum() == 30 and (np.diff(found.counts) <= 0).all()


def test_each_number_of_references_is_fitted_as_well_as_can_be():
    """Against scipy's solver over all subsets."""
    y = noisy([0.2, 0.2, 0.2, 0.2, 0.2], 0.05, seed=5)
    ranking = rank_combinations(y, ENERGY, LIBRARY, criterion="aic")
    listed = {c.names: c.error for c in ranking.combinations}
    for k in (1, 2, 3):
        sets = list(combinations(range(5), k))
        errors = [nnls(TABLE[list(s)].T, y)[1] ** 2 for s in sets]
        best = tuple(LIBRARY[i].name for i in sets[int(np.argmin(errors))])
        if best in listed:
            assert listed[best] == pytest.approx(min(errors), rel=1e-6)
    assert ranking.best.names in listed


def test_scaling_and_type_change_nothing():
    mu = noisy([0.5, 0, 0, 0.5, 0], n=50)
    first = combination_map(mu, ENERGY, LIBRARY)
    scaled = combination_map(3 * mu, ENERGY, LIBRARY)
    single = combination_map(mu.astype(np.float32).reshape(60, 5, 10), ENERGY, LIBRARY)
    np.testing.assert_array_equal(first.labels, scaled.labels)
    np.testing.assert_array_equal(first.labels, single.labels.ravel())
    np.testing.assert_allclose(first.fractions, scaled.fractions, atol=1e-9)


def test_invalid_pixels_have_no_combination():
    mu = noisy([1, 0, 0, 0, 0], n=3)
    mu[5, 1] = np.nan
    mu[:, 2] *= -1
    found = combination_map(mu, ENERGY, LIBRARY)
    assert found.labels.tolist() == [1, 0, 0]
    assert np.isnan(found.fractions[:, 1:]).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"library": []}, "library is empty"),
        ({"at_most": 0}, "at_most is 0, expected 1 or more"),
        ({"criterion": "bic"}, "criterion is 'bic', expected one of aic, f_test"),
        ({"library": LIBRARY * 20, "at_most": 3}, "combinations of up to 3, at most 20000 are tried"),
        ({"energy_range": (8300, 8306)}, "leaves too few to compare"),
        ({"spectrum": np.zeros((60, 2))}, "rank the mean of a region"),
        ({"spectrum": -TABLE[0]}, "no combination of the references explains"),
    ],
)
def test_what_cannot_be_ranked_is_said(changes, said):
    given = {"spectrum": TABLE[0], "energy": ENERGY, "library": LIBRARY} | changes
    with pytest.raises(InputError, match=said):
        rank_combinations(given.pop("spectrum"), given.pop("energy"), given.pop("library"), **given)


@pytest.fixture
def scan(tmp_path):
    """A normalised stack of two materials, empty at the rim, and the library as files."""
    rng = np.random.default_rng(3)
    mu = np.empty((60, 20, 30), np.float32)
    mu[:, :10] = TABLE[1][:, None, None]
    mu[:, 10:] = (0.5 * TABLE[0] + 0.5 * TABLE[4])[:, None, None]
    mu += 0.01 * rng.standard_normal(mu.shape, np.float32)
    mu[:, :, :3] = np.nan
    for r in LIBRARY:
        np.savetxt(tmp_path / f"{r.name}.txt", np.c_[r.energy, r.mu])
    return EnergyStack(mu, ENERGY, "normalized"), [str(tmp_path / f"{r.name}.txt") for r in LIBRARY]


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_names_the_combinations_of_pixels_and_clusters(scan, in_memory):
    stack, files = scan
    table = {"schema": 1, "step": [{"do": "cluster", "n_clusters": 2}, {"do": "rank", "references": files}]}
    result = run_recipe(Recipe.from_dict(table), stack, in_memory=in_memory)
    expected = combination_map(stack.data, ENERGY, LIBRARY)
    np.testing.assert_array_equal(result.labels["combination"], expected.labels)
    combinations = result.tables["combinations"]
    assert set(combinations["references"][:2]) == {"oxide", "metal + peroxide"}
    assert combinations["pixels"].sum() + 60 == 600
    ranking = result.tables["ranking"]
    best = {
        r: n for r, n, c in zip(ranking["region"], ranking["references"], ranking["chosen"], strict=True) if c
    }
    assert set(best) == {0, 1, 2} and {best[1], best[2]} == {"oxide", "metal + peroxide"}
    np.testing.assert_array_equal(result.maps["chosen_oxide"], expected.fractions[1])
    assert result.history[-1]["found"]["pixels_without_combination"] == 60


def test_a_cluster_that_nothing_explains_is_said_and_left_out(scan):
    stack, files = scan
    data = np.array(stack.data)
    data[:, :3] = -np.abs(data[:, :3]) - 0.2
    table = {"schema": 1, "step": [{"do": "cluster", "n_clusters": 3}, {"do": "rank", "references": files}]}
    result = run_recipe(Recipe.from_dict(table), stack.replace(data=data))
    assert 0 in result.tables["ranking"]["region"]
    assert any("was not ranked: no combination" in text for text in result.warnings)
    assert len(set(result.tables["ranking"]["region"])) < 4


def test_step_refuses_counts(scan):
    stack, files = scan
    recipe = Recipe.from_dict({"schema": 1, "step": [{"do": "rank", "references": files}]})
    with pytest.raises(
        InputError, match="rank needs optical density or normalised data, the data are counts"
    ):
        run_recipe(recipe, stack.replace(signal="counts"))


def correlated(weights, noise, seed, n):
    """Spectra with errors that neighbouring energies share, as those of flats and of energy scales are."""
    from scipy.ndimage import gaussian_filter1d

    rough = gaussian_filter1d(np.random.default_rng(seed).standard_normal((ENERGY.size, n)), 2, axis=0)
    return (np.asarray(weights) @ TABLE)[:, None] + noise * rough / rough.std()


def test_errors_that_neighbours_share_do_not_ask_for_more_references():
    mu = correlated([0, 1, 0, 0, 0], 0.01, 1, 300)
    alone = sum(rank_combinations(y, ENERGY, LIBRARY).best.names == ("oxide",) for y in mu.T[:24])
    assert alone > 19
    assert combination_map(mu, ENERGY, LIBRARY).counts[0] > 270
    said = rank_combinations(mu[:, 0], ENERGY, LIBRARY)
    assert said.correlation > 0.6 and said.n_independent < 20
    assert "what is left is not noise" in said.sentence() and "60 energies count for" in said.sentence()
    assert "±" not in said.sentence().split(";")[0]  # that one reference alone is 100 % says nothing


def test_noise_counts_at_every_energy():
    ranking = rank_combinations(noisy([0.4, 0, 0, 0, 0.6]), ENERGY, LIBRARY)
    assert ranking.n_independent == 60 and ranking.correlation == 0 and "not noise" not in ranking.sentence()


def test_a_spectrum_that_none_describes_has_no_shares():
    strange = 0.5 + 0.5 * np.sin(ENERGY / 7)
    said = rank_combinations(strange, ENERGY, LIBRARY).sentence()
    assert said.startswith("none of 25 combinations describes the spectrum") and "±" not in said


def test_required_references_are_in_every_combination():
    y = noisy([0.4, 0, 0, 0, 0.6], 0.002)
    ranking = rank_combinations(y, ENERGY, LIBRARY, required=["sulfide"])
    assert ranking.tried == 1 + 4 + 6 and all("sulfide" in c.names for c in ranking.combinations)
    assert {"sulfide", "peroxide"} <= set(ranking.best.names)
    chosen = combination_map(
        noisy([0.4, 0, 0, 0.6, 0], n=20), ENERGY, LIBRARY, at_most=2, required=["sulfide"]
    )
    assert chosen.combinations == (("metal", "sulfide"),)
    steps = [{"do": "rank", "references": ["x.csv"], "required": ["sulfide"]}]
    assert Recipe.from_dict({"schema": 1, "step": steps}).steps[0][1].required == ("sulfide",)
    with pytest.raises(InputError, match="required names 'gold', but the library holds metal, oxide"):
        rank_combinations(y, ENERGY, LIBRARY, required=["gold"])
    with pytest.raises(InputError, match="2 references are required but at_most is 1"):
        rank_combinations(y, ENERGY, LIBRARY, required=["metal", "oxide"], at_most=1)


def test_of_a_known_mixture_only_what_is_certain_is_claimed(data_dir):
    """LFP, pyrite, steel and hematite: what stands for hematite is not told, so nothing else is said to be there."""
    library = read_references(data_dir / "refs/fe/FeLibNov2021.nor")
    file = data_dir / "refs/hxn_lcf_check/xanes_fit_plot.csv"
    x, y = np.loadtxt(file, delimiter=",", skiprows=1, usecols=(0, 1)).T
    ranking = rank_combinations(y, x, library, at_most=5, extrapolate="hold")
    there = {"LiFe(II)PO4", "Pyrite", "StainlessSteelNP", "Hematite_NP"}
    assert ranking.n_independent < 20 and there in [set(c.names) for c in ranking.as_good]
    assert ranking.in_all == ("LiFe(II)PO4",)
    said = ranking.sentence()
    assert "the data do not decide: all hold LiFe(II)PO4 (49 to 59 %)" in said and "±" not in said


def test_what_all_possible_combinations_hold_is_there():
    """Mixtures drawn anew, errors that neighbours share: the chosen set is often wrong, what all sets hold hardly ever."""
    rng, right, certain = np.random.default_rng(5), 0, []
    for seed in range(20):
        there = np.sort(rng.choice(5, rng.integers(1, 4), replace=False))
        weights = np.zeros(5)
        weights[there] = rng.dirichlet([3] * there.size)
        ranking = rank_combinations(correlated(weights, 0.02, seed, 1)[:, 0], ENERGY, LIBRARY, at_most=4)
        names = {LIBRARY[k].name for k in there}
        right += set(ranking.best.names) == names
        certain.append(set(ranking.in_all) <= names)
        assert ranking.best in ranking.as_good and set(ranking.in_all) <= set(ranking.best.names)
    assert right < 18 and sum(certain) >= 19


@pytest.mark.parametrize("made", ["in one run", "from the normalised stack"])
def test_the_mean_of_a_sample_holds_what_is_in_it(whole_data, made):
    """Thin pixels, of which there are many, are mostly noise; and of four compounds two do not explain the mean."""
    folder = whole_data / "phantom_fe_4ref"
    stack = read_stack(folder / "absorbance.tif")
    steps = [{"do": "normalize"}, {"do": "element"}]
    if made == "from the normalised stack":
        stack = run_steps(stack, [("normalize", STEPS["normalize"].params())], keep_stack=True).stack
        steps = steps[1:]

    def ranked(at_most):
        step = {
            "references": [str(folder / "refs_at_energies.txt")],
            "background": [0, 1],
            "at_most": at_most,
        }
        return run_recipe(Recipe.from_dict({"schema": 1, "step": [*steps, {"do": "rank", **step}]}), stack)

    few = ranked(2)
    assert "more than 2 were not tried and may fit better" in few.history[-1].facts["mean_spectrum"]
    assert any("set at_most = 4 to try up to 4 references" in text for text in few.history[-1].warnings)
    table = ranked(4).tables["ranking"]
    (chosen,) = np.flatnonzero((table["region"] == 0) & table["chosen"])
    assert table["r_factor"][chosen] < 0.005
    assert len(table["references"][chosen].split(" + ")) >= 3


@pytest.mark.parametrize(("at_most", "proposed"), [(MOST_AT_ONCE - 1, True), (MOST_AT_ONCE, False)])
def test_no_more_references_are_proposed_than_a_recipe_may_try(at_most, proposed, tmp_path):
    library = [edge(8333 + k, 0.3, 4) for k in range(MOST_AT_ONCE + 2)]
    names = " ".join(["energy", *(f"r{k}" for k in range(len(library)))])
    np.savetxt(tmp_path / "library.txt", np.column_stack([ENERGY, *library]), header=names)
    unlike_all = 1 + np.sin(ENERGY / 3)
    stack = EnergyStack(np.broadcast_to(unlike_all[:, None, None], (60, 3, 4)), ENERGY, "normalized")
    params = STEPS["rank"].params(references=[str(tmp_path / "library.txt")], at_most=at_most)
    entry = run_steps(stack, [("rank", params)]).history[-1]
    assert f"more than {at_most} were not tried" in entry.facts["mean_spectrum"]
    assert any("set at_most = " in text for text in entry.warnings) is proposed
