"""Layers of stacks that are computed on demand: they say so, and the window lives on while a plane of one is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

from napari.layers import Layer

from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.io.hdf5 import files_kept_open
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.parts.portions import apart

SUFFIX = " (computed on demand)"


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
        data.wait.layers.add(getattr(layer, "__wrapped__", layer))
        name += SUFFIX if SUFFIX not in name else ""
    else:
        name = name.replace(SUFFIX, "")
    if layer.name != name:
        layer.name = name


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
