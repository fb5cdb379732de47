"""Edge positions against edges that are known, and against scipy's smoothing spline."""

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from napari_xanes import EnergyStack, InputError, edge_map, simulate
from napari_xanes._core.maps.edge_position import EdgePositionParams
from napari_xanes._core.maps.peak import PeakParams
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps

EVEN = np.arange(8300.0, 8381.0)
UNEVEN = np.concatenate(
    [
        np.arange(8230, 8320, 8.0),
        8320 + np.cumsum(np.tile([0.7, 1.0, 1.3, 1.0], 12)),
        np.arange(8372, 8570, 10.0),
    ]
)
OFFSETS = np.linspace(-4, 4, 80_001)


def edge(energy, e0, width=1.8, pre_peak=0.0):
    """Arctan step, white line 7 eV and pre-edge peak 9 eV away."""
    white_line = 0.6 * np.exp(-(((energy - e0 - 7) / 3.4) ** 2) / 2)
    return (
        0.5
        + np.arctan((energy - e0) / width) / np.pi
        + white_line
        + pre_peak * np.exp(-(((energy - e0 + 9) / 0.9) ** 2))
    )


def true_offset(method, **shape):
    values = edge(OFFSETS, 0, **shape)
    return OFFSETS[np.argmax(values >= 0.5) if method == "half_height" else np.gradient(values).argmax()]


def make_edges(energy, n=400, noise=0.0, spread=4.0, seed=0, **shape):
    rng = np.random.default_rng(seed)
    e0 = 8338 + rng.uniform(0, spread, n)
    return edge(energy[:, None], e0, **shape) + noise * rng.normal(size=(energy.size, n)), e0


@pytest.mark.parametrize("energy", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize(("method", "at_most"), [("half_height", 0.02), ("derivative", 0.1)])
def test_edges_are_found_between_the_energies(energy, method, at_most):
    mu, e0 = make_edges(energy)
    found = edge_map(mu, energy, method=method)
    error = found.energy - e0 - true_offset(method)
    assert found.valid.all() and found.n_invalid == 0
    assert np.abs(error).max() <= 2 * at_most and np.sqrt(np.mean(error**2)) <= at_most


@pytest.mark.parametrize("energy", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize(("method", "rms"), [("half_height", 0.06), ("derivative", 0.3)])
def test_errors_are_small_with_one_percent_noise(energy, method, rms):
    mu, e0 = make_edges(energy, 2000, noise=0.01)
    error = edge_map(mu, energy, method=method).energy - e0 - true_offset(method)
    assert np.sqrt(np.mean(error**2)) <= rms


@pytest.mark.parametrize("level", [0.3, 0.5, 0.8])
def test_the_crossing_is_where_scipys_spline_has_the_level(level):
    mu, _ = make_edges(UNEVEN, 50, noise=0.02)
    found = edge_map(mu, UNEVEN, window=(8320, 8368), level=level, smoothing=0.3)
    inside = (UNEVEN >= 8320) & (UNEVEN <= 8368)
    for column, at in zip(mu[inside].T, found.energy, strict=True):
        spline = make_smoothing_spline(UNEVEN[inside], column, lam=0.3)
        assert spline(at) == pytest.approx(level, abs=1e-8) and spline(at, 1) > 0


def test_the_steepest_place_is_that_of_scipys_spline():
    mu, _ = make_edges(UNEVEN, 50, noise=0.02)
    found = edge_map(mu, UNEVEN, method="derivative", window=(8320, 8368), smoothing=1.0)
    inside = (UNEVEN >= 8320) & (UNEVEN <= 8368)
    grid = np.linspace(8320.8, 8367.8, 47_001)
    for column, at in zip(mu[inside].T, found.energy, strict=True):
        slope = make_smoothing_spline(UNEVEN[inside], column, lam=1.0)(grid, 1)
        assert at == pytest.approx(grid[slope.argmax()], abs=1.1e-3)


def test_neither_noise_nor_a_peak_before_the_edge_is_taken_for_it():
    mu, e0 = make_edges(EVEN, 1000, noise=0.15, pre_peak=0.7)
    assert (mu[EVEN < 8334] > 0.5).any(axis=0).mean() > 0.9
    found = edge_map(mu, EVEN, window=(8310, 8365), smoothing=0.1)
    assert np.mean(np.abs(found.energy - e0 - true_offset("half_height")) < 2.5) > 0.99


def test_scale_moves_nothing_but_half_height():
    mu, _ = make_edges(EVEN, noise=0.01)
    one, eight = (edge_map(k * mu, EVEN, method="derivative") for k in (1, 8))
    np.testing.assert_allclose(one.energy, eight.energy, atol=1e-6)
    there = edge_map(mu, EVEN + 64, smoothing=0.1)
    here = edge_map(mu, EVEN, smoothing=0.1)
    np.testing.assert_allclose(there.energy - 64, here.energy, atol=1e-6)
    assert np.allclose(np.array(there.window) - 64, here.window, atol=1e-6)


@pytest.mark.parametrize("method", ["half_height", "derivative"])
@pytest.mark.parametrize("shape", [(), (60,), (6, 10), (3, 4, 5)])
def test_maps_have_the_images_shape_and_the_inputs_type(method, shape):
    mu = make_edges(EVEN, max(1, int(np.prod(shape))))[0].reshape(-1, *shape)
    given = mu.copy()
    double = edge_map(mu, EVEN, method=method, smoothing=0.1)
    single = edge_map(mu.astype(np.float32), EVEN, method=method, smoothing=0.1)
    assert double.energy.shape == double.valid.shape == shape
    if shape:
        assert single.energy.dtype == np.float32
    np.testing.assert_allclose(single.energy, double.energy, atol=2e-3)
    np.testing.assert_array_equal(mu, given)


@pytest.mark.parametrize("method", ["half_height", "derivative"])
def test_pixels_without_an_edge_are_nan_and_counted_and_lost_frames_left_out(method):
    mu, e0 = make_edges(EVEN)
    mu[:, 0], mu[:, 1] = 0.0, 1.0 - (EVEN - EVEN[0]) ** 2 / 1e4
    mu[:, 2] = np.nan
    mu[EVEN == 8340, 3] = np.nan
    mu[EVEN == 8300, 4] = np.nan  # outside the window
    mu[EVEN == 8346] = np.nan
    found = edge_map(mu, EVEN, method=method)
    assert found.n_invalid == 4 and not found.valid[:4].any() and found.valid[4:].all()
    assert np.isnan(found.energy[:4]).all()
    assert np.abs(found.energy[4:] - e0[4:] - true_offset(method)).max() < 0.6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "middle"}, "method is 'middle', expected one of half_height, derivative"),
        ({"level": 1.5}, "level is 1.5, expected a height between 0 and 1"),
        ({"level": "half"}, "level is 'half'"),
        ({"smoothing": -1}, "smoothing is -1, expected 0"),
        ({"window": (8340, 8343)}, "holds 4 of the energies, at least 5"),
    ],
)
def test_misuse_is_named(options, message):
    with pytest.raises(InputError, match=message):
        edge_map(make_edges(EVEN)[0], EVEN, **options)


def test_spectra_that_are_not_normalised_are_refused():
    with pytest.raises(InputError, match=r"does not rise through the level of 0.5; normalise"):
        edge_map(2 + make_edges(EVEN)[0], EVEN)
    with pytest.raises(InputError, match="steepest at an end of the scan"):
        edge_map(((EVEN - 8380) ** 2)[:, None], EVEN, method="derivative")


def make_stack(signal="normalized"):
    mu = make_edges(EVEN, 60 * 50, noise=0.02)[0].reshape(-1, 60, 50)
    mu[:, :5] = 0.1
    mu[:, 5:35], mu[40, 35:40] = np.nan, np.nan
    mu[45] = np.nan
    return EnergyStack(mu.astype(np.float32), EVEN, signal)


@pytest.mark.parametrize(
    ("method", "signal"),
    [("half_height", "normalized"), ("derivative", "normalized"), ("derivative", "optical_density")],
)
def test_the_step_gives_the_functions_map_streamed_or_not(method, signal):
    stack, params = make_stack(signal), EdgePositionParams(method=method)
    kept, streamed = (run_steps(stack, [("edge_position", params)], in_memory=m) for m in (True, False))
    found = edge_map(stack.data, EVEN, method=method)
    np.testing.assert_array_equal(kept.maps["edge_energy"], found.energy)
    np.testing.assert_array_equal(kept.maps["edge_energy"], streamed.maps["edge_energy"])
    assert kept.info["edge_energy"]["unit"] == "eV"
    used = kept.history[-1]["params"]
    assert (tuple(used["window"]), used["smoothing"]) == (found.window, found.smoothing)


def test_the_step_counts_pixels_without_an_edge_and_warns():
    result = run_steps(make_stack(), [("edge_position", EdgePositionParams())])
    found = result.history[-1]["found"]
    assert (found["invalid_pixels"], found["pixels_without_edge"]) == (1750, 250)
    for text in (
        "250 of 1250 valid pixels (20.0 %) show no edge",
        "% of the pixels with data have none at some",
        "1 of 81 frames",
    ):
        assert any(text in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("signal", "message"), [("optical_density", "put normalize before"), ("counts", "the data are counts")]
)
def test_the_step_wants_normalised_spectra(signal, message):
    with pytest.raises(InputError, match=message):
        run_steps(make_stack(signal), [("edge_position", EdgePositionParams())])


def test_positions_follow_the_state_in_a_simulated_scan():
    truth = simulate((120, 140), max_drift=0, seed=1)
    before = ("flat_field", "optical_density", "normalize")
    steps = [(name, STEPS[name].params()) for name in before]
    steps += [("edge_position", EdgePositionParams()), ("peak", PeakParams(window=(8342, 8360)))]
    maps = run_steps(truth.stack, steps).maps
    thick = maps["thickness"] > 0.4
    for name in ("edge_energy", "peak_energy"):
        assert np.corrcoef(maps[name][thick], truth.fractions[1][thick])[0, 1] > 0.95
