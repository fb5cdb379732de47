"""What the docks add to napari's own time on a large stack: hovering, sliding, painting, dragging a window.

    xvfb-run -a -s "-screen 0 1920x1080x24" python benchmarks/window.py [--size 2048] [--energies 100]

Every action is done with and without the docks in one run, when all panels are made; a time ends when Qt has nothing left
to do.  The last column is the time in which the window's thread had a processor, which others on the machine change less.
During a fit in the background, until its maps are shown, it is measured how long the event loop is kept from running.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import make_stack
from heartbeat import Heartbeat

import napari_xanes as nx

REPEATS = 40


def settled(app: Any, done: Callable[[], bool] = lambda: True) -> None:
    """Let Qt work until nothing is left and `done` says so."""
    end = time.perf_counter() + 5
    while time.perf_counter() < end:
        app.processEvents()
        if done():
            app.processEvents()
            return


def timed(app: Any, action: Callable[[int], None], done: Callable[[], bool] = lambda: True) -> np.ndarray:
    """Return milliseconds (2, n) of some actions: on the clock, and with a processor."""
    times = []
    for k in range(REPEATS):
        start = time.perf_counter(), time.thread_time()
        action(k)
        settled(app, done)
        times.append((time.perf_counter() - start[0], time.thread_time() - start[1]))
    return 1e3 * np.array(times[3:]).T


def line(name: str, bare: np.ndarray, ours: np.ndarray) -> None:
    """Print what is added, median and 95 %."""
    added = [np.percentile(ours[0], q) - np.percentile(bare[0], q) for q in (50, 95)]
    busy = np.median(ours[1]) - np.median(bare[1])
    print(
        f"{name:38}{np.median(bare[0]):9.1f}{np.median(ours[0]):9.1f}{added[0]:12.1f}{added[1]:9.1f}{busy:9.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--energies", type=int, default=100)
    args = parser.parse_args()
    folder = tempfile.mkdtemp()
    os.environ["NAPARI_CONFIG"] = f"{folder}/settings.yaml"
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_xanes._widgets.layers.layers import add_stack
    from napari_xanes._widgets.spectrum.dock import XanesSpectrum
    from napari_xanes._widgets.window.launch import add_workflow

    mu, energy, references = make_stack(args.size, args.energies)
    viewer = napari.Viewer(show=True)
    app = QApplication.instance()
    layer = add_stack(viewer, nx.EnergyStack(mu, energy, "optical_density", name="stack"))
    labels = viewer.add_labels(
        np.zeros(mu.shape[1:], np.uint8), scale=tuple(layer.scale)[-2:], units=tuple(layer.units)[-2:]
    )
    labels.brush_size = 40
    rng = np.random.default_rng(0)
    places = rng.integers(100, args.size - 100, (REPEATS, 2))

    def slide(k: int) -> None:
        viewer.dims.set_current_step(0, (7 * k) % args.energies)

    def paint(k: int) -> None:
        labels.paint(tuple(places[k]), 1 + (labels.data[tuple(places[k])] + 1) % 3)

    settled(app)
    bare = {"slider step": timed(app, slide), "painting": timed(app, paint)}
    workflow = add_workflow(viewer)
    (dock,) = viewer.window._qt_window.findChildren(XanesSpectrum)
    viewer.layers.selection.active = layer
    beat = Heartbeat()
    beat.measure(lambda: None, lambda: not workflow._rest.isActive(), quiet=2)

    def hover(k: int) -> None:
        position = layer.data_to_world((0, *places[k]))
        dock._on_move(dock.viewer, SimpleNamespace(modifiers=("Shift",), position=position))

    def drag(k: int) -> None:
        hi = energy[args.energies // 4] - 0.2 * (k % 5)
        dock.plot.windows["pre_edge"].setRegion((energy[1], hi))

    quiet = {
        "hover": lambda: not dock._hover_timer.isActive(),
        "painting": lambda: not dock._region_timer.isActive(),
        "drag": lambda: not dock._redraw_timer.isActive(),
    }
    nothing = np.zeros((2, REPEATS - 3))
    print(f"{args.energies} x {args.size} x {args.size} float32; milliseconds")
    print(f"{'action':38}{'napari':>9}{'with us':>9}{'added: median':>14}{'95 %':>7}{'busy':>9}")
    line("hover to redrawn spectrum", nothing, timed(app, hover, quiet["hover"]))
    line("slider step", bare["slider step"], timed(app, slide))
    line("window drag", nothing, timed(app, drag, quiet["drag"]))
    preview = workflow.panels["normalize"].preview
    workflow.open_step("normalize")
    preview.box.setChecked(True)
    settled(app, lambda: preview.layer() is not None)
    quiet["preview"] = lambda: not (preview._timer.isActive() or preview.background.running)
    settled(app, quiet["preview"])
    line("window drag with preview", nothing, timed(app, drag, quiet["drag"]))
    settled(app, quiet["preview"])
    line("window drag, until preview is drawn", nothing, timed(app, drag, quiet["preview"]))
    preview.stop()
    viewer.layers.selection.active = layer
    settled(app)
    line("painting, until it is painted", bare["painting"], timed(app, paint))
    line("painting, until its curve is drawn", bare["painting"], timed(app, paint, quiet["painting"]))

    files = []
    for one in references[:2]:
        files.append(f"{folder}/{one.name}.txt")
        np.savetxt(files[-1], np.c_[one.energy, one.mu], header="energy mu")
    panel = workflow.panels["fit"]
    panel.forms["fit"].editors["references"].add(files)
    for which in ("the first", "another"):
        found = beat.measure(panel.run, lambda: not panel.runner.background.running)
        longest, busy = 1e3 * found.longest, 1e3 * found.busy
        print(
            f"{f'event loop stands still, {which} fit':38}{0:9.1f}{longest:9.1f}{longest:12.1f}{longest:9.1f}{busy:9.1f}"
        )
    viewer.close()


if __name__ == "__main__":
    main()
