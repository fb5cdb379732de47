"""How long the window stands still when it is worked in for the first time: opening, adding results, masks, undo.

    xvfb-run -a -s "-screen 0 1920x1080x24" python benchmarks/blocked.py [--look]

Each line is the longest time without an event: on the clock, and of it the time in which the window's thread had a processor;
then the time until the action was done.  napari's own share stands first, with layers of the same sizes before this plugin
is there, and last, with as many layers as there are then: for each that is removed it collects garbage, which takes the
longer, the more was loaded.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

SAMPLE = "ni_scan"
SHAPE = (61, 200, 240)
DOCKS = (
    *(
        "XANES view",
        "XANES history",
        "Corrections",
        "Alignment review",
        "Find references",
        "Maps",
        "Clusters",
    ),
    *("Masks", "XANES scatter", "Particles", "Fit residual"),
)
Row = Callable[..., None]


def bare(viewer: Any, row: Row) -> None:
    """What napari takes without us."""
    row("napari: first image", lambda: viewer.add_image(np.zeros(SHAPE, np.uint16), contrast_limits=(0, 1)))
    row("napari: next image", lambda: viewer.add_image(np.zeros(SHAPE, np.float32), contrast_limits=(0, 1)))
    row("napari: remove it", lambda: viewer.layers.pop())
    row("napari: first labels", lambda: viewer.add_labels(np.zeros(SHAPE[1:], np.uint8)))
    row("napari: remove all", viewer.layers.clear)


def bare_again(viewer: Any, row: Row) -> None:
    """What napari takes among all the layers, with our docks closed."""
    from napari_xanes._widgets.parts.dock import Dock

    for dock in [one for one in viewer.window.dock_widgets.values() if isinstance(one, Dock)]:
        viewer.window.remove_dock_widget(dock)
    row("napari: its next image", lambda: viewer.add_image(np.zeros(SHAPE[1:]), contrast_limits=(0, 1)))
    row("napari: remove it", lambda: viewer.layers.pop())
    row("napari: its next labels", lambda: viewer.add_labels(np.zeros(SHAPE[1:], np.uint8)))
    row("napari: remove them", lambda: viewer.layers.pop())
    row("garbage collected", gc.collect)


def work(viewer: Any, row: Row) -> None:
    """From opening a sample to masks, and back."""
    row("open the first sample", lambda: viewer.open_sample("napari-xanes", SAMPLE))
    docks: dict[str, Any] = {}

    def dock(name: str) -> None:
        docks[name] = viewer.window.add_plugin_dock_widget("napari-xanes", name)[1]

    row("dock XANES workflow", partial(dock, "XANES workflow"))
    row("dock XANES spectrum", partial(dock, "XANES spectrum"))
    workflow = docks["XANES workflow"]
    redo = workflow.redo.click if hasattr(workflow, "redo") else lambda: None
    for key in ("preprocess", "align", "normalize", "fit"):
        ended: list[Any] = []
        panel = workflow.panels[key]
        panel.done.connect(lambda *_, e=ended: e.append(1))
        row(f"run {key}", panel.runner.run.click, partial(bool, ended))
    masks = workflow.masks
    row("unfold masks", partial(workflow.open_step, "masks"))
    row("Otsu, with preview", masks.otsu.click, lambda: "inside" in masks.found.text())
    row("keep as mask", masks.keep.click)
    row("undo mask", workflow.undo.click)
    row("redo mask", redo)
    row("undo mask again", workflow.undo.click)
    row("undo fit", workflow.undo.click)
    row("redo fit", redo)
    row("new region", docks["XANES spectrum"].tools.new_region.click)
    region = viewer.layers.selection.active
    row("draw it", lambda: region.add_rectangles([[[60, 60], [60, 90], [95, 90], [95, 60]]]))
    row("draw another", lambda: region.add_rectangles([[[20, 150], [20, 180], [45, 180], [45, 150]]]))
    viewer.layers.remove(region)
    row("undo all", lambda: [workflow.undo.click() for _ in range(3)])
    for name in DOCKS:
        row(f"dock {name}", partial(dock, name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--look", action="store_true", help="also tell where the time goes")
    args = parser.parse_args()
    os.environ["NAPARI_CONFIG"] = f"{tempfile.mkdtemp()}/settings.yaml"
    import napari
    from heartbeat import Heartbeat

    viewer = napari.Viewer(show=True)
    beat = Heartbeat(look=args.look)

    def row(name: str, action: Callable[[], object], done: Callable[[], bool] = lambda: True) -> None:
        found = beat.measure(action, done)
        print(f"{name:26}{found.longest:8.2f}{found.busy:8.2f}{found.whole:8.2f}", flush=True)
        if args.look:
            for place, seconds in found.where.most_common(8):
                print(f"      {seconds:6.3f} {place}")

    beat.measure(lambda: None)
    print(f"{'seconds':26}{'longest':>8}{'busy':>8}{'whole':>8}")
    bare(viewer, row)
    work(viewer, row)
    bare_again(viewer, row)
    beat.close()
    viewer.close()


if __name__ == "__main__":
    main()
