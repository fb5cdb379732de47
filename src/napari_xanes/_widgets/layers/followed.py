"""Listening to the layers that there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def follow(before: list[Any], now: list[Any], callback: Callable[..., None]) -> None:
    """Listen to other emitters than before; each connection takes napari long, so those that stay are left."""
    stay = {id(one) for one in before} & {id(one) for one in now}
    for one in before:
        if id(one) not in stay:
            one.disconnect(callback)
    for one in now:
        if id(one) not in stay:
            one.connect(callback)
