"""The samples of the menu: files in the cache, made once, that bring their references."""

from __future__ import annotations

from pathlib import Path

import pytest

import napari_xanes as nx
from napari_xanes import _sample_data


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_sample_is_a_raw_scan_with_references_that_fit_it(samples):
    ((data, kw, kind),) = _sample_data.ni_scan()
    assert kind == "image" and kw["name"] == "Ni scan" and data.ndim == 3
    stack = kw["metadata"]["xanes_stack"]
    assert stack.signal == "counts" and stack.flat is not None and stack.dark is not None
    suggested = kw["metadata"]["xanes"]["source"]["suggested"]["fit"]
    for reference in nx.read_references(*suggested["references"]):
        assert reference.energy[0] <= stack.energy[0] and reference.energy[-1] >= stack.energy[-1]


@pytest.mark.parametrize(
    ("make", "signal", "ndim"),
    [
        (_sample_data.ni_volume, "optical_density", 4),
        (_sample_data.fe_stxm, "counts", 3),
        (_sample_data.fe_fluorescence, "optical_density", 3),
    ],
)
def test_the_other_samples_are_told_for_what_they_are(samples, make, signal, ndim):
    ((data, kw, _),) = make()
    stack = kw["metadata"]["xanes_stack"]
    assert (stack.signal, data.ndim, stack.flat) == (signal, ndim, None)
    assert stack.pixel_size_um and not stack.warnings
    suggested = kw["metadata"]["xanes"]["source"]["suggested"]
    assert suggested["normalize"] == {"slope": "shared"}
    for reference in nx.read_references(*suggested["fit"]["references"]):
        assert reference.energy[0] <= stack.energy[0] and reference.energy[-1] >= stack.energy[-1]


def test_it_is_simulated_once_and_leaves_nothing_half_made(cache, monkeypatch):
    first = _sample_data.sample_file("fe_stxm")
    monkeypatch.setattr(_sample_data, "_simulation", lambda key: pytest.fail("simulated again"))
    assert _sample_data.sample_file("fe_stxm") == first
    assert [path.name for path in (cache / "napari-xanes").iterdir()] == [first.parent.name]


def test_without_a_home_it_goes_to_the_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(_sample_data.tempfile, "gettempdir", lambda: str(tmp_path))
    assert Path(tmp_path / "napari-xanes") == _sample_data._cache()  # noqa: SLF001  # a sample would take its time
