"""How long work reports itself and is stopped.

A progress callback is ``callback(done, total, text)``; it is called from any thread, often, and stops
the work by raising `Cancelled`.  Bars and buttons live with those who pass the callback.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]


def no_progress(done: int, total: int, text: str) -> None:
    """Report to nobody."""
