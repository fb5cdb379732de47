"""The docks as napari's menus name them: light to load itself, each dock is loaded when it is opened for the first time.

What it is made of takes seconds to load then; the window lives on meanwhile, and says what it is doing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari import current_viewer
from qtpy.QtCore import QTimer

from napari_xanes._widgets.parts.busy import wait_for
from napari_xanes._widgets.parts.loaded import leave_out_loaded
from napari_xanes._widgets.parts.portions import breathe

SOON_MS = 1500
"""ms after which a dock is there, and what is needed later can be made ready."""
_WIDGETS = __name__.rsplit(".", 2)[0]
_HOMES = {
    "AlignReview": "review.dock",
    "XanesScatter": "scatter.dock",
    "XanesSpectrum": "spectrum.dock",
    "XanesView": "view.dock",
    "XanesHistory": "history.dock",
    "XanesBatch": "jobs.batch",
    "import_stack": "window.import_dialog",
}
"""Where docks live that are not beside the workflow."""
_CORE = ("recipe.steps", "runs.export", "runs.result_file", "recipe.edited")
_OTHERS = ("pyqtgraph", f"{_WIDGETS}.jobs.preview", f"{_WIDGETS}.layers.masks", f"{_WIDGETS}.steps.table")
"""What docks have in common, loaded in portions: it may make things of Qt, which belong to the window's thread."""


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    wait_for(_load_core, "Loading the steps of XANES imaging")
    for other in _OTHERS:
        import_module(other)
        breathe()
    viewer = current_viewer()
    if viewer is not None:
        leave_out_loaded(viewer)
    QTimer.singleShot(SOON_MS, _get_ready)
    return getattr(import_module(f"{_WIDGETS}.{_HOMES.get(name, 'window.workflow')}"), name)


def _get_ready() -> None:
    from napari_xanes._widgets.layers.ahead import get_ready

    get_ready()


def _load_core() -> None:
    """Load what knows no window, which can be done in any thread."""
    for module in _CORE:
        import_module(f"napari_xanes._core.{module}")
