"""Stacks that are computed where they are looked at: the bits are those of the stack in memory, and little is kept."""

from __future__ import annotations

import gc
from threading import Lock, Thread

import h5py
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.engine import computed
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.runs.pipeline import run_steps

PREPARE = [{"do": "flat_field"}, {"do": "optical_density"}]


@pytest.fixture(scope="module")
def counts(tmp_path_factory) -> nx.EnergyStack:
    """A raw scan in a file, wider than the pieces that images are worked on in are high."""
    simulation = nx.simulate((72, 90), n_energies=25, max_drift=2.5, n_particles=5, seed=3)
    return nx.read_stack(simulation.save(tmp_path_factory.mktemp("scan")))


@pytest.fixture(scope="module")
def volumes(tmp_path_factory) -> nx.EnergyStack:
    """Volumes in a file, that move along all axes by parts of a voxel."""
    simulation = nx.simulate_volume((16, 40, 44), n_energies=24, max_drift=1.5, seed=2)
    path = tmp_path_factory.mktemp("volumes") / "scan.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "img_xanes", data=simulation.stack.data, chunks=(1, 2, 20, 44), compression="gzip"
        )
        file["X_eng"] = simulation.stack.energy
    return nx.read_stack(path, signal="optical_density")


def made(stack, steps, *, keep_stack=True, **how):
    recipe = nx.Recipe.from_dict({"schema": 1, "step": steps})
    return run_steps(stack, recipe.steps, keep_stack=keep_stack, **how)


def maps_of(held, viewed, step):
    """Return what a step finds in the stack in memory, and in the other while it is streamed."""
    return [
        made(one, [step], keep_stack=False, in_memory=inside)
        for one, inside in ((held, True), (viewed, False))
    ]


def both(held, viewed, *groups):
    """Return the results of steps, group after group, in memory and on demand."""
    for steps in groups:
        kept, computed_ = made(held, steps, in_memory=True), made(viewed, steps, on_demand=True)
        held, viewed = kept.stack, computed_.stack
        assert isinstance(held.data, np.ndarray)
        assert isinstance(viewed.data, ComputedStack)
        assert [one.to_json() for one in held.history] == [one.to_json() for one in viewed.history]
        assert kept.maps.keys() == computed_.maps.keys()
        for name, data in kept.maps.items():
            np.testing.assert_array_equal(computed_.maps[name], data, err_msg=name)
        assert_same(viewed.data, held.data)
    return held, viewed


def assert_same(view, held):
    """Planes, bands of rows, regions, and spectra are the same."""
    n, rows = held.shape[0], held.shape[1]
    some = slice(rows // 3, rows // 2 + 1)
    for key in [n // 2, (n - 1, rows // 2), (0, some), (slice(3, 9, 2), some, slice(4, 20)), (..., 5)]:
        np.testing.assert_array_equal(view[key], held[key])
    pixels = tuple(np.random.default_rng(0).integers(0, size, 40) for size in held.shape[1:])
    np.testing.assert_array_equal(view.spectra(pixels), held[(slice(None), *pixels)])
    assert np.isfinite(held).any()


@pytest.fixture(scope="module")
def aligned(counts):
    """The scan after the first two steps of the window, in memory and on demand."""
    return both(counts, counts, PREPARE, [{"do": "align"}])


@pytest.mark.parametrize(
    "how",
    [{}, {"divide_by": "area"}, {"divide_by": "post"}, {"post_order": 2, "divide_by": "line"}, {"gate": 3.0}],
)
def test_images_have_the_bits_of_the_stack_in_memory(aligned, how):
    held, viewed = both(*aligned, [{"do": "normalize", **how}])
    inside, streamed = maps_of(held, viewed, {"do": "white_line", "window": [8340, 8390]})
    assert inside.maps
    for name, data in inside.maps.items():
        np.testing.assert_array_equal(streamed.maps[name], data)


def test_volumes_have_the_bits_of_the_stack_in_memory(volumes):
    held, viewed = both(volumes, volumes, [{"do": "align"}], [{"do": "normalize"}])
    assert viewed.data.kept is not None  # so that a pass reads planes once
    inside, streamed = maps_of(held, viewed, {"do": "cluster", "n_clusters": 3})
    np.testing.assert_array_equal(streamed.labels["clusters"], inside.labels["clusters"])


def test_steps_on_normalised_spectra_that_need_whole_frames(counts):
    steps = [{"do": "element"}], [{"do": "denoise"}, {"do": "bin", "factor": 2}]
    both(counts, counts, PREPARE, [{"do": "normalize"}], *steps)


def test_a_mask_leaves_its_inside(aligned):
    held, viewed = aligned
    inside = np.zeros(held.image_shape, bool)
    inside[8:66, 10:80] = True
    masked = held.replace(data=np.where(inside, held.data, np.float32(np.nan)))
    view = viewed.replace(data=viewed.data.masked(inside))
    assert_same(view.data, masked.data)
    both_ways = (
        made(masked, [{"do": "normalize"}], in_memory=True),
        made(view, [{"do": "normalize"}], on_demand=True),
    )
    assert_same(both_ways[1].stack.data, both_ways[0].stack.data)
    np.testing.assert_array_equal(both_ways[1].maps["thickness"], both_ways[0].maps["thickness"])


def test_little_is_kept_and_none_of_a_stack_that_is_gone(volumes, monkeypatch):
    computed.looked_at.cache_clear()
    monkeypatch.setattr(computed, "MOST_BYTES", 5 * 40 * 44 * 4)
    reads = []
    stack = volumes.replace(data=np.asarray(volumes.data[:], np.float32))
    view = made(stack, [{"do": "normalize"}], on_demand=True).stack.data
    view.read = lambda i, rows: reads.append((i, rows)) or stack.read(i, rows)
    for z in (2, 2, 3, 2):
        assert not view[4, z].flags.writeable
    assert len(reads) == 2  # looked at again, it is not computed again
    for z in range(16):
        view[4, z], view[5, z]
    assert computed.looked_at().currsize <= 5 * 40 * 44 * 4
    assert len(computed.looked_at())
    del view
    gc.collect()
    assert not len(computed.looked_at())
    computed.looked_at.cache_clear()


def test_a_volume_that_does_not_fit_is_refused_in_words_and_its_planes_are_not(volumes, monkeypatch):
    view = made(volumes, [{"do": "normalize"}], on_demand=True).stack.data
    one = 4 * int(np.prod(view.image_shape))
    computed.looked_at()  # of the usual size
    monkeypatch.setattr(computed, "MOST_BYTES", one // 2)
    monkeypatch.setattr(computed, "free_memory", lambda: 2 * one)
    with pytest.raises(nx.ResourceError, match="look at maps in 3D, or crop or bin"):
        view[0]
    assert np.isfinite(view[0, 3]).any()


def test_spectra_beside_those_that_were_read_are_there(volumes):
    view = made(volumes, [{"do": "normalize"}], on_demand=True).stack.data
    one, beside, elsewhere = (
        (np.array([z]), np.array([y]), np.array([5])) for z, y in ((4, 9), (4, 12), (5, 9))
    )
    assert not view.has_spectra(one)
    view.spectra(one)
    assert view.has_spectra(beside)
    assert not view.has_spectra(elsewhere)


def test_a_stack_that_goes_while_it_is_looked_for_what_is_kept(volumes, monkeypatch):
    """Garbage is collected in the thread that holds the lock: it must not wait for itself."""
    computed.looked_at.cache_clear()
    kept = computed.looked_at()
    monkeypatch.setattr(computed, "_lock", Lock())  # which a thread that waits for itself would hold for good
    stays, goes = (ComputedStack(volumes.read, volumes.shape) for _ in range(2))
    goes[4, 2], stays[4, 2]
    goes.itself = goes  # so that only the garbage collector frees it
    del goes
    monkeypatch.setattr(computed, "looked_at", lambda: (gc.collect(), kept)[1])
    thread = Thread(target=lambda: stays[4, 2], daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    stays[4, 2]
    assert len(kept) == 1


def test_rows_of_a_piece_are_computed_once_and_take_what_is_counted():
    computed.looked_at.cache_clear()
    data, reads = np.random.default_rng(0).random((3, 520, 64)).astype(np.float32), []
    view = ComputedStack(lambda i, rows: reads.append(rows) or data[i, rows].copy(), data.shape)
    rows = [view[1, y : y + 1] for y in range(520)]
    np.testing.assert_array_equal(np.concatenate(rows), data[1])
    assert not view[1, 5:5].size
    assert len(reads) == 3  # pieces of 256 rows of 64 pixels
    kept = list(computed.looked_at().values())
    owners = {id(one): one.nbytes for one in (one if one.base is None else one.base for one in kept)}
    assert sum(owners.values()) == computed.looked_at().currsize == data[1].nbytes
