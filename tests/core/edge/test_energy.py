"""The edge energy by derivative, half height and table, and what is said of a scan without an edge."""

import numpy as np
import pytest

from napari_xanes import InputError, find_e0, normalize_edge

ENERGY = np.concatenate(
    [np.arange(8220, 8320, 5), np.arange(8320, 8370, 1), np.arange(8370, 8580, 6)]
).astype(float)


def spectrum(energy, e0, slope=-3e-4):
    x = energy - 8333
    return 0.4 + slope * x + 0.8 * (0.5 + np.arctan((energy - e0) / 1.5) / np.pi)


@pytest.mark.parametrize("e0", [8333.0, 8333.4, 8336.8])
@pytest.mark.parametrize("method", ["derivative", "half_height"])
def test_a_symmetric_edge_has_one_energy_by_either_method(e0, method):
    assert find_e0(ENERGY, spectrum(ENERGY, e0), method=method) == pytest.approx(e0, abs=0.1)


def test_half_height_is_where_the_spectrum_is_midway_between_its_lines():
    """With a shoulder the steepest rise stays, the half height moves up."""
    mu = spectrum(ENERGY, 8333) * 0.4 + spectrum(ENERGY, 8341) * 0.6
    windows = {"pre_edge": (8220, 8300), "post_edge": (8420, 8577)}
    found = find_e0(ENERGY, mu, method="half_height", **windows)
    pre, post = ((ENERGY >= lo) & (ENERGY <= hi) for lo, hi in windows.values())
    before, after = (np.polynomial.Polynomial.fit(ENERGY[w], mu[w], 1) for w in (pre, post))
    share = (np.interp(found, ENERGY, mu) - before(found)) / (after(found) - before(found))
    assert share == pytest.approx(0.5, abs=0.01)
    assert 8336 < found < 8341


def test_energies_and_scale_are_followed():
    mu = spectrum(ENERGY, 8334.3)
    for method in ("derivative", "half_height"):
        found = find_e0(ENERGY, mu, method=method)
        assert find_e0(ENERGY + 3, mu, method=method) == pytest.approx(found + 3, abs=1e-6)
        assert find_e0(ENERGY, 7 * mu, method=method) == pytest.approx(found, abs=1e-6)
        holes = mu.copy()
        holes[[3, 70]] = np.nan
        assert find_e0(ENERGY, holes, method=method) == pytest.approx(found, abs=0.05)


def test_the_method_is_taken_in_the_normalisation():
    mu = spectrum(ENERGY, 8337.3)[:, None] * [1, 2]
    found = {m: normalize_edge(mu, ENERGY, e0_method=m) for m in ("auto", "derivative", "half_height")}
    assert found["auto"].e0 == 8333 and found["auto"].edge == "Ni K"
    assert found["derivative"].e0 == pytest.approx(8337.3, abs=0.1)
    assert found["half_height"].e0 == pytest.approx(8337.3, abs=0.1)
    assert found["half_height"].edge == "Ni K"
    assert normalize_edge(mu, ENERGY, e0=8335, e0_method="derivative").e0 == 8335


def test_half_height_is_less_moved_by_noise():
    rng = np.random.default_rng(1)
    mu = spectrum(ENERGY, 8334)
    spread = {
        method: np.std(
            [find_e0(ENERGY, mu + 0.01 * rng.normal(size=mu.size), method=method) for _ in range(60)]
        )
        for method in ("derivative", "half_height")
    }
    assert spread["half_height"] < spread["derivative"] < 0.5


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            (8340, 8500),
            "Ni K at 8333 eV lies below the first energy, so energies before the edge seem to be missing",
        ),
        (
            (8200, 8330),
            "Ni K at 8333 eV lies above the last energy, so energies after the edge seem to be missing",
        ),
    ],
)
def test_a_scan_that_misses_the_edge_is_told_which_side_it_lacks(part, said):
    energy = np.arange(*part, 4.0)
    with pytest.raises(InputError, match=f"falls everywhere .*{said}; scan from before to after it"):
        normalize_edge(1 - 1e-3 * (energy - 8300), energy)
    noisy = 1 - 1e-4 * (energy - 8300) + 0.01 * np.random.default_rng(3).normal(size=energy.size)
    with pytest.raises(InputError, match=r"seem to be missing|before the edge|after the edge"):
        normalize_edge(noisy, energy)


def test_a_given_window_outside_the_scan_is_named_before_the_edge_is_looked_for():
    energy = np.arange(8340, 8580, 4.0)
    with pytest.raises(InputError, match=r"pre_edge \(8222, 8312\) eV holds 0 of the energies"):
        normalize_edge(1 - 1e-3 * (energy - 8300), energy, pre_edge=(8222, 8312))


@pytest.mark.parametrize(
    ("mu", "args", "said"),
    [
        (ENERGY[:4], {}, "shape .4,., its energies"),
        (-ENERGY, {}, "is it transmission rather than absorption"),
        (0 * ENERGY, {}, "constant .0 at every energy."),
        (ENERGY, {"method": "eye"}, "method is 'eye', expected one of derivative, half_height"),
        (
            spectrum(ENERGY, 8333),
            {"method": "half_height", "pre_edge": (8300, 8301)},
            "pre_edge .* holds 1 of",
        ),
    ],
)
def test_what_has_no_edge_energy_is_said(mu, args, said):
    with pytest.raises(InputError, match=said):
        find_e0(ENERGY, mu, **args)
