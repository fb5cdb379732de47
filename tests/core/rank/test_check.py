"""What is said of references before a fit is what the fit then shows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes import (
    InputError,
    Reference,
    check_references,
    estimate_noise,
    fit_references,
    read_references,
)

ENERGY = np.linspace(8300, 8400, 101)


def edge(e0, white=0.5, energy=ENERGY):
    rise = 0.5 + np.arctan((energy - e0) / 1.5) / np.pi
    return (rise + white * np.exp(-(((energy - e0 - 4) / 4) ** 2))) / (1 - 1.5 / 50 / np.pi)


def reference(name, e0, **more):
    return Reference(name, ENERGY, edge(e0, **more))


def test_good_references_need_no_words():
    check = check_references([reference("a", 8333), reference("b", 8338)], ENERGY, noise=0.01)
    assert check.sentences == ()
    np.testing.assert_array_equal(check.coverage, 1)
    np.testing.assert_allclose(check.spacing, 1)
    np.testing.assert_allclose(check.levels, [[0, 1], [0, 1]], atol=0.05)
    assert check.correlation[0, 1] == pytest.approx(np.corrcoef(edge(8333), edge(8338))[0, 1])


@pytest.mark.parametrize("background", [(), (0, 1)])
def test_the_sigma_promised_is_the_scatter_of_fits(background):
    references = [reference("a", 8333), reference("b", 8336), reference("c", 8340, white=0.9)]
    noise = 0.02
    check = check_references(references, ENERGY, noise=noise, background=background)
    rng = np.random.default_rng(0)
    mixture = sum(r.mu for r in references) / 3
    mu = mixture[:, None] + noise * rng.standard_normal((101, 4000))
    fit = fit_references(mu, ENERGY, references, background=background)
    np.testing.assert_allclose(check.sigma, fit.fractions.std(axis=1), rtol=0.05)
    mu = (references[0].mu + references[1].mu)[:, None] / 2 + noise * rng.standard_normal((101, 4000))
    pair = fit_references(mu, ENERGY, references[:2], background=background)
    assert check.pair_sigma[0, 1] == pytest.approx(pair.fractions[0].std(), rel=0.05)
    assert check.condition_number == pytest.approx(fit.condition_number, rel=1e-6)


def test_references_too_alike_for_the_noise_are_named():
    references = [reference("magnetite", 8333), reference("maghemite", 8333.15), reference("metal", 8325)]
    said = check_references(references, ENERGY, noise=0.05).sentences
    assert any(s.startswith("magnetite and maghemite cannot be told apart at this noise") for s in said)
    assert not any("metal cannot" in s or "and metal" in s for s in said)
    assert not check_references(references, ENERGY, noise=1e-4).sentences


def test_identical_references_have_no_sigma():
    check = check_references([reference("a", 8333), reference("b", 8333)], ENERGY, noise=0.01)
    assert np.isinf(check.sigma).all() and np.isinf(check.pair_sigma[0, 1])
    assert any("cannot be told apart" in s for s in check.sentences)


def test_what_is_wrong_with_a_reference_is_said():
    coarse = Reference("coarse", ENERGY[::10], edge(8333)[::10])
    raw = Reference("raw", ENERGY, 3 * edge(8338) + 1)
    short = Reference("short", ENERGY[:80], edge(8336)[:80])
    said = check_references([coarse, raw, short], ENERGY).sentences
    assert any(s.startswith("coarse has no point between ") and "where the data have 9" in s for s in said)
    assert any(s.startswith("raw goes from 1.") and "expected 0 and 1; normalise it" in s for s in said)
    assert any(s.startswith("short covers 8300.0 to 8379.0 eV, 79 % of the fitted energies") for s in said)


def test_gaps_outside_the_fitted_energies_do_not_matter():
    energy = np.concatenate([[8000.0, 8100.0], ENERGY, [9000.0]])
    long = Reference("long", energy, edge(8333, energy=energy))
    assert check_references([long], ENERGY[2:-2]).spacing[0] == pytest.approx(1)


@pytest.mark.parametrize("spacing", ["even", "uneven"])
def test_noise_is_told_from_neighbouring_energies(spacing):
    rng = np.random.default_rng(1)
    energy = ENERGY if spacing == "even" else np.sort(rng.uniform(8300, 8400, 101))
    mu = edge(8333, energy=energy)[:, None] + 0.03 * rng.standard_normal((101, 500))
    mu[:, :20] = np.nan
    assert estimate_noise(mu, energy) == pytest.approx(0.03, rel=0.08)


def test_magnetite_and_maghemite_of_the_library(data_dir):
    library = {r.name: r for r in read_references(data_dir / "refs" / "fe" / "FeLibNov2021.nor")}
    two = [library["Magnetite"], library["Maghemite"]]
    energy = np.arange(7100.0, 7190.0)
    assert not any("told apart" in s for s in check_references(two, energy, noise=0.02).sentences)
    assert any("told apart" in s for s in check_references(two, energy, noise=0.5).sentences)


@pytest.mark.parametrize(
    ("references", "more", "said"),
    [
        ([], {}, "no references to check"),
        ([reference("a", 8333)], {"noise": -1}, "noise is -1, expected a positive number"),
        (
            [Reference("a", ENERGY, edge(8333)), Reference("b", ENERGY / 1000, edge(8333))],
            {},
            "share no energies.* one unit",
        ),
        ([Reference("a", ENERGY + 200, edge(8333))], {"energy": ENERGY}, "share 0 of the 101 energies"),
    ],
)
def test_misuse_is_one_sentence(references, more, said):
    with pytest.raises(InputError, match=said):
        check_references(references, more.pop("energy", None), **more)
