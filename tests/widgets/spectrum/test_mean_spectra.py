"""Mean spectra of stacks in files: the right values, by few and short openings of the file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.io import hdf5
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.spectrum import mean_spectra
from napari_xanes._widgets.spectrum.mean_spectra import MEASURED, mean_spectrum

SHAPE = (7, 40, 30)


@pytest.fixture(params=[(1, 40, 30), (1, 2, 30), None])
def scan(request, tmp_path):
    """A scan in a file, packed by the frame, by few rows, or not at all; and its values."""
    values = np.random.default_rng(0).integers(100, 4000, SHAPE).astype(np.uint16)
    packed = {} if request.param is None else {"chunks": request.param, "compression": "gzip"}
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("images", data=values, **packed)
        file["energy"] = np.linspace(7100, 7130, 7)
    return tmp_path / "scan.h5", values


def test_a_region_is_read_with_the_file_opened_once_and_closed_again(scan, viewer, monkeypatch):
    path, values = scan
    layer = add_stack(viewer, nx.read_stack(path))
    opened, open_file = [], hdf5.open_hdf5
    monkeypatch.setattr(hdf5, "open_hdf5", lambda *a, **k: opened.append(1) or open_file(*a, **k))
    rows, columns = (axis.ravel() for axis in np.mgrid[5:13, 3:20])
    found = mean_spectrum(layer, (rows, columns), MEASURED)
    np.testing.assert_allclose(found.values, values[:, 5:13, 3:20].mean(axis=(1, 2)), rtol=1e-6)
    assert found.used == rows.size
    assert len(opened) == 1
    monkeypatch.undo()
    with h5py.File(path, "r+") as file:  # nobody is kept out of it
        file["images"][...] = 0


def test_what_is_packed_by_the_frame_is_unpacked_once_a_frame(tmp_path, viewer, monkeypatch):
    values = np.random.default_rng(0).integers(100, 4000, SHAPE).astype(np.uint16)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("images", data=values, chunks=(1, 40, 30), compression="gzip")
        file["energy"] = np.linspace(7100, 7130, 7)
    layer = add_stack(viewer, nx.read_stack(tmp_path / "scan.h5"))
    reads, read = [], h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, key: reads.append(key) or read(self, key))
    rows, columns = (axis.ravel() for axis in np.mgrid[5:13, 3:20])
    mean_spectrum(layer, (rows, columns), MEASURED)
    assert len(reads) == SHAPE[0]


def test_planes_of_a_volume_in_a_file_are_waited_for_by_their_size(tmp_path, viewer, monkeypatch):
    values = np.random.default_rng(0).uniform(0, 1, (7, 10, 8, 9)).astype(np.float32)
    monkeypatch.setattr(mean_spectra, "QUICK_BYTES", values[:, :2].nbytes)
    with h5py.File(tmp_path / "volumes.h5", "w") as file:
        file["images"], file["energy"] = values, np.linspace(7100, 7130, 7)
    layer = add_stack(viewer, nx.read_stack(tmp_path / "volumes.h5"))
    waited = []
    for planes in (1, 2, 3):
        pixels = tuple(axis.ravel() for axis in np.mgrid[4 : 4 + planes, 2:5, 3:7])
        found = mean_spectrum(layer, pixels, MEASURED, lambda read, n=planes: waited.append(n) or read())
        np.testing.assert_allclose(
            found.values, values[:, 4 : 4 + planes, 2:5, 3:7].mean((1, 2, 3)), rtol=1e-5
        )
    assert waited == [3]


def test_many_rows_of_a_file_are_waited_for_and_few_are_read_at_once(tmp_path, viewer, monkeypatch):
    monkeypatch.setattr(mean_spectra, "QUICK_ROWS", 3 * SHAPE[0])
    values = np.random.default_rng(0).integers(100, 4000, SHAPE).astype(np.uint16)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["images"], file["energy"] = values, np.linspace(7100, 7130, 7)
    layer = add_stack(viewer, nx.read_stack(tmp_path / "scan.h5"))
    for last, waits in ((8, 0), (9, 1)):
        waited = []
        rows, columns = (axis.ravel() for axis in np.mgrid[5:last, 3:20])
        found = mean_spectrum(
            layer, (rows, columns), MEASURED, lambda read, w=waited: w.append(read) or read()
        )
        np.testing.assert_allclose(found.values, values[:, 5:last, 3:20].mean(axis=(1, 2)), rtol=1e-6)
        assert len(waited) == waits
