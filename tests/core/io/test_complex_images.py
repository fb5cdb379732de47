"""Complex images: refused with the two choices named when nothing is said, and never their real part."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from typer.testing import CliRunner

import napari_xanes as nx
from napari_xanes.cli import app

RNG = np.random.default_rng(8)
E = np.linspace(700.0, 720.0, 7)
DENSITY = RNG.random((7, 6, 9)).astype("f4")
PHASE = RNG.uniform(-3, 3, DENSITY.shape).astype("f4")
OBJECT = (np.exp(-DENSITY / 2) * np.exp(1j * PHASE)).astype("c8")


def one_h5(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file["img"], file["energy"] = OBJECT, E
        file["other"] = np.zeros((3, 4))
    return folder / "a.h5"


def cxi_series(folder):
    """As programs for ptychography write them: diffraction beside the object, the energy in joules."""
    for i, energy in enumerate(E):
        with h5py.File(folder / f"scan_{i:03d}.cxi", "w") as file:
            file["cxi_version"] = 150
            file["entry_1/image_1/data"] = OBJECT[i]
            file["entry_1/data_1/data"] = np.ones((12, 6, 9), "u2")
            file["entry_1/instrument_1/source_1/energy"] = energy * 1.602176634e-19
            file["entry_1/instrument_1/source_1/probe"] = OBJECT[i, :5, :5]
    return folder


def ptypy_series(folder):
    for i, energy in enumerate(E):
        with h5py.File(folder / f"scan_{i:03d}.ptyr", "w") as file:
            file["content/obj/SscanG00/data"] = OBJECT[i : i + 1]
            file["content/probe/SscanG00/data"] = OBJECT[i : i + 1, :5, :5]
            file["content/obj/SscanG00/_energy"] = energy / 1000
    return folder


def npy(folder):
    np.save(folder / "a.npy", OBJECT)
    np.savetxt(folder / "a_energies.txt", E)
    return folder / "a.npy"


def npz(folder):
    np.savez(folder / "a.npz", img=OBJECT, energy=E)
    return folder / "a.npz"


def mat(folder):
    scipy.io.savemat(folder / "a.mat", {"img": OBJECT, "energy": E})
    return folder / "a.mat"


def tiff(folder):
    tifffile.imwrite(folder / "a.tif", OBJECT, photometric="minisblack")
    np.savetxt(folder / "a_energies.txt", E)
    return folder / "a.tif"


@pytest.mark.parametrize("write", [one_h5, cxi_series, ptypy_series, npy, npz, mat, tiff])
def test_amplitude_or_phase_is_asked_for(tmp_path, write):
    path = write(tmp_path)
    with pytest.raises(nx.InputError, match=r"complex_as='optical_density' .* or complex_as='phase'"):
        nx.read_stack(path)
    density, phase = (nx.read_stack(path, complex_as=how) for how in ("optical_density", "phase"))
    np.testing.assert_allclose(density.data[:], DENSITY, atol=2e-6)
    np.testing.assert_allclose(phase.data[:], PHASE, atol=2e-6)
    np.testing.assert_allclose(density.data[3, 2:5, 1:4], DENSITY[3, 2:5, 1:4], atol=2e-6)
    assert density.signal == phase.signal == "optical_density" and density.data.dtype == np.float32
    np.testing.assert_allclose(density.energy, E, atol=1e-6)
    assert any("-2 ln of their amplitude" in text for text in density.warnings)
    assert density.source["complex_as"] == "optical_density"


def test_where_the_amplitude_is_zero_the_density_is_invalid(tmp_path):
    images = OBJECT.copy()
    images[:, 2, 3] = 0
    np.save(tmp_path / "a.npy", images)
    stack = nx.read_stack(tmp_path / "a.npy", energy=E, complex_as="optical_density")
    assert np.isnan(stack.data[:, 2, 3]).all() and np.isnan(stack.data[:]).sum() == 7


def test_real_images_take_no_such_choice(tmp_path):
    np.save(tmp_path / "a.npy", DENSITY)
    with pytest.raises(nx.InputError, match="real numbers; leave it empty"):
        nx.read_stack(tmp_path / "a.npy", energy=E, complex_as="phase")
    with pytest.raises(nx.InputError, match="expected 'optical_density' or 'phase'"):
        nx.read_stack(tmp_path / "a.npy", energy=E, complex_as="real")


def test_complex_numbers_are_no_stack_and_no_flats(tmp_path):
    with pytest.raises(nx.InputError, match="complex numbers"):
        nx.EnergyStack(OBJECT, E, "optical_density")
    np.save(tmp_path / "a.npy", DENSITY)
    np.save(tmp_path / "flat.npy", OBJECT)
    with pytest.raises(nx.InputError, match="holds complex numbers"):
        nx.read_stack(tmp_path / "a.npy", energy=E, flat=tmp_path / "flat.npy")


def test_the_command_line_asks_and_takes_the_answer(tmp_path):
    path = one_h5(tmp_path)
    asked = CliRunner().invoke(app, ["inspect", str(path)])
    assert (
        asked.exit_code == 1
        and "--complex 'optical_density'" in asked.stderr
        and "--complex 'phase'" in asked.stderr
    )
    assert CliRunner().invoke(app, ["inspect", str(path), "--complex", "phase"]).exit_code == 0
