"""Layers of stacks that are computed on demand: they say so, and the window lives on while a plane of one is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet, ref

from napari.layers import Layer
from napari.utils.notifications import show_info

from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.io.hdf5 import files_kept_open
from napari_xanes._core.runs.needs import size_text
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.layers.session import real_viewer, session_of
from napari_xanes._widgets.parts.portions import apart

SUFFIX = " (computed on demand)"
AT_ONCE = 2**26
"""Bytes of a volume that is computed unasked when the view turns to 3D."""


def live_meanwhile(data: Any) -> None:
    """Let the window live while a plane is computed, if data are computed on demand; before a layer shows them."""
    if isinstance(data, ComputedStack) and not isinstance(data.wait, _Waiting):
        data.wait = _Waiting()


def live_with(layer: Layer) -> None:
    """Say of a stack's layer whether it is computed on demand, and let the window live while it is."""
    data, name = data_of(layer), layer.name
    if isinstance(data, ComputedStack):
        live_meanwhile(data)
        assert isinstance(data.wait, _Waiting)
        data.wait.layers.add(_itself(layer))
        name += SUFFIX if SUFFIX not in name else ""
    else:
        name = name.replace(SUFFIX, "")
    if layer.name != name:
        layer.name = name


def ask_before_3d(viewer: Any) -> None:
    """Hide volumes that would take long to compute in 3D, and say so: who wants to see one shows it."""
    session = session_of(viewer)
    if session.in_3d is None:
        session.in_3d = _In3D(real_viewer(viewer))


def show_in_place(viewer: Any, layer: Layer) -> None:
    """Show a layer in the place of those that were hidden as the view turned to 3D; a large one only in 2D."""
    in_3d, layer = session_of(viewer).in_3d, _itself(layer)
    if in_3d is not None:
        told = layer in in_3d.hidden
        in_3d.hidden.clear()
        if told:
            in_3d.hidden.add(layer)
            return
    if not layer.visible:
        show(viewer, layer)


def show(viewer: Any, layer: Layer) -> None:
    """Show a layer; a large volume only in 2D."""
    in_3d = session_of(viewer).in_3d
    if in_3d is None or not in_3d.hide_large([layer]):
        layer.visible = True


class _In3D:
    """Hides large volumes as the view turns to 3D, and as they come while it is; in 2D they are shown again.

    Attributes
    ----------
    hidden : set of Layer
        Those that are hidden and that nobody has touched since.
    """

    __module__ = "napari.components"  # napari calls all others after its own, which show the volumes

    def __init__(self, viewer: Any) -> None:
        self._viewer, self.hidden = ref(viewer), WeakSet[Layer]()
        viewer.dims.events.ndisplay.connect(self.turned, position="first")
        viewer.layers.events.inserted.connect(self.inserted, position="first")

    def turned(self, event: Any) -> None:
        """Hide what is too large before napari asks for all of it; in 2D show it, unless another took its place."""
        viewer = self._viewer()
        assert viewer is not None
        if viewer.dims.ndisplay == 3:
            self.hide_large([one for one in viewer.layers if one.visible])
            return
        again = [one for one in viewer.layers if one in self.hidden]
        self.hidden.clear()
        if not any(one.visible and _is_stack(one) for one in viewer.layers):
            for layer in again:
                layer.visible = True

    def inserted(self, event: Any) -> None:
        """Hide a large one that comes, before napari asks for it."""
        if event.value.visible:
            self.hide_large([event.value])

    def touched(self, event: Any) -> None:
        """Leave to the user what they have shown."""
        self.hidden.discard(event.source)

    def hide_large(self, layers: list[Layer]) -> bool:
        """Hide volumes that are too large to be computed unasked, if the view is 3D; whether there are any."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay != 3:
            return False
        large = [one for one in map(_itself, layers) if _volume_bytes(one) > AT_ONCE]
        for layer in large:
            layer.visible = False
            self.hidden.add(layer)
            layer.events.visible.connect(self.touched)
        if large:
            names = " and ".join(one.name.removesuffix(SUFFIX) for one in large)
            show_info(
                f"{names}: computed on demand, and a volume of {size_text(_volume_bytes(large[0]))} would be for every energy "
                "in 3D, so it was hidden; show the layer to have that done, or look at maps."
            )
        return bool(large)


def _is_stack(layer: Layer) -> bool:
    return bool((layer.metadata.get("xanes") or {}).get("kind") == "stack")


def _itself(layer: Layer) -> Layer:
    return getattr(layer, "__wrapped__", layer)


def _volume_bytes(layer: Layer) -> int:
    """Return the bytes of a volume that is computed on demand, 0 for anything else."""
    data = data_of(layer)
    return data.nbytes // len(data) if isinstance(data, ComputedStack) and data.ndim > 3 else 0


class _Waiting:
    """Has planes of a stack computed in another thread, if it is the window that asks.

    Attributes
    ----------
    layers : set of Layer
        Those that show the stack, or did: a layer that is duplicated shows the same.
    """

    def __init__(self) -> None:
        self.layers: WeakSet[Layer] = WeakSet()
        self._asked = 0

    def __call__(self, make: Callable[[], Float32]) -> Float32:
        self._asked += 1
        after = partial(self._show_last, self._asked)
        return apart(partial(_with_files, make), "Computing what is shown...", after)

    def _show_last(self, asked: int) -> None:
        """Show a plane again that was asked for while this one was computed, and shown before it."""
        if self._asked == asked:
            return
        for layer in list(self.layers):
            if getattr(data_of(layer), "wait", None) is self:
                layer.refresh()


def _with_files(make: Callable[[], Float32]) -> Float32:
    with files_kept_open():
        return make()
