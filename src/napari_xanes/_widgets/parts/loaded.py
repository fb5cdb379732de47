"""What is loaded stays loaded, and need not be gone through whenever garbage is collected.

napari collects garbage for every layer that is removed, and Python does now and then while layers are made: among the
400,000 objects of napari and what it loads, a quarter of a second each time.  Nothing is left out that may have to go:
it is done while no viewer has a layer, and undone when a window closes.
"""

from __future__ import annotations

import gc
from typing import Any

from napari import Viewer
from qtpy.QtWidgets import QApplication, QMainWindow

_left_out = False


def leave_out_loaded(viewer: Any) -> None:
    """Leave what there is now out when garbage is collected, if no layer is among it and nothing was left out before.

    Layers of other windows are none of this viewer's, but would be kept as well.
    """
    viewers = (viewer, *Viewer._instances)  # noqa: SLF001 - napari has no other list of those that are open
    global _left_out
    if _left_out or any(len(one.layers) for one in viewers):
        return
    windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, QMainWindow)]
    for window in windows:
        window.destroyed.connect(_take_in)
    if windows:
        gc.freeze()
        _left_out = True


def _take_in(_: Any) -> None:
    global _left_out
    gc.unfreeze()
    _left_out = False
