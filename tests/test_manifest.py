"""The manifest is valid, every command can be imported, and every menu is one that napari fills."""

from __future__ import annotations

import re
from pathlib import Path

import npe2
import pytest
from npe2 import PluginManifest

import napari_xanes
from napari_xanes._core.io.formats import dropped_suffixes, spectra_suffixes

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-xanes")


def test_every_command_can_be_imported(manifest):
    manifest.validate_imports()
    assert manifest.name == "napari-xanes" and manifest.display_name == "XANES"


def test_the_manifest_at_the_root_is_the_same_file(manifest):
    package = Path(napari_xanes.__file__).parent / "napari.yaml"
    assert (HERE / "napari.yaml").resolve() == package.resolve()


def test_menus_are_those_that_plugins_may_fill(manifest):
    from napari._app_model.constants import MenuId

    known = {menu.value for menu in MenuId.contributables()}
    used = {menu for menu in manifest.contributions.menus if menu.startswith("napari/")}
    assert used and used <= known


def test_titles_have_no_mnemonics(manifest):
    titles = [command.title for command in manifest.contributions.commands]
    titles += [widget.display_name for widget in manifest.contributions.widgets]
    assert not [title for title in titles if "&" in title]


def test_the_reader_is_found_by_npe2(tmp_path):
    manager = npe2.PluginManager.instance()
    manager.discover()
    for name in ("scan.h5", "SCAN.TIFF", "scan.nxs"):
        readers = {reader.command for reader in manager.iter_compatible_readers([str(tmp_path / name)])}
        assert "napari-xanes.read" in readers


def test_files_are_taken_by_the_suffixes_of_the_formats(manifest):
    reader, spectra = manifest.contributions.readers
    files = {f"*{suffix}" for suffix in spectra_suffixes()} - set(reader.filename_patterns)
    assert set(spectra.filename_patterns) == files - {"*.csv"}, "CSV files are napari's own"
    assert reader.accepts_directories
    assert sorted(reader.filename_patterns) == sorted(f"*{suffix}" for suffix in dropped_suffixes())


def test_menus_and_samples_in_the_tour_are_called_as_they_are(manifest):
    """Such as File > Open Sample > ..., where napari adds the name of the plugin."""
    page = (HERE / "README.md").read_text("utf-8").replace("\n", " ")
    contributed = manifest.contributions
    (sample,) = re.findall(r"\*File > Open Sample > (.+?) \(XANES\)\*", page)
    assert re.sub(r" +", " ", sample) in {one.display_name for one in contributed.sample_data}
    titles = {one.display_name for one in contributed.widgets} | {one.title for one in contributed.commands}
    places = re.findall(r"\*(?:Plugins > XANES|File > IO Utilities) > (.+?) \(XANES\)\*", page)
    assert len(places) > 1 and set(places) <= titles
