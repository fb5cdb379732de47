"""The energy shift of every pixel, against shifts that were put in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from napari_xanes import (
    EnergyStack,
    InputError,
    Recipe,
    Reference,
    energy_shift_map,
    normalize_edge,
    run_recipe,
)

ENERGY = np.arange(8300.0, 8401.0)
FINE = np.arange(8290.0, 8411.0, 0.25)


def edge(energy, e0):
    return 0.5 + np.arctan((energy - e0) / 1.5) / np.pi + 0.5 * np.exp(-(((energy - e0 - 5) / 4) ** 2))


REFERENCES = [Reference("a", FINE, edge(FINE, 8333)), Reference("b", FINE, edge(FINE, 8338))]


def spectra(shifts, share=0.4, noise=0.0, line=0.0):
    rng = np.random.default_rng(0)
    at = ENERGY[:, None] - shifts
    mu = share * edge(at, 8333) + (1 - share) * edge(at, 8338)
    return mu + line * (0.2 + 0.001 * (ENERGY[:, None] - 8350)) + noise * rng.standard_normal(mu.shape)


@pytest.mark.parametrize(("line", "background"), [(0.0, ()), (1.0, (0, 1))])
def test_shifts_come_back(line, background):
    shifts = np.linspace(-1.4, 1.4, 57)
    found = energy_shift_map(spectra(shifts, line=line), ENERGY, REFERENCES, background=background)
    np.testing.assert_allclose(found.shift, shifts, atol=0.01)
    assert not found.at_limit.any()


def test_sigma_says_how_far_they_are_off():
    shifts = np.random.default_rng(1).uniform(-0.5, 0.5, 4000)
    found = energy_shift_map(spectra(shifts, noise=0.01), ENERGY, REFERENCES)
    off = np.abs(found.shift - shifts) / found.sigma
    assert 0.65 < (off < 1).mean() < 0.71 and 0.94 < (off < 2).mean() < 0.965


def mixtures(energy, noise, shifts):
    rng = np.random.default_rng(1)
    share, at = rng.uniform(0.2, 0.8, shifts.size), energy[:, None] - shifts
    return share * edge(at, 8333) + (1 - share) * edge(at, 8338) + rng.normal(0, noise, at.shape)


@pytest.mark.parametrize("noise", [1e-5, 0.0])
def test_every_shift_has_a_sigma_however_far_below_the_steps_between_those_tried(noise):
    mu = mixtures(ENERGY, noise, np.random.default_rng(2).uniform(-0.5, 0.5, 2000))
    assert np.isfinite(energy_shift_map(mu, ENERGY, REFERENCES).sigma).all()


def about_the_edge(n_before, n_at):
    return np.r_[
        np.linspace(8250, 8325, n_before), np.linspace(8330, 8350, n_at), np.linspace(8370, 8480, n_before)
    ]


@pytest.mark.parametrize(
    "energy", [np.linspace(8300, 8400, n) for n in (6, 8, 11, 14, 16, 17)] + [about_the_edge(2, 4)], ids=len
)
def test_where_a_typical_pixel_tells_no_shift_no_pixel_has_a_sigma(energy):
    """Not those either which noise has moved to where the limits fit worse: of them few lie within one sigma."""
    mu = mixtures(energy, 0.05, np.full(1000, 1.0))
    found = energy_shift_map(mu, energy, REFERENCES, background=(0, 1))
    assert np.isfinite(found.shift).mean() > 0.5 and np.isnan(found.sigma).all()


@pytest.mark.parametrize(
    ("energy", "noise", "limit"),
    [
        (np.linspace(8300, 8400, 40), 0.08, 2.0),
        (np.linspace(8300, 8400, 40), 0.007, 0.3),
        (about_the_edge(6, 8), 0.05, 2.0),
        (about_the_edge(4, 6), 0.05, 2.0),
        (about_the_edge(3, 4), 0.01, 2.0),
    ],
    ids=["40", "40, near limits", "20", "14", "10"],
)
def test_where_a_typical_pixel_tells_a_shift_most_pixels_have_a_sigma_that_holds(energy, noise, limit):
    shifts = np.random.default_rng(2).uniform(-0.15, 0.15, 2000) * limit
    found = energy_shift_map(mixtures(energy, noise, shifts), energy, REFERENCES, limit=limit)
    known = np.isfinite(found.sigma)
    off = (np.abs(found.shift - shifts) / found.sigma)[known]
    assert known.mean() > 0.75 and 0.64 < (off < 1).mean() < 0.8 and 0.93 < (off < 2).mean() < 0.99


@pytest.mark.parametrize(("n", "shift"), [(16, 1.0), (18, 0.0), (24, 1.0)])
def test_sigma_holds_all_likely_shifts_between_energies_that_are_far_apart(n, shift):
    """There the misfit has several minima, and the bend of one says little of where the shift is."""
    energy, shifts = np.linspace(8300, 8400, n), np.full(3000, shift)
    found = energy_shift_map(mixtures(energy, 0.02, shifts), energy, REFERENCES)
    known = np.isfinite(found.sigma)
    off = (np.abs(found.shift - shifts) / found.sigma)[known]
    assert known.mean() > 0.5 and 0.58 < (off < 1).mean() < 0.8 and 0.93 < (off < 2).mean() < 0.99


def test_pixels_without_the_element_do_not_decide_whether_a_typical_one_tells_a_shift():
    """Normalised by next to nothing, their noise is as large as they are many."""
    shifts, empty = np.zeros(3000), np.arange(3000) >= 300
    mu = mixtures(ENERGY, 0.01, shifts)
    mu[:, empty] += np.random.default_rng(3).normal(0, 3, (ENERGY.size, empty.sum()))
    found = energy_shift_map(mu, ENERGY, REFERENCES)
    assert np.isfinite(found.sigma[~empty]).all()
    assert 0.6 < (np.abs(found.shift) < found.sigma)[~empty].mean() < 0.76


def test_a_shift_beyond_the_limit_is_not_given():
    found = energy_shift_map(spectra(np.array([0.3, 3.0])), ENERGY, REFERENCES, limit=1.0)
    assert found.at_limit.tolist() == [False, True]
    assert np.isfinite(found.shift[0]) and np.isnan(found.shift[1]) and np.isnan(found.sigma[1])


def test_scale_precision_and_shape_do_not_matter():
    mu = spectra(np.linspace(-1, 1, 12), noise=0.005)
    first = energy_shift_map(mu, ENERGY, REFERENCES)
    again = energy_shift_map((8 * mu).astype(np.float32).reshape(-1, 3, 4), ENERGY, REFERENCES)
    np.testing.assert_allclose(again.shift.ravel(), first.shift, atol=2e-3)
    assert again.shift.dtype == np.float32


@pytest.mark.parametrize("in_memory", [True, False])
def test_step(tmp_path, in_memory):
    for r in REFERENCES:
        np.savetxt(tmp_path / f"{r.name}.txt", np.c_[r.energy, r.mu])
    mu = spectra(np.full(200, 0.35), noise=0.01).reshape(-1, 10, 20).astype(np.float32)
    mu[:, 0, 0] = np.nan
    table = {
        "schema": 1,
        "step": [{"do": "shift_map", "references": [str(tmp_path / f"{n}.txt") for n in "ab"]}],
    }
    result = run_recipe(Recipe.from_dict(table), EnergyStack(mu, ENERGY, "normalized"), in_memory=in_memory)
    found = result.history[-1]["found"]
    assert found["mean_shift"] == pytest.approx(0.35, abs=0.02) and found["invalid_pixels"] == 1
    np.testing.assert_array_equal(result.maps["energy_shift"], energy_shift_map(mu, ENERGY, REFERENCES).shift)
    assert result.info["energy_shift"]["unit"] == "eV"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"limit": 0}, "limit is 0, expected a positive"),
        ({"energy_range": (8330, 8332)}, "fit more energies"),
    ],
)
def test_misuse(more, said):
    with pytest.raises(InputError, match=said):
        energy_shift_map(spectra(np.zeros(2)), ENERGY, REFERENCES, **more)


SHARP = [
    Reference(name, FINE, 0.5 + 0.5 * erf((FINE - e0) / 2) + white * np.exp(-(((FINE - e0 - 5) / 4) ** 2)))
    for name, e0, white in (("a", 8334, 0.3), ("b", 8338, 0.8))
]
"""Edges that are 0 before and 1 after, where lines are fitted."""


def decaying(noise, normalized, fall=6.0, shape=(64, 64)):
    """Optical density of mixtures whose absorption falls after the edge as that of elements does, or the same normalised."""
    rng, energy = np.random.default_rng(2), ENERGY
    share, thickness = rng.random(shape), rng.uniform(0.5, 1.5, shape)
    a, b = (np.interp(energy, r.energy, r.mu)[:, None, None] for r in SHARP)
    mu = thickness * ((share * a + (1 - share) * b) * (energy / 8335)[:, None, None] ** -fall + 0.3)
    mu = -np.log(rng.poisson(np.exp(-mu) / noise**2) * noise**2)
    if not normalized:
        return mu, None
    windows = {"e0": 8335.0, "pre_edge": (8300, 8320), "post_edge": (8360, 8400)}
    made = normalize_edge(mu, energy, slope="pixel", divide_by="step", **windows)
    return made.normalized, made


@pytest.mark.parametrize("normalized", [False, True])
def test_sigma_holds_lines_and_uneven_noise_and_a_falling_step_is_no_shift(normalized):
    mu, made = decaying(0.004, normalized)
    background = () if normalized else (0, 1)
    found = energy_shift_map(mu, ENERGY, SHARP, background=background, normalization=made)
    assert abs(found.shift.mean()) < 0.15 * np.median(found.sigma)
    off = np.abs(found.shift) / found.sigma
    assert 0.64 < (off < 1).mean() < 0.72 and 0.935 < (off < 2).mean() < 0.97
