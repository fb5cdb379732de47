"""What a test of the window leaves behind: widgets that no window holds, listeners of this plugin, and what is alive."""

from __future__ import annotations

import gc
from collections import Counter
from functools import partial

from napari.layers import Image
from qtpy.QtCore import QCoreApplication, QEvent, QObject
from qtpy.QtWidgets import QApplication, QWidget

import napari_xanes as nx

STAYS = {f"napari_xanes._widgets.{name}" for name in ("window.energy_text", "layers.undo", "layers.linked")}
"""The energy on the canvas, the way back and what layers keep of their own live as long as their viewer, by design."""


def open_widgets():
    """Return the widgets that nothing holds and that are alive, after those that were to be deleted have been."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    tops = QApplication.topLevelWidgets()
    return {id(one): type(one).__name__ for one in tops if one.parent() is None and not _of_others(one)}


def _of_others(widget):
    """Whether pyqtgraph made it for a plot, whose forms and menus have no parent, or Qt itself, with nothing in it."""
    of_a_plot = widget.objectName() == "Form" or type(widget).__module__.startswith("pyqtgraph")
    return of_a_plot or (type(widget) is QWidget and not widget.children())


def left_open(before):
    """Return the kinds of widgets that are open and were not before."""
    left = _new(before)
    for _ in range(3):  # some go only with what held them, when Python collects it
        if left:
            gc.collect()
            left = _new(before)
    return left


def _new(before):
    return sorted(kind for key, kind in open_widgets().items() if key not in before)


def listeners(viewer):
    """Return what of this plugin listens to a viewer or to its layers, in words."""
    return _listening(viewer) and (gc.collect() or _listening(viewer))  # the dead may wait to be collected


def _listening(viewer):
    groups = {"viewer": viewer.events, "layers": viewer.layers.events, "dims": viewer.dims.events}
    groups["selection"] = viewer.layers.selection.events
    groups |= {layer.name: layer.events for layer in viewer.layers}
    found = [
        f"{name}.{emitter_name}: {who}"
        for name, group in groups.items()
        for emitter_name, emitter in group.emitters.items()
        for callback in emitter.callbacks
        if (who := _of_this_plugin(callback))
    ]
    callbacks = [
        *viewer.mouse_move_callbacks,
        *viewer.mouse_drag_callbacks,
        *viewer.mouse_double_click_callbacks,
    ]
    return found + [f"mouse: {who}" for callback in callbacks if (who := _of_this_plugin(callback))]


def _of_this_plugin(callback):
    """Name a listener of this plugin that should have gone; empty for all others."""
    if isinstance(callback, tuple):  # a weak reference to an object, and the name of its method
        owner, method = callback[0](), callback[1]
    else:
        function = callback.func if isinstance(callback, partial) else callback
        owner, method = getattr(function, "__self__", function), getattr(function, "__name__", "")
    module = getattr(
        owner if callable(owner) and hasattr(owner, "__name__") else type(owner), "__module__", ""
    )
    if not module.startswith("napari_xanes") or module in STAYS:
        return ""
    return f"{module}.{getattr(owner, '__name__', type(owner).__name__)} {method}"


def alive():
    """Return what is alive, counted by its kind: images, stacks, results, what this plugin has of Qt, and all widgets.

    Layers of points, shapes and labels are held by buttons of napari's controls, the shortcuts of which it goes on following.
    """
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    for _ in range(3):  # some go only with what held them
        gc.collect()
    objects = [
        one for one in gc.get_objects() if isinstance(one, Image | nx.EnergyStack | nx.Result | QObject)
    ]
    ours = [
        one
        for one in objects
        if not isinstance(one, QObject) or type(one).__module__.startswith("napari_xanes")
    ]
    return Counter(type(one).__name__ for one in ours) + Counter({"widgets": len(QApplication.allWidgets())})


def grown(before, now):
    """Return the kinds of which there are more than before: a tenth, as Qt keeps tab bars of docks, and more than one.

    What a viewer has one of may come late.
    """
    return {kind: (before[kind], n) for kind, n in now.items() if n > max(1.1 * before[kind], 1)}
