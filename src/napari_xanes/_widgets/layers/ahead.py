"""What takes seconds when it is needed for the first time, done before in another thread.

napari compiles what draws Labels and Shapes layers when the first is made, and parts of scikit-image load much of scipy.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from threading import Thread

import numpy as np
from napari.layers import Labels, Shapes
from pint import get_application_registry

from napari_xanes._widgets.layers.label_colors import label_colors, mask_colors

_MODULES = ("skimage.measure",)


def hear_nothing_of_colors() -> None:
    """Leave out what scikit-image warns of where napari makes colours; to be said again by who hears all warnings."""
    warnings.filterwarnings("ignore", "Conversion from CIE-LAB", UserWarning)


@cache
def get_ready() -> Thread:
    """Begin, once; returns the thread.

    The registry of units, which pint sets up when it is asked first, is not for two threads at once: it is asked here.
    Nor is what napari does to hear no warning while it makes colours: numba does the same, and each takes back the other's.
    Whoever takes back filters of warnings meanwhile may make one an error; what is not ready then is made when needed.
    """
    hear_nothing_of_colors()
    _ = get_application_registry().pixel
    thread = Thread(target=_get_ready, name="napari-xanes: getting ready")
    thread.start()
    return thread


def _get_ready() -> None:
    for dtype in (np.uint8, np.int32):  # of masks and clusters, of particles
        for colors in (mask_colors(), label_colors()):
            with suppress(Warning):
                Labels(np.zeros((2, 2), dtype), colormap=colors)
    Shapes()
    for module in _MODULES:
        import_module(module)
