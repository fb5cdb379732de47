"""Which pixels stand for all."""

import tracemalloc

import numpy as np
import pytest

from napari_xanes import EnergyStack
from napari_xanes._core.base.unread import Unread
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.sampling import runs_of, sampled_columns, sampled_rows, sampled_spectra


@pytest.mark.parametrize("shape", [(30, 40), (200, 240), (60, 3000), (5, 30, 40), (90, 60, 70)])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_stack_and_an_array_of_the_same_numbers_are_sampled_alike(shape, in_memory):
    data = np.random.default_rng(0).random((2, *shape), np.float32)
    chain = Chain(EnergyStack(data, [7000.0, 7001.0], "optical_density"), in_memory=in_memory)
    np.testing.assert_array_equal(chain.sample().spectra, sampled_spectra(data))


@pytest.mark.parametrize("shape", [(2000, 500, 500), (500, 512, 512), (4096, 4096), (300_000,), (10, 8)])
def test_there_are_enough_pixels_but_not_too_many(shape):
    number = sampled_rows(shape).size * sampled_columns(shape).size
    assert min(np.prod(shape), 12_000) <= number <= 80_000


@pytest.mark.parametrize("planes", [17, 100, 2000])
def test_planes_of_volumes_are_looked_at_with_the_next_as_both_need_the_same_around_them(planes):
    rows = sampled_rows((planes, 512, 512))
    runs = runs_of(rows)
    assert rows[0] == 0 and rows[-1] == planes - 1
    assert all(run.stop - run.start >= 2 for run in runs)
    np.testing.assert_array_equal(np.concatenate([np.arange(run.start, run.stop) for run in runs]), rows)


class Stored:
    """An array that is copied where it is read, as from a file; `chunks` as it is packed."""

    def __init__(self, data, chunks=None):
        self.data, self.shape, self.ndim, self.dtype = data, data.shape, data.ndim, data.dtype
        self.chunks = chunks

    def __getitem__(self, key):
        return self.data[key].copy()


@pytest.mark.parametrize("planes", [17, 20, 40])
def test_no_more_than_two_planes_of_all_energies_are_held(planes):
    data = np.random.default_rng(0).random((40, planes, 120, 120), np.float32)
    stored = Unread(Stored(data))
    tracemalloc.start()
    found = sampled_spectra(stored)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * (2 * data[:, 0].nbytes + found.nbytes)
    np.testing.assert_array_equal(found, sampled_spectra(data))


def test_where_energies_are_packed_together_few_planes_of_them_are_held():
    data = np.random.default_rng(0).random((40, 17, 120, 120), np.float32)
    chain = Chain(EnergyStack(Stored(data, (40, 1, 120, 120)), np.arange(7000.0, 7040), "optical_density"))
    tracemalloc.start()
    found = chain.sample().spectra
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * data[:, 0].nbytes + found.nbytes
    np.testing.assert_array_equal(found, sampled_spectra(data))


def test_all_columns_of_a_volume_are_seen():
    assert np.unique(sampled_columns((500, 512, 512)) % 512).size == 512


@pytest.mark.parametrize("shape", [(7,), (7, 5), (7, 4, 6), (7, 3, 4, 5)])
def test_small_data_are_seen_whole(shape):
    mu = np.arange(np.prod(shape), dtype=float).reshape(shape)
    np.testing.assert_array_equal(sampled_spectra(mu), mu.reshape(7, -1))
