"""Lazy arrays give what the array in memory would give, for every way of indexing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes._core.data.lazy import Gathered, LazyArray, Stacked, gathered


class Counting(LazyArray):
    """An array in memory that notes which rows were read."""

    def __init__(self, values):
        super().__init__(values.shape, values.dtype, cheap_rows=True)
        self.values, self.reads = values, []

    def read_rows(self, index, rows):
        self.reads.append((index, rows))
        return self.values[index, rows].copy()


KEYS = [
    3,
    -1,
    slice(None),
    slice(1, 4),
    slice(None, None, -2),
    [4, 0, 0],
    np.array([True, False, True, False, False]),
    ...,
    (2, slice(1, 3)),
    (2, 1),
    (2, -1, 2),
    (slice(None), 1, 2),
    (slice(0, 2), slice(2, 5), slice(None, None, 2)),
    (np.int64(1), slice(None, None, -1)),
    (..., 2),
    (1, ..., slice(0, 1)),
    ([3, 1], slice(1, 2), 0),
    (slice(3, 3),),
    (0, slice(4, 2)),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 3, 4)], ids=["images", "volumes"])
def test_indexing_is_that_of_numpy(key, shape):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    got, expected = Counting(values)[key], values[key]
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


def test_only_the_wanted_rows_are_read():
    array = Counting(np.zeros((5, 6, 7)))
    array[2, 1:3]
    array[1:3, 4]
    assert array.reads == [(2, slice(1, 3)), (1, slice(4, 5)), (2, slice(4, 5))]


def test_it_is_an_array_to_numpy():
    values = np.arange(24.0).reshape(2, 3, 4)
    array = Counting(values)
    np.testing.assert_array_equal(np.asarray(array), values)
    assert np.asarray(array, dtype=np.float32).dtype == np.float32
    assert (len(array), array.size, array.nbytes, array.ndim) == (2, 24, 192, 3)


@pytest.mark.parametrize("key", [5, -6, (0, 6), (0, 0, 0, 0), None, (slice(None), None)], ids=str)
def test_what_is_not_there_is_refused(key):
    with pytest.raises(IndexError):
        Counting(np.zeros((5, 6, 7)))[key]


def test_frames_in_another_order_keep_their_type():
    values = np.arange(5 * 2 * 3, dtype=np.uint16).reshape(5, 2, 3)
    array = Gathered(Counting(values), [(4,), (0,), (2,)])
    np.testing.assert_array_equal(array[:], values[[4, 0, 2]])
    assert array.dtype == np.uint16
    np.testing.assert_array_equal(array[1:, 1, ::-1], values[[0, 2], 1, ::-1])


def test_frames_of_a_group_are_averaged_without_overflow():
    values = np.full((3, 2, 3), 65535, np.uint16)
    values[2] = 65533
    array = Gathered(Counting(values), [(0, 2), (1,)])
    np.testing.assert_array_equal(array[:], np.stack([np.full((2, 3), 65534), np.full((2, 3), 65535)]))
    assert array.dtype == np.float32
    assert Gathered(values.astype(float), [(0, 1)]).dtype == np.float64


def test_what_is_in_order_is_passed_through():
    values = np.zeros((3, 2, 2))
    assert gathered(values, [(0,), (1,), (2,)]) is values
    np.testing.assert_array_equal(gathered(np.array([1.0, 2, 4]), [(2,), (0, 1)]), [4, 1.5])


def test_images_of_their_own_become_one_stack():
    values = np.arange(3 * 4 * 5.0).reshape(3, 4, 5)
    array = Stacked([values[0:1], values[1], values[2].astype(np.float32)], (4, 5))
    np.testing.assert_array_equal(array[:], values)
    np.testing.assert_array_equal(array[1, 2:4], values[1, 2:4])
    assert array.dtype == np.float64 and array.cheap_rows
