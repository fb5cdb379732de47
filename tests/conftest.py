"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import pytest
import tifffile

os.environ["NAPARI_CONFIG"] = ""  # no settings are read from the user's folders, nor written there
PIECES = Path(__file__).parent / "data"
DATA = Path(os.environ.get("NAPARI_XANES_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """Folder of real measurements and phantoms: the full ones, or else the pieces of them in tests/data."""
    if DATA.is_dir():
        return DATA
    folder = tmp_path_factory.mktemp("data") / "data"
    shutil.copytree(PIECES, folder)
    nickel = folder / "phantom_ni_2d"
    with h5py.File(nickel / "ni_txm_raw.h5") as file:  # the same scan as TIFF would be as large again
        for name, dataset in (("xanes_raw", "img_xanes"), ("flat", "img_bkg"), ("dark", "img_dark")):
            tifffile.imwrite(nickel / f"{name}.tif", file[dataset][()], photometric="minisblack")
    return folder


@pytest.fixture(scope="session")
def whole_data() -> Path:
    """Folder of the full data, for files of the field of which tests/data holds no piece."""
    if not DATA.is_dir():
        pytest.skip(f"the full test data are not at {DATA}; set NAPARI_XANES_DATA to their folder")
    return DATA


@pytest.fixture(scope="session")
def whole_or_piece(data_dir):
    """Choose what holds for the full data or for the pieces: errors are larger where fewer pixels are averaged."""
    return lambda whole, piece: whole if data_dir == DATA else piece


@pytest.fixture
def samples(tmp_path_factory, monkeypatch, worker_id) -> Path:
    """A cache in which the samples of the menu are simulated once for all tests, in whatever process these run."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "samples"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder
