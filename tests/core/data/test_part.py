"""Parts of stacks against slices of the whole."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.base.errors import Cancelled
from napari_xanes._core.data.part import excerpt

ENERGY = np.arange(8300.0, 8306.0)


def stack_of(shape, **parts):
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return nx.EnergyStack(data, ENERGY, parts.pop("signal", "counts"), **parts)


def test_images_and_what_belongs_to_them_are_cut_alike():
    flat = np.random.default_rng(1).uniform(1, 2, (6, 20, 30))
    dark = np.random.default_rng(2).uniform(0, 1, (20, 30))
    stack = stack_of((6, 20, 30), flat=flat, dark=dark)
    rows, columns = slice(3, 18, 4), slice(5, 29, 3)
    part = excerpt(stack, rows, columns)
    np.testing.assert_array_equal(part.data, stack.data[:, rows, columns])
    np.testing.assert_array_equal(part.flat, flat[:, rows, columns])
    np.testing.assert_array_equal(part.dark, dark[rows, columns])
    assert part.energy is stack.energy


def test_a_beam_spectrum_stays_and_thickness_is_cut():
    stack = stack_of((6, 8, 9), flat=np.arange(1.0, 7.0), thickness=np.arange(72.0).reshape(8, 9))
    part = excerpt(stack, slice(0, 8, 2), slice(1, 4))
    np.testing.assert_array_equal(part.flat, stack.flat)
    np.testing.assert_array_equal(part.thickness, stack.thickness[::2, 1:4])


def test_of_volumes_one_plane_is_kept_as_a_volume():
    stack = stack_of((6, 4, 8, 9), signal="normalized", thickness=np.arange(288.0).reshape(4, 8, 9))
    part = excerpt(stack, slice(1, 8, 3), slice(0, 9, 2), plane=2)
    np.testing.assert_array_equal(part.data, stack.data[:, 2:3, 1:8:3, ::2])
    np.testing.assert_array_equal(part.thickness, stack.thickness[2:3, 1:8:3, ::2])


def test_the_part_is_a_copy_and_steps_on_it_give_what_they_give_on_the_whole():
    scan = nx.simulate((32, 40), n_energies=21, max_drift=0, seed=5)
    stack = scan.stack
    part = excerpt(stack, slice(2, 32, 5), slice(0, 40, 3))
    assert not np.shares_memory(part.data, stack.data)
    whole = nx.optical_density(nx.flat_field(stack.data, stack.flat, stack.dark))
    np.testing.assert_array_equal(
        nx.optical_density(nx.flat_field(part.data, part.flat, part.dark)), whole[:, 2:32:5, 0:40:3]
    )


def test_what_is_not_there_is_refused():
    with pytest.raises(nx.InputError, match="hold no pixel"):
        excerpt(stack_of((6, 8, 9)), slice(8, 8), slice(0, 9))
    with pytest.raises(nx.InputError, match="give a plane for volumes"):
        excerpt(stack_of((6, 4, 8, 9)), slice(0, 8), slice(0, 9))


def test_it_can_be_cancelled():
    def stop(done, total, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        excerpt(stack_of((6, 8, 9)), slice(0, 8), slice(0, 9), progress=stop)
