"""The table of steps: what is declared beside a step's function is all that the rest of the program needs."""

import subprocess
import sys

import numpy as np
import pytest
from toy_step import TOY, toy_known

import napari_xanes as nx
from napari_xanes import EnergyStack, InputError
from napari_xanes._core.recipe.recipe import Recipe, template
from napari_xanes._core.recipe.steps import STEPS, check_takes, missing_before
from napari_xanes._core.runs.needs import disk_needed


@pytest.fixture
def toy():
    with toy_known() as step:
        yield step


@pytest.fixture
def stack():
    data = np.random.default_rng(1).uniform(0.5, 1, (6, 8, 9)).astype(np.float32)
    return EnergyStack(data, np.linspace(8300, 8400, 6), "optical_density", name="scan")


def test_steps_stand_in_the_order_they_declare():
    orders = [step.order for step in STEPS.values()]
    assert orders == sorted(set(orders))
    assert all(name == step.name for name, step in STEPS.items())


def test_what_a_step_stays_after_is_a_step():
    for step in STEPS.values():
        assert set(step.after) <= STEPS.keys(), step.name


@pytest.mark.parametrize(
    ("name", "signal", "first"),
    [
        ("fit", "counts", ("flat_field", "optical_density")),
        ("fit", "transmission", ("optical_density",)),
        ("white_line", "optical_density", ("normalize",)),
        ("normalize", "normalized", ()),
        ("crop", "counts", ()),
    ],
)
def test_what_comes_first_follows_from_what_steps_give(name, signal, first):
    assert missing_before(STEPS[name], signal) == first


def test_a_step_that_comes_too_late_says_where_it_belongs():
    with pytest.raises(InputError, match="the data are normalised; put it before normalize"):
        check_takes(STEPS["internal_i0"], "normalized")


def test_a_step_declared_elsewhere_runs_and_is_in_the_history(toy, stack):
    recipe = Recipe.from_dict({"schema": 1, "step": [{"do": "toy", "factor": 3.0}]})
    result = nx.run_recipe(recipe, stack)
    np.testing.assert_allclose(result.maps["toy"], 3 * stack.data.mean(axis=0), rtol=1e-6)
    entry = result.history[-1]
    assert (entry.step, entry.params) == ("toy", {"factor": 3.0})
    assert entry.facts["mean_value"] == pytest.approx(3 * stack.data.mean(), rel=1e-5)
    assert Recipe.of(result).steps == recipe.steps
    with pytest.raises(InputError, match="toy needs optical density or normalised data, the data are counts"):
        nx.run_recipe(recipe, stack.replace(signal="counts"))


def test_it_is_in_the_template_after_the_white_line(toy):
    text = template()
    assert "# Factor: What the mean is multiplied by.\n# factor = 2.0" in text
    assert text.index('do = "white_line"') < text.index('do = "toy"') < text.index('do = "cluster"')


def test_its_script_gives_the_same_map(toy, stack, tmp_path, monkeypatch):
    recipe = Recipe.from_dict({"schema": 1, "step": [{"do": "toy", "factor": 3.0}]})
    script = nx.as_script(recipe, "scan.tif", out="maps.h5")
    assert "Mean of spectra" in script
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nx, "read_stack", lambda *args, **kwargs: stack, raising=False)
    exec(compile(script, "script", "exec"), {})
    np.testing.assert_array_equal(
        nx.load_result("maps.h5").maps["toy"], nx.run_recipe(recipe, stack).maps["toy"]
    )


def test_its_map_counts_in_the_estimate_of_the_disk(toy, stack, tmp_path):
    recipe = Recipe.from_dict({"schema": 1, "step": [{"do": "toy"}]})
    assert disk_needed(recipe, stack, tmp_path / "maps.h5") >= 4 * 8 * 9


def test_the_command_line_lists_the_step_of_a_program_that_declares_it():
    code = "import toy_step; toy_step.add_step(toy_step.TOY)\nfrom napari_xanes.cli import main; main()"
    path = next(path for path in sys.path if path.endswith("support"))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({path!r}); {code}", "recipe"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert f'do = "{TOY.name}"' in done.stdout
