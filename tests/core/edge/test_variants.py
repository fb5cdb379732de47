"""Every variant of the normalisation against least squares pixel by pixel in double precision, and what it is for."""

import numpy as np
import pytest
from carry_out import carry_out
from scipy.integrate import trapezoid

from napari_xanes import EnergyStack, InputError, normalize_edge
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.edge.step import NORMALIZE
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.concatenate(
    [np.arange(8220, 8320, 5), np.arange(8320, 8370, 1), np.arange(8370, 8580, 6)]
).astype(float)
E0, PRE, POST = 8333.0, (8220.0, 8312.0), (8392.0, 8577.0)
GIVEN = {"e0": E0, "pre_edge": PRE, "post_edge": POST}
X = ENERGY - E0
IN_PRE, IN_POST = ((ENERGY >= lo) & (ENERGY <= hi) for lo, hi in (PRE, POST))

VARIANTS = [
    {"pre": pre, "post_order": order, **divide}
    for pre in ("line", "constant", "victoreen")
    for order in (0, 1, 2)
    for divide in (
        {"divide_by": "line"},
        {"divide_by": "step"},
        {"divide_by": "step", "flatten": True},
        {"divide_by": "post"},
        {"divide_by": "area", "area_range": (8320, 8560)},
    )
]


def named(variant):
    return "-".join(str(value) for value in variant.values())


def make_spectra(n=200, seed=0, noise=0.01, least=0.3):
    """Spectra (E, n) on a pre-edge that falls as E^-3, with a bent post-edge; and their steps."""
    rng = np.random.default_rng(seed)
    step, offset = rng.uniform(least, 1.5, n), rng.uniform(0.2, 0.6, n)
    edge = 0.5 + np.arctan(X / 1.2) / np.pi + 0.5 * np.exp(-(((X - 6) / 3) ** 2))
    shape = np.where(X < -18, 0, np.where(X > 55, 1, edge)) * (1 - 3e-4 * X + 6e-7 * X**2)
    mu = offset * ((ENERGY / E0) ** -3)[:, None] + step * shape[:, None]
    return mu + noise * rng.normal(size=mu.shape), step


def plain(spectrum, *, pre, post_order, divide_by, flatten=False, area_range=None):
    """Normalise one spectrum as the formulae say, with least squares on plain columns."""
    if pre == "victoreen":
        columns = np.stack([(ENERGY / E0) ** -3, (ENERGY / E0) ** -4], axis=1)
        before = columns @ np.linalg.lstsq(columns[IN_PRE], spectrum[IN_PRE], rcond=None)[0]
    else:
        line = np.polynomial.Polynomial.fit(X[IN_PRE], spectrum[IN_PRE], 1 if pre == "line" else 0)
        before = line(X)
    over = spectrum if divide_by == "post" else spectrum - before
    after = np.polynomial.Polynomial.fit(X[IN_POST], over[IN_POST], post_order)(X)
    after = after if divide_by == "post" else before + after
    step = np.interp(0, X, after - before)
    result = spectrum - before
    if divide_by == "line":
        return result / (after - before), step
    if divide_by == "post":
        return spectrum / after, step
    if divide_by == "area":
        inside = (ENERGY >= area_range[0]) & (ENERGY <= area_range[1])
        return result / trapezoid(result[inside], ENERGY[inside]), step
    if flatten:
        result = result - np.where(X > 0, after - before - step, 0)
    return result / step, step


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
def test_single_precision_agrees_with_least_squares_pixel_by_pixel(variant):
    mu = make_spectra(40)[0].astype(np.float32)
    found = normalize_edge(mu, ENERGY, **GIVEN, **variant)
    truth = [plain(spectrum, **variant) for spectrum in mu.T.astype(np.float64)]
    expected, step = np.stack([t for t, _ in truth], axis=1), np.array([s for _, s in truth])
    assert found.normalized.dtype == np.float32 and found.n_invalid == 0
    np.testing.assert_allclose(found.edge_step, step, rtol=1e-5)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found.normalized, expected, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
def test_double_precision_is_exact(variant):
    mu = make_spectra(20)[0]
    found = normalize_edge(mu, ENERGY, **GIVEN, **variant)
    expected = np.stack([plain(spectrum, **variant)[0] for spectrum in mu.T], axis=1)
    np.testing.assert_allclose(found.normalized, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("slope", ["pixel", "shared"])
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v["pre"] != "victoreen"], ids=named)
def test_scaling_mu_changes_nothing(variant, slope):
    mu = make_spectra(60)[0]
    one, four = (normalize_edge(k * mu, ENERGY, slope=slope, **GIVEN, **variant) for k in (1, 4))
    np.testing.assert_array_equal(one.normalized, four.normalized)
    np.testing.assert_array_equal(4 * one.thickness, four.thickness)


def test_victoreen_takes_off_what_falls_as_a_power_of_the_energy():
    """The tail of lighter elements, which a line through the pre-edge misses far above it."""
    rng = np.random.default_rng(3)
    tail = rng.uniform(0.5, 2, 50) * ((ENERGY / E0) ** -3)[:, None]
    tail -= rng.uniform(0, 0.2, 50) * ((ENERGY / E0) ** -4)[:, None]
    mu = tail + np.where(X < 0, 0, 1)[:, None]
    found = normalize_edge(mu, ENERGY, pre="victoreen", divide_by="step", post_order=0, **GIVEN)
    np.testing.assert_allclose(found.normalized, np.where(X < 0, 0, 1)[:, None] + 0 * mu, atol=1e-9)
    value, slope = found.pre_line
    a, b = (4 * value + E0 * slope) * E0**3, -(3 * value + E0 * slope) * E0**4
    np.testing.assert_allclose(a / ENERGY[:, None] ** 3 + b / ENERGY[:, None] ** 4, tail, rtol=1e-9)
    line = normalize_edge(mu, ENERGY, divide_by="step", post_order=0, **GIVEN)
    assert np.abs(line.normalized[-1] - 1).min() > 1e-3


def test_lines_are_given_about_the_edge_energy():
    mu, _ = make_spectra(30, noise=0)
    found = normalize_edge(mu, ENERGY, post_order=2, **GIVEN)
    curve = sum(c * X[:, None] ** k for k, c in enumerate(found.post_line))
    assert found.post_line.shape == (3, 30)
    expected = np.polynomial.polynomial.polyfit(X[IN_POST], mu[IN_POST], 2)
    np.testing.assert_allclose(found.post_line, expected, rtol=1e-8)
    np.testing.assert_allclose(
        (curve - found.pre_line[0] - found.pre_line[1] * X[:, None])[IN_POST].mean(axis=0), found.thickness
    )


def test_flattened_spectra_end_at_one_and_are_continuous_at_the_edge():
    mu, _ = make_spectra(30, noise=0)
    found = normalize_edge(mu, ENERGY, divide_by="step", flatten=True, post_order=2, pre="victoreen", **GIVEN)
    np.testing.assert_allclose(found.normalized[IN_POST], 1, atol=1e-9)
    plainly = normalize_edge(mu, ENERGY, divide_by="step", post_order=2, pre="victoreen", **GIVEN)
    np.testing.assert_array_equal(found.normalized[X <= 0], plainly.normalized[X <= 0])
    just_above = (X > 0) & (X < 2)
    assert np.abs(found.normalized - plainly.normalized)[just_above].max() < 2e-3


def test_an_area_is_one_and_needs_no_energies_of_the_data_at_its_ends():
    mu, _ = make_spectra(30)
    found = normalize_edge(mu, ENERGY, divide_by="area", area_range=(8319.5, 8561), **GIVEN)
    lo, hi = found.params.area_range
    inside = (ENERGY >= lo) & (ENERGY <= hi)
    assert (lo, hi) == (8320, 8556)
    np.testing.assert_allclose(trapezoid(found.normalized[inside], ENERGY[inside], axis=0), 1, rtol=1e-12)
    chosen = normalize_edge(mu, ENERGY, divide_by="area", **GIVEN).params.area_range
    assert chosen == (8315, 8574)


def test_a_lost_frame_is_no_part_of_the_area():
    mu, _ = make_spectra(30, noise=0)
    whole = normalize_edge(mu, ENERGY, divide_by="area", **GIVEN)
    mu[[30, 31]] = np.nan
    found = normalize_edge(mu, ENERGY, divide_by="area", **GIVEN)
    assert found.n_invalid == 0
    np.testing.assert_allclose(
        np.delete(found.normalized, [30, 31], 0), np.delete(whole.normalized, [30, 31], 0), rtol=1e-2
    )


def test_where_a_bent_divisor_is_not_positive_a_pixel_is_invalid():
    """Between its ends a parabola can pass below zero, which a look at the ends would miss."""
    mu = np.where(X < 0, 0, 1 + 1e-4 * (X - 140) ** 2)[:, None] * [1, 1] + np.array([0, 0.1])
    mu[X > 0, 1] += -3 + 4e-4 * (X[X > 0] - 140) ** 2
    found = normalize_edge(mu, ENERGY, post_order=2, divide_by="line", **GIVEN)
    assert np.isfinite(found.normalized[:, 0]).all() and np.isnan(found.normalized[:, 1]).all()
    assert found.n_invalid == 1


def test_shared_shapes_are_exact_where_pixels_differ_by_a_factor():
    x = X[:, None]
    steps = np.linspace(0.1, 2, 300)
    for order in (2, 1, 0):
        curve = np.where(X < -18, 0, sum(c * X**k for k, c in enumerate((1, -4e-4, 1e-6)[: order + 1])))[
            :, None
        ]
        mu = 0.3 + steps * (curve - 3e-4 * x)
        shape = {"post_order": order, "divide_by": "step"}
        shared = normalize_edge(mu, ENERGY, slope="shared", **shape, **GIVEN)
        np.testing.assert_allclose(shared.edge_step, steps, rtol=1e-6)
        single = normalize_edge(mu, ENERGY, **shape, **GIVEN)
        np.testing.assert_allclose(shared.normalized, single.normalized, atol=1e-6)


def test_the_gate_takes_pixels_without_a_significant_step_and_counts_them():
    """With no step at all, the estimated step passes 3 sigma of Student's t about as often as it should."""
    rng = np.random.default_rng(5)
    n = 20000
    mu = 0.5 - 1e-4 * X[:, None] + 0.02 * rng.normal(size=(ENERGY.size, n))
    mu[:, ::2] += np.where(X < 0, 0, 0.3)[:, None]
    found = normalize_edge(mu.astype(np.float32), ENERGY, gate=3, divide_by="step", **GIVEN)
    empty = np.isnan(found.normalized).all(axis=0)
    assert not empty[::2].any()
    assert found.n_gated == found.n_invalid == empty.sum()
    assert 0.995 < empty[1::2].mean() <= 1
    assert np.isfinite(found.edge_step).all()
    scatter = found.edge_step[1::2].std()
    np.testing.assert_allclose(found.edge_step_sigma.mean(), scatter, rtol=0.05)
    share = (np.abs(found.edge_step[1::2]) < found.edge_step_sigma[1::2]).mean()
    assert 0.66 < share < 0.70
    assert normalize_edge(mu, ENERGY, divide_by="step", **GIVEN).n_gated == 0


@pytest.mark.parametrize("pre", ["line", "constant", "victoreen"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_uncertainty_of_the_step_is_that_of_its_pixel(pre, order):
    rng = np.random.default_rng(6)
    mu = 0.2 + np.where(X < 0, 0, 0.5)[:, None] + 0.03 * rng.normal(size=(ENERGY.size, 10000))
    found = normalize_edge(mu, ENERGY, gate=0.1, pre=pre, post_order=order, divide_by="step", **GIVEN)
    np.testing.assert_allclose(found.edge_step_sigma.mean(), found.edge_step.std(), rtol=0.03)


def test_invalid_values_are_no_part_of_the_gated():
    mu, _ = make_spectra(10)
    mu[3, 4] = np.nan
    found = normalize_edge(mu, ENERGY, gate=3, **GIVEN)
    assert (found.n_invalid, found.n_gated) == (1, 0)
    assert np.isnan(found.edge_step_sigma[4])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            {"flatten": True, "divide_by": "line"},
            "flatten is for divide_by = 'step', not 'line': dividing by the line flattens already",
        ),
        ({"flatten": True, "divide_by": "area"}, "flatten is for divide_by = 'step', not 'area'"),
        ({"divide_by": "line", "area_range": (8300, 8500)}, "area_range is given but divide_by is 'line'"),
        ({"pre": "victoreen", "slope": "shared"}, "which pre = 'victoreen' has not"),
        ({"pre_edge": (8219, 8222)}, r"pre_edge \(8219, 8222\) eV holds 1 of the energies, at least 2"),
        ({"post_edge": (8560, 8573), "post_order": 2}, r"post_edge .* holds 2 of the energies, at least 3"),
        ({"divide_by": "area", "area_range": (8221, 8222)}, r"area_range \(8221, 8222\) eV holds 0"),
        (
            {
                "pre_edge": (8220, 8226),
                "post_edge": (8565, 8577),
                "gate": 3,
                "slope": "pixel",
                "post_order": 1,
            },
            "windows hold 4 energies, as many as",
        ),
        ({"gate": -1}, "'gate' is -1"),
        ({"post_order": 3}, "post_order is 3"),
        ({"pre": "cubic"}, "pre is 'cubic'"),
        ({"e0_method": "eye"}, "e0_method is 'eye'"),
    ],
)
def test_what_makes_no_sense_is_said(args, said):
    with pytest.raises(InputError, match=said):
        normalize_edge(make_spectra(5)[0], ENERGY, **{**GIVEN, **args})


def test_one_energy_is_enough_for_a_constant():
    mu, _ = make_spectra(5, noise=0)
    found = normalize_edge(mu, ENERGY, pre="constant", post_order=0, **{**GIVEN, "pre_edge": (8219, 8222)})
    np.testing.assert_allclose(found.pre_line, [mu[0], 0 * mu[0]], rtol=1e-12)


@pytest.mark.parametrize(
    "params",
    [
        NormalizeParams(pre="victoreen", post_order=2, divide_by="step", flatten=True, gate=3.0),
        NormalizeParams(divide_by="area", pre="constant"),
        NormalizeParams(divide_by="post", post_order=0, e0_method="half_height"),
        NormalizeParams(slope="shared", post_order=2, gate=5.0, e0_method="derivative"),
    ],
    ids=["victoreen", "area", "post", "shared"],
)
def test_streamed_in_memory_and_as_a_function_to_the_last_bit(params):
    mu = make_spectra(60 * 130, least=0.02)[0].reshape(-1, 60, 130).astype(np.float32)
    stack = EnergyStack(mu, ENERGY, "optical_density")
    here, there = (run_steps(stack, [("normalize", params)], in_memory=m) for m in (True, False))
    for name in ("thickness", "edge_step"):
        np.testing.assert_array_equal(here.maps[name], there.maps[name])
    assert here.history == there.history
    kept = run_steps(stack, [("normalize", params)], keep_stack=True)
    function = normalize_edge(mu, ENERGY, **params.model_dump())
    np.testing.assert_array_equal(kept.stack.data, function.normalized)
    resolved = kept.history[-1]["params"]
    assert NormalizeParams(**resolved).model_dump() == function.params.model_dump()
    found = kept.history[-1]["found"]
    assert (found["invalid_pixels"], found.get("pixels_below_gate", 0)) == (
        function.n_invalid,
        function.n_gated,
    )
    why = ("pixels_below_gate" if params.gate else "pixels_without_step", "pixels_without_divisor")
    assert found["invalid_pixels"] == sum(found[name] for name in ("pixels_without_data", *why))
    again = run_steps(stack, [("normalize", NormalizeParams(**resolved))], keep_stack=True)
    np.testing.assert_array_equal(again.stack.data, kept.stack.data)


def test_pixels_that_cannot_be_normalised_are_counted_by_their_reasons():
    """Four pixels: nothing measured, no step, a step whose line falls to zero before the last energy, and a good one."""
    step = (ENERGY > 8333).astype(float)
    good = 0.2 + step
    mu = np.stack([np.full(ENERGY.size, np.nan), 0.2 - step, 0.2 + step * (8400 - ENERGY) / 67, good], 1)
    mu = np.concatenate([mu, np.repeat(good[:, None], 96, axis=1)], 1).reshape(-1, 10, 10)
    stack = EnergyStack(mu.astype(np.float32), ENERGY, "optical_density")
    given = NormalizeParams(
        e0=8333, pre_edge=(8220, 8310), post_edge=(8360, float(ENERGY[-1])), divide_by="line"
    )
    found = run_steps(stack, [("normalize", given)]).history[-1]["found"]
    names = ("invalid_pixels", "pixels_without_data", "pixels_without_step", "pixels_without_divisor")
    assert [found[name] for name in names] == [3, 1, 1, 1]


def test_a_gate_that_nothing_passes_is_said():
    stack = EnergyStack(make_spectra(12)[0].reshape(-1, 3, 4), ENERGY, "optical_density")
    result = run_steps(stack, [("normalize", NormalizeParams(gate=1e4))])
    assert any(
        "no pixel has an edge step of 10000 times" in w for w in result.history[-1]["found"]["warnings"]
    )


def test_a_parabola_on_few_energies_is_advised_against():
    stack = EnergyStack(make_spectra(12)[0].reshape(-1, 3, 4), ENERGY, "optical_density")
    found = carry_out(
        NORMALIZE, Chain(stack), NormalizeParams(post_order=2, post_edge=(8540, 8577), slope="pixel")
    )
    assert "post_order = 1 or slope = 'shared'" in found.warnings[0]


def test_shared_slopes_of_noisy_pixels_do_not_change_the_step():
    energy = np.r_[np.linspace(8222, 8312, 8), np.linspace(8320, 8380, 20), np.linspace(8392, 8570, 8)]
    curve = (0.5 + np.arctan((energy - 8340) / 2) / np.pi) * (1 - 1e-4 * (energy - 8340))
    curve += 0.5 - 5e-4 * (energy - 8340)
    options = {"e0": 8340.0, "pre_edge": (8220, 8313), "post_edge": (8390, 8580), "slope": "shared"}
    ratio = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        clean = curve[:, None, None] * rng.uniform(0.3, 0.5, (100, 120))
        noisy = clean + rng.normal(0, 0.1, clean.shape)
        steps = [normalize_edge(mu, energy, **options).edge_step.mean() for mu in (noisy, clean)]
        ratio.append(steps[0] / steps[1])
    assert abs(np.mean(ratio) - 1) < 3 * np.std(ratio) / np.sqrt(len(ratio)) < 0.01


def test_short_scans_have_a_constant_post_line_and_shared_slopes_by_default():
    """Where 15 eV are left after the edge, most pixels would be lost by lines of their own."""
    rng = np.random.default_rng(0)
    energy = np.r_[np.arange(8222, 8320, 7.0), np.arange(8320, 8349.0)]
    edge = 0.5 + np.arctan((energy - 8333) / 1.5) / np.pi
    mu = edge[:, None] + rng.normal(0, 0.02, (energy.size, 400))
    found = normalize_edge(mu, energy)
    assert found.params.post_order == 0
    assert found.n_invalid == 0
    line = normalize_edge(mu, energy, post_order=1, slope="pixel")
    assert line.params.post_order == 1 and line.params.slope == "pixel"
    assert found.edge_step.std() < 0.5 * line.edge_step.std()
    long = np.r_[np.arange(8222, 8320, 7.0), np.arange(8320, 8370.0), np.arange(8370, 8500, 10.0)]
    spectra = 0.5 + np.arctan((long - 8333) / 1.5) / np.pi
    plain = normalize_edge(spectra[:, None], long).params
    assert plain.post_order == 1 and plain.slope == "pixel"


def test_the_function_chooses_what_to_divide_by_as_a_recipe_does_and_says_so():
    """On a short post-edge whose line is steep the step between the lines changes much."""
    rng = np.random.default_rng(0)
    shape = (0.5 + np.arctan(X / 2) / np.pi) * np.exp(-np.clip(X, 0, None) / 300)
    mu = shape[:, None, None] * rng.uniform(0.5, 1, (12, 13)) + rng.normal(0, 0.01, (X.size, 12, 13))
    short = ENERGY < 8440
    mu, energy = mu[short].astype(np.float32), ENERGY[short]
    found = normalize_edge(mu, energy)
    kept = run_steps(
        EnergyStack(mu, energy, "optical_density"), [("normalize", NormalizeParams())], keep_stack=True
    )
    assert found.params.divide_by == "step"
    np.testing.assert_array_equal(found.normalized, kept.stack.data)
    assert found.warnings == kept.history[-1].warnings
    assert any("divided by the edge step" in said for said in found.warnings)
    assert not normalize_edge(mu[:, :1], energy, divide_by="step", slope="pixel", post_order=1).warnings
