"""The fit against scipy, against known amounts, and against noise."""

import numpy as np
import pytest
from carry_out import carry_out
from made_spectra import CENTRES, ENERGY, columns, make_references, random_spectra, spectrum
from scipy.optimize import minimize, nnls

from napari_xanes import EnergyStack, InputError, Reference, fit_references, normalize_edge
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.edge.step import NORMALIZE
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.fit.params import FitParams
from napari_xanes._core.fit.step import FIT
from napari_xanes._core.runs.pipeline import run_steps


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_free_fit_is_least_squares(k):
    mu, _ = random_spectra(k)
    fit = fit_references(mu, ENERGY, make_references(k))
    expected, residual, *_ = np.linalg.lstsq(columns(k), mu, rcond=None)
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-10)
    np.testing.assert_allclose(fit.error, residual, rtol=1e-9)
    np.testing.assert_allclose(fit.rms, np.sqrt(residual / ENERGY.size), rtol=1e-9)
    np.testing.assert_allclose(fit.r_factor, residual / (mu**2).sum(axis=0), rtol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 2e-4)])
def test_nonnegative_is_nnls(k, dtype, tolerance):
    mu, _ = random_spectra(k, n=400, noise=0.3)
    fit = fit_references(mu.astype(dtype), ENERGY, make_references(k), constraint="nonnegative")
    expected = np.array([nnls(columns(k), y) for y in mu.T], dtype=object)
    x = np.stack(expected[:, 0]).T
    assert (x == 0).any(axis=0).mean() > 0.2, "the bound should matter"
    np.testing.assert_allclose(fit.coefficients, x, atol=tolerance)
    np.testing.assert_allclose(fit.error, expected[:, 1].astype(float) ** 2, rtol=1e-4)
    np.testing.assert_allclose(fit.r_factor, fit.error / (mu**2).sum(axis=0), rtol=1e-5)
    assert (fit.coefficients >= 0).all()


@pytest.mark.parametrize("constraint", ["sum_to_one", "nonnegative_sum_to_one"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_sum_to_one_is_the_constrained_minimum(constraint, k):
    mu, _ = random_spectra(k, n=12, noise=0.3)
    fit = fit_references(mu, ENERGY, make_references(k), constraint=constraint)
    np.testing.assert_allclose(fit.coefficients.sum(axis=0), 1, atol=1e-9)
    bounds = [(0, None)] * k if constraint.startswith("non") else None
    for y, error in zip(mu.T, fit.error, strict=True):
        best = minimize(
            lambda x, y=y: ((columns(k) @ x - y) ** 2).sum(),
            np.full(k, 1 / k),
            bounds=bounds,
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            options={"ftol": 1e-12},
        )
        assert error == pytest.approx(best.fun, rel=1e-6)


def test_amounts_and_background_come_back_from_optical_density():
    mu, x = random_spectra(3, noise=0, negative=False)
    line = np.linspace(1, 2, mu.shape[1]) - 3e-3 * (ENERGY[:, None] - 8333)
    fit = fit_references(mu + line, ENERGY, make_references(3), background=(0, 1))
    np.testing.assert_allclose(fit.coefficients, x, atol=1e-9)
    np.testing.assert_allclose(fit.fractions, x / x.sum(axis=0), atol=1e-9)
    model = fit.model(7)
    np.testing.assert_allclose(model.fitted, model.measured, atol=1e-9)
    np.testing.assert_allclose(model.background, line[:, 7], atol=1e-7)
    np.testing.assert_allclose(model.components.sum(axis=0), mu[:, 7], atol=1e-7)


def test_energy_range_and_exclusions_choose_the_energies():
    mu, x = random_spectra(2, noise=0, negative=False)
    mu[(ENERGY > 8340) & (ENERGY < 8345)] += 50  # a glitch
    mu[ENERGY < 8310] -= 7
    fit = fit_references(
        mu, ENERGY, make_references(2), energy_range=(8310, 8420), exclude=[(8340.5, 8344.5)]
    )
    np.testing.assert_allclose(fit.coefficients, x, atol=1e-9)
    assert fit.energy[0] == 8310 and not ((fit.energy > 8340) & (fit.energy < 8345)).any()


def test_sigma_says_how_far_fractions_are_from_truth():
    mu, x = random_spectra(3, n=20000, noise=0.02, negative=False)
    fit = fit_references(mu, ENERGY, make_references(3))
    distance = np.abs(fit.fractions - x / x.sum(axis=0)) / fit.sigma
    assert 0.66 < (distance < 1).mean() < 0.70 and 0.94 < (distance < 2).mean() < 0.96


def test_error_is_at_the_cramer_rao_bound():
    mu, x = random_spectra(3, n=20000, noise=0.02)
    fit = fit_references(mu.astype(np.float32), ENERGY, make_references(3))
    bound = 0.02 * np.sqrt(np.diag(np.linalg.inv(columns(3).T @ columns(3))))
    rms = np.sqrt(((fit.coefficients - x) ** 2).mean(axis=1))
    assert (rms < 1.05 * bound).all()


def test_fractions_are_invalid_without_a_significant_sum():
    rng = np.random.default_rng(1)
    mu = columns(2) @ np.array([[0.5, 0.0, -0.3], [0.5, 0.0, 0.1]]) + 0.02 * rng.normal(size=(ENERGY.size, 3))
    fit = fit_references(mu, ENERGY, make_references(2), significance=5)
    assert np.isfinite(fit.coefficients).all()
    np.testing.assert_array_equal(np.isnan(fit.fractions[0]), [False, True, True])


@pytest.mark.parametrize("shape", [(), (6,), (5, 7), (2, 3, 4)])
def test_maps_have_the_images_shape_and_nan_stays_where_it_is(shape):
    mu = random_spectra(2, n=int(np.prod(shape)))[0].reshape(-1, *shape)
    clean = fit_references(mu, ENERGY, make_references(2))
    assert clean.coefficients.shape == (2, *shape) and clean.error.shape == shape
    if shape:
        spoiled = mu.copy()
        spoiled[(4, *(0,) * len(shape))] = np.nan
        fit = fit_references(spoiled, ENERGY, make_references(2))
        assert np.isnan(fit.coefficients[(slice(None), *(0,) * len(shape))]).all()
        same = fit.coefficients == clean.coefficients
        assert same.sum() == same.size - 2


def test_lost_frames_and_mask_are_left_out():
    mu, x = random_spectra(2, noise=0, negative=False)
    mu[[2, 30]] = np.nan
    mask = np.arange(mu.shape[1]) % 2 == 0
    fit = fit_references(mu, ENERGY, make_references(2), mask=mask)
    np.testing.assert_allclose(fit.coefficients[:, mask], x[:, mask], atol=1e-9)
    assert np.isnan(fit.error[~mask]).all() and fit.energy.size == ENERGY.size - 2
    none = fit_references(mu, ENERGY, make_references(2), mask=np.zeros_like(mask))
    assert np.isnan(none.coefficients).all()


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_scaling_and_precision_change_nothing(k, scale):
    mu, _ = random_spectra(k, noise=0.02)
    one = fit_references(mu, ENERGY, make_references(k), constraint="nonnegative")
    scaled = fit_references(
        (scale * mu).astype(np.float32), ENERGY, make_references(k), constraint="nonnegative"
    )
    np.testing.assert_allclose(scaled.coefficients, scale * one.coefficients, atol=2e-4 * scale)


def test_references_may_be_an_array_at_the_datas_energies():
    mu, _ = random_spectra(2)
    by_array = fit_references(mu, ENERGY, columns(2).T)
    np.testing.assert_array_equal(
        by_array.coefficients, fit_references(mu, ENERGY, make_references(2)).coefficients
    )


def short(name="short"):
    return Reference(name, ENERGY[5:], spectrum(8340)[5:])


def test_references_narrower_than_the_scan_are_fitted_on_the_overlap_and_that_is_said(tmp_path):
    mu, x = random_spectra(2, noise=0, negative=False)
    inside = slice(5, -8)
    narrow = [Reference(r.name, r.energy, r.mu) for r in make_references(2)]
    narrow[1] = Reference("narrow", ENERGY[inside], np.interp(ENERGY[inside], narrow[1].energy, narrow[1].mu))
    fit = fit_references(mu, ENERGY, narrow)
    np.testing.assert_allclose(fit.coefficients, x, atol=1e-9)
    np.testing.assert_array_equal(fit.energy, ENERGY[inside])
    assert any("47 of 60 energies, as 'narrow' cover no more" in text for text in fit.warnings)
    paths = []
    for r in narrow:
        np.savetxt(tmp_path / f"{r.name}.txt", np.c_[r.energy, r.mu])
        paths.append(str(tmp_path / f"{r.name}.txt"))
    stack = EnergyStack(mu[:, :30].reshape(-1, 5, 6).astype(np.float32), ENERGY, "normalized")
    result = run_steps(stack, [("fit", FitParams(references=tuple(paths)))])
    assert any("as 'narrow' cover no more" in text for text in result.warnings)
    assert result.history[-1]["params"]["energy_range"] == [ENERGY[5], ENERGY[-9]]


@pytest.mark.parametrize(
    ("references", "args", "said"),
    [
        ([short()], {"energy_range": (8300, 8420)}, r"short.*8325.*5 of 60|short.*8325"),
        (
            [*make_references(1), Reference("copper", ENERGY + 650, spectrum(CENTRES[0]))],
            {},
            "reference 'copper' covers .* is it of another element",
        ),
        (
            [*make_references(1), Reference("copy", ENERGY, spectrum(CENTRES[0]))],
            {},
            "'ref0' and 'copy' are the same spectrum",
        ),
        (
            [*make_references(2), Reference("mix", ENERGY, columns(2).mean(axis=1))],
            {},
            "cannot be told apart",
        ),
        ([], {}, "no references"),
        (
            make_references(2),
            {"energy_range": (8330, 8330.5)},
            "1 energies are fitted but there are 2 unknowns",
        ),
        (make_references(2), {"energy_range": (9000, 9100)}, r"energy_range \(9000, 9100\) eV holds 0"),
        (make_references(2), {"background": (0, 0)}, "background is .0, 0., expected different"),
        (make_references(2), {"mask": np.ones(3, bool)}, r"mask has shape \(3,\)"),
        (columns(2), {}, "references have shape"),
    ],
)
def test_what_cannot_be_fitted_is_said(references, args, said):
    with pytest.raises(InputError, match=said):
        fit_references(random_spectra(2)[0], ENERGY, references, **args)


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_gives_the_functions_maps(files, in_memory):
    mu = random_spectra(2, n=80 * 70)[0].reshape(-1, 80, 70).astype(np.float32)
    chain = Chain(EnergyStack(mu, ENERGY, "optical_density"), in_memory=in_memory)
    found = carry_out(FIT, chain, FitParams(references=files, background=(0,)))
    chain.run()
    fit = fit_references(mu, ENERGY, make_references(2), background=(0,), significance=None)
    for name, fraction, coefficient in zip(fit.names, fit.fractions, fit.coefficients, strict=True):
        np.testing.assert_array_equal(chain.maps[f"fraction_{name}"].data, fraction)
        np.testing.assert_array_equal(chain.maps[f"coefficient_{name}"].data, coefficient)
        amount, thickness = chain.maps[f"amount_{name}"].data, chain.maps["thickness"].data
        np.testing.assert_allclose(amount, np.where(thickness > 0, coefficient, np.nan), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(chain.maps["error"].data, fit.error)
    assert found["invalid_pixels"] == 0 and found["fitted_energies"] == ENERGY.size


def test_fractions_stand_from_three_sigma_on_where_sigma_is_known(files):
    """By default in Python, and where a recipe says so: one that names nothing keeps what it always kept."""
    rng = np.random.default_rng(5)
    mu = columns(2) @ np.array([[0.5], [0.5]]) * np.repeat([0.002, 1.0], 400) + rng.normal(
        0, 0.05, (ENERGY.size, 800)
    )
    fit = fit_references(mu, ENERGY, make_references(2), background=(0, 1))
    assert np.isfinite(fit.fractions[0, :400]).mean() < 0.02 and np.isfinite(fit.fractions[0, 400:]).all()
    stack = EnergyStack(mu.astype(np.float32).reshape(-1, 20, 40), ENERGY, "optical_density")
    for named, kept in (({}, 0.4), ({"significance": 3}, 0.0)):
        chain = Chain(stack)
        carry_out(FIT, chain, FitParams(references=files, background=(0, 1), **named))
        chain.run()
        valid = np.isfinite(chain.maps["fraction_ref0"].data).ravel()
        assert valid[400:].all() and kept <= valid[:400].mean() <= kept + 0.2
    few = np.searchsorted(ENERGY, [8305, 8335, 8340, 8400])  # as many unknowns as values
    known = [Reference(r.name, ENERGY[few], r.mu[few]) for r in make_references(2)]
    fit = fit_references(mu[few, 400:], ENERGY[few], known, background=(0, 1))
    assert np.isnan(fit.sigma).all() and np.isfinite(fit.fractions).all()


def test_amounts_of_a_normalised_stack_need_its_thickness(files):
    mu, _ = random_spectra(2, n=30, noise=0, negative=False)
    edge = normalize_edge(
        mu.reshape(-1, 5, 6), ENERGY, e0=8336, pre_edge=(8300, 8320), post_edge=(8370, 8420)
    )
    stack = EnergyStack(edge.normalized, ENERGY, "normalized", thickness=edge.thickness)
    for given in (stack, stack.replace(thickness=None)):
        chain = Chain(given)
        carry_out(FIT, chain, FitParams(references=files))
        chain.run()
        assert ("amount_ref0" in chain.maps) == (given.thickness is not None)
        assert "thickness" not in chain.maps


@pytest.mark.parametrize("slope", ["pixel", "shared"])
@pytest.mark.parametrize("runs", [1, 2])
def test_normalised_noise_is_not_significant(files, slope, runs):
    """The error of the edge step that was divided out counts, in one run and in two as in the window."""
    rng = np.random.default_rng(6)
    empty = np.arange(20_000) % 5 > 0
    mu = np.where(empty, 0, spectrum(CENTRES[0])[:, None]) + 0.02 * rng.normal(size=(ENERGY.size, empty.size))
    stack = EnergyStack(mu.astype(np.float32).reshape(-1, 100, 200), ENERGY, "optical_density")
    steps = [
        ("normalize", NormalizeParams(e0=8336, pre_edge=(8300, 8320), post_edge=(8370, 8420), slope=slope)),
        ("fit", FitParams(references=files, significance=3)),
    ]
    if runs == 2:
        stack = run_steps(stack, steps[:1], keep_stack=True).stack
    found = np.isfinite(run_steps(stack, steps[runs - 1 :]).maps["fraction_ref0"].ravel())
    assert found[~empty].mean() > 0.999 and found[empty].mean() < 0.004


def test_step_names_what_is_missing(files):
    mu = random_spectra(2, n=30)[0].reshape(-1, 5, 6)
    with pytest.raises(InputError, match="put optical_density before it"):
        run_steps(EnergyStack(mu, ENERGY, "transmission"), [("fit", FitParams(references=files))])
    with pytest.raises(InputError, match=r"no reference 'NiO' in .*these are: ref0, ref1"):
        carry_out(
            FIT, Chain(EnergyStack(mu, ENERGY, "normalized")), FitParams(references=files, names=("NiO",))
        )


@pytest.mark.parametrize("constraint", ["none", "nonnegative", "nonnegative_sum_to_one"])
def test_normalise_and_fit_streamed_are_the_same_bits_as_in_memory(files, constraint):
    mu = random_spectra(2, n=300 * 70)[0].reshape(-1, 300, 70).astype(np.float32)
    mu[7, 20:22] = np.nan
    mu[11] = np.nan
    maps = []
    for in_memory, workers in ((True, 1), (True, 3), (False, 1), (False, 3)):
        chain = Chain(EnergyStack(mu, ENERGY, "optical_density"), in_memory=in_memory, workers=workers)
        window = NormalizeParams(e0=8336, pre_edge=(8300, 8320), post_edge=(8370, 8420))
        carry_out(NORMALIZE, chain, window)
        found = carry_out(FIT, chain, FitParams(references=files, constraint=constraint))
        chain.run()
        assert found["unusable_frames"] == [ENERGY[11]] and found["fitted_energies"] == ENERGY.size - 1
        assert found["invalid_pixels"] >= 2 * 70
        maps.append({name: m.data for name, m in chain.maps.items()})
    assert {"thickness", "edge_step", "fraction_ref0", "amount_ref1", "sigma_ref0", "error"} <= maps[0].keys()
    for other in maps[1:]:
        assert other.keys() == maps[0].keys()
        for name, data in maps[0].items():
            np.testing.assert_array_equal(other[name], data, err_msg=name)


def test_step_resolves_names_and_energies(files):
    mu = random_spectra(2, n=30)[0].reshape(-1, 5, 6)
    chain = Chain(EnergyStack(mu, ENERGY, "normalized"))
    given = FitParams(references=files, energy_range=(8301, 8366.5))
    resolved = carry_out(FIT, chain, given).resolved
    assert resolved.names == ("ref0", "ref1") and resolved.energy_range == (8305.0, 8366.0)
    assert [r.name for r in chain.extra["references"]] == ["ref0", "ref1"]


def test_step_warns_of_references_that_are_nearly_the_same(files, tmp_path):
    np.savetxt(tmp_path / "twin.txt", np.stack([ENERGY, spectrum(CENTRES[0] + 0.001)], axis=1), fmt="%.10f")
    mu = random_spectra(2, n=30)[0].reshape(-1, 5, 6)
    alike = FitParams(references=(files[0], str(tmp_path / "twin.txt")))
    found = carry_out(FIT, Chain(EnergyStack(mu, ENERGY, "normalized")), alike)
    assert found["condition_number"] > 1000 and "ref0, twin are nearly" in found.warnings[0]


def test_a_reference_that_is_zero_is_named():
    references = [*make_references(1), Reference("nothing", ENERGY, 0 * ENERGY)]
    with pytest.raises(InputError, match="reference 'nothing' is zero at all fitted energies"):
        fit_references(random_spectra(1)[0], ENERGY, references)


@pytest.mark.parametrize("weights", [None, np.linspace(1, 2, 100)])
def test_the_r_factor_is_the_same_whatever_the_pedestal(weights):
    rng = np.random.default_rng(0)
    energy = np.arange(8300, 8400.0)
    references = np.stack([1 / (1 + np.exp(-(energy - at) / 2)) for at in (8340, 8345)])
    mu = references.T @ [[0.5], [0.5]] + rng.normal(0, 0.02, (100, 1))
    plain, raised = (
        fit_references(mu + pedestal, energy, references, background=(0,), weights=weights)
        for pedestal in (0, 3)
    )
    np.testing.assert_allclose(raised.r_factor, plain.r_factor, rtol=1e-6)
    assert plain.r_factor[0] > 1e-3
