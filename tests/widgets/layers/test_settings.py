"""The settings of napari's Preferences do what their titles say."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManifest

from napari_xanes._core.data.kinds import KINDS
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.forms.remembered import FILE_NAME, remember
from napari_xanes._widgets.layers.layers import about, add_stack, put_result
from napari_xanes._widgets.layers.settings import PLUGIN, Settings, config_folder, settings
from napari_xanes._widgets.window.energy_text import show_energy


@pytest.fixture
def preferences():
    """The settings as the Preferences change them."""
    return get_plugin_settings(PLUGIN)


def test_the_defaults_are_those_of_the_page(preferences):
    assert settings() == Settings()
    declared = PluginManifest.from_distribution(PLUGIN).contributions.configurations
    shown = {key: one.default for page in declared.values() for key, one in page.properties.items()}
    assert shown == asdict(Settings())
    assert all(
        one.title and one.description for page in declared.values() for one in page.properties.values()
    )


def test_every_colour_is_one_of_napari():
    from napari.utils.colormaps import ensure_colormap

    declared = PluginManifest.from_distribution(PLUGIN).contributions.configurations
    for one in declared["colours"].properties.values():
        assert [ensure_colormap(name).name for name in one.enum] == one.enum
    groups = {kind.group: kind.colors for kind in KINDS.values() if kind.group}
    assert groups == {name: one.default for name, one in declared["colours"].properties.items()}


def test_they_are_kept_in_the_folder_of_the_test(preferences, settings_file):
    preferences.colours.fractions = "plasma"
    assert config_folder() == settings_file.parent
    assert "plasma" in (settings_file.parent / f"{PLUGIN}.yaml").read_text()


def test_without_the_plugin_the_defaults_hold(monkeypatch, preferences):
    preferences.picture.show_energy = False
    assert not settings().show_energy
    from napari import settings as of_napari

    monkeypatch.setattr(of_napari, "plugin_configuration_generator", dict)
    of_napari._clear_plugin_settings_cache()
    assert settings() == Settings()
    assert config_folder() is None


def test_new_maps_have_the_colours_of_the_settings(viewer, density, references, preferences):
    preferences.colours.fractions = "plasma"
    preferences.colours.errors = "gray"
    result = run_steps(
        density,
        [("normalize", STEPS["normalize"].params()), ("fit", STEPS["fit"].params(references=references))],
        keep_stack=True,
    )
    parent = add_stack(viewer, density)
    put_result(viewer, parent, "fit", result)
    colours = {about(one)["kind"]: one.colormap.name for one in viewer.layers if about(one).get("map")}
    assert (colours["fraction"], colours["r_factor"]) == ("plasma", "gray")
    preferences.colours.fractions = "cividis"
    put_result(viewer, parent, "fit", result)
    kept = {one.colormap.name for one in viewer.layers if about(one)["kind"] == "fraction"}
    assert kept == {"plasma"}  # maps that are open keep theirs


def test_the_energy_comes_and_goes_with_its_setting(viewer, density, preferences):
    add_stack(viewer, density)
    text = show_energy(viewer)
    assert text.text
    preferences.picture.show_energy = False
    assert not text.text
    viewer.dims.set_current_step(0, 3)
    assert not text.text
    preferences.picture.show_energy = True
    assert text.text.endswith("(4 of 41)")


def test_the_scale_bar_comes_and_goes_with_its_setting(viewer, density, preferences):
    bar = viewer.canvas.overlays.scale_bar
    bar.visible = True  # in napari's own menu
    add_stack(viewer, density)
    show_energy(viewer)
    assert bar.visible
    preferences.picture.show_energy = False
    assert bar.visible
    preferences.picture.show_scale_bar = True
    preferences.picture.show_scale_bar = False
    assert not bar.visible
    preferences.picture.show_scale_bar = True
    assert bar.visible


@pytest.mark.parametrize("wanted", [True, False])
def test_the_first_stack_whose_pixel_size_is_known_shows_the_scale_bar(viewer, density, preferences, wanted):
    preferences.picture.show_scale_bar = wanted
    bar = viewer.canvas.overlays.scale_bar
    show_energy(viewer)
    add_stack(viewer, density.replace(pixel_size_um=None))
    assert not bar.visible
    add_stack(viewer, density)
    assert bar.visible == wanted
    bar.visible = False
    add_stack(viewer, density)
    assert not bar.visible, "whoever hides it has peace"


def test_nothing_is_remembered_if_it_is_not_wanted(preferences, qtbot, settings_file):
    remember("bin", {"factor": 4})
    preferences.forms.remember = False
    form = ParamsForm(STEPS["bin"].params, step="bin")
    qtbot.addWidget(form)
    assert form.values()["factor"] == 2
    before = (settings_file.parent / FILE_NAME).read_text()
    form.editors["factor"].set_value(8)
    form.keep()
    assert (settings_file.parent / FILE_NAME).read_text() == before


def test_the_page_is_in_the_preferences(preferences, qtbot):
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog
    from qtpy.QtWidgets import QCheckBox, QComboBox

    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    rows = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    page = dialog._stack.widget(rows.index("XANES"))
    colours = {kind.group for kind in KINDS.values() if kind.group}
    assert len(page.findChildren(QComboBox)) == len(colours) + 1  # and how stacks are kept
    assert len(page.findChildren(QCheckBox)) == 3
    box = page.findChildren(QComboBox)[0]
    box.setCurrentText("turbo")
    assert settings().fractions == "turbo"
    dialog.reject()
    assert settings().fractions == "viridis"
