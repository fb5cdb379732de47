"""What is made ready in another thread disturbs nothing in the window's."""

from __future__ import annotations

import threading
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


def test_a_warning_that_others_make_an_error_meanwhile_fails_nothing(monkeypatch):
    """As where one test ends, and another begins, while colours are made."""
    failed, lost = [], SimpleNamespace(catch_warnings=nullcontext, filterwarnings=lambda **_: None)
    monkeypatch.setattr(colormap_utils, "warnings", lost)
    monkeypatch.setattr(threading, "excepthook", failed.append)
    made = ahead.Labels

    def with_errors(*args, **keywords):
        warnings.simplefilter("error")
        return made(*args, **keywords)

    monkeypatch.setattr(ahead, "Labels", with_errors)
    with warnings.catch_warnings():
        ahead.get_ready.__wrapped__().join()
    assert not failed
