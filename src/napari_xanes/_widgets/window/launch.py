"""napari with data and the workflow, for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.io import read_stack
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.runs.result_file import load_result
from napari_xanes._widgets.layers.layers import add_stack, put_result
from napari_xanes._widgets.parts.view import show_all
from napari_xanes._widgets.window.workflow import XanesWorkflow

PLUGIN = "napari-xanes"
LAID_OUT_MS = 200
"""After this time docks have their sizes, and the picture can be fitted into what they leave."""


def open_result(stack: EnergyStack | str | Path, result: str | Path) -> None:
    """Open a scan and what was made of it, with the workflow beside, and wait until the window is closed.

    Parameters
    ----------
    stack : EnergyStack or path
        The scan.
    result : path
        A result file.
    """
    viewer = napari.Viewer(title="napari-xanes")
    show_result(viewer, stack, result)
    napari.run()


def show_result(viewer: napari.Viewer, stack: EnergyStack | str | Path, result: str | Path) -> XanesWorkflow:
    """Put a scan, its maps and the workflow dock into a viewer."""
    opened = stack if isinstance(stack, EnergyStack) else read_stack(stack)
    made = load_result(result)
    layer = add_stack(viewer, opened)
    workflow = add_workflow(viewer)
    workflow.results.fill_forms(Recipe.of(made))
    put_result(viewer, layer, "recipe", made)
    workflow.open_step("results")
    return workflow


def open_files(paths: Sequence[str | Path]) -> None:
    """Open scans or results with the workflow beside, and wait until the window is closed."""
    viewer = napari.Viewer(title="napari-xanes")
    for path in paths:
        viewer.open(str(path), plugin=PLUGIN)
    add_workflow(viewer)
    napari.run()


def add_workflow(viewer: napari.Viewer) -> XanesWorkflow:
    """Open the workflow in a viewer, and the spectrum below the canvas."""
    widget: XanesWorkflow
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "XANES workflow")
    viewer.window.add_plugin_dock_widget(PLUGIN, "XANES spectrum")
    QTimer.singleShot(LAID_OUT_MS, partial(show_all, viewer))
    return widget
