"""Work in the background: what it hands back, and that it can be stopped at any time."""

from __future__ import annotations

import logging
import threading
import warnings

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QThread
from qtpy.QtWidgets import QApplication

from napari_xanes._core.base.errors import InputError
from napari_xanes._widgets.jobs.worker import Background, remaining_text


@pytest.fixture
def background(qtbot):
    made = Background()
    yield made
    made.abandon()


def run(qtbot, background, job):
    with qtbot.waitSignal(background.ended, timeout=5000):
        background.start(job, "Test job")


def endless(progress):
    """Report until stopped."""
    pause = threading.Event()
    i = 0
    while True:
        progress(i % 10, 10, "Turning")
        pause.wait(0.005)
        i += 1


def test_the_result_arrives_in_the_windows_thread(qtbot, background):
    got = []
    background.delivered.connect(lambda value: got.append((value, QThread.currentThread())))
    run(qtbot, background, lambda progress: (threading.current_thread().name, 7))
    (name, value), thread = got[0]
    assert value == 7
    assert name != threading.main_thread().name
    assert thread == QApplication.instance().thread()
    assert not background.running


def test_an_error_for_the_user_is_its_sentence_alone(qtbot, background, shown):
    def job(progress):
        raise InputError("the window holds 1 energy, 2 are needed.")

    with qtbot.waitSignal(background.failed) as failed:
        run(qtbot, background, job)
    assert failed.args == ["the window holds 1 energy, 2 are needed."]
    assert shown == failed.args


def test_a_fault_of_ours_is_called_so_and_logged(qtbot, background, shown, caplog):
    with caplog.at_level(logging.ERROR, logger="napari_xanes"):
        run(qtbot, background, lambda progress: 1 // 0)
    assert "internal fault" in shown[0] and "ZeroDivisionError" in shown[0]
    assert caplog.records[0].exc_info is not None


def test_lack_of_memory_is_said_plainly(qtbot, background, shown):
    def job(progress):
        raise MemoryError

    run(qtbot, background, job)
    assert "not enough memory" in shown[0]


def test_cancel_stops_and_the_next_job_runs(qtbot, background, shown):
    delivered = []
    background.delivered.connect(delivered.append)
    with qtbot.waitSignal(background.cancelled, timeout=5000):
        background.start(endless, "Endless")
        qtbot.waitSignal(background.progressed, timeout=5000).wait()
        background.cancel()
    qtbot.waitUntil(lambda: not background.running)
    assert delivered == [] and shown == []
    run(qtbot, background, lambda progress: "again")
    assert delivered == ["again"]


def test_a_job_that_ends_before_it_hears_of_the_cancel_delivers_nothing(qtbot, background):
    delivered, go = [], threading.Event()
    background.delivered.connect(delivered.append)
    with qtbot.waitSignal(background.cancelled, timeout=5000):
        background.start(lambda progress: go.wait(5), "Deaf")
        background.cancel()
        go.set()
    assert delivered == []


def test_nothing_is_heard_after_abandon(qtbot, background):
    heard, left = [], threading.Event()
    for signal in (background.delivered, background.failed, background.cancelled, background.ended):
        signal.connect(lambda *_: heard.append(1))

    def job(progress):
        try:
            endless(progress)
        finally:
            left.set()

    background.start(job, "Orphan")
    qtbot.waitSignal(background.progressed, timeout=5000).wait()
    background.abandon()
    assert left.wait(5), "the work goes on without an owner"
    qtbot.wait(50)
    assert heard == []
    assert not background.running


def test_two_jobs_at_once_are_refused(qtbot, background):
    background.start(endless, "First")
    with pytest.raises(RuntimeError, match="First is still running"):
        background.start(endless, "Second")


def test_progress_is_passed_on(qtbot, background):
    with qtbot.waitSignal(background.progressed, timeout=5000) as seen:
        background.start(endless, "Turning")
    done, total, text, remaining = seen.args
    assert 0 <= done <= total
    assert text in ("Starting", "Turning")
    assert remaining == -1.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, ""), (0.2, "about 1 s left"), (42, "about 42 s left"), (200, "about 3 min left")],
)
def test_remaining_time_in_words(seconds, text):
    assert remaining_text(seconds) == text


@pytest.mark.filterwarnings("default")
def test_a_warning_of_the_window_is_not_told_as_one_of_the_job(qtbot, background, caplog, monkeypatch):
    """A worker takes the warnings of all threads while it runs; those of napari are napari's to show."""
    shown, begun, warned = [], threading.Event(), threading.Event()
    monkeypatch.setattr(
        notification_manager, "receive_warning", lambda *warning: shown.append(str(warning[0]))
    )

    def job(progress):
        warnings.warn("of the job", UserWarning, stacklevel=1)
        begun.set()
        assert warned.wait(10)

    with qtbot.waitSignal(background.ended, timeout=20_000):
        background.start(job, "Job")
        assert begun.wait(10)
        warnings.warn("of the window", UserWarning, stacklevel=1)
        warned.set()
    assert [record.getMessage() for record in caplog.records] == ["Job: of the job"]
    assert shown == ["of the window"]


@pytest.mark.filterwarnings("default")
def test_colours_that_are_made_ahead_meanwhile_are_not_told_of_as_of_the_job(qtbot, background, caplog):
    def ahead():
        warnings.warn("Conversion from CIE-LAB: 20 negative values were clipped", UserWarning, stacklevel=1)

    def job(progress):
        thread = threading.Thread(target=ahead)
        thread.start()
        thread.join()

    with qtbot.waitSignal(background.ended, timeout=20_000):
        background.start(job, "Job")
    assert not caplog.records
