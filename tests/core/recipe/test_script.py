"""Recipes as scripts: what they save is what the recipe gives, and they can be read."""

from __future__ import annotations

import ast
import runpy
from contextlib import chdir

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import _demo
from napari_xanes._core.recipe.steps import STEPS

RAW = [{"do": "flat_field"}, {"do": "optical_density"}]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A small simulated raw scan, its pixel size known, with references beside it."""
    simulation = nx.simulate((64, 72), n_energies=41, max_drift=2.5, n_particles=5, seed=3)
    return simulation.save(tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="module")
def references(scan):
    return sorted(str(path) for path in (scan.parent / "references").glob("*.txt"))


def run_both(steps, scan, tmp_path, **more):
    """Return what a recipe gives, and what its script saves when it is run as one."""
    recipe = nx.Recipe.from_dict({"schema": 1, "step": steps, **more})
    out = tmp_path / "saved.h5"
    script = tmp_path / "script.py"
    script.write_text(nx.as_script(recipe, scan, out=out), encoding="utf-8")
    with chdir(tmp_path):
        runpy.run_path(str(script), run_name="__main__")
    return nx.run_recipe(recipe, scan), nx.load_result(out), script.read_text(encoding="utf-8")


def assert_equal(expected, saved, but=()):
    assert expected.maps.keys() - saved.maps.keys() <= set(but)
    assert saved.maps.keys() <= expected.maps.keys()
    for name, image in saved.maps.items():
        if name.startswith("component_"):
            largest = np.nanmax(np.abs(expected.maps[name]))
            np.testing.assert_allclose(image, expected.maps[name], rtol=0, atol=1e-5 * largest)
        elif name.startswith("sigma_"):  # what is learned of noise is rounded in other places
            np.testing.assert_allclose(image, expected.maps[name], rtol=0.01)
        else:
            np.testing.assert_array_equal(image, expected.maps[name], err_msg=name, strict=True)
        for key in ("kind", "reference"):
            assert saved.info[name][key] == expected.info[name][key], name
    assert saved.labels.keys() == expected.labels.keys()
    for name, image in saved.labels.items():
        np.testing.assert_array_equal(image, expected.labels[name])
    np.testing.assert_array_equal(saved.energy, expected.energy)
    assert saved.pixel_size_um == expected.pixel_size_um


def test_raw_counts_to_fractions(scan, references, tmp_path):
    steps = [*RAW, {"do": "align"}, {"do": "normalize", "slope": "shared"}]
    expected, saved, script = run_both([*steps, {"do": "fit", "references": references}], scan, tmp_path)
    assert_equal(expected, saved)
    assert "nx.fit_references(images, energy, references, normalization=edge, significance=None)" in script
    assert "from_dict" not in script


def test_the_demo_which_judges_significance_by_the_edge_step(scan, references, tmp_path):
    steps = [*RAW, {"do": "align"}, {"do": "normalize", "slope": "shared"}]
    fit = {"do": "fit", "references": references, "significance": _demo.SIGNIFICANCE}
    expected, saved, script = run_both([*steps, fit], scan, tmp_path)
    assert_equal(expected, saved)
    for name, image in expected.maps.items():
        np.testing.assert_array_equal(saved.maps[name], image)
    assert "nx.align" not in script and "nx.estimate_drift(images, least=0.1)" in script


def test_direct_fit(scan, references, tmp_path):
    fit = {"do": "fit", "references": references, "background": [0, 1], "constraint": "nonnegative"}
    expected, saved, _ = run_both([*RAW, {"do": "align"}, fit], scan, tmp_path)
    assert_equal(expected, saved)
    for name, image in expected.maps.items():
        np.testing.assert_array_equal(saved.maps[name], image)


def test_bad_pixels_crop_bin_and_pixel_size(scan, references, tmp_path):
    steps = [
        {"do": "bad_pixels", "replace": True},
        *RAW,
        {"do": "drop_energies", "windows": [[8420, 8430]]},
        {"do": "crop", "roi": [4, 60, 2, 70], "energy_range": [8180, 8560]},
        {"do": "bin"},
        {"do": "denoise"},
        {"do": "align", "roi": [2, 26, 2, 30], "exclude": [3], "interpolation": "linear"},
        {"do": "fit", "references": references[:1], "background": [0]},
    ]
    expected, saved, script = run_both(steps, scan, tmp_path, input={"pixel_size_um": 0.04})
    assert_equal(expected, saved)
    assert saved.pixel_size_um == 0.08 and "np.nan" in script and "import numpy as np" in script


def test_clusters_components_and_maps_of_spectra(scan, tmp_path):
    steps = [
        *RAW,
        {"do": "shift_energy", "measured": 8333.6, "true": 8333.0},
        {"do": "merge_energies"},
        {"do": "normalize", "slope": "shared"},
        {"do": "edge_position"},
        {"do": "white_line", "window": [8338, 8362]},
        {"do": "peak", "window": [8340, 8365]},
        {"do": "cluster", "n_clusters": 3},
        {"do": "decompose", "n_components": 2},
    ]
    expected, saved, script = run_both(steps, scan, tmp_path)
    assert_equal(expected, saved, but=("peak_at_boundary",))
    table, wanted = saved.tables["cluster_spectra"], expected.tables["cluster_spectra"]
    for column in wanted:
        np.testing.assert_allclose(table[column], wanted[column], rtol=1e-5, atol=1e-6)
    assert "mask=nx.pixels_with_step(images, energy, edge.step_noise)" in script


def test_steps_on_maps_are_one_recipe(scan, references, tmp_path):
    steps = [
        *RAW,
        {"do": "bin"},
        {"do": "normalize", "slope": "shared"},
        {"do": "mask", "above": 0.1},
        {"do": "fit", "references": references},
        {"do": "residual"},
    ]
    expected, saved, script = run_both(
        steps, scan, tmp_path, input={"pixel_size_um": 0.04}, output={"maps": ["fraction", "thickness"]}
    )
    assert_equal(expected, saved)
    assert "normalise, mask, fit, residual" in script.lower()


def test_without_maps_the_stack_is_saved(scan, tmp_path):
    expected, saved, _ = run_both([*RAW, {"do": "align"}], scan, tmp_path, output={"stack": True})
    np.testing.assert_array_equal(saved.stack.data[:], expected.stack.data)
    assert saved.stack.signal == "optical_density" and not saved.maps


def test_a_sample_that_lies_still_is_left_in_a_script_as_well(tmp_path):
    """The step takes a drift below 0.1 px for none, the function does not by itself."""
    still = nx.simulate((48, 56), n_energies=21, max_drift=0.05, n_particles=5, seed=3)
    scan = still.save(tmp_path / "still")
    stack = nx.read_stack(scan)
    density = nx.optical_density(nx.flat_field(stack.data[:], stack.flat, stack.dark))
    assert 0 < np.linalg.norm(nx.estimate_drift(density).shifts, axis=1).max() < 0.1
    expected, saved, _ = run_both([*RAW, {"do": "align"}], scan, tmp_path, output={"stack": True})
    np.testing.assert_array_equal(saved.stack.data[:], expected.stack.data)


def test_only_kinds_that_are_wanted(scan, references, tmp_path):
    fit = {"do": "fit", "references": references, "background": [0, 1]}
    expected, saved, _ = run_both([*RAW, fit], scan, tmp_path, output={"maps": ["fraction"]})
    assert_equal(expected, saved)
    assert len(saved.maps) == 2


def test_steps_that_have_nothing_to_do_are_left_out():
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [*RAW, {"do": "normalize"}]})
    script = nx.as_script(recipe, "a.h5", signal="optical_density")
    assert "flat_field" not in script and "nx.optical_density" not in script
    assert "nx.flat_field(images, stack.flat, stack.dark)" in nx.as_script(recipe, "a.h5")


def test_every_step_can_be_written_and_has_words(references):
    required = {"references": references, "window": (8340.0, 8360.0)}
    for name, step in STEPS.items():
        params = step.params
        assert step.title and step.does
        given = {key: required[key] for key, info in params.model_fields.items() if info.is_required()}
        if name == "shift_energy":
            given["offset"] = 0.5
        compile(nx.as_script(nx.Recipe(((name, params(**given)),))), name, "exec")


HOSTILE = [
    '"); import os; os.remove("x") #',
    "' + exec('1') + '",
    "a\\\nimport os\n",
    '"""\nimport os\n"""',
    "\u2028import os",
    "{exec(1)}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_recipe_becomes_code(text):
    """Whoever runs a script of a stranger's recipe runs calls of this package only."""
    steps = [
        {"do": "mask", "file": text},
        {"do": "fit", "references": [text], "exclude": [[8300, 8310]]},
        {"do": "flat_field"},
    ]
    source = {"input": {"energy": text, "images": text}, "output": {"maps": [text]}}
    recipe = nx.Recipe.from_dict({"schema": 1, "step": steps} | source)
    tree = ast.parse(nx.as_script(recipe, text, out=text))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    called = {ast.unparse(node.func).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert imported <= {"numpy", "napari_xanes"} and called <= {"np", "nx", "stack", "fit", "dict", "float"}


def test_names_with_quotes_and_backslashes_stay_what_they_are(tmp_path):
    path = 'C:\\scans\\"the" ä\'s.h5'
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "fit", "references": [path]}]})
    constants = compile(nx.as_script(recipe, path), "script", "exec").co_consts
    assert path in constants
