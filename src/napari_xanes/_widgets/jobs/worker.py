"""Run a function of the core in the background: progress, remaining time, cancel, errors.

The function gets a progress callback as the core's functions take it; cancelling makes the callback raise
`Cancelled`.  Everything handed back arrives in the window's thread, and nothing arrives once the owner is
gone.  Layers are only ever touched there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Qt, QThread, QTimer, Signal

from napari_xanes._core.base.errors import Cancelled
from napari_xanes._core.base.progress import Progress
from napari_xanes._widgets.layers.ahead import hear_nothing_of_colors
from napari_xanes._widgets.parts.busy import is_busy
from napari_xanes._widgets.parts.notices import logger, report_error

POLL_MS = 100
Job = Callable[[Progress], Any]


class _Work:
    """What the worker calls: the job with its progress callback; its text names the task to napari."""

    def __init__(self, job: Job, title: str) -> None:
        self.job: Job | None = job
        self.title = title
        self.now: tuple[int, int, str] = (0, 0, "Starting")
        self.worker: Any = None

    def __str__(self) -> str:
        return self.title

    def __call__(self) -> Any:
        assert self.job is not None
        hear_nothing_of_colors()  # that may just be made ahead: a worker takes the warnings of all threads
        return self.job(self.report)

    def report(self, done: int, total: int, text: str) -> None:
        """Take note; called from any thread, often.  The window looks now and then."""
        self.now = (done, total, text)
        if self.worker.abort_requested:  # by our Cancel, or by napari when its window closes
            raise Cancelled


class Background(QObject):
    """Runs one job at a time.

    Signals
    -------
    progressed(done, total, text, remaining)
        `remaining` in seconds, negative while unknown.
    delivered(result)
        The job's return value.
    failed(sentence)
        After the error was shown as a notification.
    cancelled()
    ended()
        After any of the three.
    """

    progressed = Signal(int, int, str, float)
    delivered = Signal(object)
    failed = Signal(str)
    cancelled = Signal()
    ended = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work: _Work | None = None
        self._worker: Any = None
        self._outcome: tuple[str, Any] | None = None
        self._phase, self._since = "", 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def running(self) -> bool:
        """Whether a job is under way, one being cancelled included."""
        return self._work is not None

    @property
    def title(self) -> str:
        """What is under way."""
        return "" if self._work is None else str(self._work)

    def start(self, job: Job, title: str) -> None:
        """Start `job(progress)` in another thread; `title` names it where napari lists running tasks."""
        if self.running:
            raise RuntimeError(f"{self._work} is still running")
        self._work, self._outcome = _Work(job, title), None
        self._phase = ""
        self._worker = create_worker(self._work, _start_thread=False, _ignore_errors=True)
        self._work.worker = self._worker
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_error)
        self._worker.warned.connect(self._on_warned, Qt.ConnectionType.DirectConnection)
        self._worker.finished.connect(self._on_finished)
        self._timer.start()
        self._worker.start()

    def cancel(self) -> None:
        """Stop the job at its next report; what it would have returned is dropped."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Cancel, and hear nothing of it any more: the owner goes away."""
        if self._work is None:
            return
        self.cancel()
        self._timer.stop()
        for signal, slot in (
            (self._worker.returned, self._on_returned),
            (self._worker.errored, self._on_error),
            (self._worker.warned, self._on_warned),
            (self._worker.finished, self._on_finished),
        ):
            signal.disconnect(slot)
        self._work.job = None
        self._work = self._worker = None

    def _poll(self) -> None:
        if self._work is None:
            return
        done, total, text = self._work.now
        now = time.monotonic()
        if text != self._phase:
            self._phase, self._since = text, now
        spent = now - self._since
        known = total > 0 and 0 < done <= total and spent > 1
        self.progressed.emit(done, total, text, spent * (total - done) / done if known else -1.0)

    def _on_returned(self, result: Any) -> None:
        self._outcome = ("delivered", result)

    def _on_error(self, error: Exception) -> None:
        self._outcome = ("error", error)

    def _on_warned(self, warning: tuple[Any, ...]) -> None:
        """Tell of a warning, in the thread that it came from: a worker takes those of all threads while it runs."""
        if QThread.currentThread() is self.thread():
            notification_manager.receive_warning(*warning[:4])
            return
        logger.warning("%s: %s", self._work, warning[0])

    def _on_finished(self) -> None:
        if is_busy():  # other layers are half done
            QTimer.singleShot(POLL_MS, self._on_finished)
            return
        work, outcome = self._work, self._outcome
        if work is None:  # abandoned meanwhile
            return
        stopped = self._worker.abort_requested
        self._timer.stop()
        work.job = None  # napari's list of tasks may hold the worker; it must not hold the data too
        self._work = self._worker = self._outcome = None
        if stopped or outcome is None or isinstance(outcome[1], Cancelled):
            self.cancelled.emit()
        elif outcome[0] == "delivered":
            self.delivered.emit(outcome[1])
        else:
            self.failed.emit(report_error(outcome[1], work.title))
        self.ended.emit()


def remaining_text(seconds: float) -> str:
    """Return the remaining time in words; nothing while unknown."""
    if seconds < 0:
        return ""
    if seconds < 60:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"
