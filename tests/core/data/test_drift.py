"""A drift as a thing: kept, corrected, written and applied again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_xanes import DataFileError, Drift, EnergyStack, InputError, apply_drift
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.base.params import make_params
from napari_xanes._core.runs.pipeline import run_steps

RNG = np.random.default_rng(3)
SHIFTS = np.cumsum(RNG.normal(0, 0.5, (30, 2)), axis=0)


def test_what_is_saved_is_loaded_to_the_last_bit(tmp_path):
    matrices = np.tile(np.eye(3), (4, 1, 1)) + RNG.normal(0, 0.01, (4, 3, 3))
    matrices[:, 2] = 0, 0, 1
    matrices[1] = np.nan
    drift = Drift(matrices, np.array([1, 0, 0.5, 1 / 3]), 0, (1, 50, 2, 60), "stackreg", "affine")
    drift.save(tmp_path / "drift.json")
    again = Drift.load(tmp_path / "drift.json")
    np.testing.assert_array_equal(again.matrices, drift.matrices)
    np.testing.assert_array_equal(again.confidence, drift.confidence)
    assert (again.reference, again.roi, again.method, again.transform) == (
        0,
        (1, 50, 2, 60),
        "stackreg",
        "affine",
    )
    assert json.loads((tmp_path / "drift.json").read_text())["matrices"][1] is None


def test_frames_are_corrected_and_excluded_in_a_copy():
    drift = Drift.from_shifts(SHIFTS)
    edited = drift.edited(7, (1.5, -2.5)).excluding([9, 11])
    np.testing.assert_array_equal(drift.shifts, SHIFTS)
    np.testing.assert_array_equal(edited.shifts[7], (1.5, -2.5))
    assert np.isnan(edited.shifts[[9, 11]]).all() and not edited.confidence[[9, 11]].any()


def test_outliers_are_the_frames_that_jump_or_are_unsure():
    shifts, confidence = SHIFTS.copy(), np.full(30, 0.95)
    shifts[12] += 9
    shifts[20] = np.nan
    confidence[25] = 0.2
    assert Drift.from_shifts(shifts, confidence).outliers().tolist() == [12, 25]
    assert not Drift.from_shifts(SHIFTS).outliers().size


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_saved_drift_is_applied_by_the_step(tmp_path, in_memory):
    frames = RNG.random((30, 24, 28), np.float32)
    drift = Drift.from_shifts(SHIFTS).excluding([3])
    drift.save(tmp_path / "drift.json")
    stack = EnergyStack(frames, np.arange(8300.0, 8330.0), "optical_density")
    params = make_params(AlignParams, {"drift": str(tmp_path / "drift.json")}, "align")
    result = run_steps(stack, [("align", params)], keep_stack=True, in_memory=in_memory)
    np.testing.assert_array_equal(result.stack.data, apply_drift(frames, drift))
    (tmp_path / "drift.json").unlink()  # the history holds the numbers themselves
    again = run_steps(
        stack, [("align", make_params(AlignParams, result.history[-1]["params"], "align"))], keep_stack=True
    )
    np.testing.assert_array_equal(again.stack.data, result.stack.data)


def test_faults_are_one_sentence(tmp_path):
    with pytest.raises(DataFileError, match="there is no such drift file"):
        Drift.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataFileError, match=r"bad\.json is not a drift"):
        Drift.load(tmp_path / "bad.json")
    (tmp_path / "new.json").write_text('{"napari_xanes_drift": 2}')
    with pytest.raises(DataFileError, match="schema 2, this version reads 1"):
        Drift.load(tmp_path / "new.json")
    stack = EnergyStack(RNG.random((3, 24, 28)), [1.0, 2, 3], "optical_density")
    for given, said in (
        ({"exclude": [3]}, r"exclude names 3 \(frame no. 4\), the stack has frames 0 to 2 \(no. 1 to 3\)"),
        ({"matrices": [[1.0, 2.0], [], []]}, "2 numbers for a frame, expected 6 or none"),
    ):
        with pytest.raises(InputError, match=said):
            run_steps(stack, [("align", make_params(AlignParams, given, "align"))])
