"""ADMM against the exact solution, and what it says about how far it came."""

import numpy as np
import pytest
from made_spectra import CENTRES, ENERGY, columns, make_references, random_spectra, spectrum

from napari_xanes import EnergyStack, InputError, Reference, fit_references
from napari_xanes._core.fit.fit import FitParams
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._core.solve.active_sets import ExactSolver
from napari_xanes._core.solve.admm import AdmmSolver, nearest_fractions

CONSTRAINTS = ("none", "nonnegative", "sum_to_one", "nonnegative_sum_to_one")


def solve(r, constraint, z, **options):
    solver = AdmmSolver(r, constraint, **options)
    out = {name: np.empty(z.shape[1], z.dtype) for name in solver.maps}
    return solver(z, out), out


def problem(k, twin=None, n=400, seed=0):
    """Return R and projected spectra, with one more reference that is nearly the first one if `twin` is given."""
    a = columns(k) if twin is None else np.c_[columns(k), spectrum(CENTRES[0] + twin)]
    q, r = np.linalg.qr(a)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.4, 1, (a.shape[1], n))
    return r, q.T @ (a @ x + 0.05 * rng.normal(size=(len(a), n)))


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize(("k", "twin"), [(1, None), (2, None), (4, None), (2, 0.2), (3, 0.2)])
def test_admm_agrees_with_the_exact_solution(constraint, k, twin):
    r, z = problem(k, twin)
    assert np.linalg.cond(r) > 150 if twin else np.linalg.cond(r) < 100
    x, out = solve(r, constraint, z)
    np.testing.assert_allclose(x, ExactSolver(r, constraint, np.float64)(z), atol=1e-4)
    assert not out["unconverged"].any() and (out["iterations"] >= 1).all()


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_public_fit_agrees_with_direct(constraint):
    mu, _ = random_spectra(3, n=500, noise=0.1)
    args = {"constraint": constraint, "background": (0, 1)}
    for dtype in (np.float32, np.float64):
        direct = fit_references(mu.astype(dtype), ENERGY, make_references(3), **args)
        admm = fit_references(mu.astype(dtype), ENERGY, make_references(3), solver="admm", **args)
        assert admm.coefficients.dtype == dtype and admm.n_unconverged == 0
        for name in ("coefficients", "fractions", "sigma", "error", "r_factor"):
            np.testing.assert_allclose(
                getattr(admm, name), getattr(direct, name), atol=1e-4, rtol=1e-3, err_msg=name
            )
        assert direct.iterations is None and admm.iterations.shape == admm.error.shape


def test_residuals_are_true_and_bound_the_distance_to_the_solution():
    r, z = problem(3)
    exact = ExactSolver(r, "nonnegative", np.float64)(z)
    for tolerance in (1e-2, 1e-4, 1e-8):
        x, out = solve(r, "nonnegative", z, tolerance=tolerance)
        scale = np.linalg.norm(np.linalg.solve(r, z), axis=0)
        assert (np.linalg.norm(x - exact, axis=0) <= 6 * tolerance * np.maximum(scale, 1)).all()
        assert (out["primal_residual"] <= 6 * tolerance * np.maximum(scale, 1)).all()
        assert np.isfinite(out["dual_residual"]).all()


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_scaled_spectra_take_the_same_iterations(scale):
    r, z = problem(3)
    x, out = solve(r, "nonnegative", z)
    scaled, again = solve(r, "nonnegative", scale * z)
    np.testing.assert_allclose(scaled, scale * x, atol=1e-9 * scale)
    assert np.mean(out["iterations"] == again["iterations"]) > 0.99


def test_pixels_that_do_not_converge_are_counted_and_invalid_ones_stay_invalid():
    r, z = problem(2, 0.2)
    z[0, 5] = np.nan
    x, out = solve(r, "nonnegative", z, most_iterations=20)
    assert out["unconverged"][np.arange(z.shape[1]) != 5].sum() > 50
    assert np.isnan(x[:, 5]).all() and np.isnan(out["iterations"][5]) and np.isnan(out["unconverged"][5])
    assert (out["iterations"][out["unconverged"] == 1] == 20).all()


def test_more_than_eight_references_are_taken():
    references = [Reference(f"r{i}", ENERGY, spectrum(8330.0 + 2 * i)) for i in range(10)]
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 1, (10, 20)) * (rng.random((10, 20)) < 0.5)
    mu = np.stack([r.mu for r in references], axis=1) @ truth
    with pytest.raises(InputError, match="10 references are too many"):
        fit_references(mu, ENERGY, references, constraint="nonnegative")
    fit = fit_references(mu, ENERGY, references, constraint="nonnegative", solver="admm")
    assert fit.rms.max() < 1e-4 and (fit.coefficients >= 0).all()
    assert np.isfinite(fit.sigma[:, np.isfinite(fit.fractions[0])]).all()


def test_nearest_fractions_are_nearest():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4, 200))
    near = nearest_fractions(x)
    assert (near >= 0).all()
    np.testing.assert_allclose(near.sum(axis=0), 1)
    others = rng.dirichlet(np.ones(4), 500)
    distance = ((others[:, :, None] - x) ** 2).sum(axis=1).min(axis=0)
    assert (((near - x) ** 2).sum(axis=0) <= distance + 1e-12).all()
    np.testing.assert_allclose(nearest_fractions(near), near, atol=1e-12)


@pytest.mark.parametrize("constraint", ["nonnegative", "nonnegative_sum_to_one"])
def test_step_streams_and_says_how_far_it_came(files, constraint):
    mu = random_spectra(2, n=80 * 70)[0].reshape(-1, 80, 70).astype(np.float32)
    mu[:, 3, 4] = np.nan
    steps = [("fit", FitParams(references=files, constraint=constraint, solver="admm"))]
    stack = EnergyStack(mu, ENERGY, "normalized")
    one, two = (run_steps(stack, steps, in_memory=m, workers=w) for m, w in ((True, 1), (False, 3)))
    for name, data in one.maps.items():
        np.testing.assert_array_equal(two.maps[name], data, err_msg=name)
    found = one.history[-1]["found"]["admm"]
    assert found["unconverged_pixels"] == 0 and found["most_iterations"] == np.nanmax(
        one.maps["admm_iterations"]
    )
    assert np.isnan(one.maps["admm_iterations"][3, 4]) and all("clearly negative" in w for w in one.warnings)


def test_step_warns_of_pixels_that_did_not_converge(files, monkeypatch):
    monkeypatch.setattr("napari_xanes._core.solve.admm.MOST_ITERATIONS", 7)
    mu = random_spectra(2, n=600)[0].reshape(-1, 20, 30)
    step = ("fit", FitParams(references=files, constraint="sum_to_one", solver="admm"))
    result = run_steps(EnergyStack(mu, ENERGY, "normalized"), [step])
    assert "600 of 600 pixels (100.0 %) did not converge" in " ".join(result.warnings)
    fit = fit_references(mu, ENERGY, make_references(2), constraint="sum_to_one", solver="admm")
    assert fit.n_unconverged == 600 and "did not converge" in " ".join(fit.warnings)


def test_unknown_solver_is_named():
    with pytest.raises(InputError, match="solver is 'fast', expected one of direct, admm"):
        fit_references(random_spectra(1)[0], ENERGY, make_references(1), solver="fast")
