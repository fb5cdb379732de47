"""Volumes on disk that are computed on demand: a plane beyond reading what it needs, and hovering in the window.

    xvfb-run -a -s "-screen 0 1920x1080x24" python benchmarks/views.py [--energies 40] [--shape 24 512 512] [--folder .]

Writes volumes of optical density that are displaced from one another, applies that drift, normalises them on demand, and
looks at planes of energies and depths in turn.  Reading is that of the same rows of the file, which lies in the
memory of the system.  Beside the time is that of all processors, which does not grow where others use them, and the part of
this thread: where the window is drawn without a graphics card, what draws it takes as much again.  The volumes are removed
afterwards.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from volumes import REACH, write_scan

REPEATS = 20


def milliseconds(action: Callable[[], Any]) -> np.ndarray:
    """Return the time that something takes, that of all processors, and what this thread has of it."""
    clocks = time.perf_counter, time.process_time, time.thread_time
    start = [clock() for clock in clocks]
    action()
    return 1e3 * (np.array([clock() for clock in clocks]) - start)


def tell(name: str, times: list[np.ndarray]) -> None:
    print(
        f"{name:44}", *(f"{value:9.1f}" for value in np.percentile(times, [50, 95], axis=0).T.ravel()), sep=""
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--energies", type=int, default=40)
    parser.add_argument("--shape", type=int, nargs=3, default=[24, 512, 512], metavar=("Z", "Y", "X"))
    parser.add_argument("--folder", type=Path, help="where the volumes are written for the time being")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        os.environ["NAPARI_CONFIG"] = f"{name}/settings.yaml"
        look_at(Path(name), tuple(args.shape), args.energies)


def look_at(folder: Path, shape: tuple[int, int, int], energies: int) -> None:
    import napari_xanes as nx
    from napari_xanes._core.runs.pipeline import run_steps

    stack = nx.read_stack(write_scan(folder, shape, energies, "file"), signal="optical_density")
    rng = np.random.default_rng(1)
    shifts = np.loadtxt(folder / "shifts.txt") + rng.uniform(-0.5, 0.5, (energies, 3))
    nx.Drift.from_shifts(shifts).save(folder / "drift.json")
    steps = [{"do": "align", "drift": str(folder / "drift.json")}, {"do": "normalize"}]
    recipe = nx.Recipe.from_dict({"schema": 1, "step": steps})
    made = run_steps(stack, recipe.steps, keep_stack=True, on_demand=True).stack
    places = [
        (int(rng.integers(energies)), int(rng.integers(REACH, shape[0] - REACH))) for _ in range(REPEATS)
    ]

    def needed(i: int, z: int) -> None:
        first = z + int(np.floor(shifts[i, 0])) - 3
        np.asarray(stack.data[i, max(first, 0) : first + 8])

    print(
        f"{energies} x {' x '.join(map(str, shape))} float32, aligned and normalised on demand; milliseconds"
    )
    print(f"{'':44}{'median':>9}{'95 %':>9}{'work':>9}{'95 %':>9}{'thread':>9}{'95 %':>9}")
    reading = [milliseconds(lambda at=at: needed(*at)) for at in places]
    planes = [milliseconds(lambda at=at: made.data[at]) for at in places]
    tell("a plane: reading the eight planes it needs", reading)
    tell("a plane, first look", planes)
    tell("beyond reading", [one - other for one, other in zip(planes, reading, strict=True)])
    tell("a plane, looked at before", [milliseconds(lambda at=at: made.data[at]) for at in places[-3:]])
    hover(made, shape)


def hover(stack: Any, shape: tuple[int, int, int]) -> None:
    """Move over a plane whose spectra were read, until the curve is drawn."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_xanes._widgets.layers.layers import add_stack
    from napari_xanes._widgets.spectrum.dock import XanesSpectrum

    viewer = napari.Viewer(show=True)
    layer = add_stack(viewer, stack)
    dock = XanesSpectrum(viewer)
    viewer.window.add_dock_widget(dock, area="bottom")
    app, z = QApplication.instance(), shape[0] // 2

    def over(y: int, x: int) -> None:
        position = layer.data_to_world((0, z, y, x))
        dock._on_move(dock.viewer, SimpleNamespace(modifiers=("Shift",), position=position))
        app.processEvents()
        while dock.waiting():
            app.processEvents()

    middle = (shape[1] // 2, shape[2] // 2)
    first = milliseconds(lambda: over(*middle))
    times = [milliseconds(lambda k=k: over(middle[0] + k % 5, middle[1] + k)) for k in range(REPEATS)]
    tell("hover, first in its neighbourhood", [first])
    tell("hover to redrawn spectrum", times)
    viewer.close()


if __name__ == "__main__":
    main()
