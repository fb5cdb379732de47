"""A window that lives on while something takes long: it is waited for in another thread, or done in portions.

Meanwhile the window draws itself and its timers run; keys and the mouse wait, so that nobody changes what is half done.
Who is called by a timer, or by another thread, and would change layers, comes back later: see `PatientTimer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

from qtpy.QtCore import QCoreApplication, QEventLoop, QObject, Qt, QThread, QTimer, Signal
from qtpy.QtWidgets import QApplication, QLabel, QMainWindow, QProgressBar, QVBoxLayout, QWidget

from napari_xanes._widgets.parts.portions import when_apart, when_between

SIGN_MS, MOVE_MS, LOOK_MS = 250, 40, 10
"""ms: until the busy sign appears, between its movements, and between looks whether all is done."""
QUICK_S = 0.05
"""What takes no longer is waited for at once."""
WITHOUT_INPUT = QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents
T = TypeVar("T")

_inside = 0


def is_busy() -> bool:
    """Whether events are being processed in the middle of something."""
    return _inside > 0


@contextmanager
def in_the_middle() -> Iterator[None]:
    """Say meanwhile that events are being processed in the middle of something."""
    global _inside
    _inside += 1
    try:
        yield
    finally:
        _inside -= 1


@when_between
def _live_on() -> None:
    """Let the window draw itself and its timers run, between two portions of work."""
    if in_window_thread():
        with in_the_middle(), _picture_as_it_is():
            QApplication.processEvents(WITHOUT_INPUT)
            QApplication.processEvents(WITHOUT_INPUT)  # timers that became due while it was drawn


@contextmanager
def _picture_as_it_is() -> Iterator[None]:
    """Leave out meanwhile what takes longest to draw, the layers: they are drawn once, when all portions are done."""
    still = _hold()
    try:
        yield
    finally:
        _draw(still)


def draw_next() -> None:
    """Leave layers that come now for the next turn of the event loop to draw."""
    QTimer.singleShot(0, partial(_draw, _hold()))


def _hold() -> list[QWidget]:
    """Have napari draw no layers in the windows that are open; returns the canvases that would have been drawn."""
    still = []
    for window in QApplication.topLevelWidgets():
        if isinstance(window, QMainWindow) and window.isVisible() and hasattr(window, "_qt_viewer"):
            with suppress(RuntimeError):  # Qt may have deleted it
                canvas = window._qt_viewer.canvas.native
                if canvas.updatesEnabled():
                    canvas.setUpdatesEnabled(False)
                    still.append(canvas)
    return still


def _draw(canvases: list[QWidget]) -> None:
    for canvas in canvases:
        with suppress(RuntimeError):  # its window may have been closed
            canvas.setUpdatesEnabled(True)


def when_free(ms: int, action: Callable[[], object]) -> None:
    """Do something some ms later, or after what is going on then."""
    QTimer.singleShot(ms, lambda: when_free(ms, action) if is_busy() else action())


def wait_for(job: Callable[[], T], words: str) -> T:
    """Return what a job gives that touches no widget and no layer: it runs in another thread while the window lives on.

    If it takes long, `words` say what is going on, over a bar that moves.
    """
    if not in_window_thread():
        return job()
    with ThreadPoolExecutor(1) as pool, in_the_middle():
        future = pool.submit(job)
        _follow(future, words)
    return future.result()


@when_apart
def _apart(job: Callable[[], T], words: str, after: Callable[[], None]) -> T:
    """Have a job done in another thread if it is the window that asks, which lives on where it takes long."""
    if not in_window_thread() or is_busy():
        return job()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(job)
        try:
            return future.result(QUICK_S)
        except TimeoutError:
            made = wait_for(future.result, words)
    QTimer.singleShot(0, after)
    return made


@contextmanager
def busy_sign(words: str) -> Iterator[None]:
    """Say meanwhile what is going on, over a bar that moves, if it takes long; it moves where work is done in portions."""
    sign = BusySign(words)
    sign.show_after(SIGN_MS)
    try:
        yield
    finally:
        sign.take_away()


def _follow(future: Future[T], words: str) -> None:
    """Let the window live until something is done."""
    loop, look = QEventLoop(), QTimer()
    look.setInterval(LOOK_MS)
    look.timeout.connect(lambda: loop.quit() if future.done() else None)
    look.start()
    with busy_sign(words):
        loop.exec(WITHOUT_INPUT)
    look.stop()


class PatientTimer(QTimer):
    """For what changes layers: due once, some ms after it was started, and never in the middle of something."""

    due = Signal()

    def __init__(self, parent: QObject, ms: int) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.setInterval(ms)
        self._later = max(ms, LOOK_MS)
        self.timeout.connect(self._on_timeout)

    def _on_timeout(self) -> None:
        if is_busy():
            QTimer.start(self, self._later)
        else:
            self.due.emit()


def in_window_thread() -> bool:
    """Whether this is the thread in which a window lives."""
    app = QCoreApplication.instance()
    return isinstance(app, QApplication) and QThread.currentThread() is app.thread()


class BusySign(QWidget):
    """Says what is going on in the middle of the window, over a bar that moves; it takes no focus."""

    def __init__(self, words: str) -> None:
        windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, QMainWindow)]
        window = next((one for one in windows if one.isVisible()), None)
        super().__init__(window, Qt.WindowType.ToolTip | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 50)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(words))
        layout.addWidget(self.bar)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._move)
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.timeout.connect(self._appear)

    def show_after(self, ms: int) -> None:
        """Appear if it takes longer than this; only where there is a window to appear in."""
        if self.parentWidget() is not None:
            self._wait.start(ms)

    def _appear(self) -> None:
        self.adjustSize()
        window = self.parentWidget()
        if window is None:
            return
        self.move(window.mapToGlobal(window.rect().center()) - self.rect().center())
        self.show()
        self._timer.start(MOVE_MS)

    def _move(self) -> None:
        self.bar.setValue((self.bar.value() + 1) % (self.bar.maximum() + 1))

    def take_away(self) -> None:
        """Be gone."""
        self._wait.stop()
        self._timer.stop()
        self.hide()
        self.setParent(None)
        self.deleteLater()
