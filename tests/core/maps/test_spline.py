"""The smoothing spline's matrices against scipy's spline, and its choice of smoothing against scipy's."""

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from napari_xanes import edge_map, peak_map
from napari_xanes._core.maps.smoothing import choose_for_position
from napari_xanes._core.maps.spline import SmoothingSpline, as_rows

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


@pytest.mark.parametrize("seed", range(4))
def test_no_smoothing_of_scipys_spline_has_a_better_cross_validation_score(seed):
    data = make_spectra(1, 0.05, seed)

    def score(smoothing):
        columns = [make_smoothing_spline(ENERGY, unit, lam=smoothing)(ENERGY) for unit in np.eye(ENERGY.size)]
        rest = np.eye(ENERGY.size) - np.stack(columns, axis=1)
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
