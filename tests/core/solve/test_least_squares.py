"""Errors, weights and degrees of freedom of the fit; the exact solver on degenerate problems."""

import tracemalloc

import numpy as np
import pytest
from made_spectra import CENTRES, ENERGY, columns, make_references, random_spectra, spectrum
from scipy.optimize import nnls
from scipy.stats import truncnorm

from napari_xanes import EnergyStack, InputError, Reference, fit_references, normalize_edge
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.fit.fit import FitParams
from napari_xanes._core.prepare.flat_field import FlatFieldParams
from napari_xanes._core.prepare.optical_density import OpticalDensityParams
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._core.solve.active_sets import ExactSolver
from napari_xanes._core.solve.sigma import cut_normal

BOUNDED = ("nonnegative", "nonnegative_sum_to_one")


def noisy(fractions, n=20_000, noise=0.02, seed=5):
    """Return n spectra of one mixture with noise that may depend on the energy."""
    truth = np.array(fractions, dtype=float)
    rng = np.random.default_rng(seed)
    scatter = np.broadcast_to(noise, ENERGY.shape)[:, None] * rng.normal(size=(ENERGY.size, n))
    return (columns(truth.size) @ truth)[:, None] + scatter


def coverage(fit, truth):
    """Return the share of each fraction's truth within one and two sigma."""
    distance = np.abs(fit.fractions - np.array(truth)[:, None]) / fit.sigma
    return (distance <= 1).mean(axis=1), (distance <= 2).mean(axis=1)


@pytest.mark.parametrize("kind", ["random", "collinear", "at the bound", "exact", "nothing"])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_exact_solver_is_nnls_on_degenerate_problems(kind, k):
    rng = np.random.default_rng(k)
    for _ in range(4):
        r = np.triu(rng.normal(size=(k, k))) + 2 * np.diag(np.sign(rng.normal(size=k)))
        if kind == "collinear" and k > 1:
            r[:, 1] = r[:, 0] * (1 + 1e-3) + 1e-3 * r[:, 1]
        x = rng.normal(size=(k, 100))
        z = r @ x + 0.5 * rng.normal(size=x.shape)
        if kind == "at the bound":
            z = r @ np.where(x > 0, x, 0)
        elif kind == "exact":
            z = r @ np.abs(x).round()
        elif kind == "nothing":
            z = np.zeros_like(z)
        found = ExactSolver(r, "nonnegative", np.float64)(z)
        expected = np.stack([nnls(r, column)[0] for column in z.T], axis=1)
        scale = np.abs(expected).max(axis=0) + 1e-9
        np.testing.assert_array_less(np.abs(found - expected).max(axis=0), 1e-6 * scale)


@pytest.mark.parametrize("constraint", ["none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one"])
@pytest.mark.parametrize("fractions", [(0.3, 0.7), (0.3, 0.3, 0.4), (0.2, 0.3, 0.1, 0.4)])
def test_sigma_covers_the_truth_of_interior_fractions(constraint, fractions):
    fit = fit_references(
        noisy(fractions, noise=0.01), ENERGY, make_references(len(fractions)), constraint=constraint
    )
    one, two = coverage(fit, fractions)
    assert (one > 0.66).all() and (one < 0.70).all() and (two > 0.94).all() and (two < 0.96).all()


@pytest.mark.parametrize("constraint", BOUNDED)
@pytest.mark.parametrize("fractions", [(0, 1), (0.03, 0.97), (0, 0.3, 0.7), (0, 0, 1), (0.03, 0, 0.97)])
def test_sigma_is_not_too_small_at_the_bound(constraint, fractions):
    fit = fit_references(
        noisy(fractions, noise=0.05), ENERGY, make_references(len(fractions)), constraint=constraint
    )
    assert (fit.coefficients == 0).mean() > 0.02, "the bound should matter"
    one, two = coverage(fit, fractions)
    assert (one > 0.66).all() and (two > 0.94).all()
    free = fit_references(noisy(fractions, noise=0.05), ENERGY, make_references(len(fractions)))
    assert (np.median(fit.sigma, axis=1) < 1.05 * np.median(free.sigma, axis=1)).all()


@pytest.mark.parametrize("constraint", BOUNDED)
def test_sigma_is_continuous_where_a_coefficient_reaches_its_bound(constraint):
    rng = np.random.default_rng(2)
    residual = rng.normal(size=ENERGY.size)
    residual -= columns(3) @ np.linalg.lstsq(columns(3), residual, rcond=None)[0]
    amounts = np.array([[1e-7, 0.4, 0.6 - 1e-7], [-1e-7, 0.4, 0.6 + 1e-7]]).T
    mu = columns(3) @ amounts + 0.02 * residual[:, None]
    fit = fit_references(mu, ENERGY, make_references(3), constraint=constraint, noise=0.02)
    assert fit.coefficients[0, 0] > 0 and fit.coefficients[0, 1] == 0
    np.testing.assert_allclose(fit.sigma[:, 0], fit.sigma[:, 1], rtol=2e-3)


def test_cut_normal_is_the_second_moment():
    beyond = np.linspace(0, 20, 50)
    moments = [truncnorm(a, np.inf, loc=-a).moment(2) for a in beyond]
    np.testing.assert_allclose(cut_normal(beyond), moments, rtol=4e-3)
    assert cut_normal(np.array([-1.0, np.inf])) == pytest.approx([1, 0], abs=1e-6)


@pytest.mark.parametrize("constraint", ["none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one"])
@pytest.mark.parametrize("fractions", [(0.4, 0.6), (0, 1), (0, 0.5, 0.5)])
def test_reduced_chi_square_is_one_on_average(constraint, fractions):
    fit = fit_references(
        noisy(fractions), ENERGY, make_references(len(fractions)), constraint=constraint, noise=0.02
    )
    assert fit.reduced_chi_square.mean() == pytest.approx(1, abs=0.006)
    assert fit_references(noisy(fractions, 3), ENERGY, make_references(2)).reduced_chi_square is None


def test_noise_given_for_each_pixel_is_used():
    noise = np.linspace(0.01, 0.1, 12_000).reshape(100, 120)
    mu = noisy((0.4, 0.6), noise.size, noise=1.0)
    mu = mu - mu.mean(axis=1, keepdims=True)
    mu = (columns(2) @ [0.4, 0.6])[:, None, None] + noise * mu.reshape(-1, *noise.shape)
    fit = fit_references(mu.astype(np.float32), ENERGY, make_references(2), noise=noise)
    assert fit.reduced_chi_square.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(fit.sigma[0] / fit.sigma[0, 0, 0], noise / noise[0, 0], rtol=0.2)
    distance = np.abs(fit.fractions[0] - 0.4) / fit.sigma[0]
    assert 0.66 < (distance < 1).mean() < 0.70 and 0.94 < (distance < 2).mean() < 0.96


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighted_fit_is_weighted_least_squares(dtype):
    mu, _ = random_spectra(3, n=200)
    weights = np.random.default_rng(1).uniform(0.2, 3, ENERGY.size)
    fit = fit_references(mu.astype(dtype), ENERGY, make_references(3), weights=weights)
    again = fit_references(mu.astype(dtype), ENERGY, make_references(3), weights=7 * weights)
    root = np.sqrt(weights)[:, None]
    expected = np.linalg.lstsq(root * columns(3), root * mu, rcond=None)[0]
    tolerance = 2e-5 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(fit.coefficients, expected, atol=tolerance)
    np.testing.assert_allclose(again.sigma, fit.sigma, rtol=1e-3)
    residual = mu - columns(3) @ expected
    np.testing.assert_allclose(fit.error, (residual**2).sum(axis=0), rtol=100 * tolerance)
    np.testing.assert_allclose(fit.r_factor, fit.error / (mu**2).sum(axis=0), rtol=1e-5)
    assert fit.weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(fit.model(3).fitted, columns(3) @ fit.coefficients[:, 3], rtol=1e-5)


def test_equal_weights_change_nothing():
    mu, _ = random_spectra(2, n=200, noise=0.2)
    args = {"constraint": "nonnegative", "background": (0,)}
    one = fit_references(mu, ENERGY, make_references(2), **args)
    two = fit_references(mu, ENERGY, make_references(2), weights=np.full(ENERGY.size, 3.0), **args)
    for name in ("coefficients", "sigma", "error", "r_factor"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-7, atol=1e-10)


def counted(thickness=1.0, n=20_000, photons=3000.0, beam=1.0, seed=3):
    """Return optical density measured by counting, of a mixture (0.4, 0.6) of a given thickness."""
    rng = np.random.default_rng(seed)
    density = thickness * 3 * (columns(2) @ [0.4, 0.6])
    return -np.log(rng.poisson(photons * np.exp(-density)[:, None], (ENERGY.size, n)) / photons)


def test_counting_weights_have_less_error_and_a_right_sigma():
    mu = counted()
    fits = {w: fit_references(mu, ENERGY, make_references(2), weights=w) for w in (None, "counts")}
    rms = {w: np.sqrt(((fit.fractions[0] - fit.fractions[0].mean()) ** 2).mean()) for w, fit in fits.items()}
    assert rms["counts"] < 0.9 * rms[None]
    fit = fits["counts"]
    assert fit.weights.max() / fit.weights.min() == pytest.approx(np.exp(np.ptp(mu.mean(axis=1))), rel=0.01)
    distance = np.abs(fit.fractions[0] - fit.fractions[0].mean()) / fit.sigma[0]
    assert 0.66 < (distance < 1).mean() < 0.70 and 0.94 < (distance < 2).mean() < 0.96


def test_mask_is_as_fitting_all_and_outside_is_nan():
    mu = random_spectra(3, n=100 * 120)[0].reshape(-1, 100, 120).astype(np.float32)
    every = fit_references(mu, ENERGY, make_references(3), constraint="nonnegative", noise=0.05)
    rng = np.random.default_rng(0)
    masks = [rng.random((100, 120)) < share for share in (0.02, 0.9)]
    masks.append(np.arange(100)[:, None] + 0 * masks[0] < 50)
    for mask in masks:
        fit = fit_references(
            mu, ENERGY, make_references(3), constraint="nonnegative", noise=0.05, mask=mask.astype(int)
        )
        for name in ("coefficients", "fractions", "sigma", "error", "reduced_chi_square"):
            found, expected = getattr(fit, name), getattr(every, name)
            np.testing.assert_allclose(found[..., mask], expected[..., mask], rtol=2e-3, atol=1e-5)
            assert np.isnan(found[..., ~mask]).all()


@pytest.mark.parametrize("constraint", ["none", "nonnegative", "nonnegative_sum_to_one"])
@pytest.mark.parametrize("solver", ["direct", "admm"])
def test_infinite_and_missing_values_make_one_pixel_invalid(constraint, solver):
    mu, _ = random_spectra(2, n=50)
    mu[3, 10], mu[4, 20], mu[:, 30] = np.inf, np.nan, 0
    args = {"constraint": constraint, "solver": solver}
    fit = fit_references(mu.astype(np.float32), ENERGY, make_references(2), **args)
    bad = np.isnan(fit.sigma).any(axis=0)
    assert bad[[10, 20]].all() and not np.isfinite(fit.error[[10, 20]]).any()
    clean = np.setdiff1d(np.arange(50), [10, 20])
    alone = fit_references(mu[:, clean].astype(np.float32), ENERGY, make_references(2), **args)
    np.testing.assert_allclose(fit.coefficients[:, clean], alone.coefficients, atol=1e-5)


def test_model_of_a_pixel_copies_no_stack():
    mu = random_spectra(2, n=200_000)[0].reshape(-1, 400, 500).astype(np.float32)
    fit = fit_references(mu, ENERGY, make_references(2), energy_range=(8310, 8400))
    tracemalloc.start()
    model = fit.model((3, 7))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000 and model.measured.shape == fit.energy.shape


def test_hole_in_a_reference_is_said():
    inside = (ENERGY > 8331) & (ENERGY < 8339)
    holed = Reference("holed", ENERGY[~inside], spectrum(CENTRES[1])[~inside])
    fit = fit_references(random_spectra(2)[0], ENERGY, [make_references(1)[0], holed])
    assert "reference 'holed' has no points between 8331.00 and 8339.00 eV" in fit.warnings[0]
    away = fit_references(
        random_spectra(2)[0], ENERGY, [make_references(1)[0], holed], energy_range=(8340, 8420)
    )
    whole = fit_references(random_spectra(2)[0], ENERGY, make_references(2))
    assert all(
        "clearly negative" in text for text in (*away.warnings, *whole.warnings)
    )  # as amounts are made


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"weights": np.ones(3)}, r"weights have shape \(3,\)"),
        ({"weights": np.zeros(ENERGY.size)}, "weights must be positive"),
        ({"weights": "poisson"}, "weights is 'poisson'"),
        ({"noise": np.ones(3)}, r"noise has shape \(3,\)"),
        ({"noise": 0.0}, "noise must be positive"),
        ({"reference_shifts": [0.1]}, "reference_shifts is .0.1,., expected one number"),
        ({"reference_shifts": {"NiO": 0.1}}, "names 'NiO', but the references are ref0, ref1"),
    ],
)
def test_misuse_is_said(args, said):
    with pytest.raises(InputError, match=said):
        fit_references(random_spectra(2, n=10)[0], ENERGY, make_references(2), **args)


def test_step_weighs_by_the_counts_of_the_beam(files):
    mu = counted(n=3000).reshape(-1, 50, 60).astype(np.float32)
    beam = np.linspace(1000, 3000, ENERGY.size)
    counts = beam[:, None, None] * np.exp(-mu)
    steps = [("fit", FitParams(references=files, background=(0,), weights="counts"))]
    plain = run_steps(EnergyStack(mu, ENERGY, "optical_density"), steps)
    fit = fit_references(mu, ENERGY, make_references(2), background=(0,), weights="counts")
    np.testing.assert_allclose(plain.maps["fraction_ref0"], fit.fractions[0], rtol=1e-3, atol=1e-4)
    flats = EnergyStack(counts.astype(np.float32), ENERGY, "counts", flat=beam)
    whole = [("flat_field", FlatFieldParams()), ("optical_density", OpticalDensityParams()), *steps]
    results = [run_steps(flats, whole, in_memory=m, workers=2) for m in (True, False)]
    for name, data in results[0].maps.items():
        np.testing.assert_array_equal(results[1].maps[name], data, err_msg=name)
    weights = beam * np.exp(-mu.reshape(len(mu), -1).mean(axis=1))
    expected = fit_references(mu, ENERGY, make_references(2), background=(0,), weights=weights)
    np.testing.assert_allclose(results[0].maps["fraction_ref0"], expected.fractions[0], rtol=1e-3, atol=1e-4)
    assert results[0].history[-1]["found"]["weights"]["beam"] == "flats"
    with pytest.raises(InputError, match="weights = 'counts' needs optical density"):
        run_steps(EnergyStack(mu, ENERGY, "normalized"), steps)


def test_step_normalises_references_as_the_data(tmp_path):
    window = NormalizeParams(e0=8336, pre_edge=(8300, 8320), post_edge=(8370, 8420))
    raw = [0.4 + 3 * spectrum(c) - 1e-3 * (ENERGY - 8300) for c in CENTRES[:2]]
    paths = []
    for i, mu in enumerate(raw):
        paths.append(str(tmp_path / f"ref{i}.txt"))
        np.savetxt(paths[-1], np.stack([ENERGY, mu], axis=1), fmt="%.10f")
    alike = [
        normalize_edge(m, ENERGY, e0=8336, pre_edge=(8300, 8320), post_edge=(8370, 8420)).normalized
        for m in raw
    ]
    shares = np.linspace(0, 1, 40)
    mu = (
        0.7 + 1.3 * (np.outer(spectrum(CENTRES[0]), shares) + np.outer(spectrum(CENTRES[1]), 1 - shares))
    ).reshape(-1, 4, 10)
    steps = [("normalize", window), ("fit", FitParams(references=tuple(paths), references_as="data"))]
    result = run_steps(EnergyStack(mu.astype(np.float32), ENERGY, "optical_density"), steps)
    expected = fit_references(
        normalize_edge(mu, ENERGY, e0=8336, pre_edge=(8300, 8320), post_edge=(8370, 8420)).normalized,
        ENERGY,
        np.stack(alike),
    )
    np.testing.assert_allclose(result.maps["fraction_ref0"], expected.fractions[0], atol=1e-4)
    assert result.maps["rms"].max() < 1e-4
    with pytest.raises(InputError, match="how the data were normalised is not known"):
        run_steps(EnergyStack(mu, ENERGY, "optical_density"), steps[1:])
