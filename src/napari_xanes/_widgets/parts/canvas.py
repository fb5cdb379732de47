"""The context in which OpenGL draws layers, which must be the current one when napari removes what drew them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def make_canvas_current(viewer: Any) -> None:
    """Make the context of a viewer's canvas the current one again: after a window was drawn it is that window's.

    What waits to be made or deleted would be so in that, and the names of one mean other things in the other: to draw
    on fails, or crashes.
    """
    shown = getattr(getattr(viewer, "window", None), "_qt_viewer", None)
    canvas = None if shown is None else shown.canvas.view.canvas
    if canvas is not None:
        with suppress(RuntimeError):  # its window may have been closed
            canvas.set_current()
