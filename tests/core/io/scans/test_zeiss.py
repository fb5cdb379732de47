"""Zeiss images and series: real ones, and series over energy in a container of the same streams."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import olefile
import pytest

from napari_xanes import DataFileError, read_stack
from napari_xanes._reader import get_reader


@pytest.fixture
def zeiss(whole_data):
    return whole_data / "formats" / "xrm"


def stream(path, name, dtype):
    with olefile.OleFileIO(path) as ole:
        return np.frombuffer(ole.openstream(name).read(), dtype)


def changed(source, target, name, raw):
    """Copy a file with other contents of the same length in a stream."""
    shutil.copy(source, target)
    with olefile.OleFileIO(target, write_mode=True) as ole:
        ole.write_stream(name, raw)
    return target


def test_a_real_image_with_its_reference(zeiss):
    path = zeiss / "test_chip00.xrm"
    assert get_reader(str(path)) is not None
    stack = read_stack(path)
    truth = stream(path, "ImageData1/Image1", "<u2").reshape(512, 512)
    assert stack.shape == (1, 512, 512) and stack.signal == "counts" and stack.data.dtype == np.uint16
    np.testing.assert_array_equal(stack.data[0], truth)
    np.testing.assert_array_equal(stack.data[0, 17, 5:9], truth[17, 5:9])
    np.testing.assert_allclose(stack.energy, [7191.0464], atol=1e-3)
    assert stack.pixel_size_um == pytest.approx(0.07789474)
    np.testing.assert_array_equal(
        stack.flat[0].ravel(), stream(path, "ReferenceData/Image", stack.flat.dtype)
    )
    (image, _, kind) = get_reader(str(path))(str(path))[0]
    assert kind == "image" and image.shape == (1, 512, 512)


def test_tomography_is_no_scan_of_energies(zeiss):
    with pytest.raises(
        DataFileError, match=r"tomography series: 7 projections from -45\.0 to 45\.0 degrees at 9200"
    ):
        read_stack(zeiss / "txrm_test_chip_tomo.txrm")


def test_images_of_one_energy_are_no_scan(zeiss):
    with pytest.raises(DataFileError, match=r"all 2 energies of .* are 7191.05 eV"):
        read_stack([zeiss / "test_chip00.xrm", zeiss / "test_chip01.xrm"])


def test_a_folder_of_images_and_repeats(zeiss, tmp_path):
    energies = [8330.0, 8340.0, 8340.0]
    for k, energy in enumerate(energies):
        pixels = stream(zeiss / "test_chip00.xrm", "ImageData1/Image1", "<u2") + np.uint16(10 * k)
        path = changed(
            zeiss / "test_chip00.xrm",
            tmp_path / f"scan_{k:03d}.xrm",
            "ImageInfo/Energy",
            struct.pack("<f", energy),
        )
        changed(path, tmp_path / "part", "ImageData1/Image1", pixels.tobytes()).replace(path)
    stack = read_stack(tmp_path)
    first = stream(zeiss / "test_chip00.xrm", "ImageData1/Image1", "<u2").reshape(512, 512).astype(float)
    np.testing.assert_array_equal(stack.energy, [8330.0, 8340.0])
    np.testing.assert_array_equal(stack.data[0], first)
    np.testing.assert_allclose(stack.data[1], first + 15)
    assert any("equal energy were averaged" in warning for warning in stack.warnings)


def test_an_energy_of_zero_is_taken_from_the_name(zeiss, tmp_path):
    for energy in (8333.0, 8333.25):
        changed(
            zeiss / "test_chip00.xrm",
            tmp_path / f"rep01_{energy:08.2f}_eV_001.xrm",
            "ImageInfo/Energy",
            b"\0" * 4,
        )
    paths = sorted(tmp_path.iterdir())
    stack = read_stack(paths)
    np.testing.assert_array_equal(stack.energy, [8333.0, 8333.25])
    assert "the name" in stack.source["energy_source"]


def test_a_series_over_energy(zeiss, tmp_path):
    source, energy = zeiss / "txrm_test_chip_tomo.txrm", np.linspace(8300, 8360, 7, dtype="<f4")
    raw = energy.tobytes() + b"\0" * (244 - energy.nbytes)
    path = changed(source, tmp_path / "scan.txrm", "ImageInfo/Energy", raw)
    stack = read_stack(path)
    np.testing.assert_allclose(stack.energy, energy, rtol=1e-7)
    for k in (0, 6):
        np.testing.assert_array_equal(
            stack.data[k].ravel(), stream(source, f"ImageData1/Image{k + 1}", "<u2")
        )


def test_other_containers_and_damage_are_named(zeiss, tmp_path):
    raw = (zeiss / "test_chip00.xrm").read_bytes()
    (tmp_path / "cut.xrm").write_bytes(raw[:4096])
    with pytest.raises(DataFileError, match=r"cut\.xrm"):
        read_stack(tmp_path / "cut.xrm")


def without_reference(source, target, energy, pixels):
    """Copy an image without the reference in it, with another energy and other pixels."""
    path = changed(source, target, "ImageInfo/Energy", struct.pack("<f", energy))
    changed(path, target.with_suffix(".part"), "ImageData1/Image1", pixels.astype("<u2").tobytes()).replace(
        path
    )
    changed(path, target.with_suffix(".part"), "ReferenceData/DataType", b"\0\0\0\0").replace(path)
    raw = path.read_bytes()
    name = "ReferenceData".encode("utf-16-le")
    assert raw.count(name) == 1
    path.write_bytes(raw.replace(name, "PreferredData"[:13].encode("utf-16-le")))
    return path


@pytest.mark.parametrize("repeats", [1, 3])
def test_references_among_the_images_of_a_folder(zeiss, tmp_path, repeats):
    """As programs of the microscope name them: rep01_ref_2016_08324.00_eV_001of003.xrm beside rep01_2016_08324.00_eV_001of001.xrm."""
    source = zeiss / "test_chip00.xrm"
    pixels = stream(source, "ImageData1/Image1", "<u2")
    for k, energy in enumerate((8324.0, 8334.25, 8354.0)):
        without_reference(
            source, tmp_path / f"rep01_2016_{energy:08.2f}_eV_001of001.xrm", energy, pixels // 4 + k
        )
        for r in range(repeats):
            name = f"rep01_ref_2016_{energy:08.2f}_eV_{r + 1:03d}of{repeats:03d}.xrm"
            without_reference(source, tmp_path / name, energy, pixels // 2 + 100 * k + r)
    stack = read_stack(tmp_path)
    image = pixels.reshape(512, 512).astype(float)
    np.testing.assert_allclose(stack.energy, [8324.0, 8334.25, 8354.0])
    for k in range(3):
        np.testing.assert_allclose(stack.data[k], image // 4 + k)
        np.testing.assert_allclose(stack.flat[k], image // 2 + 100 * k + (repeats - 1) / 2)
    first = "rep01_ref_2016_08324.00_eV_001of"
    assert first in stack.source["flat"] and "those of each energy" in stack.source["flat"]


def test_one_reference_for_all_images_of_a_folder(zeiss, tmp_path):
    source = zeiss / "test_chip00.xrm"
    pixels = stream(source, "ImageData1/Image1", "<u2")
    for k, energy in enumerate((8324.0, 8334.25, 8354.0)):
        without_reference(source, tmp_path / f"scan_{energy:08.2f}_eV.xrm", energy, pixels // 4 + k)
    without_reference(source, tmp_path / "scan_ref_01.xrm", 8324.0, pixels // 2)
    stack = read_stack(tmp_path)
    np.testing.assert_array_equal(np.squeeze(stack.flat[:]), pixels.reshape(512, 512) // 2)
    assert stack.signal == "counts" and stack.source["flat"] == "scan_ref_01.xrm"
    assert not any("as flats" in text for text in stack.warnings)  # what was found is no warning


def test_references_in_the_files_go_before_those_beside_and_that_is_said(zeiss, tmp_path):
    for energy in (8324.0, 8334.0, 8354.0):
        for kind in ("", "ref_"):
            changed(
                zeiss / "test_chip00.xrm",
                tmp_path / f"a_{kind}{energy:07.1f}_eV.xrm",
                "ImageInfo/Energy",
                struct.pack("<f", energy),
            )
    stack = read_stack(tmp_path)
    reference = stream(zeiss / "test_chip00.xrm", "ReferenceData/Image", "<u2").reshape(512, 512)
    np.testing.assert_array_equal(stack.flat[1], reference)
    assert any("the flats in the files of the images are used instead" in text for text in stack.warnings)


def test_a_reference_beside_a_series(zeiss, tmp_path):
    source, energy = zeiss / "txrm_test_chip_tomo.txrm", np.linspace(8300, 8360, 7, dtype="<f4")
    raw = energy.tobytes() + b"\0" * (244 - energy.nbytes)
    scan = changed(source, tmp_path / "scan.txrm", "ImageInfo/Energy", raw)
    assert read_stack(scan).flat is None
    changed(source, tmp_path / "scan_ref.txrm", "ImageInfo/Energy", raw)
    changed(source, tmp_path / "scan2_ref.txrm", "ImageInfo/Energy", raw)
    stack = read_stack(scan)
    for k in (0, 6):
        np.testing.assert_array_equal(
            np.ravel(stack.flat[k]), stream(source, f"ImageData1/Image{k + 1}", "<u2")
        )
    assert stack.source["flat"] == "scan_ref.txrm"
