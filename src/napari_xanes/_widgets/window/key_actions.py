"""What the keys of the workflow do; each takes the viewer and says in a sentence why it can do nothing."""

from __future__ import annotations

from typing import Any

from napari.layers import Layer
from napari.utils.notifications import show_info

from napari_xanes._widgets.layers.layers import lineage
from napari_xanes._widgets.layers.masks import mask_layers
from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.spectrum.dock import XanesSpectrum
from napari_xanes._widgets.spectrum.regions import draw_region
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.view.dock import XanesView
from napari_xanes._widgets.view.layers import scan_maps, show_these

PLUGIN = "napari-xanes"
NO_STACK = "There is no stack yet; open a scan."


def toggle_spectrum(viewer: Any) -> None:
    """Open the spectrum dock, or close it."""
    found = _docked(viewer, XanesSpectrum)
    if found is None:
        viewer.window.add_plugin_dock_widget(PLUGIN, "XANES spectrum")
    else:
        viewer.window.remove_dock_widget(found)


def open_view(viewer: Any) -> None:
    """Open the dock in which maps are mixed in colour."""
    if _docked(viewer, XanesView) is None:
        viewer.window.add_plugin_dock_widget(PLUGIN, "XANES view")


def pin_spectrum(viewer: Any) -> None:
    """Pin the pixel under the cursor."""
    spectrum = _docked(viewer, XanesSpectrum)
    if spectrum is None:
        show_info("Open the spectrum dock first; pins are drawn there.")
    else:
        spectrum.pin(viewer.cursor.position)


def run_open_step(viewer: Any) -> None:
    """Press Run of the step that is unfolded."""
    sections = workflow_of(viewer).sections.values()
    opened = [one.panel for one in sections if one.is_open() and isinstance(one.panel, StepPanel)]
    if not opened:
        show_info("No step is open; click on the title of one.")
    elif not opened[0].runner.run.isEnabled():
        show_info(opened[0].plan.text() or NO_STACK)
    else:
        opened[0].runner.run.click()


def cancel_step(viewer: Any) -> None:
    """Press Cancel of the steps that are running."""
    running = [one for one in workflow_of(viewer).panels.values() if one.runner.background.running]
    for panel in running:
        panel.runner.cancel.click()
    if not running:
        show_info("No step is running.")


def undo_step(viewer: Any) -> None:
    """Take the last step back."""
    workflow_of(viewer).undo_step()


def toggle_before(viewer: Any) -> None:
    """Show the chosen stack, or the one that it was made from."""
    layer = _chosen(viewer)
    line = [] if layer is None else lineage(viewer, layer)
    if len(line) < 2:
        show_info("There is no earlier stack to compare with; run Align first.")
    else:
        show_these(viewer, [line[1] if line[0].visible else line[0]])


def toggle_mask(viewer: Any) -> None:
    """Show the mask and other labels, or hide them."""
    masks = mask_layers(viewer)
    visible = not any(one.visible for one in masks)
    for one in masks:
        one.visible = visible
    if not masks:
        show_info("There is no mask yet; make one in the step Masks.")


def next_map(viewer: Any) -> None:
    """Show the next map of the chosen scan alone."""
    maps = scan_maps(viewer, _chosen(viewer))
    if not maps:
        show_info("There are no maps yet; run Normalise or Fit.")
        return
    shown = [k for k, one in enumerate(maps) if one.visible]
    show_these(viewer, [maps[(shown[0] + 1) % len(maps) if shown else 0]])


def new_region(viewer: Any) -> None:
    """Make the user ready to draw a rectangle on the chosen stack."""
    layer = _chosen(viewer)
    if layer is None:
        show_info(NO_STACK)
    else:
        draw_region(viewer, layer)


def _chosen(viewer: Any) -> Layer | None:
    chosen: Layer | None = workflow_of(viewer).chooser.layer()
    return chosen


def _docked(viewer: Any, kind: type[Any]) -> Any:
    """Return the widget of a dock that is open, or None."""
    return next((one for one in viewer.window.dock_widgets.values() if isinstance(one, kind)), None)
