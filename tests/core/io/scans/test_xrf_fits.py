"""Fits of PyXRF and XRF-Maps: an element's map over energy, divided by a scaler, after the layouts of these programs."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile

import napari_xanes as nx

RNG = np.random.default_rng(4)
E = np.linspace(8250.0, 8430.0, 7)
NICKEL, IRON = RNG.random((2, 7, 6, 9)).astype("f4") + 0.1
BEAM = RNG.uniform(9e4, 1e5, (7, 6, 9)).astype("f4")


def pyxrf(folder):
    for i, energy in enumerate(E):
        with h5py.File(folder / f"scan2D_{92276 + i}_xs_sum(20).h5", "w") as file:
            group = file.create_group("xrfmap")
            group["detsum/counts"] = np.zeros((6, 9, 32), "f4")
            group["detsum/xrf_fit"] = np.stack([IRON[i] * BEAM[i], NICKEL[i] * BEAM[i], BEAM[i]])
            group["detsum/xrf_fit_name"] = [b"Fe_K", b"Ni_K", b"compton"]
            group["scalers/val"] = np.stack([BEAM[i], BEAM[i] * 2], axis=-1)
            group["scalers/name"] = [b"i0", b"sclr1_ch4"]
            group["positions/pos"] = np.zeros((2, 6, 9))
            group.create_group("scan_metadata").attrs["instrument_mono_incident_energy"] = energy / 1000
    return folder


def maps(folder, suffix=".h5", old=False):
    for i, energy in enumerate(E):
        with h5py.File(folder / f"2xfm_{i + 100:04d}.mda{suffix}", "w") as file:
            group = file.create_group("MAPS")
            fits = np.stack([NICKEL[i] * BEAM[i], IRON[i] * BEAM[i]])
            group["XRF_fits" if old else "XRF_Analyzed/NNLS/Counts_Per_Sec"] = fits
            group["channel_names" if old else "XRF_Analyzed/NNLS/Channel_Names"] = [b"Ni", b"Fe"]
            group["scalers" if old else "Scalers/Values"] = np.stack([BEAM[i] * 3, BEAM[i]])
            group["scaler_names" if old else "Scalers/Names"] = [b"ds_ic", b"us_ic"]
            group["x_axis" if old else "Scan/x_axis"] = np.arange(9) * 2e-4
            group["y_axis" if old else "Scan/y_axis"] = np.arange(6) * 2e-4
            group["extra_pvs_names" if old else "Scan/Extra_PVs/Names"] = [b"2xfm:m1", b"2xfm:monoE"]
            group["extra_pvs_values" if old else "Scan/Extra_PVs/Values"] = [
                b"3.5",
                f"{energy / 1000:.5f}".encode(),
            ]
    return folder


WRITERS = [
    pyxrf,
    maps,
    lambda folder: maps(folder, ".h50"),
    lambda folder: maps(folder, old=True),
]


@pytest.mark.parametrize("write", WRITERS)
def test_the_element_of_the_edge_divided_by_the_beam(tmp_path, write):
    stack = nx.read_stack(write(tmp_path))
    np.testing.assert_allclose(stack.data[:], NICKEL, rtol=1e-6)
    np.testing.assert_allclose(stack.energy, E, atol=1e-3)
    assert stack.signal == "optical_density" and len(stack.warnings) == 1
    assert "were divided by the scaler" in stack.warnings[0]
    np.testing.assert_array_equal(stack.data[2, 1:4, 5], stack.data[:][2, 1:4, 5])


@pytest.mark.parametrize("write", WRITERS)
def test_another_element_and_scaler_by_name(tmp_path, write):
    folder = write(tmp_path)
    iron, scaler, factor = ("Fe_K", "sclr1_ch4", 2) if write is pyxrf else ("Fe", "ds_ic", 3)
    np.testing.assert_allclose(
        nx.read_stack(folder, images=f"{iron}/{scaler}").data[:], IRON / factor, rtol=1e-6
    )
    plain = nx.read_stack(folder, images=f"{iron}/none")
    np.testing.assert_allclose(plain.data[:], IRON * BEAM, rtol=1e-6)
    assert plain.signal == "optical_density" and not plain.warnings
    again = nx.read_stack(folder, images=plain.source["images"])
    np.testing.assert_array_equal(again.data[:], plain.data[:])


def test_the_pixel_size_of_xrf_maps(tmp_path):
    assert nx.read_stack(maps(tmp_path)).pixel_size_um == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("images", "message"), [("Cu_K", "it holds Fe_K, Ni_K, compton"), ("Ni_K/mon", "it holds i0, sclr1_ch4")]
)
def test_what_is_not_there_is_listed(tmp_path, images, message):
    with pytest.raises(nx.InputError, match=message):
        nx.read_stack(pyxrf(tmp_path), images=images)


def test_without_energies_the_element_is_asked_for(tmp_path):
    pyxrf(tmp_path)
    for path in tmp_path.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            del file["xrfmap/scan_metadata"]
    with pytest.raises(
        nx.DataFileError, match="holds maps of Fe_K, Ni_K, compton; name the element with images="
    ):
        nx.read_stack(tmp_path, energy=E)
    np.testing.assert_allclose(nx.read_stack(tmp_path, energy=E, images="Ni_K").data[:], NICKEL, rtol=1e-6)


def test_the_log_beside_a_stack_of_pyxrf_holds_its_energies(tmp_path):
    tifffile.imwrite(tmp_path / "maps_XRF_Ni_K.tiff", NICKEL, imagej=True)
    tifffile.imwrite(tmp_path / "SUM_maps_XRF_Ni_K.tiff", NICKEL.sum(0), imagej=True)
    lines = [
        f"   Frame {i + 1}:  scan ID = {92276 + i}   incident energy = {e / 1000:.4f} keV "
        f"(corrected to {e / 1000 + 0.0012:.4f} keV) file name = 'scan2D_{92276 + i}.h5'"
        for i, e in enumerate(E)
    ]
    (tmp_path / "maps_log_tiff.txt").write_text("XANES scan parameters:\n" + "\n".join(lines) + "\n")
    for path in (tmp_path, tmp_path / "maps_XRF_Ni_K.tiff"):
        stack = nx.read_stack(path)
        np.testing.assert_array_equal(stack.data[:], NICKEL)
        np.testing.assert_allclose(stack.energy, E + 1.2, atol=0.051)
        assert stack.source["energy_reason"] == "the log of PyXRF beside the images"
