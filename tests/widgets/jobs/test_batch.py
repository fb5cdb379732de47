"""Many scans are run in a process of its own while one works in the window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from qtpy.QtCore import QItemSelectionModel, QMimeData, QObject, QPointF, Qt, QUrl, Signal
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QWidget

import napari_xanes as nx
from napari_xanes._core.runs.batch import plan, run_job
from napari_xanes._widgets.jobs import batch_table
from napari_xanes._widgets.jobs.batch import XanesBatch
from napari_xanes._widgets.jobs.batch_table import BatchTable, in_words
from napari_xanes._widgets.jobs.queue import CRASHED, Queue
from napari_xanes._widgets.layers.layers import about, add_stack, put_result, stack_of
from napari_xanes._widgets.layers.masks import apply_to_all

RECIPE = 'schema = 1\ninput.signal = "optical_density"\n[[step]]\ndo = "peak"\nwindow = [8330, 8370]\n'
ENERGY = np.linspace(8300, 8400, 21)


def write_scan(path, level=1.0):
    line = level * np.exp(-(((ENERGY - 8350) / 8) ** 2))
    with h5py.File(path, "w") as file:
        file["img_xanes"] = np.tile(line[:, None, None].astype(np.float32), (1, 6, 7))
        file["X_eng"] = ENERGY
    return str(path)


def line(scan, **row):
    return json.dumps({"scan": scan, **row})


# -- the queue ----------------------------------------------------------------------------------------


def test_what_the_process_tells_is_put_together_row_by_row():
    queue = Queue()
    queue.add(["/a/one.h5", "/a/two.h5", "/a/one.h5"])
    assert queue.next() == "/a/one.h5" and queue.summary() == "2 waiting"
    assert queue.take(line("/a/one.h5", state="running", part=0.0))
    assert queue.take(line("/a/one.h5", part=0.41, doing="drift"))
    one = queue.rows["/a/one.h5"]
    assert (one.progress, one.doing) == ("41 %", "drift") and queue.next() == "/a/two.h5"
    queue.take(line("/a/one.h5", state="done", seconds=3.2, result="/m/one.h5", said="2 dead pixels"))
    one = queue.rows["/a/one.h5"]
    assert (one.progress, one.result, one.said) == ("done, 3 s", "/m/one.h5", "2 dead pixels")
    assert queue.take(line("/a/new.h5", state="being written")), "a watched folder brings scans of its own"
    assert queue.summary() == "1 waiting, 1 being written, 1 done"
    before = dict(queue.rows)
    for odd in ("", "one.h5: peak", "{", "{}", "[1]", '{"scan": 3}', "{'scan': 'x'}"):
        assert not queue.take(odd)
    queue.take(line("/a/two.h5", state="of another version"))
    assert queue.rows == before


def test_what_ends_without_a_word_failed_and_can_be_run_again():
    queue = Queue()
    queue.add(["/a/one.h5", "/a/two.h5"])
    queue.set("/a/one.h5", "running")
    queue.ended("", cancelled=False)
    assert queue.rows["/a/one.h5"].state == "failed" and queue.rows["/a/one.h5"].said == CRASHED
    queue.set("/a/two.h5", "running")
    queue.remove(["/a/two.h5"])
    queue.ended("warning: odd\nerror: it is damaged; copy it again.\n", cancelled=False)
    assert queue.rows["/a/two.h5"].said == "it is damaged; copy it again."
    queue.retry(["/a/one.h5", "/a/two.h5"])
    queue.set("/a/one.h5", "running")
    queue.take(line("/a/new.h5", state="being written"))
    queue.take(line("/a/newer.h5", state="whole"))
    queue.take(line("/a/newest.h5", state="done"))
    queue.ended("error: interrupted", cancelled=True)
    ended = ["cancelled", "waiting", "cancelled", "cancelled", "done"]
    assert [row.state for row in queue.rows.values()] == ended, "nobody looks at the folder any more"
    queue.remove(["/a/one.h5"])
    assert next(iter(queue.rows)) == "/a/two.h5"


def test_no_two_scans_share_a_result(tmp_path):
    (tmp_path / "c/scan").mkdir(parents=True)
    scans = [str(tmp_path / name) for name in ("a/scan.h5", "b/scan.h5", "c/scan", "b/other.h5")]
    queue = Queue()
    refused = queue.add(scans)
    assert list(queue.rows) == [scans[0], scans[3]] and queue.add(scans[:1]) == []
    for scan, said in zip(scans[1:3], refused, strict=True):
        assert said.startswith(f"{scan} is left out") and scans[0] in said and "scan.h5; rename" in said
    queue.take(line(scans[0], state="done", result="/m/scan.h5"))
    queue.take(line(scans[1], state="done", result="/m/scan.h5"))  # came into a folder that is watched
    assert [queue.rows[scan].result for scan in scans[:2]] == ["", "/m/scan.h5"]
    assert scans[1] in queue.rows[scans[0]].said


def test_what_the_shell_advises_is_said_as_the_dock_has_it(tmp_path):
    scan = write_scan(tmp_path / "a.h5")
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "peak", "window": [8330, 8370]}]})
    (tmp_path / "folder/a.h5").mkdir(parents=True)
    nx.save_result(nx.Result({}, {}, ENERGY, (), {}), tmp_path / "made/a.h5")
    for folder, advice in (
        ("folder", "; choose another folder for the results."),
        ("made", "; tick Replace other results to replace it."),
    ):
        with pytest.raises(nx.XanesError) as refused:
            plan(recipe, [scan], tmp_path / folder, resume=True)
        assert "--" in str(refused.value) and in_words(str(refused.value)).endswith(advice)


def test_only_what_changes_is_drawn_and_what_is_chosen_stays(qtbot, monkeypatch):
    table, drawn, queue = BatchTable(), [], Queue()
    qtbot.addWidget(table)
    monkeypatch.setattr(batch_table, "spoken", lambda said: drawn.append(said) or said)
    scans = [f"/a/{i}.h5" for i in range(5)]
    queue.add(scans)
    table.show_rows(queue.rows.values())
    for i in (1, 3):
        index = table.model().index(i, 0)
        table.selectionModel().select(
            index, QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        )
    drawn.clear()
    queue.set(scans[2], "failed", "it is damaged")
    queue.add(["/a/new.h5"])
    table.show_rows(queue.rows.values())
    assert drawn == ["it is damaged", ""] and table.chosen() == [scans[1], scans[3]]
    queue.remove(scans[:1])
    table.show_rows(queue.rows.values())
    assert table.chosen() == [scans[1], scans[3]]
    shown = [[table.item(i, column).text() for column in range(3)] for i in range(table.rowCount())]
    assert shown[0] == ["1.h5", "waiting", ""] and shown[1] == ["2.h5", "failed", "it is damaged"]
    assert [row[0] for row in shown] == [*(f"{i}.h5" for i in range(1, 5)), "new.h5"]


# -- the dock -----------------------------------------------------------------------------------------


@pytest.fixture
def batch(viewer, qtbot, tmp_path):
    dock = XanesBatch(viewer)
    qtbot.addWidget(dock)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    dock.recipe.setText(str(tmp_path / "recipe.toml"))
    yield dock
    dock.close_down()


def states(dock):
    return [row.state for row in dock.queue.rows.values()]


def idle(dock):
    return not dock.child.running and "waiting" not in states(dock)


def test_the_dock_says_what_is_still_to_be_chosen(batch, tmp_path):
    batch.add([str(tmp_path / "a.h5")])
    assert not batch.run.isEnabled() and batch.words.text() == "Choose the folder for the results."
    batch.out.setText(str(tmp_path / "maps"))
    assert batch.run.isEnabled() and batch.words.text() == "1 waiting"
    batch.recipe.clear()
    assert not batch.run.isEnabled() and "choose a recipe file" in batch.words.text()


def test_a_recipe_that_is_none_is_refused_before_anything_is_run(batch, tmp_path, shown):
    batch.add([write_scan(tmp_path / "a.h5")])
    batch.out.setText(str(tmp_path / "maps"))
    (tmp_path / "recipe.toml").write_text("schema = 9\n")
    batch.run.click()
    assert "schema" in shown[0] and states(batch) == ["waiting"] and not batch.child.running


def test_a_scan_whose_result_has_another_s_name_is_refused(batch, tmp_path, shown):
    scans = [str(tmp_path / folder / "scan.h5") for folder in "abc"]
    batch.add(scans)
    assert list(batch.queue.rows) == scans[:1]
    assert scans[1] in shown[0] and shown[0].endswith("So it is with 1 more.")


def test_the_recipe_is_that_of_when_it_was_started(batch, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(batch.child, "start", told.append)
    batch.out.setText(str(tmp_path / "maps"))
    batch.add([str(tmp_path / "a.h5"), str(tmp_path / "b.h5")])
    batch.start()
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("8330", "8340"))
    batch.child.ended.emit(0, "")
    windows = [nx.Recipe.load(words[1]).steps[0][1].window for words in told]
    assert [words[2] for words in told] == list(batch.queue.rows)
    assert windows == [(8330, 8370), (8330, 8370)]


def test_a_painted_mask_lies_among_the_results_and_stays(batch, viewer, tmp_path, monkeypatch):
    scan = write_scan(tmp_path / "scan.h5")
    layer = add_stack(viewer, nx.read_stack(scan, signal="optical_density"))
    apply_to_all(viewer, viewer.add_labels(np.eye(6, 7, dtype=int), name="by hand"), layer)
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "peak", "window": [8330, 8370]}]})
    put_result(viewer, layer, "maps", nx.run_recipe(recipe, stack_of(layer)))
    batch.recipe.clear()
    batch.out.setText(str(tmp_path / "maps"))
    told = []
    monkeypatch.setattr(batch.child, "start", told.append)

    def planned():
        batch.add([scan])
        batch.start()
        batch.child.ended.emit(0, "")
        loaded = nx.Recipe.load(told[-1][1])
        return loaded, *plan(loaded, [scan], batch.out.text(), resume=True)

    loaded, job = planned()
    run_job(loaded, job)
    np.testing.assert_array_equal(nx.load_result(job.target).labels["mask"], np.eye(6, 7))
    assert planned()[1].done, "the same mask is the same file"
    batch.close_down()
    written = nx.Recipe.load(tmp_path / "maps/scan.toml")
    assert [params.file for name, params in written.steps if name == "mask"] == [
        str(tmp_path / "maps/batch_mask.tif")
    ]
    assert (tmp_path / "maps/batch_mask.tif").exists()


def test_a_watched_folder_replaces_other_results_only_where_ticked(batch, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(batch.child, "start", told.append)
    batch.out.setText(str(tmp_path / "maps"))
    for ticked, word in ((False, "--no-overwrite"), (True, "--overwrite")):
        batch.replace.setChecked(ticked)
        batch.watch_folder(str(tmp_path))
        assert word in told[-1]


def test_closing_the_dock_ends_the_process(batch, tmp_path, qtbot):
    (tmp_path / "in").mkdir()
    batch.out.setText(str(tmp_path / "maps"))
    batch.watch_folder(str(tmp_path / "in"))
    assert batch.watch.text() == "Stop watching" and not batch.run.isEnabled()
    qtbot.waitUntil(lambda: batch.child.number > 0, timeout=20_000)
    number = batch.child.number
    batch.close_down()
    assert not batch.child.running
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


class Application(QObject):
    aboutToQuit = Signal()


@pytest.mark.parametrize("how", ["quit", "deleted"])
def test_the_process_ends_when_napari_is_left(how, viewer, qtbot, tmp_path, monkeypatch):
    app, around = Application(), QWidget()
    monkeypatch.setattr(
        "napari_xanes._widgets.jobs.batch.QApplication", SimpleNamespace(instance=lambda: app)
    )
    dock = XanesBatch(viewer)
    dock.setParent(around)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    dock.recipe.setText(str(tmp_path / "recipe.toml"))
    dock.out.setText(str(tmp_path / "maps"))
    dock.watch_folder(str(tmp_path))
    child = dock.child
    assert child.running
    if how == "quit":
        app.aboutToQuit.emit()
        assert not child.running
    around.deleteLater()
    qtbot.waitUntil(lambda: not child.running)


def test_the_process_ends_when_napari_is_killed(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    words = ["-m", "napari_xanes", "watch", tmp_path, "recipe.toml", "--out", "maps"]
    around = os.environ | {"NAPARI_XANES_ENDS_WITH_STDIN": "1"}
    with subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=tmp_path,
        env=around,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as watch:
        assert watch.stdout.readline().startswith(b"watching")
        watch.stdin.close()
        assert watch.wait(60) == -signal.SIGTERM


# -- a journey ----------------------------------------------------------------------------------------


def click_on_cell(table, row, column, qtbot):
    table.scrollToItem(table.item(row, column))
    place = table.visualItemRect(table.item(row, column)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def press(button, qtbot):
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_cancel_ends_what_is_chosen_then_all(batch, tmp_path, qtbot):
    batch.resize(600, 500)
    batch.show()
    batch.out.setText(str(tmp_path / "maps"))
    batch.add([write_scan(tmp_path / f"{name}.h5") for name in "abc"])
    assert not batch.child.running
    press(batch.run, qtbot)
    qtbot.waitUntil(lambda: batch.child.number > 0, timeout=20_000)
    first = batch.child.number
    click_on_cell(batch.table, 1, 0, qtbot)
    press(batch.cancel, qtbot)
    assert states(batch) == ["running", "cancelled", "waiting"] and batch.child.number == first
    click_on_cell(batch.table, 0, 0, qtbot)
    press(batch.cancel, qtbot)
    qtbot.waitUntil(lambda: states(batch) == ["cancelled", "cancelled", "running"], timeout=20_000)
    qtbot.waitUntil(lambda: batch.child.number not in (0, first), timeout=20_000)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    batch.table.clearSelection()
    press(batch.cancel, qtbot)
    qtbot.waitUntil(lambda: idle(batch), timeout=20_000)
    assert states(batch) == ["cancelled"] * 3 and batch.words.text() == "3 cancelled"
    assert not list(tmp_path.glob("maps/*.h5"))


@pytest.mark.viewer
def test_scans_are_dropped_run_lost_retried_watched_and_opened(window, tmp_path, qtbot, monkeypatch):
    """The recipe is that of what was done by hand to one scan; a process that is killed takes nothing with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "typer.py").write_text("raise SystemExit('of the folder in which napari was started')")
    scans = [write_scan(tmp_path / f"scan_{i}.h5", level) for i, level in ((1, 1.0), (2, 2.0))]
    scans.insert(1, str(tmp_path / "bad.h5"))
    Path(scans[1]).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    stack = nx.read_stack(scans[0], signal="optical_density")
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "peak", "window": [8330, 8370]}]})
    put_result(window, add_stack(window, stack), "maps", nx.run_recipe(recipe, stack))
    _, dock = window.window.add_plugin_dock_widget("napari-xanes", "XANES batch")
    dock.out.setText(str(tmp_path / "maps"))
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(scan) for scan in scans])
    none = Qt.KeyboardModifier.NoModifier
    dock.table.dropEvent(
        QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, none)
    )
    press(dock.run, qtbot)
    assert states(dock) == ["running", "waiting", "waiting"]
    os.kill(dock.child.number, signal.SIGKILL)
    qtbot.waitUntil(lambda: idle(dock), timeout=120_000)
    assert states(dock) == ["failed", "failed", "done"] and dock.words.text() == "1 done, 2 failed"
    assert dock.table.item(0, 2).text() == CRASHED
    why = dock.table.item(1, 2).text()
    assert why and not why.startswith("bad.h5"), "its name stands in the first column"
    assert os.listdir(tmp_path / "maps") and not (tmp_path / "maps/scan_1.h5").exists()

    click_on_cell(dock.table, 0, 0, qtbot)
    press(dock.retry, qtbot)
    assert states(dock) == ["running", "failed", "done"]
    qtbot.waitUntil(lambda: idle(dock), timeout=120_000)
    assert states(dock) == ["done", "failed", "done"]

    before = len(window.layers)
    click_on_cell(dock.table, 2, 2, qtbot)
    qtbot.waitUntil(lambda: len(window.layers) > before, timeout=20_000)
    (found,) = [one for one in window.layers if about(one)["name"] == "scan_2" and about(one).get("map")]
    np.testing.assert_allclose(np.asarray(found.data), 8350.0, atol=0.3)
    heights = [nx.load_result(tmp_path / f"maps/scan_{i}.h5").maps["peak_height"] for i in (1, 2)]
    np.testing.assert_allclose(heights[1], 2 * heights[0], rtol=1e-5)

    (tmp_path / "in").mkdir()
    dock.settle = 0.2
    dock.watch_folder(str(tmp_path / "in"))
    coming = write_scan(tmp_path / "in" / "coming.h5", 3.0)
    qtbot.waitUntil(
        lambda: coming in dock.queue.rows and dock.queue.rows[coming].state == "done", timeout=120_000
    )
    assert nx.load_result(tmp_path / "maps/coming.h5").maps["peak_height"].max() == pytest.approx(
        3.0, rel=0.02
    )
    assert "coming.h5,done" in (tmp_path / "maps/watch.csv").read_text()
    press(dock.watch, qtbot)
    qtbot.waitUntil(lambda: not dock.child.running, timeout=20_000)
    assert dock.watch.text() == "Watch folder..." and dock.words.text() == "3 done, 1 failed"
