"""Edge normalisation against lines that are known; windows and edge energy chosen as a person would."""

import numpy as np
import pytest
from carry_out import carry_out

from napari_xanes import EnergyStack, InputError, find_e0, normalize_edge
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.edge.step import NORMALIZE
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.concatenate(
    [np.arange(8220, 8320, 10), np.arange(8320, 8370, 1), np.arange(8370, 8580, 12)]
).astype(float)
PRE, POST = (8220, 8312), (8392, 8577)


def edge_shape(energy, e0=8333.0):
    return 0.5 + np.arctan((energy - e0) / 1.2) / np.pi + 0.5 * np.exp(-(((energy - e0 - 6) / 3) ** 2))


def make_spectra(n=500, seed=0, noise=0.0):
    """Spectra (E, n), exact lines in both windows, and the truth of each."""
    rng = np.random.default_rng(seed)
    x = ENERGY - 8333
    step, offset = rng.uniform(0.05, 1.5, n), rng.uniform(0, 2, n)
    slope = rng.uniform(-1e-3, 1e-3, n)
    shape = np.where(x < -20, 0, np.where(x > 58, 1, edge_shape(ENERGY)))
    mu = offset + slope * x[:, None] + step * shape[:, None] * (1 - 2e-4 * x[:, None])
    return mu + noise * rng.normal(size=mu.shape), step, offset, slope


def test_lines_steps_and_normalised_values_are_exact():
    mu, step, offset, slope = make_spectra()
    edge = normalize_edge(mu, ENERGY, e0=8333, pre_edge=PRE, post_edge=POST)
    np.testing.assert_allclose(edge.edge_step, step, rtol=1e-9)
    np.testing.assert_allclose(edge.pre_line, [offset, slope], atol=1e-12)
    post = (ENERGY >= POST[0]) & (ENERGY <= POST[1])
    np.testing.assert_allclose(edge.thickness, step * (1 - 2e-4 * (ENERGY[post] - 8333)).mean(), rtol=1e-9)
    np.testing.assert_allclose(edge.normalized[post], 1, atol=1e-9)
    np.testing.assert_allclose(edge.normalized[ENERGY < 8312], 0, atol=1e-9)
    assert edge.n_invalid == 0 and (edge.e0, edge.edge) == (8333, "Ni K")


@pytest.mark.parametrize("divide_by", ["line", "step"])
def test_single_precision_agrees_with_a_double_precision_line_fit(divide_by):
    mu, step, *_ = make_spectra(noise=0.01)
    edge = normalize_edge(
        mu.astype(np.float32), ENERGY, e0=8333, pre_edge=PRE, post_edge=POST, divide_by=divide_by
    )
    pre, post = ((ENERGY >= lo) & (ENERGY <= hi) for lo, hi in (PRE, POST))
    x = ENERGY - 8333
    c = np.polynomial.polynomial.polyfit(x[pre], mu[pre], 1)
    d = np.polynomial.polynomial.polyfit(x[post], mu[post], 1) - c
    divisor = d[0] + d[1] * x[:, None] if divide_by == "line" else d[0]
    expected = (mu - c[0] - c[1] * x[:, None]) / divisor
    thick = step > 0.1
    assert edge.normalized.dtype == np.float32
    np.testing.assert_allclose(edge.edge_step[thick], d[0][thick], rtol=1e-5)
    np.testing.assert_allclose(edge.normalized[:, thick], expected[:, thick], rtol=1e-5, atol=1e-5)


def test_scaling_mu_scales_the_step_and_leaves_the_normalised_spectra():
    mu, *_ = make_spectra(noise=0.01)
    one, eight = (normalize_edge(k * mu, ENERGY, pre_edge=PRE, post_edge=POST) for k in (1, 8))
    np.testing.assert_array_equal(one.edge_step * 8, eight.edge_step)
    np.testing.assert_array_equal(one.normalized, eight.normalized)


def test_shifting_the_energy_scale_changes_nothing_else():
    mu, *_ = make_spectra()
    here = normalize_edge(mu, ENERGY, e0=8333, pre_edge=PRE, post_edge=POST)
    there = normalize_edge(mu, ENERGY + 7, e0=8340, pre_edge=(8227, 8319), post_edge=(8399, 8584))
    np.testing.assert_allclose(there.normalized, here.normalized, atol=1e-9)


@pytest.mark.parametrize("shape", [(), (500,), (20, 25), (5, 10, 10)])
def test_maps_have_the_images_shape(shape):
    mu = make_spectra(max(1, int(np.prod(shape))))[0].reshape(-1, *shape)
    edge = normalize_edge(mu, ENERGY)
    assert (
        edge.normalized.shape == mu.shape
        and edge.edge_step.shape == shape
        and edge.pre_line.shape == (2, *shape)
    )


def test_a_pixel_without_a_positive_divisor_is_invalid_alone():
    mu, *_ = make_spectra(4)
    mu[:, 1] = 3 - mu[:, 1]  # edge downwards
    mu[5, 2] = np.nan  # in the pre-edge window
    edge = normalize_edge(mu, ENERGY, e0=8333, pre_edge=PRE, post_edge=POST)
    assert np.isnan(edge.normalized[:, [1, 2]]).all() and np.isfinite(edge.normalized[:, [0, 3]]).all()
    assert edge.edge_step[1] < 0 and np.isnan(edge.edge_step[2]) and edge.n_invalid == 2


def test_a_lost_frame_is_left_out():
    mu, step, *_ = make_spectra()
    mu[[3, 40]] = np.nan
    edge = normalize_edge(mu, ENERGY, pre_edge=PRE, post_edge=POST)
    np.testing.assert_allclose(edge.edge_step, step, rtol=1e-9)
    assert np.isnan(edge.normalized[[3, 40]]).all() and edge.n_invalid == 0


def test_shared_slopes_are_scaled_by_each_pixels_step():
    """A thin pixel takes the thick ones' slopes per unit of step, and comes out the same shape."""
    rng = np.random.default_rng(2)
    x = ENERGY - 8333
    shape = np.where(x < -20, 0, np.where(x > 58, 1, edge_shape(ENERGY))) * (1 - 3e-4 * x) - 5e-4 * x
    step = np.concatenate([np.full(200, 1.0), np.full(800, 0.1)])
    clean = 0.2 + shape[:, None] * step
    noisy = clean + 0.01 * rng.normal(size=clean.shape)
    args = {"e0": 8333, "pre_edge": PRE, "post_edge": POST}
    shared = normalize_edge(clean, ENERGY, slope="shared", **args)
    np.testing.assert_allclose(shared.edge_step, step, rtol=1e-6)
    spread = {
        s: normalize_edge(noisy, ENERGY, slope=s, **args).edge_step[200:].std() for s in ("pixel", "shared")
    }
    assert spread["shared"] < 0.7 * spread["pixel"]


def test_windows_and_edge_are_chosen_from_the_data():
    mu, *_ = make_spectra(noise=0.02)
    edge = normalize_edge(mu, ENERGY)
    assert (edge.e0, edge.edge) == (8333.0, "Ni K")
    assert edge.pre_edge == (8220.0, 8313.0) and edge.post_edge == (8388.0, 8574.0)


def test_a_short_soft_x_ray_scan_gets_windows_beyond_both_edges():
    energy = np.arange(700, 730.1, 0.25)
    mu = edge_shape(energy, 708) + 0.5 * edge_shape(energy, 721)
    edge = normalize_edge(mu, energy)
    assert edge.edge == "Fe L3" and edge.pre_edge[1] < 706 and edge.post_edge[0] > 724


@pytest.mark.parametrize(
    ("energy", "mu", "args", "said"),
    [
        (ENERGY[ENERGY > 8360], None, {"e0": 8361}, "0 of the energies lie before the edge|e0 is 8361"),
        (ENERGY, None, {"e0": 9000}, "e0 is 9000 eV, outside the data's 8220 to 8574 eV"),
        (ENERGY, np.ones(ENERGY.size), {}, "constant .1 at every energy., so it has no edge"),
        (ENERGY, np.full(ENERGY.size, np.nan), {}, "no valid number"),
        (ENERGY, -ENERGY, {}, "falls everywhere"),
        (ENERGY, None, {"pre_edge": (8221, 8225)}, r"pre_edge \(8221, 8225\) eV holds 0 of the energies"),
        (ENERGY, None, {"post_edge": (8560, 8400)}, "lower and a higher"),
        (ENERGY, None, {"pre_edge": (8220, 8450)}, "keep them apart"),
        (ENERGY[ENERGY < 8334], None, {"e0": 8333}, "after the edge|e0 is 8333"),
    ],
)
def test_what_cannot_be_normalised_is_said(energy, mu, args, said):
    values = edge_shape(energy) if mu is None else mu
    with pytest.raises(InputError, match=said):
        normalize_edge(values, energy, **args)


@pytest.mark.parametrize("part", [ENERGY < 8322, ENERGY > 8372, ENERGY > 0])
@pytest.mark.parametrize("seed", range(5))
def test_noise_without_an_edge_is_not_taken_for_one(part, seed):
    energy = ENERGY[part]
    mu = 0.4 - 2e-4 * (energy - 8300) + 1e-3 * np.random.default_rng(seed).normal(size=energy.size)
    with pytest.raises(
        InputError, match=r"shows no edge between|falls everywhere|before the edge|after the edge"
    ):
        normalize_edge(mu, energy)


def test_e0_is_found_between_grid_points_in_noise():
    rng = np.random.default_rng(4)
    for e0 in (8333.0, 8333.4, 8335.7):
        mu = 0.5 + np.arctan((ENERGY - e0) / 1.2) / np.pi
        assert find_e0(ENERGY, mu) == pytest.approx(e0, abs=0.1)
        assert find_e0(ENERGY, mu + 0.01 * rng.normal(size=mu.size)) == pytest.approx(e0, abs=0.6)


@pytest.mark.parametrize("in_memory", [True, False])
def test_step_gives_the_functions_numbers(in_memory):
    mu = make_spectra(77 * 90, noise=0.02)[0].reshape(-1, 77, 90).astype(np.float32)
    chain = Chain(EnergyStack(mu, ENERGY, "optical_density"), in_memory=in_memory)
    found = carry_out(NORMALIZE, chain)
    resolved = found.resolved
    data = chain.run(keep_stack=in_memory)
    edge = normalize_edge(
        mu, ENERGY, e0=resolved.e0, pre_edge=resolved.pre_edge, post_edge=resolved.post_edge
    )
    np.testing.assert_array_equal(chain.maps["thickness"].data, edge.thickness)
    if in_memory:
        np.testing.assert_array_equal(data, edge.normalized)
    assert found["edge"] == "Ni K"
    assert 0 < found["invalid_pixels"] == edge.n_invalid


@pytest.mark.parametrize(
    ("change", "chosen"), [(-2e-4, "line"), (0.5e-3, "line"), (2e-3, "step"), (-3e-3, "step")]
)
def test_what_is_divided_by_follows_how_far_the_lines_run_apart(change, chosen):
    """From e0 to the middle of the window the step changes by 152 eV times `change`."""
    x = ENERGY - 8333
    step = np.linspace(0.5, 1.5, 48).reshape(6, 8)
    mu = 0.3 + step * (edge_shape(ENERGY) * (1 + change * x))[:, None, None]
    mu = mu + 0.001 * np.random.default_rng(1).normal(size=mu.shape)
    windows = {"e0": 8333.0, "pre_edge": PRE, "post_edge": POST}
    stack = EnergyStack(mu, ENERGY, "optical_density")
    result = run_steps(stack, [("normalize", NormalizeParams(**windows))], keep_stack=True, in_memory=True)
    entry = result.history[-1]
    assert entry.params["divide_by"] == chosen
    assert any("divided by the edge step" in one for one in entry.warnings) == (chosen == "step")
    same = normalize_edge(mu, ENERGY, **windows, divide_by=chosen)
    np.testing.assert_allclose(result.stack.data, same.normalized, atol=1e-5)


@pytest.mark.parametrize(
    ("signal", "said"), [("counts", "put flat_field and optical_density"), ("normalized", "already")]
)
def test_step_says_which_step_is_missing(signal, said):
    stack = EnergyStack(make_spectra(4)[0].reshape(-1, 2, 2), ENERGY, signal)
    with pytest.raises(InputError, match=said):
        run_steps(stack, [("normalize", NormalizeParams())])


def test_step_leaves_lost_frames_out_and_names_them():
    mu = make_spectra(60 * 7)[0].reshape(-1, 60, 7).astype(np.float32)
    clean = normalize_edge(mu, ENERGY, e0=8333, pre_edge=PRE, post_edge=POST)
    mu[[3, 40]] = np.nan
    chain = Chain(EnergyStack(mu, ENERGY, "optical_density"))
    params = NormalizeParams(e0=8333, pre_edge=PRE, post_edge=POST)
    found = carry_out(NORMALIZE, chain, params)
    data = chain.run(keep_stack=True)
    assert found["unusable_frames"] == ENERGY[[3, 40]].tolist() and "2 of" in found.warnings[0]
    assert np.isnan(data[[3, 40]]).all() and np.isfinite(np.delete(data, [3, 40], axis=0)).all()
    np.testing.assert_allclose(chain.maps["edge_step"].data, clean.edge_step, rtol=1e-4)


def test_resolved_parameters_give_the_same_numbers_again():
    mu = make_spectra(60 * 7, noise=0.02)[0].reshape(-1, 60, 7).astype(np.float32)
    first, again = (Chain(EnergyStack(mu, ENERGY, "optical_density")) for _ in range(2))
    resolved = carry_out(NORMALIZE, first, NormalizeParams(slope="shared")).resolved
    assert None not in (resolved.e0, resolved.pre_edge, resolved.post_edge)
    assert carry_out(NORMALIZE, again, resolved).resolved == resolved
    np.testing.assert_array_equal(first.run(keep_stack=True), again.run(keep_stack=True))


def test_step_refuses_a_constant_stack_in_one_sentence():
    chain = Chain(EnergyStack(np.ones((ENERGY.size, 5, 6), np.float32), ENERGY, "optical_density"))
    with pytest.raises(InputError, match=r"constant .1 at every energy., so it has no edge"):
        carry_out(NORMALIZE, chain)


def test_pixels_that_come_into_view_do_not_move_the_edge():
    """A drifting border, NaN on one side before the edge, must not look like an edge."""
    mu, *_ = make_spectra(400)
    mu[:, :200] += 20
    mu[:8, :200] = np.nan
    assert normalize_edge(mu, ENERGY).e0 == 8333.0


def test_fine_noisy_grids_do_not_mislead_the_edge_energy():
    rng = np.random.default_rng(8)
    energy = np.arange(7080, 7200, 0.05)
    mu = 0.5 + np.arctan((energy - 7123) / 1.5) / np.pi + 0.005 * rng.normal(size=energy.size)
    assert find_e0(energy, mu) == pytest.approx(7123, abs=0.6)
