"""How long the event loop of a window stands still: a timer that should beat every few milliseconds, and who kept it.

A signal looks at what the window is doing while the timer is late, so that the time can be given to whom it belongs.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from qtpy.QtCore import QEventLoop, Qt, QTimer

BEAT_MS = 2
LATE = 0.05
"""Seconds; from here on the window is looked at."""
QUIET = 0.35
"""Seconds that an action is followed after it is done, for what it left to timers."""


@dataclass
class Blocked:
    """The longest time that the event loop stood still during an action.

    Attributes
    ----------
    longest : float
        Seconds.
    busy : float
        Seconds of this in which its thread had a processor; the rest it waited for others.
    whole : float
        Seconds from the start of the action to its end.
    where : Counter of str
        The innermost places of this plugin, and of others, at which it was seen.
    """

    longest: float = 0.0
    busy: float = 0.0
    whole: float = 0.0
    where: Counter[str] = field(default_factory=Counter)


class Heartbeat:
    """Measures one action after another in a running event loop."""

    def __init__(self, *, look: bool = False) -> None:
        self._last = (time.perf_counter(), time.thread_time())
        self._found = Blocked()
        self._seen: Counter[str] = Counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        if look:
            signal.signal(signal.SIGALRM, self._on_alarm)
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)

    def _beat(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        gap = now - self._last[0]
        if gap > self._found.longest:
            self._found.longest, self._found.busy = gap, busy - self._last[1]
            self._found.where = self._seen
        self._seen = Counter()
        self._last = (now, busy)

    def _on_alarm(self, _: int, frame: FrameType | None) -> None:
        if time.perf_counter() - self._last[0] > LATE:
            self._seen[_place(frame)] += 1

    def measure(
        self,
        action: Callable[[], object],
        done: Callable[[], bool] = lambda: True,
        *,
        quiet: float = QUIET,
        within: float = 120.0,
    ) -> Blocked:
        """Do something as an event of its own, and follow it until it is done, and `quiet` seconds longer."""
        loop, ended = QEventLoop(), [0.0]
        start = time.perf_counter()
        self._found, self._seen = Blocked(), Counter()
        self._last = (start, time.thread_time())
        self._timer.start()

        def look() -> None:
            now = time.perf_counter()
            if not ended[0] and started[0] and done():
                ended[0] = now
            if now - start > within:
                loop.quit()
            if ended[0] and now - ended[0] > quiet:
                loop.quit()

        started = [False]

        def begin() -> None:
            try:
                action()
            finally:
                started[0] = True

        poll = QTimer()
        poll.setInterval(10)
        poll.timeout.connect(look)
        poll.start()
        QTimer.singleShot(0, begin)
        loop.exec()
        poll.stop()
        self._timer.stop()
        if not ended[0]:
            raise TimeoutError(f"not done after {within:.0f} s")
        self._found.whole = ended[0] - start
        return self._found

    def close(self) -> None:
        """Stop looking."""
        signal.setitimer(signal.ITIMER_REAL, 0)


def _place(frame: FrameType | None) -> str:
    """Return the innermost place, and the innermost one of this plugin that led there."""
    ours, inner = "", ""
    while frame is not None:
        name = frame.f_globals.get("__name__", "?")
        here = f"{name}.{frame.f_code.co_name}:{frame.f_lineno}"
        if not inner and not name.startswith(
            ("importlib", "heartbeat", "psygnal", "vispy.util.event", "napari.utils.events")
        ):
            inner = here
        if name.startswith("napari_xanes"):
            ours = here
            break
        frame = frame.f_back
    return f"{ours or 'not ours'} | {inner}"
