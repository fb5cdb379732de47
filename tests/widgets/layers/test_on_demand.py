"""Volumes that are computed on demand are shown in 3D only where that is asked for."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from weakref import ref

import numpy as np
import pytest

from napari_xanes._core.data.history import Entry
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.engine import computed
from napari_xanes._widgets.layers import on_demand
from napari_xanes._widgets.layers.layers import add_stack, put_result
from napari_xanes._widgets.layers.session import session_of
from napari_xanes._widgets.layers.undo import redo, undo


@pytest.fixture
def volumes(viewer, monkeypatch):
    """Put aligned volumes that are computed on demand; what is asked of them, and what is told of those that are large."""
    energy, asked, told = np.linspace(8300, 8400, 5), [], []
    monkeypatch.setattr(on_demand, "AT_ONCE", 4 * 4 * 6 * 7 - 1)
    monkeypatch.setattr(on_demand, "show_info", told.append)

    def read(index, rows):
        asked.append(rows)
        return np.full((rows.stop - rows.start, 6, 7), index, np.float32)

    raw = EnergyStack(np.ones((5, 4, 6, 7), np.float32), energy, "optical_density", name="scan")
    scan = add_stack(viewer, raw)

    def put(step="align", word="aligned"):
        view = raw.replace(data=computed.ComputedStack(read, raw.shape), history=(Entry(step),))
        result = Result(maps={}, info={}, energy=energy, history=view.history, source={}, stack=view)
        layer = put_result(viewer, scan, step, result, stack_name=word)
        told_of = list(asked)
        asked.clear()
        return layer, told_of

    return SimpleNamespace(put=put, scan=scan, asked=asked, told=told)


def test_a_large_volume_is_not_computed_as_the_view_turns_to_3d_but_where_it_is_shown(
    viewer, volumes, monkeypatch
):
    layer, _ = volumes.put()
    viewer.dims.ndisplay = 3
    assert not layer.visible and not volumes.asked and "scan aligned: computed on demand" in volumes.told[0]
    viewer.dims.ndisplay = 2
    assert layer.visible
    viewer.dims.ndisplay = 3
    layer.visible = True  # which is what the words ask for
    assert volumes.asked[-1] == slice(0, 4)
    monkeypatch.setattr(on_demand, "AT_ONCE", 4 * 4 * 6 * 7)
    viewer.dims.ndisplay = 2
    viewer.dims.ndisplay = 3
    assert layer.visible and len(volumes.told) == 2


def test_a_large_volume_that_comes_while_the_view_is_3d_is_shown_in_2d(viewer, volumes):
    viewer.dims.ndisplay = 3
    layer, asked = volumes.put()
    assert not layer.visible and slice(0, 4) not in asked, "but a plane, for the limits"
    assert len(volumes.told) == 1 and "scan aligned: computed on demand" in volumes.told[0]
    viewer.dims.ndisplay = 2
    assert layer.visible and not volumes.scan.visible


def test_what_was_hidden_in_3d_stays_so_where_the_user_or_another_stack_came_between(viewer, volumes):
    layer, _ = volumes.put()
    viewer.dims.ndisplay = 3
    layer.visible = True
    layer.visible = False  # as the user wants it
    viewer.dims.ndisplay = 2
    assert not layer.visible
    layer.visible = True
    viewer.dims.ndisplay = 3
    volumes.scan.visible = True
    viewer.dims.ndisplay = 2
    assert volumes.scan.visible and not layer.visible
    volumes.scan.visible, layer.visible = False, True
    viewer.dims.ndisplay = 3
    other, _ = volumes.put("normalize", "normalised")
    viewer.dims.ndisplay = 2
    assert other.visible and not layer.visible, "it took its place"


def test_a_volume_that_is_hidden_in_3d_and_removed_is_not_kept(viewer, volumes):
    layer, _ = volumes.put()
    viewer.dims.ndisplay = 3
    data = ref(layer.data)
    remembered = session_of(viewer).in_3d.hidden
    assert len(remembered) == 1
    viewer.layers.selection.active = volumes.scan
    viewer.layers.remove(layer)
    del layer
    session_of(viewer).steps.clear()
    gc.collect()
    assert not remembered and data() is None


def test_a_step_taken_back_in_3d_does_not_have_a_large_volume_computed(viewer, volumes):
    layer, _ = volumes.put()
    other, _ = volumes.put("normalize", "normalised")
    viewer.dims.ndisplay = 3
    undo(viewer)
    assert other not in viewer.layers and not layer.visible and slice(0, 4) not in volumes.asked
    assert "scan aligned: computed on demand" in volumes.told[-1]
    redo(viewer)
    assert not other.visible and slice(0, 4) not in volumes.asked
    viewer.dims.ndisplay = 2
    assert other.visible or layer.visible
