"""White-line sums against integrals that are known."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

from napari_xanes import EnergyStack, InputError, white_line_map
from napari_xanes._core.maps.white_line import WhiteLineParams
from napari_xanes._core.runs.pipeline import run_steps

RNG = np.random.default_rng(0)
ENERGY = 8330 + np.concatenate([np.arange(0, 4, 2.0), np.arange(4, 38, 0.5), np.arange(38, 60, 3.0)])
WINDOW = (8330, 8390)


def make_lines(n=300, noise=0.0):
    """Step of one with a Gaussian on top, all of it inside the window; centre and area of each."""
    rng = np.random.default_rng(1)
    centre, width, height = rng.uniform(8344, 8352, n), rng.uniform(1.5, 3, n), rng.uniform(0.2, 1, n)
    mu = 1 + height * np.exp(-(((ENERGY[:, None] - centre) / width) ** 2) / 2)
    return mu + noise * rng.normal(size=mu.shape), centre, height * width * np.sqrt(2 * np.pi), height


def test_centroid_area_and_height_of_a_gaussian_on_uneven_energies():
    mu, centre, area, height = make_lines()
    line = white_line_map(mu, ENERGY, WINDOW)
    np.testing.assert_allclose(line.centroid, centre, atol=1e-3)
    np.testing.assert_allclose(line.area, area, rtol=1e-3)
    np.testing.assert_allclose(line.height, height, rtol=0.02)  # the highest sample, not the maximum
    assert line.n_invalid == 0


def test_sums_are_those_of_the_trapezoidal_rule():
    mu = make_lines(noise=0.05)[0]
    line = white_line_map(mu, ENERGY, (8340, 8360), baseline=1.1)
    inside = (ENERGY >= 8340) & (ENERGY <= 8360)
    above, x = np.clip(mu[inside] - 1.1, 0, None), ENERGY[inside]
    np.testing.assert_allclose(line.area, trapezoid(above, x, axis=0), rtol=1e-10)
    with np.errstate(invalid="ignore"):
        centroid = trapezoid(above * x[:, None], x, axis=0) / trapezoid(above, x, axis=0)
    np.testing.assert_allclose(line.centroid, centroid, rtol=1e-10)


@pytest.mark.parametrize("shape", [(), (300,), (15, 20), (3, 10, 10)])
def test_maps_have_the_images_shape_and_the_inputs_type(shape):
    mu = make_lines(max(1, int(np.prod(shape))))[0].reshape(-1, *shape)
    given = mu.copy()
    double, single = white_line_map(mu, ENERGY, WINDOW), white_line_map(mu.astype(np.float32), ENERGY, WINDOW)
    assert double.centroid.shape == double.area.shape == double.height.shape == shape
    if shape:
        assert single.centroid.dtype == np.float32
    np.testing.assert_allclose(single.centroid, double.centroid, atol=2e-3)
    np.testing.assert_allclose(single.area, double.area, rtol=1e-4)
    np.testing.assert_array_equal(mu, given)


def test_invalid_pixels_are_counted_and_lost_frames_left_out():
    mu, centre, *_ = make_lines()
    mu[:, :3] = np.nan
    mu[20, 3] = np.nan
    mu[:, 4] = 0.5
    mu[22] = np.nan
    line = white_line_map(mu, ENERGY, WINDOW)
    assert line.n_invalid == 4 and np.isnan(line.area[:4]).all()
    assert np.isnan(line.centroid[4]) and line.area[4] == 0 and line.height[4] == -0.5
    np.testing.assert_allclose(line.centroid[5:], centre[5:], atol=0.05)


def test_a_shifted_energy_scale_shifts_the_centroid_only():
    mu = make_lines(noise=0.01)[0]
    here, there = white_line_map(mu, ENERGY, WINDOW), white_line_map(mu, ENERGY + 64, (8394, 8454))
    np.testing.assert_allclose(there.centroid - 64, here.centroid, atol=1e-9)
    np.testing.assert_allclose(there.area, here.area, rtol=1e-12)


@pytest.mark.parametrize(
    ("window", "baseline", "message"),
    [
        ((8331, 8333), 1.0, "holds 1 of the energies, at least 3"),
        ((8360, 8340), 1.0, "expected a lower and a higher energy"),
        (WINDOW, np.nan, "baseline is nan"),
    ],
)
def test_misuse_is_named(window, baseline, message):
    with pytest.raises(InputError, match=message):
        white_line_map(make_lines()[0], ENERGY, window, baseline=baseline)


def make_stack(signal="normalized", empty=0):
    mu = make_lines(60 * 50, noise=0.02)[0].reshape(-1, 60, 50).astype(np.float32)
    mu[:, :empty] = 0.2
    mu[9] = np.nan
    return EnergyStack(mu, ENERGY, signal)


def test_the_step_gives_the_functions_maps_streamed_or_not():
    stack, params = make_stack(), WhiteLineParams(window=WINDOW)
    kept, streamed = (run_steps(stack, [("white_line", params)], in_memory=m) for m in (True, False))
    line = white_line_map(stack.data, ENERGY, WINDOW)
    for name in ("centroid", "area", "height"):
        np.testing.assert_array_equal(kept.maps[f"white_line_{name}"], getattr(line, name))
        np.testing.assert_array_equal(kept.maps[f"white_line_{name}"], streamed.maps[f"white_line_{name}"])
    assert kept.info["white_line_centroid"]["unit"] == "eV"
    found = kept.history[-1]["found"]
    assert found["invalid_pixels"] == 0 and found["unusable_frames"] == [ENERGY[9]]


def test_the_step_warns_of_pixels_without_a_white_line():
    result = run_steps(make_stack(empty=30), [("white_line", WhiteLineParams(window=WINDOW))])
    assert result.history[-1]["found"]["pixels_without_white_line"] == 1500
    assert any(
        "1500 of 3000 valid pixels (50.0 %) nowhere exceed the baseline" in text for text in result.warnings
    )
    assert any("1 of 78 frames hold no valid pixel" in text for text in result.warnings)


def test_the_step_wants_normalised_spectra():
    with pytest.raises(InputError, match="put normalize before it"):
        run_steps(make_stack("optical_density"), [("white_line", WhiteLineParams(window=WINDOW))])
