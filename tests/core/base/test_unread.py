"""Arrays as other libraries have them, given to public functions: the numbers and energies are those that they hold."""

from __future__ import annotations

import threading
from collections import Counter
from math import prod

import dask.array
import h5py
import numpy as np
import pytest
import xarray
import zarr

import napari_xanes as nx
from napari_xanes._core.base import unread
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.base.unread import labelled as parted
from napari_xanes._core.data.as_dask import Blocks
from napari_xanes._core.data.drift import Drift
from napari_xanes._core.data.stack import pieces, rows_are_cheap

ENERGY = np.linspace(8300.0, 8420.0, 25)
SHARE = np.random.default_rng(1).uniform(0.2, 1, (10, 13))
MU = ((0.5 + np.arctan((ENERGY - 8340) / 3) / np.pi)[:, None, None] * SHARE + 0.1).astype(np.float32)


def stored(kind: str, folder) -> object:
    if kind == "h5py":
        return h5py.File(folder / "mu.h5", "w").create_dataset("mu", data=MU, chunks=(1, 4, 13))
    if kind == "zarr":
        return zarr.create_array(folder / "mu.zarr", data=MU, chunks=(25, 2, 5))
    if kind == "memmap":
        np.save(folder / "mu.npy", MU)
        return np.load(folder / "mu.npy", mmap_mode="r")
    if kind == "netcdf":
        whole = xarray.DataArray(MU, dims=("energy", "y", "x"), coords={"energy": ENERGY}, name="mu")
        whole.to_netcdf(folder / "mu.nc", engine="scipy")
        return xarray.open_dataarray(folder / "mu.nc", engine="scipy")
    return dask.array.from_array(MU, chunks=(5, 3, 13))


@pytest.mark.parametrize("kind", ["h5py", "zarr", "memmap", "netcdf", "dask"])
def test_stacks_come_back_as_dask_arrays_with_the_same_bits(tmp_path, kind):
    source = stored(kind, tmp_path)
    expected, found = (nx.normalize_edge(mu, ENERGY) for mu in (MU, source))
    np.testing.assert_array_equal(found.thickness, expected.thickness)
    assert isinstance(found.normalized, dask.array.Array) and isinstance(expected.normalized, np.ndarray)
    np.testing.assert_array_equal(found.normalized[7, 2:9, 3], expected.normalized[7, 2:9, 3])
    np.testing.assert_array_equal(found.normalized.compute(), expected.normalized)
    chained = nx.denoise(nx.bin_pixels(nx.optical_density(nx.flat_field(source, np.ones((10, 13)))), 2))
    np.testing.assert_array_equal(
        chained.compute(),
        nx.denoise(nx.bin_pixels(nx.optical_density(nx.flat_field(MU, np.ones((10, 13)))), 2)),
    )


def labelled(unit: str | None = "eV", scale: float = 1.0, name: str = "energy", **kwargs) -> xarray.DataArray:
    coordinate = (name, ENERGY / scale, {} if unit is None else {"units": unit})
    return xarray.DataArray(MU, dims=(name, "y", "x"), coords={name: coordinate}, **kwargs)


@pytest.mark.parametrize(
    "given",
    [
        labelled(),
        labelled(None),
        labelled("keV", 1e3),
        labelled(name="Energy"),
        labelled().transpose("y", "x", "energy"),
        labelled().chunk({"energy": 4, "y": 3}),
    ],
    ids=["eV", "no unit", "keV", "capital", "energy last", "dask"],
)
def test_energies_are_those_of_the_coordinate(given):
    found, expected = nx.normalize_edge(given), nx.normalize_edge(MU, ENERGY)
    assert found.e0 == pytest.approx(expected.e0) and found.pre_edge == pytest.approx(expected.pre_edge)
    np.testing.assert_allclose(found.thickness, expected.thickness, rtol=1e-6)
    stack = nx.EnergyStack(given, None, "optical_density")
    np.testing.assert_allclose(stack.energy, ENERGY)
    np.testing.assert_array_equal(stack.read(3), MU[3])
    np.testing.assert_array_equal(
        nx.mean_spectra(given, SHARE > 0).spectra, nx.mean_spectra(MU, SHARE > 0).spectra
    )


def test_energies_that_are_given_must_be_those_of_the_coordinate():
    nx.normalize_edge(labelled(), ENERGY + 0.001)
    nx.normalize_edge(labelled("keV", 1e3), labelled("keV", 1e3).energy)
    with pytest.raises(
        nx.InputError, match=r"not those of the coordinate 'energy' of mu \(25, from 8300 to 8420 eV\)"
    ):
        nx.normalize_edge(labelled(), ENERGY + 1)
    with pytest.raises(nx.InputError, match="not those of the coordinate 'energy' of data"):
        nx.EnergyStack(labelled(), ENERGY[1:], "optical_density")
    with pytest.raises(nx.InputError, match="unit 'nm', expected eV"):
        nx.normalize_edge(labelled("nm"))
    with pytest.raises(TypeError, match="energy"):
        nx.normalize_edge(MU)


@pytest.mark.parametrize(
    "take",
    [
        nx.normalize_edge,
        lambda mu: nx.EnergyStack(mu, None, "optical_density"),
        lambda mu: nx.fit_references(mu, references=[]),
    ],
)
def test_energies_of_another_name_are_asked_for(take):
    given = labelled(name="photon")
    with pytest.raises(
        nx.InputError, match="dimensions photon, y, x and no coordinate 'energy'; give energy"
    ):
        take(given)


def test_flats_of_other_energies_are_refused():
    flat, dark = labelled() + 1, 0 * labelled()[:3]
    other = flat.assign_coords(energy=ENERGY + 1)
    nx.EnergyStack(MU, ENERGY, "counts", flat=flat, dark=dark)
    nx.EnergyStack(MU, ENERGY, "counts", flat=other[:1])
    expected = nx.flat_field(MU, np.asarray(flat), np.asarray(dark))
    np.testing.assert_array_equal(nx.flat_field(labelled(), flat, dark), expected)
    for wrong in (other, flat[::2], other[:, 0, 0]):
        with pytest.raises(nx.InputError, match="not those of the coordinate 'energy' of flat"):
            nx.EnergyStack(MU, ENERGY, "counts", flat=wrong)
        with pytest.raises(nx.InputError, match="not those of the coordinate 'energy' of flat"):
            nx.flat_field(labelled(), wrong)


def test_a_dimension_of_energies_without_a_coordinate_comes_first():
    """As many rows as energies, so that either reading has a shape that fits."""
    given = xarray.DataArray(np.moveaxis(MU[:8, :8, :9], 0, -1), dims=("y", "x", "energy"))
    stack = nx.EnergyStack(given, ENERGY[:8], "optical_density")
    np.testing.assert_array_equal(stack.data, MU[:8, :8, :9])


@pytest.mark.parametrize("order", ["<", ">"])
def test_double_stays_double_in_either_order_of_bytes(order):
    double = MU.astype(f"{order}f8")
    for given in (double, dask.array.from_array(double, chunks=5)):
        assert nx.normalize_edge(given, ENERGY).normalized.dtype == np.float64
        assert nx.bin_pixels(given, 2).dtype == np.float64


def test_maps_are_read_a_block_at_a_time(monkeypatch):
    monkeypatch.setattr(unread, "BLOCK_BYTES", 200)
    image = np.ma.array(np.arange(10 * 4 * 13).reshape(10, 4, 13), mask=False)
    image[7, 2] = np.ma.masked
    sizes: list[int] = []

    def part(block: np.ndarray) -> np.ndarray:
        sizes.append(block.size)
        return block

    lazy = dask.array.from_array(image, chunks=(1, 1, 13), asarray=False).map_blocks(
        part, meta=np.ma.array([0])
    )
    sizes.clear()
    mask = nx.threshold_mask(lazy, above=100)
    np.testing.assert_array_equal(mask, (np.arange(520).reshape(image.shape) >= 100) & ~image.mask)
    assert max(sizes) == 13


def test_lengths_that_nobody_knows_are_refused():
    odd = dask.array.from_array(MU, chunks=5)
    with pytest.raises(
        nx.InputError, match=r"mu is an array \(nan, 10, 13\) of type float32, expected real numbers"
    ):
        nx.normalize_edge(odd[odd[:, 0, 0] > 0], ENERGY)


KEYS = [
    (7,),
    (slice(None), 2),
    (slice(None), slice(1, 3), ..., 2),
    (slice(4, 5), slice(None), ..., slice(1, 4, 2)),
    (3, 1, ..., 4),
    (slice(None), [2, 0], ..., slice(1, 2)),
    ([5, 2], slice(0, 2), ..., slice(None, None, -1)),
    (slice(None), slice(0, 0)),
    (slice(3, 3), slice(None), ..., 1),
    (slice(None, None, -2), slice(None, None, -1)),
]


@pytest.mark.parametrize("shape", [(10, 13), (6, 10, 10)], ids=["images", "volumes"])
def test_parts_of_what_comes_back_are_those_of_numpy(shape):
    rng = np.random.default_rng(4)
    mu = (MU[:, :1, :1].reshape(25, *(1,) * len(shape)) * rng.uniform(0.5, 2, shape)).astype(np.float32)
    mu += rng.normal(0, 0.01, mu.shape).astype(np.float32)
    given = dask.array.from_array(mu, chunks=(5, 3, *shape[1:]))
    drift = Drift.from_shifts(rng.uniform(-2, 2, (25, len(shape))))
    for make in (
        lambda one: nx.normalize_edge(one, ENERGY).normalized,
        lambda one: nx.normalize_edge(one, ENERGY, divide_by="area", gate=3.0).normalized,
        nx.optical_density,
        lambda one: nx.bin_pixels(one, 2),
        lambda one: nx.apply_drift(one, drift),
        lambda one: nx.denoise(one),
    ):
        expected, found = make(mu), make(given)
        for key in KEYS:
            np.testing.assert_array_equal(found[key].compute(), expected[key], err_msg=str(key))
        beside = found[:, [2, 0], ..., 1]  # of which NumPy would move the axes
        np.testing.assert_array_equal(beside.compute(), expected[:, [2, 0]][..., 1])


def test_a_block_is_indexed_along_each_axis():
    """Also as dask does not yet: lists beside integers."""
    values = np.random.default_rng(0).random((6, 5, 4, 3))
    lazy = Blocks(lambda frames, rows: values[frames][:, rows], values.shape, values.dtype)
    for key in [(2, 1, [0, 3], 2), (slice(None), [2, 0], slice(None), 1), ([1, 0], 3, slice(None), [2, 1])]:
        expected = values[
            np.ix_(*(np.atleast_1d(np.arange(n)[k]) for n, k in zip(values.shape, key, strict=True)))
        ]
        drop = tuple(axis for axis, k in enumerate(key) if isinstance(k, int))
        np.testing.assert_array_equal(lazy[key], expected.squeeze(drop))
    assert lazy[:, 0:0, [1, 2], 0].shape == (6, 0, 2)


@pytest.mark.parametrize("chunks", [(25, 3, 7), (5, 4, 13), (25, 10, 13)])
def test_what_is_packed_together_is_read_once(chunks, monkeypatch):
    monkeypatch.setattr("napari_xanes._core.data.as_dask.BLOCK_BYTES", 600)
    counted: Counter[tuple[int, ...]] = Counter()

    def look(block: np.ndarray, block_info: dict) -> np.ndarray:
        counted[tuple(block_info[0]["chunk-location"])] += 1
        return block

    source = dask.array.from_array(MU, chunks=chunks).map_blocks(look, dtype=MU.dtype, meta=MU[:0, :0, :0])
    np.testing.assert_array_equal(nx.optical_density(source).compute(), nx.optical_density(MU))
    assert set(counted.values()) == {1} and len(counted) == source.npartitions
    counted.clear()
    drift = Drift.from_shifts(np.linspace([0, 0], [1.4, 2], 25))
    np.testing.assert_array_equal(nx.apply_drift(source, drift).compute(), nx.apply_drift(MU, drift))
    assert max(counted.values()) <= 3  # the rows above and below
    monkeypatch.setattr("napari_xanes._core.data.as_dask.MOST_BYTES", 4 * 4 * 130)
    smooth = nx.denoise(source)  # of whole frames: of four, unless the source has more in memory anyway
    assert prod(smooth.chunksize) == 130 * max(4, chunks[0] * chunks[1] * 13 // 130)
    np.testing.assert_array_equal(smooth.compute(), nx.denoise(MU))


def test_a_plane_of_normalised_spectra_needs_its_own_energy_only():
    read: set[int] = set()

    def look(block: np.ndarray, block_info: dict) -> np.ndarray:
        read.add(block_info[0]["chunk-location"][0])
        return block

    source = dask.array.from_array(MU, chunks=(1, 4, 13)).map_blocks(
        look, dtype=MU.dtype, meta=MU[:0, :0, :0]
    )
    found = nx.normalize_edge(source, ENERGY).normalized
    read.clear()
    np.testing.assert_array_equal(found[9].compute(), nx.normalize_edge(MU, ENERGY).normalized[9])
    assert read == {9}


def test_dask_has_its_threads_where_the_main_one_asks_alone():
    threads = set()

    def noted(block):
        threads.add(threading.current_thread())
        return block

    source = dask.array.zeros((8, 4, 4), chunks=(1, 4, 4), dtype=np.float32).map_blocks(noted)
    threads.clear()  # dask has looked at what comes back
    unread.read(source, (slice(0, 8), slice(0, 4)))
    assert threads and threading.main_thread() not in threads
    threads.clear()
    other = threading.Thread(target=unread.read, args=(source, (slice(0, 8), slice(0, 4))))
    other.start()
    other.join()
    assert threads == {other}


def test_one_worker_is_the_only_thread_also_of_dask():
    threads = set()

    def noted(block):
        threads.add(threading.current_thread())
        return block

    source = dask.array.from_array(MU, chunks=(1, 4, 13)).map_blocks(
        noted, dtype=MU.dtype, meta=MU[:0, :0, :0]
    )
    stack = nx.EnergyStack(source, ENERGY, "optical_density", name="scan")
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "normalize"}]})
    nx.run_recipe(recipe, stack, workers=1, in_memory=False)
    assert threads == {threading.main_thread()}


def test_dask_within_dask_starts_no_threads_of_its_own():
    alive: list[int] = []

    def look(block: np.ndarray) -> np.ndarray:
        alive.append(threading.active_count())
        return block

    source = dask.array.from_array(MU, chunks=(1, 4, 13)).map_blocks(
        look, dtype=MU.dtype, meta=MU[:0, :0, :0]
    )
    density = nx.optical_density(nx.flat_field(source, np.ones((10, 13))))
    before = threading.active_count()
    density.compute(scheduler="threads", num_workers=3)
    assert max(alive) <= before + 3


def test_an_array_over_a_file_says_how_it_is_packed(tmp_path):
    whole = xarray.DataArray(MU, dims=("energy", "y", "x"), coords={"energy": ENERGY}, name="mu")
    for chunks, cheap in (((1, 10, 13), False), ((5, 1, 13), True)):
        path = tmp_path / f"{chunks[0]}.zarr"
        whole.to_zarr(path, encoding={"mu": {"chunks": chunks}}, consolidated=False)
        stored = xarray.open_dataarray(path, engine="zarr", chunks=None, consolidated=False)
        for one in (stored, stored.transpose("x", "energy", "y")):
            array = Unread(parted(one)[0])
            assert pieces(array)[0] == chunks[0]
        array = Unread(parted(stored)[0])
        assert (pieces(array), rows_are_cheap(array)) == (chunks[:2], cheap)
