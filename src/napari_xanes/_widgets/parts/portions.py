"""Long work on layers in portions: between two of them the window may live, if there is one.

What is done then is `busy`'s; whoever works on layers need not know it, nor Qt.
"""

from __future__ import annotations

from collections.abc import Callable

_between: list[Callable[[], None]] = []


def when_between(action: Callable[[], None]) -> Callable[[], None]:
    """Have something done between portions."""
    _between.append(action)
    return action


def breathe() -> None:
    """Say that one portion is done and another is still to come."""
    for action in _between:
        action()
