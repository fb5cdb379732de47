"""Which pixels stand for all."""

import numpy as np
import pytest

from napari_xanes import EnergyStack
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


def test_all_columns_of_a_volume_are_seen():
    assert np.unique(sampled_columns((500, 512, 512)) % 512).size == 512


@pytest.mark.parametrize("shape", [(7,), (7, 5), (7, 4, 6), (7, 3, 4, 5)])
def test_small_data_are_seen_whole(shape):
    mu = np.arange(np.prod(shape), dtype=float).reshape(shape)
    np.testing.assert_array_equal(sampled_spectra(mu), mu.reshape(7, -1))
