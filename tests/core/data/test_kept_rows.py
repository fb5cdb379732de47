"""Rows that are read once, however often neighbouring bands ask for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from napari_xanes._core.data import kept_rows
from napari_xanes._core.data.kept_rows import KeptRows
from napari_xanes._core.data.lazy import Gathered, LazyArray, Stacked
from napari_xanes._core.data.stack import EnergyStack, pieces, read_block
from napari_xanes._core.io.hdf5 import Hdf5Array
from napari_xanes._core.io.permuted import Permuted
from napari_xanes._core.io.zarr_array import ZarrArray

REACH = 4  # rows that are asked for around a band


class Packed(LazyArray):
    """An array in memory that comes in pieces, and counts the values that were unpacked."""

    def __init__(self, values, together):
        super().__init__(values.shape, values.dtype, cheap_rows=True)
        self.values, self.pieces, self.unpacked = values, together, 0

    def read_rows(self, index, rows):
        return self.read_block(slice(index, index + 1), rows)[0]

    def read_block(self, frames, rows):
        (e, r), (n, height) = self.pieces, self.shape[:2]
        wide = [min(-(-frames.stop // e) * e, n) - frames.start // e * e]
        wide.append(min(-(-rows.stop // r) * r, height) - rows.start // r * r)
        self.unpacked += wide[0] * wide[1] * self.values[0, 0].size
        return self.values[frames, rows].copy()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(kept_rows, "BLOCK_BYTES", 64)


def go_over(kept, height, offsets):
    """Ask for bands, and what is around them, of frames that are displaced by `offsets`; return what came."""
    n, rows = kept.data.shape[:2]
    got = []
    with kept.keeping() as keeping:
        for start in range(0, rows, height):
            stop = min(start + height, rows)
            for i in range(n):
                lo, hi = start + offsets[i] - REACH, stop + offsets[i] + REACH
                wanted = slice(min(max(lo, 0), rows), min(max(hi, 0), rows))
                got.append((i, wanted, kept(i, wanted)))
                keeping.leave(stop - start)
            keeping.end_band(stop - start)
            spread = np.ptp(offsets) if kept.group > 1 else 0  # of frames that are read together
            most = 3 * REACH + 2 * kept.unit + 2 * height + spread
            assert keeping.held_bytes <= kept.data.nbytes * min(1, most / rows)
    return got


@pytest.mark.parametrize("height", [1, 3, 8, 50])
@pytest.mark.parametrize("together", [(1, 1), (1, 5), (6, 1), (6, 7), (4, 3), (1, 60)])
def test_every_row_is_unpacked_once(height, together):
    values = np.arange(6 * 60 * 5, dtype=np.uint16).reshape(6, 60, 5)
    source = Packed(values, together)
    kept = KeptRows(source)
    for i, rows, block in go_over(kept, height, [0, 3, -3, 7, -9, 0]):
        np.testing.assert_array_equal(block, values[i, rows])
        assert block.dtype == np.float32 and block.flags.writeable
    assert source.unpacked <= values.size


def test_a_frame_that_several_ask_for_is_kept_for_all():
    source = Packed(np.arange(2 * 40 * 5.0).reshape(2, 40, 5), (1, 1))
    kept = KeptRows(source)
    with kept.keeping() as keeping:
        for start in range(0, 40, 5):
            for _ in range(3):  # as where the mean of neighbouring energies is taken
                kept(0, slice(start, start + 5)), kept(1, slice(start, start + 5))
                keeping.leave(5)
            keeping.end_band(5)
    assert source.unpacked == source.size


def test_outside_of_a_pass_nothing_is_kept():
    source = Packed(np.arange(2 * 40 * 5.0).reshape(2, 40, 5), (1, 10))
    kept = KeptRows(source)
    for times in (1, 2):
        np.testing.assert_array_equal(kept(1, slice(3, 5)), source.values[1, 3:5])
        assert source.unpacked == times * 10 * 5


def test_passes_at_once_keep_their_own():
    source = Packed(np.arange(2 * 40 * 5.0).reshape(2, 40, 5), (1, 10))
    kept = KeptRows(source)
    with kept.keeping() as first:
        kept(0, slice(3, 5))
        with kept.keeping() as second:
            kept(0, slice(3, 5))
        kept(0, slice(4, 8))
        with ThreadPoolExecutor(1) as other:  # who only looks, as a picture does, keeps nothing
            other.submit(kept, 1, slice(0, 5)).result()
    assert first.held_bytes == second.held_bytes == 10 * 5 * 8
    assert source.unpacked == 3 * 10 * 5


def test_counts_that_were_not_measured_are_nan():
    counts = np.arange(2 * 40 * 5, dtype=np.uint16).reshape(2, 40, 5)
    counts[1, 7, 2] = 65535
    stack = EnergyStack(Packed(counts, (1, 10)), np.array([1.0, 2.0]), "counts")
    kept = kept_rows.kept_rows(stack)
    with kept.keeping():
        np.testing.assert_array_equal(kept(1, slice(4, 12)), stack.read(1, slice(4, 12)))
    np.testing.assert_array_equal(kept(1, slice(4, 12)), stack.read(1, slice(4, 12)))
    assert np.isnan(stack.read(1)[7, 2])


def test_what_is_cheap_to_read_again_is_not_kept():
    energy = np.arange(1.0, 7)
    images = EnergyStack(np.zeros((6, 60, 5)), energy, "optical_density")
    assert kept_rows.kept_rows(images) is None
    assert kept_rows.kept_rows(images.replace(data=Packed(np.zeros((6, 60, 5)), (1, 5)))) is not None
    assert kept_rows.kept_rows(images.replace(data=np.zeros((6, 4, 15, 5)))) is not None


@pytest.mark.parametrize("chunks", [(1, 4, 5), (6, 2, 7), (3, 9, 7), None])
def test_what_lies_together_in_files_is_known(tmp_path, chunks):
    values = np.random.default_rng(0).integers(0, 999, (6, 9, 7)).astype(np.int32)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("images", data=values, chunks=chunks, compression=chunks and "gzip")
        array = Hdf5Array(tmp_path / "scan.h5", file["images"], "images")
        turned = file.create_dataset("turned", data=values.transpose(1, 2, 0))
        last = Permuted(Hdf5Array(tmp_path / "scan.h5", turned, "turned"), (2, 0, 1))
    expected = (1, 1) if chunks is None else chunks[:2]
    assert pieces(array) == expected
    frames, rows = slice(1, 4), slice(2, 8)
    np.testing.assert_array_equal(read_block(array, frames, rows), values[frames, rows])
    assert pieces(last) == (6, 1)
    np.testing.assert_array_equal(read_block(last, frames, rows), values[frames, rows])
    ordered = Gathered(array, [(4,), (0,), (5,), (1,)])
    assert pieces(ordered) == (4 if expected[0] > 1 else 1, expected[1])
    np.testing.assert_array_equal(read_block(ordered, frames, rows), values[[0, 5, 1], 2:8])
    means = Gathered(array, [(4, 0), (5,)])
    np.testing.assert_array_equal(
        read_block(means, slice(0, 2), rows), [values[[4, 0], 2:8].mean(axis=0), values[5, 2:8]]
    )
    assert pieces(Stacked([array, array], (9, 7))) == (1, expected[1])


def test_chunks_of_zarr_arrays_are_known(tmp_path):
    zarr = pytest.importorskip("zarr")
    values = np.random.default_rng(0).random((6, 9, 7), np.float32)
    array = zarr.create_array(store=str(tmp_path / "scan.zarr"), data=values, chunks=(6, 2, 7))
    lazy = ZarrArray(tmp_path / "scan.zarr", "", array)
    assert pieces(lazy) == (6, 2)
    np.testing.assert_array_equal(read_block(lazy, slice(1, 4), slice(2, 8)), values[1:4, 2:8])
    np.testing.assert_array_equal(lazy[3, 2:8], values[3, 2:8])
