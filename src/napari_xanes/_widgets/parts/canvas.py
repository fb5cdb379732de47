"""The context in which OpenGL draws layers, which must be the current one when napari removes what drew them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from vispy.gloo import get_current_canvas


def make_canvas_current(event: Any = None) -> None:
    """Make the context of the canvas the current one again: after the window was drawn it is the window's.

    What waits to be made or deleted would be so in that, and the names of one mean other things in the other: to draw
    on fails, or crashes.
    """
    canvas = get_current_canvas()
    if canvas is not None:
        with suppress(RuntimeError):  # it may still be that of a window which was closed
            canvas.set_current()
