"""Passes in slabs: the same maps whatever their height, and every value read once."""

from __future__ import annotations

import h5py
import hdf5plugin
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.data import kept_rows
from napari_xanes._core.engine import slabs
from napari_xanes._core.engine.sampling import sampled_rows
from napari_xanes._core.io.hdf5 import Hdf5Array
from napari_xanes._core.runs import unpack

E, SHAPE = 18, (40, 18, 20)


@pytest.fixture(scope="module")
def scan():
    """Volumes that are displaced by fractions of a voxel, some values of them lost, and the recipe."""
    return nx.simulate_volume(SHAPE, n_energies=E, seed=3, max_drift=3.0, n_particles=30)


@pytest.fixture
def counted(monkeypatch):
    """Values read from HDF5 files."""
    count = {"values": 0}

    def counting(read):
        def counted(*args):
            values = read(*args)
            count["values"] += values.size
            return values

        return counted

    for name in ("read_rows", "read_block", "__getitem__"):
        monkeypatch.setattr(Hdf5Array, name, counting(getattr(Hdf5Array, name)))
    return count


def write(path, data, energy, layout):
    chunks = {"chunked": (1, 7, 8, 20), "spectral": (E, 2, 8, 20), "whole": (1, *data.shape[1:])}.get(layout)
    packing = {} if chunks is None else dict(hdf5plugin.Blosc())
    with h5py.File(path, "w") as file:
        file.create_dataset("img_xanes", data=data, chunks=chunks, **packing)
        file["X_eng"] = energy


@pytest.fixture(scope="module")
def recipe(scan, tmp_path_factory):
    """Alignment, normalisation and a fit to the true references."""
    folder = tmp_path_factory.mktemp("references")
    paths = [str(folder / f"{one.name}.txt") for one in scan.references]
    for path, one in zip(paths, scan.references, strict=True):
        np.savetxt(path, np.stack([one.energy, one.mu], axis=1))
    steps = [{"do": "align"}, {"do": "normalize"}, {"do": "fit", "references": paths}]
    return nx.Recipe.from_dict({"schema": 1, "input": {"signal": "optical_density"}, "step": steps})


@pytest.fixture(scope="module")
def volumes(scan):
    data = scan.stack.data.copy()
    data[3, 27:30, 5:9, 6:8] = np.nan
    return data


@pytest.fixture(scope="module")
def expected(scan, recipe, volumes):
    """The maps of the stack in memory."""
    return nx.run_recipe(recipe, scan.stack.replace(data=volumes), in_memory=True)


def check_same(result, expected):
    assert result.maps.keys() == expected.maps.keys()
    for name, data in result.maps.items():
        assert data.tobytes() == expected.maps[name].tobytes(), name
    assert [e.facts for e in result.history] == [e.facts for e in expected.history]


@pytest.mark.parametrize("height", [1, 17])
def test_maps_do_not_depend_on_the_slabs(scan, recipe, volumes, expected, height, monkeypatch):
    monkeypatch.setattr(slabs, "slab_height", lambda *_: height)
    check_same(nx.run_recipe(recipe, scan.stack.replace(data=volumes), in_memory=False), expected)


@pytest.mark.parametrize("free", [2**20, 2**30])
@pytest.mark.parametrize("layout", ["plain", "chunked", "spectral", "whole"])
def test_maps_do_not_depend_on_memory_or_file(
    scan, recipe, volumes, expected, tmp_path, monkeypatch, layout, free
):
    write(tmp_path / "scan.h5", volumes, scan.stack.energy, layout)
    for module in (slabs, unpack):
        monkeypatch.setattr(module, "free_memory", lambda: free)
    check_same(nx.run_recipe(recipe, tmp_path / "scan.h5"), expected)


def test_volumes_are_read_once_for_the_drift_and_once_for_the_maps(
    scan, recipe, volumes, tmp_path, monkeypatch, counted
):
    monkeypatch.setattr(kept_rows, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(slabs, "SLAB_BYTES", 2**17)
    monkeypatch.setattr(slabs, "ROWS_AROUND", 5)
    write(tmp_path / "scan.h5", volumes, scan.stack.energy, "plain")
    stack = nx.read_stack(tmp_path / "scan.h5", signal="optical_density")
    at, kept = {}, counted["values"]

    def told(done, total, text):
        at.setdefault(text, counted["values"])

    nx.run_recipe(recipe, stack, progress=told)
    read_for_drift = at["Measuring drift"] - kept
    read_for_maps = counted["values"] - at["Computing maps"]
    looked_at = at["Computing maps"] - at["Measuring drift"]
    assert slabs.slab_height(kept_rows.kept_rows(stack), SHAPE, E) < SHAPE[0] / 4
    assert read_for_drift == volumes.size
    assert volumes.size * 0.9 < read_for_maps <= volumes.size * 1.01  # some rows more around lost values
    assert looked_at <= volumes.size * min(1, (7 + 2) / 2 * sampled_rows(SHAPE).size / SHAPE[0])


@pytest.mark.parametrize("free", [2**20, 2**30])
@pytest.mark.parametrize("layout", ["spectral", "whole"])
def test_what_is_packed_awkwardly_is_unpacked_once(
    scan, recipe, volumes, tmp_path, monkeypatch, counted, layout, free
):
    write(tmp_path / "scan.h5", volumes, scan.stack.energy, layout)
    stack = nx.read_stack(tmp_path / "scan.h5", signal="optical_density")
    for module in (slabs, unpack):
        monkeypatch.setattr(module, "free_memory", lambda: free)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = counted["values"]
    nx.run_recipe(recipe, stack)
    assert counted["values"] - before == volumes.size
    assert [path.name for path in tmp_path.iterdir()] == ["scan.h5"]


@pytest.mark.parametrize("layout", ["chunked", "spectral"])
def test_images_in_chunks_are_unpacked_once_for_the_maps(tmp_path, monkeypatch, counted, layout):
    rng = np.random.default_rng(1)
    data = rng.random((E, 96, 40)).astype(np.float32) + np.linspace(0, 1, E, dtype=np.float32)[:, None, None]
    energy = np.linspace(8300, 8400, E)
    chunks = {"chunked": (1, 8, 40), "spectral": (E, 2, 40)}[layout]
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("img_xanes", data=data, chunks=chunks, compression="gzip")
        file["X_eng"] = energy
    monkeypatch.setattr(kept_rows, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(slabs, "SLAB_BYTES", 2**15)
    steps = [{"do": "peak", "window": [8320, 8380], "smoothing": 0.1}]
    peak = nx.Recipe.from_dict({"schema": 1, "input": {"signal": "optical_density"}, "step": steps})
    stack = nx.read_stack(tmp_path / "scan.h5", signal="optical_density")
    at = []

    def told(done, total, text):
        if text == "Computing maps":
            at.append(counted["values"])

    result = nx.run_recipe(peak, stack, progress=told, in_memory=False)
    assert at[-1] - at[0] == data.size
    check_same(result, nx.run_recipe(peak, stack.replace(data=data), in_memory=True))


@pytest.mark.parametrize("free", [2**16, 2**30])
def test_flats_packed_along_the_energies_are_unpacked_once(tmp_path, monkeypatch, counted, free):
    rng, shape = np.random.default_rng(1), (E, 64, 40)
    flats, counts = rng.integers(8000, 9000, shape, "u2"), rng.integers(1000, 4000, shape, "u2")
    with h5py.File(tmp_path / "flats.h5", "w") as file:
        file.create_dataset("flats", data=flats, chunks=(E, 8, 40), compression="gzip")
    flat = nx.read_stack(tmp_path / "flats.h5", energy=np.linspace(8300, 8400, E), signal="counts").data
    stack = nx.EnergyStack(counts, np.linspace(8300, 8400, E), "counts", flat=flat, name="scan")
    steps = [{"do": "flat_field"}, {"do": "optical_density"}, {"do": "peak", "window": [8320, 8380]}]
    recipe = nx.Recipe.from_dict({"schema": 1, "step": steps})
    expected = nx.run_recipe(recipe, stack.replace(flat=flats), in_memory=True)
    for module in (slabs, unpack):
        monkeypatch.setattr(module, "free_memory", lambda: free)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = counted["values"]
    check_same(nx.run_recipe(recipe, stack), expected)
    assert counted["values"] - before == flats.size
    in_memory, in_scratch = unpack.held_bytes(stack), unpack.scratch_bytes(stack, recipe.steps)
    assert (in_memory, in_scratch) == ((0, flats.nbytes) if free == 2**16 else (flats.nbytes, 0))


def test_a_scratch_file_that_does_not_fit_is_refused(scan, recipe, volumes, tmp_path, monkeypatch):
    write(tmp_path / "scan.h5", volumes, scan.stack.energy, "whole")
    monkeypatch.setattr(unpack, "free_memory", lambda: 2**20)
    monkeypatch.setattr("napari_xanes._core.base.files.file_limit", lambda: 2**19)
    with pytest.raises(nx.ResourceError, match=r"does not fit into memory.*TMPDIR names the folder"):
        nx.run_recipe(recipe, tmp_path / "scan.h5")


class NeverWhole:
    """A dask array of which no more than a fifth is ever computed at once."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.ndim = data, data.shape, data.dtype, data.ndim
        self.chunks, self.computed = data.chunks, 0

    def __getitem__(self, key):
        part = self.data[key]
        assert part.size < 0.2 * self.data.size
        self.computed += part.size
        return part

    def __array__(self, *_, **__):
        raise AssertionError("all of it was asked for")


@pytest.mark.parametrize("chunks", [(1, 10, 18, 20), (E, 2, 18, 20), (7, 8, 5, 20)])
def test_dask_arrays_are_computed_block_by_block(scan, recipe, volumes, expected, monkeypatch, chunks):
    array = pytest.importorskip("dask.array")
    monkeypatch.setattr(kept_rows, "BLOCK_BYTES", 2000)
    data = NeverWhole(array.from_array(volumes, chunks=chunks))
    check_same(nx.run_recipe(recipe, scan.stack.replace(data=data)), expected)
    assert data.computed <= 3 * volumes.size
