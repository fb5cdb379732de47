"""A missing reference is said by the step that looks at what the fit left; nothing is said when none is missing."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import EnergyStack, InputError, Recipe, run_recipe
from napari_xanes._core.draw.limits import color_limits
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.arange(8310.0, 8400.0, 1.0)


def spectrum(e0, width, line):
    return 0.5 + np.arctan((ENERGY - e0) / width) / np.pi + line * np.exp(-(((ENERGY - e0 - 4) / 3) ** 2))


SPECTRA = np.array([spectrum(8333, 1.5, 0.2), spectrum(8335.5, 1.5, 0.7), spectrum(8338, 2, 1.1)])


@pytest.fixture
def files(tmp_path):
    paths = []
    for k, values in enumerate(SPECTRA):
        path = tmp_path / f"ref{k}.txt"
        np.savetxt(path, np.c_[ENERGY, values], header="energy mu")
        paths.append(path.name)
    return tmp_path, paths


def make_stack(third):
    rng = np.random.default_rng(0)
    parts = rng.dirichlet([1, 1, 1], (40, 50)).transpose(2, 0, 1)
    parts[2] *= third
    parts /= parts.sum(axis=0)
    mu = np.tensordot(SPECTRA.T, parts, 1) + rng.normal(0, 0.02, (ENERGY.size, 40, 50))
    return EnergyStack(mu.astype(np.float32), ENERGY, "normalized")


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("third", "missing"), [(1.0, True), (0.0, False)])
def test_a_missing_reference_is_said(files, third, missing, in_memory):
    folder, names = files
    recipe = Recipe.from_dict(
        {
            "schema": 1,
            "step": [
                {"do": "fit", "references": names[:2], "energy_range": [8315.0, 8390.0]},
                {"do": "residual"},
            ],
        },
        folder=folder,
    )
    stack = make_stack(third)
    result = run_recipe(recipe, stack, in_memory=in_memory)
    found = result.history[-1]["found"]
    assert found["reference_missing"] is missing
    assert any("a reference seems to be missing" in text for text in result.warnings) is missing
    table = result.tables["residual_components"]
    assert np.isnan(table["noise"][ENERGY < 8314]).all()
    expected = nx.residual_components(
        stack.data,
        ENERGY,
        nx.read_references(*[folder / name for name in names[:2]]),
        energy_range=(8315, 8390),
    )
    np.testing.assert_allclose(result.maps["residual_1"], expected.maps[0], atol=1e-4)
    np.testing.assert_allclose(table["residual_1"], expected.spectra[0], atol=1e-5)


def test_where_the_fit_has_no_answer_the_maps_have_none(files):
    """Counts of a scan that is half empty: what is divided by an edge step of noise is noise of any size."""
    folder, names = files
    stack = make_stack(1.0)
    thickness = np.ones((40, 50))
    thickness[:, 25:] = 0
    rng = np.random.default_rng(1)
    mu = stack.data * thickness + rng.normal(0, 0.02, stack.data.shape)
    steps = [{"do": "fit", "references": names[:2], "significance": 3.0}, {"do": "residual"}]
    recipe = Recipe.from_dict({"schema": 1, "step": steps}, folder=folder)
    result = run_recipe(recipe, EnergyStack(mu.astype(np.float32), ENERGY, "optical_density"))
    shown, fractions = np.isfinite(result.maps["residual_1"]), np.isfinite(result.maps["fraction_ref0"])
    np.testing.assert_array_equal(shown, fractions)
    assert shown[:, :25].all() and shown[:, 25:].mean() < 0.02
    inside = color_limits(result.maps["residual_1"][:, :25], "around zero")
    assert color_limits(result.maps["residual_1"], "around zero") == pytest.approx(inside, rel=0.05)


def test_thin_rims_of_noise_are_left_out_and_counted(files):
    """Normalised by a thousandth of the thickness, noise is louder than all that is missing elsewhere."""
    folder, names = files
    stack, rng = make_stack(1.0), np.random.default_rng(1)
    mu = stack.data.copy()
    mu[:, :, 40:] += rng.normal(0, 20, mu[:, :, 40:].shape)
    recipe = {"schema": 1, "step": [{"do": "fit", "references": names[:2]}, {"do": "residual"}]}
    recipe, stack = Recipe.from_dict(recipe, folder=folder), stack.replace(data=mu)
    result = run_recipe(recipe, stack)
    alone = run_steps(stack, recipe.steps, kinds=("residual",))
    np.testing.assert_array_equal(alone.maps["residual_1"], result.maps["residual_1"])
    shown = np.isfinite(result.maps["residual_1"])
    fitted = np.isfinite(result.maps["fraction_ref0"][:, 40:]).sum()
    assert (
        shown[:, :40].all() and shown[:, 40:].sum() < 0.02 * fitted
    )  # so many are above 3 times their noise
    assert result.history[-1]["found"]["pixels_too_noisy"] == fitted - shown[:, 40:].sum() > 200


def test_what_is_missing_in_a_part_of_the_image_is_shown_in_all_of_it(files):
    """A compound in a quarter of the pixels, in even noise that is small against it."""
    folder, names = files
    rng = np.random.default_rng(0)
    mu = np.tensordot(SPECTRA[:2].T, rng.dirichlet([1, 1], (40, 40)).transpose(2, 0, 1), 1)
    mu[:, 10:20] += 0.3 * (SPECTRA[2] - SPECTRA[0])[:, None, None]
    mu += rng.normal(0, 0.003, mu.shape)
    recipe = {"schema": 1, "step": [{"do": "fit", "references": names[:2]}, {"do": "residual"}]}
    stack = EnergyStack(mu.astype(np.float32), ENERGY, "normalized")
    image = run_recipe(Recipe.from_dict(recipe, folder=folder), stack).maps["residual_1"]
    assert np.isfinite(image).all()
    assert np.abs(image[10:20]).min() > 5 * np.abs(np.delete(image, range(10, 20), axis=0)).std()


def test_it_needs_a_fit():
    with pytest.raises(InputError, match="put fit before it"):
        run_recipe(Recipe.from_dict({"schema": 1, "step": [{"do": "residual"}]}), make_stack(1.0))


def test_paths_of_all_steps_are_relative_to_the_recipe(files):
    folder, names = files
    table = {
        "schema": 1,
        "step": [
            {"do": "align", "drift": "drift.json", "mask": "mask.tif"},
            {"do": "shift_map", "references": names},
        ],
    }
    recipe = Recipe.from_dict(table, folder=folder)
    align, shift_map = (params for _, params in recipe.steps)
    assert (align.drift, align.mask) == (str(folder / "drift.json"), str(folder / "mask.tif"))
    assert shift_map.references == tuple(str(folder / name) for name in names)


def test_a_reference_that_was_held_beyond_its_end_is_held_here_too(files):
    folder, names = files
    short = np.loadtxt(folder / names[0])[10:]
    np.savetxt(folder / names[0], short, header="energy mu")
    steps = [{"do": "fit", "references": names, "extrapolate": "hold"}, {"do": "residual"}]
    result = run_recipe(Recipe.from_dict({"schema": 1, "step": steps}, folder=folder), make_stack(1.0))
    assert result.history[-1]["found"]["reference_missing"] is False
