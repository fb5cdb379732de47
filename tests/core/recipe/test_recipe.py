"""Recipes as files: read, refused by name, written, and the template."""

from __future__ import annotations

import re
import time
import tomllib

import numpy as np
import pytest
import tifffile

from napari_xanes import DataFileError, EnergyStack, InputError, Recipe, read_stack
from napari_xanes._core.data.history import Entry
from napari_xanes._core.recipe.recipe import template
from napari_xanes._core.recipe.steps import STEPS

MINIMAL = 'schema = 1\n[[step]]\ndo = "optical_density"\n'


def load(tmp_path, text):
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    return Recipe.load(tmp_path / "recipe.toml")


def test_steps_keep_their_order_and_values(tmp_path):
    recipe = load(tmp_path, MINIMAL + '[[step]]\ndo = "normalize"\ne0 = 8333\npre_edge = [8222, 8312.5]\n')
    assert [name for name, _ in recipe.steps] == ["optical_density", "normalize"]
    assert recipe.steps[1][1].e0 == 8333.0 and recipe.steps[1][1].pre_edge == (8222.0, 8312.5)
    assert recipe.steps[1][1].post_edge is None


def test_what_is_saved_is_loaded(tmp_path):
    text = '[input]\nenergy_unit = "keV"\n[output]\nexport = ["tiff"]\n' + MINIMAL.replace("schema = 1\n", "")
    recipe = load(
        tmp_path,
        "schema = 1\n" + text + '[[step]]\ndo = "fit"\nreferences = ["a.txt"]\nbackground = [0, 1]\n',
    )
    recipe.save(tmp_path / "again.toml")
    assert Recipe.load(tmp_path / "again.toml") == recipe


def test_reference_paths_are_relative_to_the_recipe(tmp_path):
    recipe = load(tmp_path, 'schema = 1\n[[step]]\ndo = "fit"\nreferences = ["refs/a.txt", "/b.txt"]\n')
    assert recipe.steps[0][1].references == (str(tmp_path / "refs/a.txt"), "/b.txt")


def test_input_files_beside_the_recipe_are_found_but_datasets_are_left_alone(tmp_path):
    (tmp_path / "energy.txt").write_text("1\n2\n")
    recipe = load(tmp_path, 'schema = 1\n[input]\nenergy = "energy.txt"\nflat = "img_bkg"\n' + MINIMAL[11:])
    assert recipe.input.energy == str(tmp_path / "energy.txt") and recipe.input.flat == "img_bkg"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 2\n", "schema is 2, this version reads schema 1"),
        ("", "does not say its schema"),
        (MINIMAL + "[outptu]\n", "unknown table 'outptu'"),
        (
            MINIMAL + "[input]\nenergi = 3\n",
            r"\[input\]: unknown parameter 'energi'; it takes images, energy",
        ),
        ('schema = 1\n[[step]]\ndo = "normalise"\n', "step 1: do is 'normalise', expected one of flat_field"),
        ("schema = 1\n[[step]]\ne0 = 5\n", "step 1: do is None"),
        ("schema = 1\nstep = 5\n", r"\[\[step\]\] tables"),
        (
            MINIMAL + '[[step]]\ndo = "normalize"\npre_edg = [1, 2]\n',
            "step 2 .normalize.: unknown parameter 'pre_edg'",
        ),
        (MINIMAL + '[[step]]\ndo = "normalize"\ne0 = "edge"\n', "step 2 .normalize.: 'e0' is 'edge'"),
        ('schema = 1\n[[step]]\ndo = "fit"\n', "step 1 .fit.: 'references'"),
        (
            'schema = 1\n[[step]]\ndo = "peak"\n',
            "'window' is missing: energies in which the peak lies, .*, such as window = ",
        ),
    ],
)
def test_faults_are_named(tmp_path, text, said):
    with pytest.raises(InputError, match="recipe.toml.*" + said):
        load(tmp_path, text)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(DataFileError, match="no such recipe"):
        Recipe.load(tmp_path / "none.toml")
    with pytest.raises(DataFileError, match="not a readable recipe"):
        load(tmp_path, "schema = = 1")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataFileError, match="not a readable recipe"):
        Recipe.load(tmp_path / "binary.toml")
    assert (
        load(tmp_path, MINIMAL + f'[input]\nenergy = "{"x" * 300}"\n').input.energy == "x" * 300
    )  # no file's name


@pytest.mark.parametrize(
    "text",
    [
        "a." * 100_000 + "b = 1",
        "[" + "'a' . \"b=\" . " * 50_000 + "c]",
        'energy = ["""a"""", 1]\nx = {' + "a." * 100_000 + "b = 1}",
    ],
)
def test_keys_of_thousands_of_parts_are_refused_before_they_are_taken_apart(tmp_path, text):
    (tmp_path / "r.toml").write_text(text)
    start = time.process_time()
    with pytest.raises(DataFileError, match="a key of more than nine parts"):
        Recipe.load(tmp_path / "r.toml")
    assert time.process_time() - start < 1  # of computing; without the look, minutes


def test_points_in_remarks_texts_and_lists_are_no_parts_of_keys(tmp_path):
    points = "." * 200
    texts = (
        f'"a\\"{points}"',
        f"'{points}'",
        f'"""\n#{points}\n"quoted" {points}"""',
        f"'''\n{points} it's'''",
    )
    for text in texts:
        lines = (
            "schema = 1",
            f"# {points} it's",
            "[[step]]",
            'do = "mask"',
            f"file = {text}  # {points}",
            "",
        )
        (tmp_path / "r.toml").write_text("\n".join(lines))
        ((_, params),) = Recipe.load(tmp_path / "r.toml").steps
        assert points in str(params.file)
    (tmp_path / "r.toml").write_text("schema = 1\n[input]\nenergy = [" + "8333.5, " * 200 + "8334.0]\n")
    assert len(Recipe.load(tmp_path / "r.toml").input.energy) == 201


def test_template_is_a_recipe_that_names_every_parameter():
    text = template()
    recipe = Recipe.from_dict(tomllib.loads(text))
    job = ["flat_field", "optical_density", "align", "normalize", "fit"]
    assert [name for name, _ in recipe.steps] == job
    assert dict(recipe.steps)["fit"].significance == 3
    assert re.findall(r'^(?:# )?do = "(\w+)"$', text, re.MULTILINE) == list(STEPS)
    for params in (step.params for step in STEPS.values()):
        for name in params.model_fields:
            assert re.search(rf"^(# )?{name} = ", text, re.MULTILINE), name


def test_every_template_line_is_valid_when_its_comment_sign_is_removed():
    text = re.sub(r"^# (\w+ = .*|\[\[step\]\])$", r"\1", template(), flags=re.MULTILINE)
    recipe = Recipe.from_dict(tomllib.loads(text))
    assert [name for name, _ in recipe.steps] == list(STEPS)
    for _, params in recipe.steps:
        assert params.model_fields_set == set(type(params).model_fields)


def test_every_parameter_has_a_label_and_a_tooltip():
    for name, step in STEPS.items():
        params = step.params
        for key, info in params.model_fields.items():
            assert info.title and info.description and info.description.endswith("."), f"{name}.{key}"


def test_history_becomes_a_recipe():
    import numpy as np

    history = (Entry("normalize", {"e0": 8333.0, "pre_edge": [8200, 8300]}, {"edge": "Ni K"}),)
    stack = EnergyStack(
        np.zeros((2, 3, 4)),
        [8300, 8400],
        "normalized",
        source={"path": "a.h5", "signal": "counts"},
        history=history,
    )
    recipe = Recipe.of(stack)
    assert recipe.input.signal == "counts" and recipe.steps[0][1].pre_edge == (8200.0, 8300.0)


def test_energies_given_as_numbers_are_in_the_recipe(tmp_path):
    """A script may give energies that no file holds; the recipe of what it made holds them."""
    energy = np.array([8300.0, 8310.5, 8320.0])
    scan = tmp_path / "scan.tif"
    tifffile.imwrite(scan, np.random.default_rng(0).random((3, 8, 9), np.float32), photometric="minisblack")
    recipe = Recipe.of(read_stack(scan, energy=energy[::-1], signal="optical_density"))
    recipe.save(tmp_path / "recipe.toml")
    again = Recipe.load(tmp_path / "recipe.toml")
    stack = read_stack(scan, **again.input.model_dump())
    np.testing.assert_array_equal(stack.energy, energy)
    np.testing.assert_array_equal(stack.data[:], tifffile.imread(scan)[::-1])


def test_a_result_is_no_recipe_and_its_recipe_is_pointed_to(tmp_path):
    (tmp_path / "scan.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    with pytest.raises(DataFileError, match=r"scan\.h5 is an HDF5 file, expected a recipe .*beside it"):
        Recipe.load(tmp_path / "scan.h5")
