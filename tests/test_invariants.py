"""What must not matter does not: scale, energy axis, order of frames, precision; through whole chains of steps."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

import napari_xanes as nx
from napari_xanes._core.base.params import make_params
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps

SIMULATION = nx.simulate((48, 56), n_energies=31, max_drift=2.5, seed=4)
WINDOWS = {"e0": 8333.0, "pre_edge": (8222.0, 8315.0), "post_edge": (8388.0, 8579.0)}


@pytest.fixture(scope="module")
def density():
    """The simulated scan as optical density, not aligned, float64."""
    stack = SIMULATION.stack
    return nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark)).astype(np.float64)


@pytest.fixture(scope="module")
def reference_files(tmp_path_factory):
    """Reference spectra as files, for each shift of the energies in eV."""

    def write(shift):
        folder = tmp_path_factory.mktemp("references")
        for reference in SIMULATION.references:
            np.savetxt(
                folder / f"{reference.name}.txt", np.c_[reference.energy + shift, reference.mu], fmt="%.9f"
            )
        return [str(path) for path in sorted(folder.iterdir())]

    return write


def run(data, energy, references, shift=0.0):
    """Align, normalise and fit; return maps by name."""
    windows = {
        key: tuple(np.add(v, shift)) if isinstance(v, tuple) else v + shift for key, v in WINDOWS.items()
    }
    fit = {"references": references, "constraint": "nonnegative"}
    given = {"align": {}, "normalize": windows, "fit": fit, "peak": {"window": (8338 + shift, 8362 + shift)}}
    steps = [(name, make_params(STEPS[name].params, values, name)) for name, values in given.items()]
    return run_steps(nx.EnergyStack(data, energy, "optical_density"), steps).maps


@pytest.fixture(scope="module")
def maps(density, reference_files):
    return run(density.astype(np.float32), SIMULATION.stack.energy, reference_files(0))


SCALED = ("thickness", "edge_step")
AMOUNTS = tuple(f"amount_{r.name}" for r in SIMULATION.references)


def test_the_scale_of_absorption_scales_the_amounts_and_nothing_else(density, reference_files, maps):
    """By a power of two, which floating point takes exactly."""
    found = run(4 * density.astype(np.float32), SIMULATION.stack.energy, reference_files(0))
    for name, data in maps.items():
        factor = 4 if name in (*SCALED, *AMOUNTS) else 1
        if name.startswith("sigma_"):  # its noise is learned from spectra that are grouped by thickness
            np.testing.assert_allclose(np.nanmedian(found[name] / data), factor, rtol=0.01, err_msg=name)
            continue
        np.testing.assert_allclose(found[name], factor * data, rtol=2e-5, atol=1e-6, err_msg=name)


def test_a_shift_of_all_energies_shifts_positions_and_nothing_else(density, reference_files, maps):
    found = run(density.astype(np.float32), SIMULATION.stack.energy + 512, reference_files(512), shift=512)
    for name, data in maps.items():
        wanted = data + 512 if name == "peak_energy" else data
        np.testing.assert_allclose(found[name], wanted, rtol=1e-3, atol=2e-3, err_msg=name)


def test_files_in_kev_and_in_any_order_give_the_same(density, reference_files, maps, tmp_path):
    order = np.random.default_rng(0).permutation(len(density))
    tifffile.imwrite(tmp_path / "scan.tif", density.astype(np.float32)[order], photometric="minisblack")
    np.savetxt(tmp_path / "energy.txt", SIMULATION.stack.energy[order] / 1000, fmt="%.12f")
    stack = nx.read_stack(tmp_path / "scan.tif", signal="optical_density")
    np.testing.assert_allclose(stack.energy, SIMULATION.stack.energy, rtol=1e-12)
    found = run(stack.data[:], stack.energy, reference_files(0))
    for name, data in maps.items():
        np.testing.assert_allclose(found[name], data, rtol=1e-5, atol=1e-6, err_msg=name)


def test_precision_of_the_input_matters_only_in_its_last_digits(density, reference_files, maps):
    found = run(density, SIMULATION.stack.energy, reference_files(0))
    for name, data in maps.items():
        np.testing.assert_array_equal(found[name], data, err_msg=name)  # steps work in float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_keep_the_precision_they_are_given(density, dtype):
    mu = density.astype(dtype)
    found = nx.normalize_edge(mu, SIMULATION.stack.energy, **WINDOWS)
    assert found.normalized.dtype == dtype and found.thickness.dtype == dtype
    fit = nx.fit_references(found.normalized, SIMULATION.stack.energy, SIMULATION.references)
    assert fit.fractions.dtype == dtype


def test_pixels_do_not_know_of_each_other(density):
    """Any pixel alone, and in another place, gives what it gives in the image, to rounding."""
    energy = SIMULATION.stack.energy
    order = np.random.default_rng(1).permutation(density[0].size)
    whole = nx.normalize_edge(density, energy, **WINDOWS)
    mixed = nx.normalize_edge(density.reshape(len(energy), -1)[:, order], energy, **WINDOWS)
    np.testing.assert_allclose(mixed.thickness, whole.thickness.ravel()[order], rtol=1e-10, atol=1e-12)
    alone = nx.normalize_edge(density[:, 20, 30], energy, **WINDOWS)
    np.testing.assert_allclose(alone.normalized, whole.normalized[:, 20, 30], rtol=1e-9, atol=1e-10)
