"""The layer on which a frame is seen over its reference, to be dragged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4
from weakref import ref

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.session import add_layer

CHECK = "alignment check"


class CheckLayer:
    """Shows pictures on the canvas.

    Parameters
    ----------
    viewer : Viewer
    moved : callable
        Called with the px (down, to the right) by which the picture was dragged.
    """

    def __init__(self, viewer: Any, moved: Callable[[float, float], None]) -> None:
        self._viewer, self._moved = viewer, moved
        self._before: Callable[[], Layer | None] = lambda: None

    def layer(self) -> Layer | None:
        """Return the layer, if it is there."""
        return next((one for one in self._viewer.layers if about(one).get("kind") == "check"), None)

    def show(self, picture: NDArray[Any], stack: Layer) -> None:
        """Show a picture where a stack lies."""
        shown = self.layer()
        if shown is not None:
            shown.data = picture
            return
        said = {"kind": "check", "id": uuid4().hex, "made_from": about(stack)["id"]}
        geometry = {key: tuple(getattr(stack, key))[-2:] for key in ("scale", "translate", "units")}
        before = self._viewer.layers.selection.active
        self._before = (lambda: None) if before is None else ref(before)
        made = Image(picture, rgb=True, name=CHECK, metadata={"xanes": said}, **geometry)
        shown = add_layer(self._viewer, made)
        shown.mouse_drag_callbacks.append(self._on_drag)

    def set_visible(self, seen: bool) -> None:
        """Show the layer or hide it, if it is there."""
        shown = self.layer()
        if shown is not None:
            shown.visible = seen

    def remove(self) -> None:
        """Take the layer away; what was chosen before is chosen again."""
        shown = self.layer()
        if shown is not None:
            shown.mouse_drag_callbacks.clear()
            chosen = self._viewer.layers.selection.active is shown
            self._viewer.layers.remove(shown)
            before = self._before()
            if chosen and before in self._viewer.layers:
                self._viewer.layers.selection.active = before

    def _on_drag(self, layer: Layer, event: Any) -> Iterator[None]:
        """Let the frame follow the mouse."""
        start = np.array(layer.world_to_data(event.position)[-2:])
        yield
        while event.type == "mouse_move":
            now = np.array(layer.world_to_data(event.position)[-2:])
            self._moved(*(now - start))
            start = now
            event.handled = True
            yield
