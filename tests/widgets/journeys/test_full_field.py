"""The main job in a real window: from opening a file to maps, the same to the last bit as from the shell and Python."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import h5py
import numpy as np
import pytest
from same_maps import assert_same

import napari_xanes as nx
from napari_xanes._core.recipe.recipe import template
from napari_xanes._widgets.layers.layers import about, stack_layers
from napari_xanes._widgets.window.workflow import XanesWorkflow

pytestmark = pytest.mark.viewer

STEPS = ("preprocess", "align", "normalize", "fit")


def open_workflow(window) -> XanesWorkflow:
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    return workflow


def map_layers(window):
    return {about(layer)["map"]: layer for layer in window.layers if about(layer).get("map")}


@pytest.fixture
def done(window, scan_file, references, run_step):
    """The window after all steps were run with their buttons, every map shown."""
    window.open(str(scan_file), plugin="napari-xanes")
    workflow = open_workflow(window)
    workflow.panels["fit"].forms["fit"].editors["references"].add(references)
    workflow.panels["fit"].more.setChecked(True)
    for key in STEPS:
        run_step(workflow.panels[key])
    return window, workflow


def test_from_a_file_to_maps_that_shell_python_and_a_recipe_make_again(
    done, scan_file, references, tmp_path, qtbot
):
    window, workflow = done
    check_layers(window)
    check_words(workflow)
    check_truth(map_layers(window), scan_file)
    check_automatic(map_layers(window), scan_file, references)
    check_other_ways(window, workflow, scan_file, tmp_path)
    check_recipe_in_the_window(window, workflow, scan_file, tmp_path, qtbot)


def check_other_ways(window, workflow, scan_file, tmp_path):
    """Python, the shell and the saved result hold the same bits."""
    workflow.results.save_recipe(tmp_path / "recipe.toml")
    shown = {name: layer.data for name, layer in map_layers(window).items()}

    streamed = nx.run_recipe(tmp_path / "recipe.toml", scan_file, in_memory=False)
    assert set(shown) == set(streamed.maps)
    for name, data in streamed.maps.items():
        assert_same(shown[name], data, name, "from Python")

    words = ["run", tmp_path / "recipe.toml", scan_file, "--out", tmp_path / "out"]
    subprocess.run([sys.executable, "-m", "napari_xanes", *map(str, words)], check=True, timeout=300)
    for name, data in nx.load_result(tmp_path / "out" / f"{scan_file.stem}.h5").maps.items():
        assert_same(shown[name], data, name, "from the shell")

    workflow.results.save_result(tmp_path / "window.h5")
    saved = nx.load_result(tmp_path / "window.h5")
    assert set(saved.maps) == set(streamed.maps)
    assert [entry["do"] for entry in saved.history] == [entry["do"] for entry in streamed.history]


def check_layers(window):
    stacks = list(stack_layers(window))
    names = [
        "ni_simulated",
        "ni_simulated optical density",
        "ni_simulated aligned",
        "ni_simulated normalised",
    ]
    assert [layer.name for layer in stacks] == names
    assert [about(layer)["map"] for layer in window.layers if layer.visible] == ["fraction_Ni_oxidised"]


def check_words(workflow):
    assert workflow.sections["results"].is_open()
    assert "drift up to" in workflow.sections["align"].headline.text()
    assert "Ni K" in workflow.sections["normalize"].headline.text()
    assert "4. Normalise" in workflow.results.text.toPlainText()
    shown = workflow.panels["normalize"].forms["normalize"].editors["e0"].chosen.text()
    assert float(shown) == pytest.approx(8333, abs=2)


def check_truth(layers, scan_file):
    """Fractions are right where there is enough of the element."""
    with h5py.File(scan_file.parent / "truth.h5") as file:
        inside = file["mask"][()] & (file["thickness"][()] > 0.4)
        truth = dict(zip(file["fractions"].attrs["references"], file["fractions"][()], strict=True))
    for name, fraction in truth.items():
        error = (layers[f"fraction_{name}"].data - fraction)[inside]
        assert np.sqrt(np.nanmean(error**2)) < 0.05


def check_automatic(layers, scan_file, references):
    """The template with the names of the references gives what the window resolved step by step."""
    named = template().replace('["reference1.txt", "reference2.txt"]', json.dumps(list(references)))
    result = nx.run_recipe(nx.Recipe.from_dict(tomllib.loads(named)), scan_file)
    for name, layer in layers.items():
        assert_same(layer.data, result.maps[name], name)


def check_recipe_in_the_window(window, workflow, scan_file, tmp_path, qtbot):
    """The saved recipe, run in the window, gives the same as the clicks."""
    clicked = {name: layer.data.copy() for name, layer in map_layers(window).items()}
    workflow.results.save_recipe(tmp_path / "recipe.toml")
    window.layers.clear()
    window.open(str(scan_file), plugin="napari-xanes")
    with qtbot.waitSignal(workflow.results.done, timeout=60_000):
        workflow.results.run_recipe(tmp_path / "recipe.toml")
    again = map_layers(window)
    assert set(again) == set(clicked)
    for name, data in clicked.items():
        assert_same(again[name].data, data, name)
