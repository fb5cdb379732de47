"""The diagnosis after a fit: each cause of a misfit is named, noise is not, and streaming changes nothing."""

import numpy as np
import pytest
from made_spectra import CENTRES, spectrum

from napari_xanes import (
    EnergyStack,
    InputError,
    Recipe,
    Reference,
    diagnose_fit,
    fit_references,
    residual_components,
    run_recipe,
)

FINE = np.arange(8200.0, 8601.0, 0.25)
ENERGY = np.r_[np.linspace(8225, 8318, 9), np.linspace(8325, 8362, 30), np.linspace(8385, 8575, 11)]
SHAPE = (40, 50)
REFERENCES = [Reference(name, FINE, spectrum(at, FINE)) for name, at in zip("abc", CENTRES, strict=False)]


def scene(noise=0.01, *, shift=0.0, width=0.0, stray=0.0, flicker=0.0, missing=0.0, seed=0):
    """Return optical density (E, y, x) with a cause of a misfit, and the true fraction of the first reference."""
    rng = np.random.default_rng(seed)
    f, thickness = rng.uniform(0.1, 0.9, SHAPE), rng.uniform(0.4, 1.5, SHAPE)
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    pure = [
        np.array([np.interp(e - shift + width * nodes, FINE, r.mu) @ weights / weights.sum() for e in ENERGY])
        for r in REFERENCES
    ]
    third = np.zeros(SHAPE)
    third[5:20, 10:30] = missing
    mixed = np.einsum(
        "ke,kyx->eyx", np.stack(pure), np.stack([f * (1 - third), (1 - f) * (1 - third), third])
    )
    density = thickness * mixed + 0.2
    if stray:
        density = -np.log((np.exp(-density) + stray) / (1 + stray))
    density += flicker * rng.normal(size=ENERGY.size)[:, None, None]
    return density + noise * rng.normal(size=density.shape), f


def fitted(density, references=REFERENCES[:2], **options):
    return fit_references(density, ENERGY, references, background=(0, 1), **options)


@pytest.mark.parametrize("noise", [0.003, 0.03, 0.1])
def test_noise_alone_has_no_cause(noise):
    for seed in range(4):
        fit = fitted(scene(noise, seed=seed)[0])
        assert fit.diagnosis.causes == () and fit.warnings == (), seed
        assert fit.diagnosis.excess < fit.diagnosis.limit and fit.diagnosis.pixels == 2000


@pytest.mark.parametrize("shift", [0.5, -0.7])
def test_a_shift_is_named_with_its_size_and_what_it_does(shift):
    density, f = scene(shift=shift)
    fit = fitted(density)
    assert fit.diagnosis.causes == ("energy shift",)
    assert fit.diagnosis.sizes[0] == pytest.approx(shift, abs=0.05)
    bias = float((fit.fractions[0] - f).mean())
    assert fit.diagnosis.bias[0] == pytest.approx(bias, rel=0.15) and abs(bias) > 0.05
    assert "the energies of the data seem to lie" in fit.warnings[0]


@pytest.mark.parametrize(
    ("cause", "change"),
    [
        ("resolution", {"width": 1.5}),
        ("thickness", {"stray": 0.06}),
        ("flicker", {"flicker": 0.01}),
        ("missing reference", {"missing": 0.4}),
    ],
)
@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_each_cause_is_named(cause, change, noise):
    fit = fitted(scene(noise, **change)[0])
    assert fit.diagnosis.causes[:1] == (cause,)
    assert len(fit.warnings) >= 1


def test_another_resolution_moves_fractions_up_and_down_which_their_mean_does_not_show():
    density, f = scene(0.002, width=1.5)
    fit = fitted(density)
    assert fit.diagnosis.sizes[0] == pytest.approx(1.5, abs=0.1)
    off = fit.fractions[0] - f
    assert abs(off.mean()) < 0.003 and abs(fit.diagnosis.bias[0]) < 0.003
    assert fit.diagnosis.bias_rms[0] == pytest.approx(float(np.sqrt((off**2).mean())), rel=0.05)
    assert "by 0.030 (rms over pixels)" in fit.warnings[0]


@pytest.mark.parametrize("normalized", [True, False])
def test_flicker_is_told_from_a_wrong_reference_at_ten_energies_of_a_thin_range_of_thickness(normalized):
    energy = np.r_[np.linspace(8225, 8318, 3), np.linspace(8328, 8360, 4), np.linspace(8385, 8575, 3)]
    spectra = np.stack([np.interp(energy, FINE, r.mu) for r in REFERENCES[:2]])
    y, x = np.indices(SHAPE) / 10
    parts = (1 + 0.3 * np.sin(x)) * np.stack([0.5 + 0.3 * np.sin(y), 0.5 - 0.3 * np.sin(y)])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        density = np.einsum("ke,kyx->eyx", spectra, parts) + rng.normal(0, 0.07, (10, 1, 1))
        density += rng.normal(0, 0.05, density.shape)
        fit = fit_references(density, energy, REFERENCES[:2], background=() if normalized else (0, 1))
        assert fit.diagnosis.causes[:1] == ("flicker",), seed


@pytest.mark.parametrize(("missing", "said"), [(0.02, False), (0.03, True)])
def test_a_missing_compound_is_said_from_what_leaves_six_thousandths_of_the_edge_step(missing, said):
    """Of references so much alike that next to anything could hide in their fractions."""
    a, b, c = REFERENCES[:3]
    columns = np.c_[np.ones_like(ENERGY), ENERGY - 8340, *(np.interp(ENERGY, FINE, r.mu) for r in (a, b))]
    curve = np.interp(ENERGY, FINE, c.mu)
    left = np.abs(curve - columns @ np.linalg.lstsq(columns, curve, rcond=None)[0]).max()
    left *= missing * np.sqrt(15 * 20 / np.prod(SHAPE))  # rms over the pixels
    assert 0.0045 < left < 0.0075 and (left > 0.006) == said
    alike = [a, Reference("mixed", FINE, 0.8 * a.mu + 0.2 * b.mu)]
    assert fitted(scene(0.001, missing=missing)[0], alike).diagnosis.causes == ("missing reference",) * said


@pytest.mark.parametrize(("flicker", "said"), [(0.0045, False), (0.006, True)])
def test_flicker_is_said_from_what_may_move_fractions_by_a_hundredth(flicker, said):
    """It is guessed to move them by 0.8 and by 1.3 %, and leaves 1.0 and 1.3 % of the edge step."""
    assert fitted(scene(0.002, flicker=flicker)[0]).diagnosis.causes == ("flicker",) * said


def test_where_a_reference_is_missing():
    fit = fitted(scene(missing=0.4)[0])
    y, x = fit.diagnosis.where
    assert 5 <= y < 20 and 10 <= x < 30
    found = diagnose_fit(fit)
    inside = np.zeros(SHAPE, bool)
    inside[5:20, 10:30] = True
    assert np.abs(found.map[inside]).mean() > 5 * np.abs(found.map[~inside]).mean()
    assert np.std(found.map[~inside]) == pytest.approx(1, abs=0.2)  # standard errors
    third = REFERENCES[2].mu
    known = np.stack(
        [
            np.ones(50),
            ENERGY - 8340,
            (ENERGY - 8340) ** 2,
            *(np.interp(ENERGY, FINE, r.mu) for r in REFERENCES[:2]),
        ],
        axis=1,
    )
    left = np.interp(ENERGY, FINE, third)
    left -= known @ np.linalg.lstsq(known, left, rcond=None)[0]
    seen = found.component - known @ np.linalg.lstsq(known, found.component, rcond=None)[0]
    assert abs(np.corrcoef(left, seen)[0, 1]) > 0.99


@pytest.mark.parametrize("noise", [0.005, 0.02])
@pytest.mark.parametrize("normalized", [True, False])
def test_a_missing_quarter_is_told_at_sixteen_energies(noise, normalized):
    energy = np.r_[np.linspace(8225, 8318, 3), np.linspace(8328, 8360, 9), np.linspace(8385, 8575, 4)]
    spectra = np.stack([np.interp(energy, FINE, r.mu) for r in REFERENCES])
    for seed in range(3):
        rng = np.random.default_rng(seed)
        parts = rng.dirichlet([3, 3, 2], SHAPE)
        density = np.einsum("ke,yxk->eyx", spectra, parts) + rng.normal(0, noise, (16, *SHAPE))
        background = () if normalized else (0, 1)
        fit = fit_references(density, energy, REFERENCES[:2], background=background)
        assert fit.diagnosis.causes[:1] == ("missing reference",), seed
        assert any("a reference seems to be missing" in text for text in fit.warnings)
        assert residual_components(density, energy, fit).missing


def test_residual_components_blame_a_shift_not_a_missing_reference():
    density, _ = scene(shift=0.5)
    found = residual_components(density, ENERGY, fitted(density))
    assert not found.missing and "the energies of the data seem to lie" in found.message
    assert not residual_components(density, ENERGY, REFERENCES[:2]).missing
    assert residual_components(scene(missing=0.4)[0], ENERGY, REFERENCES[:2]).missing


def test_amounts_held_at_zero_that_would_be_negative():
    density, _ = scene(0.01)
    density -= 0.3 * np.interp(ENERGY, FINE, REFERENCES[2].mu)[:, None, None]
    for constraint in ("nonnegative", "none"):
        fit = fitted(density, REFERENCES, constraint=constraint)
        assert fit.diagnosis.clearly_negative > 1900
        assert "clearly negative amount" in fit.warnings[-1]
    assert fitted(scene(0.01)[0], REFERENCES, constraint="nonnegative").diagnosis.clearly_negative < 20


def test_too_few_pixels_say_nothing():
    fit = fitted(scene()[0][:, :3, :3])
    assert fit.diagnosis is None
    with pytest.raises(InputError, match="at least 50 pixels"):
        diagnose_fit(fit)


@pytest.mark.parametrize("steps", [[], [{"do": "normalize"}], [{"do": "normalize", "divide_by": "step"}]])
def test_a_recipe_says_it_and_streams_to_the_same(tmp_path, steps):
    path = tmp_path / "references.txt"
    table = np.column_stack([FINE, *(r.mu for r in REFERENCES[:2])])
    np.savetxt(path, table, header="energy a b")
    stack = EnergyStack(scene(shift=0.6)[0].astype(np.float32), ENERGY, "optical_density")
    fit = {"do": "fit", "references": [str(path)], "background": [] if steps else [0, 1]}
    if steps:
        fit["references_as"] = "data"
    recipe = Recipe.from_dict({"schema": 1, "step": [*steps, fit]})
    streamed, kept = (run_recipe(recipe, stack, in_memory=memory) for memory in (False, True))
    found = streamed.history[-1]["found"]
    assert found["diagnosis"]["causes"][0] == "energy shift"
    assert found["diagnosis"]["sizes"][0] == pytest.approx(0.6, abs=0.1)
    assert found["diagnosis"] == kept.history[-1]["found"]["diagnosis"]
    assert streamed.warnings == kept.warnings
    assert any("the energies of the data seem to lie" in text for text in streamed.warnings)
    a, b = streamed.extra["diagnosis"], kept.extra["diagnosis"]
    assert np.array_equal(a.component, b.component) and np.array_equal(a.noise, b.noise)


def test_of_a_large_image_the_same_pixels_are_looked_at_in_memory_and_streamed(tmp_path):
    path = tmp_path / "references.txt"
    np.savetxt(path, np.column_stack([FINE, *(r.mu for r in REFERENCES[:2])]), header="energy a b")
    density = np.tile(scene(shift=0.6)[0].astype(np.float32), (1, 5, 3))  # runs of pixels lie apart
    stack = EnergyStack(density, ENERGY, "optical_density")
    recipe = Recipe.from_dict(
        {"schema": 1, "step": [{"do": "normalize"}, {"do": "fit", "references": [str(path)]}]}
    )
    a, b = (run_recipe(recipe, stack, in_memory=memory).extra["diagnosis"] for memory in (False, True))
    assert a.causes == b.causes == ("energy shift",) and a.sizes == b.sizes and a.warnings == b.warnings
    for name in ("component", "noise", "look", "bias"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
