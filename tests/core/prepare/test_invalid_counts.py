"""What was not measured is NaN and counted: the marks that detectors write into gaps, dead and saturated pixels."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import napari_xanes as nx

RNG = np.random.default_rng(0)
E = np.linspace(8300, 8360, 6)
MARKS = [
    ("u2", 2**16 - 1),
    ("u4", 2**32 - 1),
    ("i4", -1),
    ("i2", -2),
    ("i4", 2**31 - 1),
    ("f4", 2.0**32),
    ("u2", 0),
]
GAP = np.zeros((8, 9), bool)
GAP[3:5] = True


def marked(level: int, n: int, dtype: str, mark: float) -> np.ndarray:
    counts = RNG.poisson(level, (n, 8, 9)).astype(dtype)
    counts[:, GAP] = mark
    return counts


@pytest.mark.parametrize(("dtype", "mark"), MARKS)
@pytest.mark.parametrize("n_flats", ["each", "several", "one", "single"])
def test_marks_of_a_detector_are_invalid(dtype, mark, n_flats, tmp_path):
    counts = marked(1000, 6, dtype, mark)
    flats = marked(2000, {"each": 6, "several": 3}.get(n_flats, 1), dtype, mark)
    flats = flats[0] if n_flats == "single" else flats
    found = nx.flat_field(counts, flats)
    mean = np.where(
        GAP, np.nan, flats.astype(float) if n_flats == "each" else np.reshape(flats, (-1, 8, 9)).mean(0)
    )
    if mark:  # of zeros in the flat the transmission is unknown, of zeros in the images it is zero
        np.testing.assert_allclose(found, np.where(GAP, np.nan, counts) / mean, rtol=1e-5)
    assert (np.isnan(nx.optical_density(found)) == GAP).all()
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["img"], file["energy"], file["flat"] = counts, E, flats
    recipe = nx.Recipe.from_dict(
        {"schema": 1, "output": {"stack": True}, "step": [{"do": "flat_field"}, {"do": "optical_density"}]}
    )
    stack = nx.read_stack(tmp_path / "scan.h5", signal="counts")
    assert any("18 pixels of a frame hold" in text for text in stack.warnings) == bool(mark)
    for in_memory in (True, False):
        result = nx.run_recipe(recipe, stack, in_memory=in_memory)
        np.testing.assert_array_equal(np.asarray(result.stack.data[:]), nx.optical_density(found))
        said = result.history[0].facts
        assert said.get("unmeasured_pixels", 0) == (18 if mark else 0)


@pytest.mark.parametrize(("dtype", "mark"), MARKS[:-1])
def test_a_mark_in_one_of_several_flats_or_repeats_leaves_the_others(dtype, mark, tmp_path):
    counts, flats = marked(1000, 8, dtype, 5), marked(2000, 3, dtype, 5)
    counts[2, 0, 0] = counts[3, 0, 1] = flats[1, 6, 6] = mark
    found = nx.flat_field(counts, flats)
    assert np.isfinite(found[:, 6, 6]).all() and np.isnan(found[2, 0, 0]) and np.isnan(found).sum() == 2
    assert found[0, 6, 6] == pytest.approx(
        float(counts[0, 6, 6]) / np.float64(flats[[0, 2], 6, 6]).mean(), rel=1e-5
    )
    energy = np.array([1, 2, 3, 3, 4, 5, 6, 7]) * 10 + 8300.0
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["img"], file["energy"], file["flat"] = counts, energy, flats
    stack = nx.read_stack(tmp_path / "scan.h5", signal="counts", axis=0)
    assert stack.read(2)[0, 0] == counts[3, 0, 0] and stack.read(2)[0, 1] == counts[2, 0, 1]


def test_optical_density_stored_as_whole_numbers_has_no_marks():
    stack = nx.EnergyStack(np.full((6, 4, 5), -1, np.int16), E, "optical_density")
    assert (stack.read(0) == -1).all()
