"""The smoothing spline's matrices against scipy's spline, and its choice of smoothing against scipy's."""

from functools import cache

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from napari_xanes import cluster_spectra, decompose, edge_map, peak_map, residual_components
from napari_xanes._core.maps.smoothing import choose_for_position
from napari_xanes._core.maps.spline import SmoothingSpline, as_rows, for_choice

ENERGY = 8340 + np.cumsum(np.random.default_rng(0).uniform(0.3, 3, 17))


def make_spectra(n, noise, seed=1):
    rng = np.random.default_rng(seed)
    centre = rng.uniform(8350, 8358, n)
    return np.exp(-(((ENERGY[:, None] - centre) / 6) ** 2)) + noise * rng.normal(size=(ENERGY.size, n))


@pytest.mark.parametrize("smoothing", [0.0, 1e-3, 1.0, 100.0])
def test_values_slopes_and_curvatures_are_those_of_scipys_spline(smoothing):
    spline, data = SmoothingSpline(ENERGY), np.random.default_rng(2).normal(size=ENERGY.size)
    expected = make_smoothing_spline(ENERGY, data, lam=smoothing)
    for order, matrix in enumerate((spline.values, spline.slopes, spline.curvatures)):
        np.testing.assert_allclose(matrix(smoothing) @ data, expected(ENERGY, order), atol=1e-9)


def test_freedom_goes_from_all_energies_down_to_a_line():
    spline = SmoothingSpline(ENERGY)
    assert spline.freedom(0) == pytest.approx(ENERGY.size)
    assert spline.freedom(1e12) == pytest.approx(2, abs=1e-3)
    line = 3 + 0.1 * (ENERGY - 8340)
    np.testing.assert_allclose(spline.values(1e6) @ line, line, rtol=1e-9)


@cache
def left_by_scipy(smoothing):
    """Return what the spline of SciPy leaves of the value of each energy."""
    columns = [make_smoothing_spline(ENERGY, unit, lam=smoothing)(ENERGY) for unit in np.eye(ENERGY.size)]
    return np.eye(ENERGY.size) - np.stack(columns, axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_no_smoothing_of_scipys_spline_has_a_better_cross_validation_score(seed):
    data = make_spectra(1, 0.05, seed)

    def score(smoothing):
        rest = left_by_scipy(smoothing)
        return np.sum((rest @ data) ** 2) / np.trace(rest) ** 2

    chosen = SmoothingSpline(ENERGY).choose(data)
    assert score(chosen) < 1.002 * min(score(s) for s in np.geomspace(1e-4, 1e4, 41))


def test_scales_of_the_spectra_do_not_matter_to_the_choice():
    spectra = make_spectra(500, 0.05)
    spline, scales = SmoothingSpline(ENERGY), np.random.default_rng(3).uniform(0.1, 10, 500)
    assert spline.choose(spectra * scales) == pytest.approx(spline.choose(spectra))


def test_spectra_with_gaps_and_flat_ones_do_not_take_part():
    spectra, spline = make_spectra(200, 0.05), SmoothingSpline(ENERGY)
    more = np.concatenate([spectra, np.ones((ENERGY.size, 50)), np.full((ENERGY.size, 50), np.nan)], axis=1)
    assert spline.choose(more) == spline.choose(spectra)
    assert spline.choose(more[:, 200:]) == spline.least_smoothing


def test_with_few_spectra_or_without_positions_cross_validation_decides():
    spline = SmoothingSpline(ENERGY)
    few, many = make_spectra(10, 0.05), make_spectra(300, 0.05)

    def centre(smoothing, y):
        return np.ones(y.shape[1])

    def nowhere(smoothing, y):
        return np.full(y.shape[1], np.nan)

    assert choose_for_position(spline, few, centre) == spline.choose(few)
    assert choose_for_position(spline, many, nowhere) == spline.choose(many)


def test_rows_without_gaps_are_a_slice():
    assert as_rows(np.array([3, 4, 5])) == slice(3, 6)
    np.testing.assert_array_equal(as_rows(np.array([3, 5])), [3, 5])


def test_energies_that_are_the_same_but_for_rounding_count_once():
    """As where two regions of a scan meet, in keV."""
    energy = np.sort(np.r_[np.arange(8.300, 8.3401, 0.002), np.arange(8.340, 8.4001, 0.004)] * 1000)
    assert 0 < np.diff(energy).min() < 1e-6
    curve = 0.5 + np.arctan((energy - 8330) / 1.5) / np.pi + 0.9 * np.exp(-(((energy - 8338) / 5) ** 2))
    mu = curve[:, None, None] + np.random.default_rng(0).normal(0, 0.004, (energy.size, 6, 7))
    assert abs(np.mean(peak_map(mu, energy, (8328, 8352)).energy) - 8338.1) < 0.1
    assert abs(np.mean(edge_map(mu, energy).energy) - 8329.7) < 0.2


@pytest.mark.parametrize("smoothing", [0.0, 1e-3, 1.0, 100.0])
def test_of_many_energies_the_matrices_are_the_same(monkeypatch, smoothing):
    few = SmoothingSpline(ENERGY).values(smoothing)
    monkeypatch.setattr("napari_xanes._core.maps.spline.MOST_CHOICE", 5)
    np.testing.assert_allclose(SmoothingSpline(ENERGY).values(smoothing), few, atol=1e-10)


MANY = np.linspace(8200, 8600, 2000)


def test_of_many_energies_neighbours_decide_together():
    rng, many = np.random.default_rng(5), MANY[::4]
    spectra = 1 / (1 + np.exp(-(many[:, None] - 8345) / 3)) + 0.01 * rng.normal(size=(many.size, 12))
    few, means, factor = for_choice(many, spectra)
    assert factor == 2 and few.size == 250 and np.all(np.diff(few) > 0)
    np.testing.assert_allclose(means[3], spectra[6:8].mean(axis=0))
    chosen = factor * SmoothingSpline(few).choose(means)
    whole = SmoothingSpline(many)
    score = {
        smoothing: np.sum((spectra - whole.values(smoothing) @ spectra) ** 2)
        / (many.size - whole.freedom(smoothing)) ** 2
        for smoothing in (chosen, whole.choose(spectra))
    }
    assert score[chosen] < 1.01 * min(score.values())
    assert for_choice(ENERGY, spectra[:17])[0] is ENERGY


@pytest.mark.parametrize("calls", ["edge", "steepest", "peak", "residual", "clusters", "components"])
def test_two_thousand_energies_of_a_few_pixels_need_no_large_eigenproblem(monkeypatch, calls):
    """Known positions are found, and nothing takes the third power of the number of energies."""
    rng, sizes, eigh = np.random.default_rng(6), [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: (sizes.append(len(matrix)), eigh(matrix))[1])
    edges = np.linspace(8340, 8350, 20)
    step = 1 / (1 + np.exp(-(MANY[:, None] - edges) / 3))
    noisy = step + 0.01 * rng.normal(size=step.shape)
    wide = (8201, 8599)
    if calls in ("edge", "steepest"):
        method = "half_height" if calls == "edge" else "derivative"
        for window in (None, wide):
            found = edge_map(noisy, MANY, method=method, window=window)
            assert np.abs(found.energy - edges).max() < (0.2 if calls == "edge" else 1.5)
    elif calls == "peak":
        line = noisy + np.exp(-(((MANY[:, None] - edges - 8) / 5) ** 2))
        best = MANY[(line - noisy + step).argmax(axis=0)]
        assert np.abs(peak_map(line, MANY, wide).energy - best).max() < 1
    elif calls == "residual":
        same = step[:, :1] + 0.01 * rng.normal(size=step.shape)
        for spectra, missing in ((noisy, True), (same, False)):
            found = residual_components(spectra, MANY, step[:, 0][None])
            assert found.missing == missing and found.strength.size > 1900
    elif calls == "clusters":
        two = step[:, [0] * 10 + [19] * 10] + 0.01 * rng.normal(size=step.shape)
        labels = cluster_spectra(two, 2).labels
        assert len(set(labels[:10])) == len(set(labels[10:])) == 1 and labels[0] != labels[10]
    else:
        found = decompose(step, 3)
        variance = np.linalg.svd(step - step.mean(axis=1, keepdims=True), compute_uv=False) ** 2
        np.testing.assert_allclose(found.scree[:20], variance / variance.sum(), atol=1e-9)
        rebuilt = found.mean[:, None] + found.spectra.T @ found.maps
        assert np.abs(rebuilt - step).max() < 0.02
    assert max(sizes, default=0) <= 256
