"""A drift is edited and set back, without a window."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._widgets.review.model import EditedDrift


@pytest.fixture
def edited():
    shifts = np.array([[0, 0], [1, -1], [20, 0], [2, -2], [np.nan, np.nan], [3, -3], [3, -3]], float)
    return EditedDrift(nx.Drift.from_shifts(shifts, np.array([0.9, 0.8, 0.7, 0.8, 0, 0.9, 0.95])))


def test_lost_frames_are_left_out_and_nothing_is_edited(edited):
    assert edited.excluded.tolist() == [False] * 4 + [True] + [False] * 2
    assert not edited.is_edited and not edited.is_known(4)
    assert edited.params({}).exclude == (), "a lost frame is lost anyway"


def test_a_frame_is_moved_and_set_back(edited):
    assert edited.nudge(3, 0.5, -0.25)
    np.testing.assert_allclose(edited.in_plane(3), (1.5, -1.75))
    assert edited.changed.tolist() == [k == 3 for k in range(7)] and edited.is_edited
    edited.reset(3)
    assert not edited.is_edited


def test_a_lost_frame_gets_a_drift_only_by_numbers(edited):
    assert not edited.nudge(4, 1, 1)
    edited.set_in_plane(4, np.array([2.5, -2.5]))
    assert edited.is_known(4) and not edited.excluded[4] and edited.is_edited
    edited.reset(4)
    assert edited.excluded[4] and not edited.is_edited


def test_frames_to_check_follow_one_another(edited):
    assert edited.next_to_check(0) is None and edited.says() == "No frame is doubtful."
    shifts = np.linspace([0, 0], [4, -4], 41)
    shifts[[10, 20], 0] += 30
    odd = EditedDrift(nx.Drift.from_shifts(shifts, np.full(41, 0.9)), [10, 30])
    assert [odd.next_to_check(at) for at in (0, 10, 20, 40)] == [10, 20, 30, 10]
    empty = np.where(np.arange(41) == 5, 0, 0.9)
    assert "; 1 shows nothing to align by; 2 more" in EditedDrift(nx.Drift.from_shifts(shifts, empty)).says()
    assert odd.says() == "2 of 41 frames are doubtful; 1 more stands out from the frames beside."


def test_what_is_left_out_is_asked_for(edited):
    edited.excluded[5] = True
    assert edited.params({"interpolation": "linear"}).exclude == (5,)
    assert edited.params({"interpolation": "linear"}).interpolation == "linear"
