"""Long work in portions."""

from __future__ import annotations

import gc

import pytest

from napari_xanes._widgets.parts import portions
from napari_xanes._widgets.parts.portions import garbage_apart


def test_garbage_is_collected_after_what_makes_many_objects_not_in_it():
    with garbage_apart():
        assert not gc.isenabled()
        with garbage_apart():
            pass
        assert not gc.isenabled(), "the inner one leaves it to the outer"
    assert gc.isenabled()


def test_garbage_is_collected_again_also_where_the_window_fails(monkeypatch):
    monkeypatch.setattr(portions, "_between", [lambda: 1 // 0])
    with pytest.raises(ZeroDivisionError), garbage_apart():
        pass
    on = gc.isenabled()
    gc.enable()
    assert on
