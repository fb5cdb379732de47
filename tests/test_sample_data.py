"""The sample of the menu: a file in the cache, made once, that brings its references."""

from __future__ import annotations

from pathlib import Path

import pytest

import napari_xanes as nx
from napari_xanes import _sample_data


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_sample_is_a_raw_scan_with_references_that_fit_it(cache):
    ((data, kw, kind),) = _sample_data.ni_scan()
    assert kind == "image" and kw["name"] == "Ni scan" and data.ndim == 3
    stack = kw["metadata"]["xanes_stack"]
    assert stack.signal == "counts" and stack.flat is not None and stack.dark is not None
    suggested = kw["metadata"]["xanes"]["source"]["suggested"]["fit"]
    for reference in nx.read_references(*suggested["references"]):
        assert reference.energy[0] <= stack.energy[0] and reference.energy[-1] >= stack.energy[-1]


def test_it_is_simulated_once_and_leaves_nothing_half_made(cache, monkeypatch):
    first = _sample_data.sample_file()
    monkeypatch.setattr("napari_xanes._core.phantom.simulate", lambda: pytest.fail("simulated again"))
    assert _sample_data.sample_file() == first
    assert [path.name for path in (cache / "napari-xanes").iterdir()] == [first.parent.name]


def test_without_a_home_it_goes_to_the_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(_sample_data.tempfile, "gettempdir", lambda: str(tmp_path))
    assert Path(tmp_path / "napari-xanes") == _sample_data._cache()
