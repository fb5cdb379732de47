"""Long work on layers in portions, or apart: between two portions, and meanwhile, the window may live, if there is one.

What is done then is `busy`'s; whoever works on layers need not know it, nor Qt.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Way = Callable[[Callable[[], Any], str, Callable[[], None]], Any]

_between: list[Callable[[], None]] = []
_ways: list[Way] = []


def when_between(action: Callable[[], None]) -> Callable[[], None]:
    """Have something done between portions."""
    _between.append(action)
    return action


def breathe() -> None:
    """Say that one portion is done and another is still to come."""
    for action in _between:
        action()


@contextmanager
def garbage_apart() -> Iterator[None]:
    """Have Python collect no garbage meanwhile, as it does now and then where many objects are made, but in a portion after.

    To go through all that napari holds of twenty layers takes longer than to make one more.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        try:
            breathe()
        finally:
            gc.enable()


def when_apart(way: Way) -> Way:
    """Have jobs that may take long done in a way."""
    _ways.append(way)
    return way


def apart(job: Callable[[], T], words: str, after: Callable[[], None]) -> T:
    """Return what a job gives that touches no widget and no layer.

    If it takes long, `words` say what is going on, and `after` is called once all is as it was: other things may have
    happened meanwhile.
    """
    made: T = _ways[-1](job, words, after) if _ways else job()
    return made
