"""How long the event loop of a window stands still: a timer that should beat every few milliseconds, and who kept it.

A signal looks at what the window is doing while the timer is late, so that the time can be given to whom it belongs: all
that passed since the look before, as looks come late where no Python runs.  Collections of garbage are told apart.
"""

from __future__ import annotations

import gc
import inspect
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from qtpy.QtCore import QEventLoop, Qt, QTimer

BEAT_MS = 2
LOOK_S = 0.01
NOT_OURS = "not ours"
PASSED_OVER = ("importlib", "heartbeat", "psygnal", "vispy.util.event", "napari.utils.events", "contextlib")
"""Modules whose places tell nothing."""
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
        Seconds with a processor at each place: the innermost one of this plugin, what that called, and the innermost.
    """

    longest: float = 0.0
    busy: float = 0.0
    whole: float = 0.0
    where: Counter[str] = field(default_factory=Counter)

    @property
    def ours(self) -> float:
        """Seconds of `where` in which this plugin was at work, or had others work."""
        return sum(seconds for place, seconds in self.where.items() if not place.startswith(NOT_OURS))


class Heartbeat:
    """Measures one action after another in a running event loop."""

    def __init__(self, *, look: bool = False) -> None:
        self._last = (time.perf_counter(), time.thread_time())
        self._found = Blocked()
        self._seen: Counter[str] = Counter()
        self._looked, self._collecting = 0.0, False
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        if look:
            signal.signal(signal.SIGALRM, self._on_alarm)
            signal.setitimer(signal.ITIMER_REAL, LOOK_S, LOOK_S)
            gc.callbacks.append(self._on_garbage)

    def _beat(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        gap = now - self._last[0]
        if gap > self._found.longest:
            self._found.longest, self._found.busy = gap, busy - self._last[1]
            self._found.where = self._seen
        self._begin(now, busy)

    def _begin(self, now: float, busy: float) -> None:
        self._seen, self._last, self._looked = Counter(), (now, busy), busy

    def _on_alarm(self, _: int, frame: FrameType | None) -> None:
        self._give(_place(frame) + ", garbage" * self._collecting)

    def _give(self, place: str) -> None:
        """Give to a place the time since the look before."""
        busy = time.thread_time()
        self._seen[place] += busy - self._looked
        self._looked = busy

    def _on_garbage(self, phase: str, info: dict[str, int]) -> None:
        if threading.current_thread() is threading.main_thread():
            self._on_alarm(0, inspect.currentframe())
            self._collecting = phase == "start"

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
        self._found = Blocked()
        self._begin(start, time.thread_time())
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
        if self._on_garbage in gc.callbacks:
            gc.callbacks.remove(self._on_garbage)


def _place(frame: FrameType | None) -> str:
    """Return the outermost and the innermost place of this plugin, what that called, and the innermost of all.

    Where this plugin has no part: the outermost of napari, and the innermost of all.
    """
    calls, ours = [], []
    while frame is not None:
        name = frame.f_globals.get("__name__", "?")
        if not name.startswith(PASSED_OVER):
            calls.append(f"{name}.{frame.f_code.co_name}:{frame.f_lineno}")
            if name.startswith("napari_xanes"):
                ours.append(len(calls) - 1)
        frame = frame.f_back
    if ours:
        parts = [calls[ours[-1]], calls[ours[0]], calls[max(ours[0] - 1, 0)], calls[0]]
    else:
        of_napari = [one for one in calls if one.startswith(("napari", "vispy"))]
        parts = [NOT_OURS, *of_napari[-1:], *calls[:1]]
    return " | ".join(dict.fromkeys(parts))
