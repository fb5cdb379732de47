"""Peak maps against maxima that are known, and against scipy's smoothing spline on a dense grid."""

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from napari_xanes import EnergyStack, InputError, peak_map
from napari_xanes._core.maps.peak import PeakParams
from napari_xanes._core.runs.pipeline import run_steps

EVEN = np.arange(8320.0, 8385.0)
UNEVEN = np.concatenate([np.arange(8320, 8335, 3.0), 8335 + np.cumsum(np.tile([0.7, 1.0, 1.3, 1.0], 10))])
GRID = np.linspace(-4, 4, 80_001)


def edge(energy, centre, width, height=0.6):
    """Arctan step 6 eV below a Gaussian."""
    return (
        0.5
        + np.arctan((energy - centre + 6) / 1.2) / np.pi
        + height * np.exp(-(((energy - centre) / width) ** 2) / 2)
    )


def make_edges(energy, width, n, seed=0):
    """Spectra (E, n) with peaks anywhere between the grid points, and their true maxima."""
    centre = 8350 + np.random.default_rng(seed).uniform(0, 1, n)
    shift = GRID[edge(GRID + 8350, 8350, width).argmax()]
    return edge(energy[:, None], centre, width), centre + shift


def window_of(width):
    return 8350 - max(2 * width, 4), 8351 + max(2 * width, 4)


@pytest.mark.parametrize("energy", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("width", [1.5, 2.0, 3.0, 4.0])
def test_no_bias_without_noise_wherever_the_peak_lies(energy, width):
    mu, truth = make_edges(energy, width, 400)
    peak = peak_map(mu, energy, window_of(width))
    assert np.abs(peak.energy - truth).max() <= 0.02
    assert not peak.at_boundary.any()


@pytest.mark.parametrize("energy", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("width", [1.5, 2.0, 3.0, 4.0])
def test_little_bias_with_one_percent_noise_wherever_the_peak_lies(energy, width):
    mu, truth = make_edges(energy, width, 20)
    mu = mu[:, :, None] + 0.01 * np.random.default_rng(1).normal(size=(*mu.shape, 400))
    peak = peak_map(mu, energy, window_of(width))
    bias = peak.energy.mean(axis=1) - truth
    assert np.abs(bias).max() <= 0.1


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 5.0, None])
@pytest.mark.parametrize("noise", [0.02, 0.3, 3.0])
def test_the_maximum_is_scipys_on_a_dense_grid(smoothing, noise):
    rng = np.random.default_rng(2)
    energy = 8340 + np.cumsum(rng.uniform(0.4, 2.0, 16))
    mu = np.exp(-(((energy[:, None] - rng.uniform(8346, 8356, 120)) / 4) ** 2))
    mu += noise * rng.normal(size=mu.shape)
    peak = peak_map(mu, energy, (8300, 8400), smoothing=smoothing)
    grid = np.linspace(energy[0], energy[-1], 20_001)
    units = [make_smoothing_spline(energy, unit, lam=peak.smoothing)(grid) for unit in np.eye(energy.size)]
    dense = np.stack(units, axis=1) @ mu
    np.testing.assert_allclose(peak.energy, grid[dense.argmax(axis=0)], atol=1e-3)
    np.testing.assert_allclose(peak.height, dense.max(axis=0), rtol=1e-5)
    ends = np.isin(dense.argmax(axis=0), [0, grid.size - 1])
    np.testing.assert_array_equal(peak.at_boundary, ends)


@pytest.mark.parametrize(("width", "window"), [(2.0, (8346, 8358)), (3.0, (8342, 8361))])
def test_the_smoothing_chosen_is_near_the_best_judged_by_the_truth(width, window):
    rng = np.random.default_rng(3)
    centre = 8350 + rng.uniform(0, 3, 2000)
    mu, truth = edge(EVEN[:, None], centre, width), centre + GRID[edge(GRID + 8350, 8350, width).argmax()]
    for noise in (0.005, 0.02, 0.05):
        noisy = mu + noise * rng.normal(size=mu.shape)

        def rms(smoothing, noisy=noisy):
            return np.sqrt(np.mean((peak_map(noisy, EVEN, window, smoothing=smoothing).energy - truth) ** 2))

        assert rms(None) < 1.3 * min(rms(s) for s in np.geomspace(0.01, 30, 15))


def test_empty_pixels_with_strong_noise_do_not_decide_on_the_smoothing():
    mu, _ = make_edges(EVEN, 3.0, 500)
    rng = np.random.default_rng(4)
    mu += 0.02 * rng.normal(size=mu.shape)
    alone = peak_map(mu, EVEN, (8345, 8357)).smoothing
    among = np.concatenate([mu, 30 * rng.normal(size=(EVEN.size, 2500))], axis=1)
    assert 0.5 < peak_map(among, EVEN, (8345, 8357)).smoothing / alone < 2


def test_scaled_spectra_have_their_peak_at_the_same_place_and_scaled_heights():
    mu = make_edges(EVEN, 2.0, 50)[0] + 0.01 * np.random.default_rng(5).normal(size=(EVEN.size, 50))
    one, eight = (peak_map(k * mu, EVEN, (8344, 8357)) for k in (1, 8))
    np.testing.assert_allclose(one.energy, eight.energy, atol=1e-9)
    np.testing.assert_allclose(8 * one.height, eight.height, rtol=1e-12)
    there = peak_map(mu, EVEN + 64, (8408, 8421), smoothing=one.smoothing)
    np.testing.assert_allclose(there.energy - 64, one.energy, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (60,), (6, 10), (3, 4, 5)])
def test_maps_have_the_images_shape_and_the_inputs_type(shape):
    mu = make_edges(EVEN, 2.0, max(1, int(np.prod(shape))))[0].reshape(-1, *shape)
    given = mu.copy()
    double = peak_map(mu, EVEN, (8344, 8357), smoothing=0.1)
    single = peak_map(mu.astype(np.float32), EVEN, (8344, 8357), smoothing=0.1)
    assert double.energy.shape == double.height.shape == double.at_boundary.shape == shape
    if shape:
        assert single.energy.dtype == np.float32
    np.testing.assert_allclose(single.energy, double.energy, atol=2e-3)
    np.testing.assert_array_equal(mu, given)


def test_maxima_at_an_end_are_flagged_and_invalid_pixels_counted():
    mu, truth = make_edges(EVEN, 2.0, 50)
    mu[:, 0], mu[:, 1], mu[:, 2] = EVEN - 8350, 8350 - EVEN, 1.0
    mu[:, 3:5] = np.nan
    mu[EVEN == 8350, 5] = np.nan
    mu[0, 6] = np.nan  # outside the window
    peak = peak_map(mu, EVEN, (8344, 8357))
    assert peak.at_boundary[:3].all() and not peak.at_boundary[3:].any()
    assert (peak.energy[0], peak.energy[1]) == (8357, 8344)
    assert peak.n_invalid == 3 and np.isnan(peak.energy[3:6]).all() and np.isnan(peak.height[3:6]).all()
    assert np.abs(peak.energy[6:] - truth[6:]).max() < 0.02


def test_lost_frames_are_left_out():
    mu, truth = make_edges(EVEN, 3.0, 50)
    mu[EVEN == 8352] = np.nan
    peak = peak_map(mu, EVEN, (8344, 8357))
    assert peak.n_invalid == 0 and np.abs(peak.energy - truth).max() < 0.05


@pytest.mark.parametrize(
    ("window", "smoothing", "message"),
    [
        ((8350, 8353), None, "holds 4 of the energies, at least 5"),
        ((8360, 8340), None, "expected a lower and a higher energy"),
        ((8344, 8357), -1.0, "smoothing is -1.0, expected 0"),
        ((8344, 8357), np.nan, "smoothing is nan"),
        ((8344, 8357), "much", "smoothing is 'much'"),
    ],
)
def test_misuse_is_named(window, smoothing, message):
    with pytest.raises(InputError, match=message):
        peak_map(make_edges(EVEN, 2.0, 5)[0], EVEN, window, smoothing=smoothing)


def test_pixels_that_are_flat_or_nowhere_complete_do_not_matter():
    mu = np.ones((EVEN.size, 60))
    assert peak_map(mu, EVEN, (8344, 8357)).at_boundary.all()
    mu[30:32, ::2], mu[32:34, 1::2] = np.nan, np.nan
    assert peak_map(mu, EVEN, (8344, 8357)).n_invalid == 60


def test_a_stack_without_numbers_is_refused():
    with pytest.raises(InputError, match="holds no valid number"):
        peak_map(np.full((EVEN.size, 4), np.nan), EVEN, (8344, 8357))


def make_stack(signal="normalized"):
    mu = make_edges(EVEN, 3.0, 60 * 50)[0].reshape(-1, 60, 50)
    mu += 0.02 * np.random.default_rng(6).normal(size=mu.shape)
    mu[:, :5] = np.linspace(0, 1, EVEN.size)[:, None, None]
    mu[:, 5:35], mu[30, 35:40] = np.nan, np.nan
    mu[32] = np.nan
    return EnergyStack(mu.astype(np.float32), EVEN, signal)


@pytest.mark.parametrize("signal", ["normalized", "optical_density"])
def test_the_step_gives_the_functions_maps_streamed_or_not(signal):
    stack, params = make_stack(signal), PeakParams(window=(8344, 8357))
    kept, streamed = (run_steps(stack, [("peak", params)], in_memory=m) for m in (True, False))
    peak = peak_map(stack.data, EVEN, (8344, 8357))
    np.testing.assert_array_equal(kept.maps["peak_energy"], peak.energy)
    np.testing.assert_array_equal(kept.maps["peak_at_boundary"] == 1, peak.at_boundary)
    for name, data in kept.maps.items():
        np.testing.assert_array_equal(data, streamed.maps[name])
    assert kept.info["peak_energy"]["unit"] == "eV"
    assert kept.history[-1]["params"]["smoothing"] == peak.smoothing


def test_the_step_counts_what_is_no_peak_and_warns():
    result = run_steps(make_stack(), [("peak", PeakParams(window=(8344, 8357)))])
    found = result.history[-1]["found"]
    assert (found["invalid_pixels"], found["boundary_pixels"]) == (1750, 250)
    assert found["unusable_frames"] == [8352.0]
    for text in (
        "250 of 1250 valid pixels (20.0 %) are highest at an end",
        "% of the pixels with data have none at some",
        "1 of 65 frames",
    ):
        assert any(text in warning for warning in result.warnings)


def test_the_step_wants_absorption():
    with pytest.raises(InputError, match="the data are transmission; put optical_density"):
        run_steps(make_stack("transmission"), [("peak", PeakParams(window=(8344, 8357)))])
