"""Pieces of the image and the pool that works on them."""

import threading

import numpy as np
import pytest
from blas import two_blas_threads
from threadpoolctl import threadpool_info

from napari_xanes._core.base.errors import Cancelled
from napari_xanes._core.engine import blocks


class Double:
    """A kernel that doubles spectra in place and keeps their sum and ends."""

    writes = True

    def __init__(self):
        self.maps = {"sum": (), "ends": (2,)}

    def __call__(self, y, out):
        y *= 2
        out["sum"][...] = y.sum(axis=0)
        out["ends"][0], out["ends"][1] = y[0], y[-1]


@pytest.mark.parametrize("shape", [(), (7,), (9000,), (13, 11), (200, 240), (3, 5000), (4, 33, 65)])
@pytest.mark.parametrize(("n", "most"), [(1, 16384), (40, 10240), (100, 4096), (500, 4096)])
def test_chunks_cover_every_pixel_once(shape, n, most):
    seen = np.zeros(int(np.prod(shape)), int)
    for chunk in blocks.pixel_chunks(shape, n):
        seen[chunk] += 1
        assert chunk.stop - chunk.start <= most
    assert (seen == 1).all()


@pytest.mark.parametrize("shape", [(13, 11), (200, 240), (1000, 2048), (3, 5000), (4, 33, 65)])
@pytest.mark.parametrize("megabytes", [0.01, 1, 48])
def test_bands_begin_where_chunks_begin(shape, megabytes):
    width = int(np.prod(shape[1:]))
    starts = {chunk.start for chunk in blocks.pixel_chunks(shape, 61)}
    bands = blocks.row_blocks(shape, 61, megabytes=megabytes)
    assert [b.start for b in bands[1:]] == [b.stop for b in bands[:-1]]
    assert bands[0].start == 0 and bands[-1].stop == shape[0]
    assert all(band.start * width in starts for band in bands)


@pytest.mark.parametrize("shape", [(), (6,), (5, 7), (3, 4, 5)])
def test_kernels_fill_maps_of_any_image_shape(shape):
    mu = np.random.default_rng(1).normal(size=(4, *shape)).astype(np.float32)
    before = mu.copy()
    (maps,) = blocks.run_kernels([Double()], mu)
    np.testing.assert_array_equal(mu, before)
    np.testing.assert_allclose(maps["sum"], 2 * mu.sum(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(maps["ends"], 2 * mu[[0, -1]])


def test_kernels_run_one_after_the_other_into_out():
    mu = np.ones((3, 50, 120), np.float32)
    out = np.empty_like(mu)
    first, second = blocks.run_kernels([Double(), Double()], mu, out=out)
    assert (mu == 1).all() and (out == 4).all()
    assert (first["sum"] == 6).all() and (second["sum"] == 12).all()


@two_blas_threads()
def test_run_counts_and_holds_blas_to_one_thread():
    seen, threads = [], set()

    def work(item):
        threads.update(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")

    blocks.run(work, range(20), progress=lambda done, total, text: seen.append((done, total)), workers=2)
    assert seen[0] == (0, 20) and seen[-1] == (20, 20) and len(seen) == 21
    assert threads == {1}


def test_progress_cancels_what_has_not_begun():
    begun = []

    def stop(done, total, text):
        if done >= 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        blocks.run(begun.append, range(1000), progress=stop, workers=2)
    assert 3 <= len(begun) < 20


def test_first_exception_comes_out_and_threads_end():
    def work(item):
        if item == 5:
            raise ValueError("item 5")

    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="item 5"):
        blocks.run(work, range(100), workers=2)
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("ThreadPoolExecutor")]
