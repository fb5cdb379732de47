"""Layers of stacks that are computed on demand: they say so, and the window lives on while a plane of one is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from weakref import ref

from napari.layers import Layer

from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._core.io.hdf5 import files_kept_open
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.parts.portions import apart

SUFFIX = " (computed on demand)"


def live_with(layer: Layer) -> None:
    """Say of a stack's layer whether it is computed on demand, and let the window live while it is."""
    data, name = data_of(layer), layer.name.removesuffix(SUFFIX)
    if isinstance(data, ComputedStack):
        data.wait = _Waiting(layer)
        name += SUFFIX
    if layer.name != name:
        layer.name = name


class _Waiting:
    """Has planes of a layer computed in another thread, if it is the window that asks."""

    def __init__(self, layer: Layer) -> None:
        self._layer = ref(layer)
        self._asked = 0

    def __call__(self, make: Callable[[], Float32]) -> Float32:
        self._asked += 1
        after = partial(self._show_last, self._asked)
        return apart(partial(_with_files, make), "Computing what is shown...", after)

    def _show_last(self, asked: int) -> None:
        """Show a plane again that was asked for while this one was computed, and shown before it."""
        layer = self._layer()
        if self._asked != asked and layer is not None:
            layer.refresh()


def _with_files(make: Callable[[], Float32]) -> Float32:
    with files_kept_open():
        return make()
