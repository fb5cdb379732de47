"""The alignment is looked at, corrected, frames are left out, and the stack follows."""

from __future__ import annotations

import shutil
import sys

import h5py
import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

import napari_xanes as nx
from napari_xanes import cli
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.layers.layers import about, add_stack, put_result, results_of
from napari_xanes._widgets.review.dock import AlignReview
from napari_xanes._widgets.review.picture import CHECK
from napari_xanes._widgets.spectrum.reading import Reading


def density(scan):
    mu = nx.optical_density(nx.flat_field(scan.data[:], scan.flat, scan.dark))
    return nx.EnergyStack(mu, scan.energy, "optical_density", pixel_size_um=0.5, name="scan")


@pytest.fixture
def aligned(scan):
    """A viewer with a stack and its alignment."""
    viewer = ViewerModel()
    stack = density(scan)
    layer = add_stack(viewer, stack)
    result = run_steps(stack, [("align", AlignParams())], keep_stack=True, in_memory=True)
    put_result(viewer, layer, "align", result, stack_name="aligned")
    return viewer, layer, result


@pytest.fixture
def review(aligned, qtbot):
    """The dock in that viewer."""
    dock = AlignReview(aligned[0])
    qtbot.addWidget(dock)
    yield dock
    dock.close_down()


def check(viewer):
    return viewer.layers[CHECK]


def wait_applied(review, qtbot):
    review.runner.run.click()
    qtbot.waitUntil(lambda: not review.runner.background.running, timeout=20_000)


def test_a_chosen_frame_is_shown_over_its_reference(aligned, review, qtbot):
    viewer, layer, result = aligned
    review.look_at(5)
    assert viewer.dims.current_step[0] == 5
    assert f"Frame 6 of {len(result.energy)}, {result.energy[5]:.2f} eV" in review.frame.text()
    moved = check(viewer).data
    assert moved.shape == (*layer.data.shape[1:], 3)
    inner = (slice(8, -8), slice(8, -8))
    still = np.corrcoef(moved[inner][..., 0].ravel(), moved[inner][..., 1].ravel())[0, 1]
    review.controls.flicker.setChecked(True)
    aligned_frame = check(viewer).data
    qtbot.waitUntil(lambda: not np.array_equal(check(viewer).data, aligned_frame))
    before = check(viewer).data[inner]
    assert still > np.corrcoef(before[..., 0].ravel(), before[..., 1].ravel())[0, 1]
    assert not review.runner.run.isEnabled(), "nothing was changed yet"


def test_the_spectrum_stays_that_of_the_aligned_stack(aligned):
    viewer = aligned[0]
    reading, stack = Reading(viewer), viewer.layers["scan aligned"]
    viewer.layers.selection.active = stack
    assert reading.stack_layer() is stack
    dock = AlignReview(viewer)
    dock.look_at(3)
    assert viewer.layers.selection.active is check(viewer) and reading.stack_layer() is stack
    dock.close_down()


def test_a_corrected_frame_lies_where_it_was_put(aligned, review, qtbot):
    viewer, layer, result = aligned
    wrong = result.extra["drift"].shifts[4] + (3.0, -2.0)
    for box, value in zip(review.controls.shift, wrong, strict=True):
        review.look_at(4)
        box.setValue(float(value))
    assert "changed by hand" in review.frame.text()
    wait_applied(review, qtbot)
    again = results_of(layer)["align"]
    np.testing.assert_allclose(again.extra["drift"].shifts[4], wrong, atol=0.006)
    others = np.arange(len(result.energy)) != 4
    np.testing.assert_array_equal(again.extra["drift"].shifts[others], result.extra["drift"].shifts[others])
    stack = next(one for one in viewer.layers if about(one).get("role") == "aligned")
    expected = nx.apply_drift(np.asarray(layer.data), again.extra["drift"])
    np.testing.assert_array_equal(stack.data, expected)
    assert np.nanmax(np.abs(stack.data[4] - result.stack.data[4])) > 0.1


def test_arrow_keys_move_the_picture_their_way(aligned, review):
    viewer, _, result = aligned
    review.look_at(3)
    before = check(viewer).data[..., 1].copy()
    review.nudge(2.0, 0.0)
    after = check(viewer).data[..., 1]
    inner = (slice(10, -10), slice(10, -10))
    down = np.corrcoef(np.roll(before, 2, axis=0)[inner].ravel(), after[inner].ravel())[0, 1]
    assert down > 0.98
    assert review.edited.drift.shifts[3, 0] == pytest.approx(result.extra["drift"].shifts[3, 0] - 2.0)
    review.controls.reset.click()
    np.testing.assert_array_equal(review.edited.drift.shifts, result.extra["drift"].shifts)
    np.testing.assert_array_equal(check(viewer).data[..., 1], before)


def test_a_frame_can_be_left_out(aligned, review, qtbot):
    viewer, layer, _ = aligned
    review.look_at(7)
    review.controls.exclude.setChecked(True)
    wait_applied(review, qtbot)
    stack = next(one for one in viewer.layers if about(one).get("role") == "aligned")
    assert np.isnan(stack.data[7]).all() and np.isfinite(stack.data[8]).any()
    assert results_of(layer)["align"].history[-1]["params"]["exclude"] == [7]


def test_frames_to_check_are_gone_through(aligned, qtbot):
    viewer, layer, result = aligned
    drift = result.extra["drift"]
    shifts = drift.shifts.copy()
    shifts[[10, 20], 0] += 30
    odd = nx.Drift.from_shifts(shifts, drift.confidence, reference=drift.reference)
    result.extra["drift"] = odd
    put_result(viewer, layer, "align", result, stack_name="aligned")
    review = AlignReview(viewer)
    qtbot.addWidget(review)
    assert review.index == 10 and "2 more stand out from the frames beside" in review.note.text()
    review.controls.next_to_check.click()
    assert review.index == 20
    review.controls.next_to_check.click()
    assert review.index == 10
    review.close_down()


def test_without_an_alignment_it_says_so(scan, qtbot):
    viewer = ViewerModel()
    add_stack(viewer, density(scan))
    review = AlignReview(viewer)
    qtbot.addWidget(review)
    assert "align a stack first" in review.note.text() and not review.runner.run.isEnabled()
    review.close_down()


def test_closing_takes_the_picture_away(aligned, qtbot):
    viewer, _, _ = aligned
    review = AlignReview(viewer)
    qtbot.addWidget(review)
    assert CHECK in viewer.layers
    review.close_down()
    assert CHECK not in viewer.layers


def test_volumes_are_shown_plane_by_plane(qtbot):
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    volume = gaussian_filter(rng.normal(size=(12, 40, 44)), 2).astype(np.float32)
    shifts = np.array([[0.0, 0, 0], [1, 2, -1], [0, -2, 2], [1, 1, 1], [0, 0, 0]])
    still = np.repeat(volume[None], 5, axis=0)
    frames = np.nan_to_num(nx.apply_drift(still, nx.Drift.from_shifts(-shifts)))
    stack = nx.EnergyStack(frames, 8300 + 10.0 * np.arange(5), "optical_density", name="volume")
    viewer = ViewerModel()
    layer = add_stack(viewer, stack)
    result = run_steps(stack, [("align", AlignParams())], keep_stack=True, in_memory=True)
    put_result(viewer, layer, "align", result, stack_name="aligned")
    viewer.dims.set_current_step(1, 6)
    review = AlignReview(viewer)
    qtbot.addWidget(review)
    review.look_at(2)
    picture = check(viewer).data[6:-6, 6:-6]
    assert picture.ndim == 3
    assert np.corrcoef(picture[..., 0].ravel(), picture[..., 1].ravel())[0, 1] > 0.9
    review.close_down()


@pytest.mark.viewer
def test_the_align_panel_opens_the_review(window, scan_file, run_step, qtbot):
    window.open(str(scan_file), plugin="napari-xanes")
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    align = workflow.panels["align"]
    run_step(workflow.panels["preprocess"])
    assert not align.review.isEnabled()
    run_step(align)
    align.review.click()
    assert CHECK in window.layers
    (review,) = window.window._qt_window.findChildren(AlignReview)
    assert review.input_layer() is not None
    before = review.edited.drift.shifts[review.index].copy()
    qtbot.waitUntil(review.isVisible)
    window.window._qt_window.activateWindow()
    qtbot.waitUntil(lambda: window.window._qt_window.isActiveWindow(), timeout=5000)
    review.setFocus()
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    QTest.keyClick(review, Qt.Key.Key_Right)
    QTest.keyClick(review, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    np.testing.assert_allclose(review.edited.drift.shifts[review.index], before - (1.0, 0.1), atol=1e-6)


def test_one_doubtful_frame_is_one_everywhere(window, scan_file, tmp_path, qtbot, monkeypatch, capsys):
    """In the result, behind the title, in the review, the history, the header, and on the command line."""
    odd = tmp_path / "odd.h5"
    shutil.copy(scan_file, odd)
    with h5py.File(odd, "r+") as file:
        frames = file["img_xanes"]
        frames[12] = (0.65 * frames[12] + 0.35 * frames[12][::-1, ::-1]).astype(frames.dtype)
    window.open(str(odd), plugin="napari-xanes")
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    left = Qt.MouseButton.LeftButton
    for key in ("preprocess", "align"):
        panel = workflow.panels[key]
        if not workflow.sections[key].is_open():
            qtbot.mouseClick(workflow.sections[key].button, left)
        with qtbot.waitSignal(panel.done, timeout=60_000):
            qtbot.mouseClick(panel.runner.run, left)
        qtbot.waitUntil(lambda: not panel.runner.background.running)  # noqa: B023
    energy = f"{nx.read_stack(odd).energy[12]:.2f} eV"
    assert "; 1 frame is doubtful" in panel.result.text()
    section = workflow.sections["align"]
    assert section.headline.text().endswith("1 doubtful")
    assert section.noted.text().startswith("Note: the drift of 1 of 41 frames is doubtful")
    assert "1 of 41 frames is doubtful" in panel.warned.text() and energy in panel.warned.text()
    window.dims.set_current_step(0, 30)
    qtbot.mouseClick(workflow.sections["align"].button, left)
    qtbot.mouseClick(panel.review, left)
    review = next(one for one in window.window.dock_widgets.values() if isinstance(one, AlignReview))
    qtbot.waitUntil(lambda: review.note.text().startswith("1 of 41 frames is doubtful"))
    assert energy in review.frame.text() and window.dims.current_step[0] == 12
    entry = workflow.results.text.toPlainText()
    assert f"Doubtful frames: 1 ({nx.read_stack(odd).energy[12]:.6g})" in entry
    assert check(window).visible
    _, history = window.window.add_plugin_dock_widget("napari-xanes", "XANES history")
    qtbot.waitUntil(lambda: not check(window).visible)  # the review is behind the tab of the history
    assert "oubtful frames 1" in history.list.list.item(2).text()
    workflow.results.save_recipe(tmp_path / "recipe.toml")
    words = ["run", tmp_path / "recipe.toml", odd, "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["napari-xanes", *map(str, words)])
    with pytest.raises(SystemExit):
        cli.main()
    told = capsys.readouterr()
    assert "1 of 41 frames is doubtful" in told.err and "doubtful_frames = 1 (" in told.out


def test_closing_gives_back_what_was_chosen(aligned, qtbot):
    viewer, layer, _ = aligned
    viewer.layers.selection.active = layer
    viewer.dims.set_current_step(0, 17)
    review = AlignReview(viewer)
    qtbot.addWidget(review)
    assert review.index == 17, "where the slider stands"
    assert viewer.layers.selection.active is check(viewer)
    review.close_down()
    assert viewer.layers.selection.active is layer
