"""A window that lives on while something takes long."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QTimer
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.parts import busy
from napari_xanes._widgets.parts.portions import breathe


@pytest.fixture
def main_window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(400, 300)
    window.show()
    qtbot.waitExposed(window)
    return window


def signs():
    return [
        one for one in QApplication.topLevelWidgets() if isinstance(one, busy.BusySign) and one.isVisible()
    ]


def test_timers_run_and_a_sign_moves_while_a_job_is_waited_for(main_window):
    enough, seen = threading.Event(), []

    def look():
        seen.extend(sign.bar.value() for sign in signs())
        if len(set(seen)) > 3:
            enough.set()

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(20)
    assert busy.wait_for(lambda: enough.wait(30), "Loading") is True
    timer.stop()
    assert not signs() and not busy.is_busy()


def test_what_goes_wrong_in_the_job_is_raised_where_it_was_waited_for(qapp):
    with pytest.raises(ZeroDivisionError):
        busy.wait_for(lambda: 1 // 0, "Dividing")
    assert not busy.is_busy()


def test_a_job_runs_in_another_thread_and_only_there(qapp):
    assert busy.wait_for(threading.get_ident, "Looking") != threading.get_ident()
    here = []
    thread = threading.Thread(
        target=lambda: here.append((busy.wait_for(threading.get_ident, ""), threading.get_ident()))
    )
    thread.start()
    thread.join()
    assert here[0][0] == here[0][1], "a thread without a window waits for itself"


def test_a_result_that_arrives_in_the_middle_of_something_waits_for_its_end(qapp, qtbot):
    background, arrived, finished = Background(), [], threading.Event()
    background.delivered.connect(lambda _: arrived.append(busy.is_busy()))
    background.start(lambda progress: finished.set(), "Job")
    with busy.in_the_middle():
        assert finished.wait(10)
        qtbot.wait(400)
        assert background.running and not arrived, "layers are half done"
    qtbot.waitUntil(lambda: not background.running)
    assert arrived == [False]


def test_a_sign_moves_between_portions_and_goes_with_the_last(main_window):
    seen, end = [], time.monotonic() + 20
    with busy.busy_sign("Taking the step back"):
        while len(set(seen)) < 4 and time.monotonic() < end:
            breathe()
            seen.extend(sign.bar.value() for sign in signs())
    assert len(set(seen)) >= 4
    assert not signs()


class Canvas(QOpenGLWidget):
    def __init__(self, window):
        super().__init__(window)
        self.drawn = 0

    def paintGL(self):
        self.drawn += 1


@pytest.fixture
def canvas(main_window):
    """What stands for napari's own canvas in a window."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        pytest.skip("the offscreen platform has no OpenGL")
    own = Canvas(main_window)
    main_window.setCentralWidget(own)
    main_window._qt_viewer = SimpleNamespace(canvas=SimpleNamespace(native=own))
    return own


@pytest.mark.viewer
def test_the_picture_is_drawn_once_when_all_portions_are_done(canvas, qtbot):
    qtbot.waitUntil(lambda: canvas.drawn > 0)
    before = canvas.drawn
    for _ in range(3):
        canvas.update()
        breathe()
    assert canvas.drawn == before
    qtbot.waitUntil(lambda: canvas.drawn > before)
    busy.draw_next()
    canvas.update()
    qtbot.waitUntil(lambda: canvas.updatesEnabled())


@pytest.mark.viewer
def test_a_canvas_that_is_gone_stops_nothing(canvas, main_window):
    other = Canvas(main_window)
    breathe()
    for gone in (other, canvas):
        gone.deleteLater()
        QCoreApplication.sendPostedEvents(gone, QEvent.Type.DeferredDelete)
        with pytest.raises(RuntimeError):
            gone.update()
        breathe()
        busy.draw_next()


def test_what_waits_for_its_turn_is_not_done_in_the_middle_of_something(qapp, qtbot):
    done = []
    busy.when_free(0, lambda: done.append(busy.is_busy()))
    with busy.in_the_middle():
        qtbot.wait(50)
        assert not done
    qtbot.waitUntil(lambda: bool(done))
    assert done == [False]
