"""Layers that the user links: they share how they look, not what they are.

napari links all that layers have in common, also where they lie and their metadata: a map that is made again would tell
the others that they are this map, too.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ReferenceType, ref

from napari.experimental import unlink_layers

OWN = ("metadata", "scale", "translate", "units", "axis_labels")


def keep_own(viewer: Any) -> None:
    """Have layers of this plugin keep what is their own from now on, whatever they are linked to."""
    viewer.layers.selection.events.changed.connect(partial(_keep_own, ref(viewer)))
    _keep_own(ref(viewer))


def _keep_own(viewer: ReferenceType[Any], event: Any = None) -> None:
    """Napari says that layers were linked as if they had been selected."""
    window = viewer()
    for layer in [] if window is None else window.layers:
        if "xanes" in layer.metadata:
            unlink_layers([layer], OWN)
