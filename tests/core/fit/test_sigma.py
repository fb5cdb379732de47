"""The sigma of fractions against the truth: over pixels, 68 and 95 % must lie within one and two of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf

import napari_xanes as nx

FINE = np.linspace(8200, 8600, 1601)
NORMALIZE = {"do": "normalize", "e0": 8341.0, "pre_edge": [8240, 8320], "post_edge": [8374, 8600]}


def edge(energy, at, width, white):
    """An edge that is 0 before and 1 after it, so that lines through both are right."""
    return 0.5 + 0.5 * erf((energy - at) / width) + white * np.exp(-(((energy - at - 5) / 4) ** 2))


REFERENCES = [
    nx.Reference("a", FINE, edge(FINE, 8340, 1.5, 0.3)),
    nx.Reference("b", FINE, edge(FINE, 8343, 2, 0.8)),
]


def energies(n):
    """n energies: a few before and after the edge, most of them at it."""
    few = max(3 if n > 6 else 2, n // 5)
    if n == 5:
        return np.array([8250.0, 8339.0, 8343.0, 8348.0, 8400.0])
    return np.r_[
        np.linspace(8250, 8318, few), np.linspace(8335, 8356, n - 2 * few), np.linspace(8376, 8500, few)
    ]


def scene(n, noise, counted, shape=(64, 72), block=1):
    """Transmission of mixtures of both references, and the true fraction of the first."""
    rng, energy = np.random.default_rng(0), energies(n)
    f, thickness = rng.random(shape), rng.uniform(0.5, 1.5, shape)
    a, b = (np.interp(energy, r.energy, r.mu)[:, None, None] for r in REFERENCES)
    line = (0.4 - 0.0006 * (energy - 8341))[:, None, None]
    density = np.kron(thickness * (f * a + (1 - f) * b + line), np.ones((1, block, block)))
    if counted:
        transmission = np.maximum(rng.poisson(np.exp(-density) / noise**2), 1) * noise**2
    else:
        transmission = np.exp(-density - noise * rng.normal(size=density.shape))
    return nx.EnergyStack(transmission.astype(np.float32), energy, "transmission"), f


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("references")
    for r in REFERENCES:
        np.savetxt(folder / f"{r.name}.txt", np.c_[r.energy, r.mu])
    return [str(folder / f"{r.name}.txt") for r in REFERENCES]


def run(stack, *steps, maps=(), **more):
    table = {"schema": 1, "step": [{"do": "optical_density"}, *steps], "output": {"maps": [*maps]}}
    return nx.run_recipe(nx.Recipe.from_dict(table), stack, **more)


def covered(result, f):
    """Return the shares of pixels whose truth is within one and two sigma."""
    distance = np.abs(result.maps["fraction_a"] - f) / result.maps["sigma_a"]
    assert np.isfinite(distance).mean() > 0.95
    return np.mean(distance < 1), np.mean(distance < 2)


def assert_right(shares):
    assert 0.66 < shares[0] < 0.71 and 0.94 < shares[1] < 0.97


@pytest.mark.parametrize("counted", [False, True], ids=["even noise", "counts"])
@pytest.mark.parametrize("n", [8, 16, 64, 128])
@pytest.mark.parametrize(
    "how", [{}, {"divide_by": "step"}, {"slope": "shared"}], ids=["line", "step", "shared"]
)
def test_coverage_after_normalising(files, n, counted, how):
    how = {"slope": "pixel", **how}
    stack, f = scene(n, 0.01, counted)
    shares = covered(run(stack, NORMALIZE | how, {"do": "fit", "references": files}), f)
    assert 0.65 < shares[0] < 0.72 and 0.94 < shares[1] < 0.975


@pytest.mark.parametrize(
    ("n", "counted"), [(5, True), *((n, c) for n in (6, 8, 16, 64) for c in (False, True))]
)
def test_coverage_of_a_fit_with_a_line(files, n, counted):
    stack, f = scene(n, 0.005, counted)
    assert_right(covered(run(stack, {"do": "fit", "references": files, "background": [0, 1]}), f))


def test_only_energies_near_the_edge_are_fitted(files):
    stack, f = scene(64, 0.01, True)
    fit = {"do": "fit", "references": files, "energy_range": [8330, 8360]}
    assert_right(covered(run(stack, NORMALIZE | {"slope": "pixel"}, fit), f))


def test_coverage_after_binning_and_merging(files):
    stack, f = scene(48, 0.01, True, shape=(40, 48), block=2)
    energy = np.sort(np.r_[stack.energy, stack.energy[10:25] + 0.001])  # a region that was scanned twice
    rng, again = np.random.default_rng(1), np.searchsorted(stack.energy, energy - 0.0015)
    clean = stack.data[np.clip(again, 0, 47)]
    twice = nx.EnergyStack(
        (clean + 0.01 * clean * rng.normal(size=clean.shape)).astype(np.float32), energy, "transmission"
    )
    result = run(
        twice,
        {"do": "bin"},
        {"do": "merge_energies"},
        NORMALIZE | {"slope": "pixel"},
        {"do": "fit", "references": files},
    )
    assert result.maps["fraction_a"].shape == f.shape
    shares = covered(result, f)
    assert 0.64 < shares[0] < 0.73


def test_coverage_after_frames_were_moved_by_parts_of_a_pixel(files):
    """Interpolation takes noise from some frames and none from others."""
    rng, energy = np.random.default_rng(0), energies(24)
    a, b = (np.interp(energy, r.energy, r.mu)[:, None, None] for r in REFERENCES)
    still = np.broadcast_to(0.4 * a + 0.6 * b, (24, 70, 80)) + 0.2 - 0.0005 * (energy - 8341)[:, None, None]
    matrices = np.tile(np.eye(3), (24, 1, 1))
    matrices[:, :2, 2] = np.where(np.arange(24)[:, None] % 2, 0.5, 0.0)
    drift = nx.Drift(matrices, np.ones(24), -1)
    stack = nx.EnergyStack(
        (still + 0.01 * rng.normal(size=still.shape)).astype(np.float32), energy, "optical_density"
    )
    moved = np.asarray(nx.apply_drift(stack, drift, interpolation="linear").data)[:, 2:-2, 2:-2]
    made = nx.normalize_edge(
        moved, energy, e0=8341.0, pre_edge=(8240, 8320), post_edge=(8374, 8600), slope="pixel"
    )
    fit = nx.fit_references(made.normalized, energy, REFERENCES, normalization=made)
    distance = np.abs(fit.fractions[0] - 0.4) / fit.sigma[0]
    assert_right((np.mean(distance < 1), np.mean(distance < 2)))


def test_the_same_bits_streamed_by_arrays_and_about_the_same_after_saving(files, tmp_path):
    stack, _ = scene(16, 0.01, True)
    fit = {"do": "fit", "references": files}
    one, other = (run(stack, NORMALIZE, fit, in_memory=where) for where in (True, False))
    np.testing.assert_array_equal(one.maps["sigma_a"], other.maps["sigma_a"])
    recipe = nx.Recipe.from_dict(
        {"schema": 1, "step": [{"do": "optical_density"}, NORMALIZE], "output": {"stack": True}}
    )
    nx.save_result(nx.run_recipe(recipe, stack), tmp_path / "normalized.h5")
    saved = nx.load_result(tmp_path / "normalized.h5").stack
    later = nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": [fit]}), saved)
    np.testing.assert_allclose(later.maps["sigma_a"], one.maps["sigma_a"], rtol=0.01)


def test_without_a_value_to_spare_there_is_no_sigma(files):
    stack, _ = scene(5, 0.01, False)
    stack = replace(stack, energy=np.array([8250.0, 8300.0, 8345.0, 8400.0, 8450.0]))
    result = run(
        stack, NORMALIZE | {"slope": "pixel", "divide_by": "line"}, {"do": "fit", "references": files}
    )
    assert np.isnan(result.maps["sigma_a"]).all() and np.isfinite(result.maps["fraction_a"]).all()
    assert any("there is no sigma" in text for text in result.warnings)


@pytest.mark.parametrize("counted", [False, True], ids=["even noise", "counts"])
@pytest.mark.parametrize("slope", [None, "pixel", "shared"], ids=["fit with a line", "normalised", "shared"])
def test_amounts_have_errors(files, slope, counted):
    stack, f = scene(32, 0.01, counted)
    rng = np.random.default_rng(0)
    rng.random(f.shape)  # as in the scene
    truth = f * rng.uniform(0.5, 1.5, f.shape)
    fit = {"do": "fit", "references": files, "uncertainty": True}
    normalize = NORMALIZE | {"slope": slope, "uncertainty": True}
    steps = [fit | {"background": [0, 1]}] if slope is None else [normalize, fit]
    maps = run(stack, *steps).maps
    distance = np.abs(maps["amount_a"] - truth) / maps["amount_sigma_a"]
    assert 0.65 < np.mean(distance < 1) < 0.72 and 0.94 < np.mean(distance < 2) < 0.97
    images = nx.optical_density(stack.data)
    if slope is None:
        one = nx.fit_references(images, stack.energy, REFERENCES, background=(0, 1), uncertainty=True)
    else:
        given = {name: value for name, value in normalize.items() if name != "do"}
        made = nx.normalize_edge(images, stack.energy, **given)
        one = nx.fit_references(
            made.normalized, stack.energy, REFERENCES, normalization=made, uncertainty=True
        )
    np.testing.assert_allclose(one.amount_sigma[0], maps["amount_sigma_a"], rtol=2e-2)


@pytest.mark.parametrize("slope", [None, "pixel"], ids=["fit with a line", "normalised"])
def test_errors_of_amounts_can_be_had_alone(files, slope):
    fit = {"do": "fit", "references": files, "uncertainty": True}
    steps = [NORMALIZE | {"uncertainty": True}, fit] if slope else [fit | {"background": [0, 1]}]
    stack = scene(32, 0.01, False)[0]
    every = run(stack, *steps).maps
    alone = run(stack, *steps, maps=["amount_sigma"]).maps
    assert [*alone] == [name for name in every if name.startswith("amount_sigma")]
    for name, data in alone.items():
        assert data.tobytes() == every[name].tobytes()


def test_amounts_without_the_error_of_their_thickness_have_none(files):
    result = run(scene(32, 0.01, True)[0], NORMALIZE, {"do": "fit", "references": files, "uncertainty": True})
    assert not any(name.startswith("amount_sigma") for name in result.maps)
    assert any("set uncertainty = true in normalize" in text for text in result.warnings)
