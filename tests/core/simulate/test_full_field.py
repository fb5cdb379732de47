"""The simulated scan: what it says of itself is true, and what makes scans hard is in it."""

from __future__ import annotations

from functools import partial

import h5py
import numpy as np
import pytest
from scipy import ndimage

import napari_xanes as nx
from napari_xanes import InputError, flat_field, optical_density, read_references, read_stack, simulate


@pytest.fixture(scope="module")
def simulation():
    return simulate()


def density(simulation):
    stack = simulation.stack
    return optical_density(flat_field(stack.data, stack.flat, stack.dark))


def solve(simulation, frames):
    """Fractions (2, n) in the mask by plain least squares with a line."""
    energy = simulation.stack.energy
    columns = [np.interp(energy, r.energy, r.mu) for r in simulation.references]
    basis = np.stack([*columns, np.ones_like(energy), energy - energy.mean()], axis=1)
    weights = np.linalg.lstsq(basis, frames[:, simulation.mask], rcond=None)[0][:2]
    return weights / weights.sum(axis=0)


def rmse(simulation, frames):
    return np.sqrt(np.mean((solve(simulation, frames) - simulation.fractions[:, simulation.mask]) ** 2))


def test_undoing_the_drift_gives_the_fractions_back(simulation):
    """To the noise: at 12000 counts, 0.02 on fractions of one edge step."""
    frames = density(simulation)
    aligned = np.stack(
        [
            ndimage.shift(frame, -moved, mode="nearest")
            for frame, moved in zip(frames, simulation.drift, strict=True)
        ]
    )
    assert rmse(simulation, aligned) < 0.03
    assert rmse(simulation, frames) > 0.2, "without alignment the scan must be of no use"


def test_thickness_is_the_edge_step(simulation):
    """In a scan that does not move, by the jump of the fitted sum."""
    still = simulate(max_drift=0, seed=1)
    energy = still.stack.energy
    frames = density(still)[:, still.mask]
    columns = [np.interp(energy, r.energy, r.mu) for r in still.references]
    basis = np.stack([*columns, np.ones_like(energy), energy - energy.mean()], axis=1)
    amounts = np.linalg.lstsq(basis, frames, rcond=None)[0][:2]
    np.testing.assert_allclose(amounts.sum(axis=0), still.thickness[still.mask], atol=0.12)
    assert abs(np.mean(amounts.sum(axis=0) - still.thickness[still.mask])) < 0.005


def test_shapes_and_ranges(simulation):
    stack = simulation.stack
    assert stack.data.dtype == stack.flat.dtype == stack.dark.dtype == np.uint16
    assert stack.shape == stack.flat.shape == (61, 200, 240) and stack.dark.shape == (5, 200, 240)
    assert stack.signal == "counts" and stack.energy.size == 61
    assert simulation.fractions.shape == (2, 200, 240) and simulation.drift.shape == (61, 2)
    assert np.hypot(*simulation.drift.T).max() == pytest.approx(6.0)
    np.testing.assert_array_equal(simulation.drift[-1], 0)
    np.testing.assert_allclose(simulation.fractions[:, simulation.mask].sum(axis=0), 1, atol=1e-5)
    assert np.isnan(simulation.fractions[:, simulation.thickness == 0]).all()
    assert 0.1 < simulation.mask.mean() < 0.6
    assert not simulation.mask[:, 0].any(), "the sample moved in from there"


def test_shot_noise_is_that_of_the_counts():
    """Of ten flats and one image: what is left of -ln after a line through every pixel, in the empty ones."""
    still = simulate((64, 80), max_drift=0, n_energies=20)
    dark = still.stack.dark.mean(axis=0)
    empty = still.thickness == 0
    frames = density(still)[:, empty]
    frames -= frames.mean(axis=1, keepdims=True)  # the beam's flicker
    line = np.stack([np.ones(20), still.stack.energy - still.stack.energy.mean()], axis=1)
    frames -= line @ np.linalg.lstsq(line, frames, rcond=None)[0]
    expected = np.mean(1.1 / (still.stack.data - dark)[:, empty]) * 18 / 20
    assert frames.var() == pytest.approx(expected, rel=0.03)


def test_references_are_normalised_and_apart(simulation):
    reduced, oxidised = simulation.references
    energy = simulation.stack.energy
    for reference in simulation.references:
        assert reference.energy[0] <= energy[0] and reference.energy[-1] >= energy[-1]
        assert abs(np.interp(energy[:5], reference.energy, reference.mu)).max() < 0.02
        assert np.interp(energy[-8:], reference.energy, reference.mu).mean() == pytest.approx(1, abs=0.05)
    half = [r.energy[np.argmax(r.mu > 0.5)] for r in (reduced, oxidised)]
    assert half[1] - half[0] == pytest.approx(2.6, abs=0.6)


def test_seed_decides():
    small = {"shape": (32, 40), "n_energies": 12, "max_drift": 2}
    first, again, other = simulate(**small), simulate(**small), simulate(**small, seed=5)
    np.testing.assert_array_equal(first.stack.data, again.stack.data)
    np.testing.assert_array_equal(first.drift, again.drift)
    assert (first.thickness != other.thickness).any()


def test_saved_as_a_beamline_does(tmp_path):
    simulation = simulate((32, 40), element="Fe", n_energies=12, max_drift=2)
    scan = simulation.save(tmp_path / "new" / "folder")
    assert scan.name == "fe_simulated.h5"
    stack = read_stack(scan)
    np.testing.assert_array_equal(stack.read(3), simulation.stack.data[3])
    np.testing.assert_allclose(stack.energy, simulation.stack.energy, rtol=0, atol=1e-6)
    assert stack.signal == "counts" and stack.flat is not None and stack.dark is not None
    for reference in simulation.references:
        (read,) = read_references(scan.parent / "references" / f"{reference.name}.txt")
        assert read.name == reference.name
        np.testing.assert_allclose(read.energy, reference.energy, atol=1e-5)
        np.testing.assert_allclose(read.mu, reference.mu, atol=1e-5)
    with h5py.File(scan.parent / "truth.h5") as file:
        np.testing.assert_array_equal(file["fractions"][()], simulation.fractions)
        np.testing.assert_array_equal(file["drift"][()], simulation.drift)
        assert list(file["fractions"].attrs["references"]) == ["Fe_reduced", "Fe_oxidised"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"element": "Xx"}, "element is 'Xx', expected the symbol"),
        ({"element": "H"}, "element is 'H'.*above 1000 eV"),
        ({"shape": (8, 200)}, "shape is 8, expected 16"),
        ({"n_energies": 2}, "n_energies is 2, expected 10"),
        ({"counts": 60_000}, "counts is 60000, expected 1 to 40000"),
        ({"max_drift": 80}, "max_drift is 80, expected 0 to 50"),
        ({"n_particles": 0}, "n_particles is 0, expected 1"),
    ],
)
def test_faults_are_named(given, said):
    with pytest.raises(InputError, match=said):
        simulate(**given)


OTHERS = {
    "volume": (partial(nx.simulate_volume, (24, 64, 72)), [{"do": "align"}], 0.1, 0.03),
    "stxm": (
        nx.simulate_stxm,
        [{"do": "internal_i0"}, {"do": "optical_density"}, {"do": "align"}],
        *(0.035, 0.08),
    ),
    "fluorescence": (nx.simulate_fluorescence, [{"do": "align"}], 0.06, 0.35),
}


@pytest.mark.parametrize(("make", "steps", "fractions_within", "drift_within"), OTHERS.values(), ids=OTHERS)
def test_the_usual_steps_find_the_truth_of_the_other_scans(
    tmp_path, make, steps, fractions_within, drift_within
):
    simulation = make()
    scan = simulation.save(tmp_path)
    fit = {"do": "fit", "references": [str(path) for path in sorted((tmp_path / "references").glob("*.txt"))]}
    recipe = {"schema": 1, "step": [*steps, {"do": "normalize", "slope": "shared"}, fit]}
    result = nx.run_recipe(nx.Recipe.from_dict(recipe), read_stack(scan))
    found = np.stack([result.maps[f"fraction_{one.name}"] for one in simulation.references])
    wrong = (found - simulation.fractions)[:, simulation.mask]
    assert np.isfinite(wrong).mean() > 0.98
    assert np.sqrt(np.nanmean(wrong**2)) < fractions_within
    moved = result.extra["drift"].shifts - simulation.drift
    assert np.sqrt(np.mean(np.sum((moved - moved.mean(axis=0)) ** 2, axis=1))) < drift_within
    ratio = np.nanmean(result.maps["thickness"][simulation.mask] / simulation.thickness[simulation.mask])
    assert ratio == pytest.approx(1, abs=0.06)


def test_fluorescence_maps_below_the_edge_do_not_go_astray():
    """They show scatter only, and match one another best half a picture away."""
    simulation = nx.simulate_fluorescence()
    moved = nx.estimate_drift(simulation.stack.data).shifts - simulation.drift
    assert np.abs(moved - np.median(moved, axis=0)).max() < 1
