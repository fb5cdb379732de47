"""Formats are declared in one module each; all that lists, opens or refuses files follows from the declarations."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tifffile

from napari_xanes._core.base.errors import DataFileError, InputError, ResourceError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io import formats, read_references, read_stack
from napari_xanes._core.io.energies import EnergyList
from napari_xanes._core.io.formats import ScanFormat, SpectraFormat
from napari_xanes._core.io.opened import Opened
from napari_xanes._core.io.unread import _UNREAD, TOLD
from napari_xanes._reader import get_reader

ENERGY = np.linspace(8300, 8400, 5)
IMAGES = np.random.default_rng(0).random((5, 6, 7))


def open_toy(path, wanted):
    """A file of the toy format: its mark, then an array of numpy."""
    with open(path, "rb") as file:
        file.seek(4)
        table = np.load(file)
    energy, images = table[:, 0, 0], table[:, :, 1:]
    return Opened(
        images, path.stem, [path], str(path), energy=EnergyList(energy, f"{path.name}, first column")
    )


TOY = ScanFormat("Toy", (".toy",), magic=(b"TOY!",), open=open_toy)


def write_toy(path, energy, images):
    column = np.broadcast_to(energy[:, None, None], (*images.shape[:2], 1))
    with open(path, "wb") as file:
        file.write(b"TOY!")
        np.save(file, np.concatenate([column, images], axis=2))
    return path


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(formats, "_added", [])
    formats.add_format(TOY)


@pytest.mark.usefixtures("toy")
def test_a_format_declared_in_one_place_is_opened_listed_and_dropped(tmp_path):
    path = write_toy(tmp_path / "scan.toy", ENERGY, IMAGES)
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.data[:], IMAGES)
    np.testing.assert_array_equal(stack.energy, ENERGY)
    assert get_reader(str(path)) is not None
    assert "*.toy" in formats.name_filter("Scans", formats.scan_suffixes())
    (tmp_path / "text.h5").write_text("no images")
    with pytest.raises(DataFileError, match=r"scans are read from .*Toy"):
        read_stack(tmp_path / "text.h5")
    with pytest.raises(InputError, match=r"scan\.toy is no HDF5/NeXus file"):
        read_stack(path, images="img")


@pytest.mark.usefixtures("toy")
def test_a_format_is_told_by_its_content_whatever_the_name(tmp_path):
    path = write_toy(tmp_path / "scan.tif", ENERGY, IMAGES)
    np.testing.assert_array_equal(read_stack(path).data[:], IMAGES)


@pytest.mark.usefixtures("toy")
def test_a_folder_of_files_of_a_new_format_is_a_scan(tmp_path):
    for i in range(5):
        write_toy(tmp_path / f"f_{i}.toy", ENERGY[i : i + 1], IMAGES[i : i + 1])
    assert get_reader(str(tmp_path)) is not None
    stack = read_stack(tmp_path)
    np.testing.assert_array_equal(stack.data[:], IMAGES)
    np.testing.assert_array_equal(stack.energy, ENERGY)


def test_a_format_of_spectra_is_declared_likewise(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_added", [])
    (tmp_path / "a.spt").write_bytes(b"SPT!\0")
    with pytest.raises(DataFileError, match="not a text file"):
        read_references(tmp_path / "a.spt")
    found = Reference("toy", ENERGY, np.arange(5.0))
    formats.add_format(SpectraFormat("Toy", (".spt",), magic=(b"SPT!",), read=lambda path, unit: [found]))
    assert read_references(tmp_path / "a.spt") == [found]
    assert ".spt" in formats.spectra_suffixes()


def test_every_declared_suffix_belongs_to_one_format_of_a_kind():
    for kinds in (formats.scan_formats(), formats.spectra_formats()):
        suffixes = [suffix for kind in kinds for suffix in kind.suffixes]
        assert suffixes and len(set(suffixes)) == len(suffixes)
        assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


def test_every_unread_suffix_is_said_once_and_none_of_a_format():
    every = [suffix for suffixes in _UNREAD for suffix in suffixes]
    assert len(every) == len(set(every)) and not set(every) & set(formats.scan_suffixes())
    assert set(TOLD) <= set(every)
    assert all(how[0].islower() and not how.endswith(".") for _, how in _UNREAD.values())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("map.bcf", r"map\.bcf is a Bruker \.bcf project, which is not read here; export"),
        ("map.spx", r"map\.spx is a Bruker .* Esprit or M4 Tornado\."),
        ("map.h5oina", r"map\.h5oina is an Oxford Instruments project, which is not read here; export"),
        ("events.tpx3", r"events\.tpx3 is Timepix3 events, which is not read here; reconstruct"),
        ("a.dm4", r"a\.dm4 is a Gatan"),
        ("a.cbf", r"a\.cbf is a diffraction detector's image.* FabIO"),
        ("a.mccd", r"a\.mccd is a diffraction detector's image"),
        ("a.raw", r"a\.raw is a file of bare numbers"),
        ("a.mda", r"a\.mda is an EPICS"),
        ("a.xim", r"a\.xim is an image of an SDF scan.* open the header"),
        ("a.txm", r"a\.txm is a reconstructed Zeiss volume"),
        ("photo.png", r"photo\.png is a picture for people.*; give the TIFF"),
        ("data.zip", r"data\.zip is an archive, which is not read here; unpack it"),
        ("data.foo", r"data\.foo is of a kind that is not known here, expected images; scans are read from"),
    ],
)
def test_files_that_are_not_read_say_what_they_are_and_what_to_do(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"\x07\0\1\2" * 9)
    with pytest.raises(DataFileError, match=said):
        read_stack(tmp_path / name)
    with pytest.raises(DataFileError, match="holds no"):
        read_stack(tmp_path)


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", "/dev/zero"):
        with pytest.raises(DataFileError, match="is no regular file"):
            read_stack(path)
        with pytest.raises(DataFileError, match="is no regular file"):
            read_references(path)
    tifffile.imwrite(tmp_path / "a.tif", np.ones((5, 4, 5), np.uint16) * np.arange(5, dtype=np.uint16))
    for keyword in ("energy", "flat"):
        with pytest.raises(DataFileError, match="is no regular file"):
            read_stack(tmp_path / "a.tif", **{"energy": "8300:8304:1", keyword: tmp_path / "pipe.h5"})


@pytest.mark.usefixtures("toy")
def test_whole_scans_in_a_folder_are_not_taken_for_single_images(tmp_path):
    for i in range(5):
        write_toy(tmp_path / f"f_{i}.toy", ENERGY, IMAGES)
    with pytest.raises(DataFileError, match=r"f_0\.toy holds 5 images, expected one .*open it alone"):
        read_stack(tmp_path, energy=ENERGY)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (KeyError("a"), DataFileError, "Toy"),
        (MemoryError(), ResourceError, "memory"),
        (ValueError(), DataFileError, "ValueError"),
    ],
)
def test_what_a_format_raises_is_one_sentence(tmp_path, monkeypatch, fault, error, said):
    def fails(path, wanted):
        raise fault

    monkeypatch.setattr(formats, "_added", [ScanFormat("Toy", (".toy",), magic=(b"TOY!",), open=fails)])
    with pytest.raises(error, match=said) as raised:
        read_stack(write_toy(tmp_path / "scan.toy", ENERGY, IMAGES))
    assert "scan.toy" in str(raised.value)


def test_a_format_that_cannot_even_be_told_is_none(tmp_path, monkeypatch):
    def fails(path, start):
        raise RuntimeError("damaged")

    odd = ScanFormat("Odd", (".odd",), recognise=fails, open=open_toy)
    monkeypatch.setattr(formats, "_added", [odd, TOY])
    assert read_stack(write_toy(tmp_path / "scan.toy", ENERGY, IMAGES)).shape == IMAGES.shape
