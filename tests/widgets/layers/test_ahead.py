"""What is made ready in another thread disturbs nothing in the window's."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from types import SimpleNamespace

import pint
from napari.utils.colormaps import colormap_utils

from napari_xanes._widgets.layers import ahead


def test_units_are_set_up_before_another_thread_may_ask_for_them(monkeypatch):
    units, seen = pint.get_application_registry(), []
    monkeypatch.setattr(units, "_registry", pint.registry.LazyRegistry())
    monkeypatch.setattr(ahead, "_get_ready", lambda: seen.append(type(units.get())))
    ahead.get_ready.__wrapped__().join()
    assert seen == [pint.UnitRegistry]


def test_colours_made_ahead_warn_of_nothing_where_filters_are_taken_back_meanwhile(monkeypatch):
    lost = SimpleNamespace(catch_warnings=nullcontext, filterwarnings=lambda **_: None)
    monkeypatch.setattr(colormap_utils, "warnings", lost)
    warned = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda text, *_: warned.append(str(text)))
        ahead.get_ready.__wrapped__().join()
    assert not warned
