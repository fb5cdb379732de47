"""Make the pictures of the README and the docs: the sample goes through all steps in a real napari window.

Run as ``xvfb-run -a -s "-screen 0 1920x1080x24" python tools/screenshots.py``.  With ``--every DIR`` all pictures are
taken at 1366 x 768 and 1920 x 1080, dark and light, and of every dock by itself besides, to be looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
"""Here only the pictures that the docs show are written."""
SIZES = ((1366, 768), (1920, 1080))
THEMES = ("dark", "light")
LEAST_ROUNDS = 30
"""Of events, as drawing takes long without a graphics card."""
BAR = 28
"""px that the desktop's own bar takes of the height."""


def main() -> None:
    """Take the pictures, of each theme and size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--theme", default="dark", choices=THEMES)
    parser.add_argument("--size", type=int, nargs=2, default=SIZES[0], help="width and height of the screen")
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--docks", action="store_true", help="every dock by itself as well")
    parser.add_argument("--every", type=Path, help="folder for all sizes and themes")
    options = parser.parse_args()
    if options.every:
        for width, height in SIZES:
            for theme in THEMES:
                out = options.every / f"{width}x{height}_{theme}"
                sizes = ["--size", str(width), str(height)]
                subprocess.run(
                    [sys.executable, __file__, "--theme", theme, *sizes, "--out", str(out), "--docks"],
                    check=True,
                )
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with own_settings():
        tour = Tour(options.theme, options.out, tuple(options.size))
        tour.steps()
        if options.docks:
            tour.docks()
        tour.viewer.close()


def used() -> set[str]:
    """Return the names of the pictures that the docs show."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return {name for page in pages for name in re.findall(r"images/(\w+)\.png", page.read_text("utf-8"))}


@contextmanager
def own_settings() -> Iterator[None]:
    """Leave the settings and the cache of the user untouched."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["XDG_CACHE_HOME"] = os.environ["XDG_CONFIG_HOME"] = folder
        yield


class Tour:
    """A sample in a window, and pictures of it."""

    def __init__(self, theme: str, out: Path, size: tuple[int, int], sample: str = "ni_scan") -> None:
        import napari

        from napari_xanes._widgets.window.launch import add_workflow

        self.out = out
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = theme
        self.viewer.window.resize(size[0], size[1] - BAR)
        (self.layer,) = self.viewer.open_sample("napari-xanes", sample)
        self.workflow = add_workflow(self.viewer)
        self.settle(at_most=2)

    def settle(self, until: Callable[[], bool] = lambda: False, at_most: float = 0.5) -> None:
        """Let the window work until something is so, or for a time."""
        from qtpy.QtWidgets import QApplication

        end, rounds = time.monotonic() + at_most, 0
        while (time.monotonic() < end or rounds < LEAST_ROUNDS) and not until():
            QApplication.processEvents()
            time.sleep(0.01)
            rounds += 1

    def picture(self, name: str) -> None:
        """Take a picture of the window, without notifications."""
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        if self.out == IMAGES and name not in used():
            return
        for said in self.viewer.window._qt_window.findChildren(NapariQtNotification):
            said.close()
        self.settle()
        self.viewer.screenshot(str(self.out / f"{name}.png"), canvas_only=False, flash=False)
        print(self.out / f"{name}.png")

    def run(self, panel: Any) -> None:
        """Run a panel's step and wait for it."""
        panel.run()
        self.settle(lambda: not panel.runner.background.running, 120)

    def step(self, key: str, name: str = "") -> None:
        """Run a step of the workflow and take a picture."""
        self.run(self.workflow.panels[key])
        self.workflow.open_step(key)
        self.picture(name or key)

    def dock(self, name: str) -> tuple[Any, Any]:
        """Open a dock in front of the workflow; returns it and what it holds."""
        dock, widget = self.viewer.window.add_plugin_dock_widget("napari-xanes", name, tabify=True)
        self.settle()
        return dock, widget

    def close(self, dock: Any) -> None:
        """Close a dock."""
        self.viewer.window.remove_dock_widget(dock)

    # -- what is shown --------------------------------------------------------------------------------

    def steps(self) -> None:
        """Go through the job."""
        from napari_xanes._widgets.parts.view import show_all

        workflow = self.workflow
        self.picture("open")
        self.step("preprocess")
        self.step("align")
        dock, review = self.dock("Alignment review")
        review.look_at(20)
        self.picture("review")
        self.close(dock)
        self.preview()
        self.step("normalize")
        self.step("fit", "window")
        self.spectra()
        self.scatter()
        self.table()
        dock, particles = self.dock("Particles")
        self.run(particles.panel)
        particles.panel.table.table.selectRow(2)
        self.settle()
        particles.verticalScrollBar().setValue(particles.verticalScrollBar().maximum())
        self.picture("particles")
        self.close(dock)
        dock, residual = self.dock("Fit residual")
        self.run(residual.panel)
        self.picture("residual")
        self.close(dock)
        for layer in list(self.viewer.layers):
            if layer.name.startswith(("particles", "residual")):
                self.viewer.layers.remove(layer)
        show_all(self.viewer)
        workflow.open_step("masks")
        workflow.masks.find_limit()
        workflow.masks.editors["remove_small"].set_value(20)
        self.picture("masks")
        workflow.masks.keep_preview()
        workflow.masks.use.apply_mask()
        self.picture("masked")
        self.step("maps")
        self.step("clusters")
        workflow.panels["clusters"].choose("decompose")
        self.step("clusters", "components")
        dock, ranking = self.dock("Find references")
        self.run(ranking.panel)
        self.picture("ranking")
        self.close(dock)
        workflow.open_step("results")
        self.picture("results")
        dock, history = self.dock("XANES history")
        history.list.list.setCurrentRow(3)
        self.picture("history")
        self.close(dock)
        dock, view = self.dock("XANES view")
        view.mix.start.click()
        self.settle(at_most=2)
        self.picture("view")
        self.close(dock)
        self.batch()
        self.import_dialog()

    def preview(self) -> None:
        """Show what Normalise would make of the picture."""
        self.workflow.open_step("normalize")
        preview = self.workflow.panels["normalize"].preview
        preview.box.setChecked(True)
        self.settle(lambda: preview.layer() is not None, 20)
        self.picture("preview")
        preview.stop()

    def spectra(self) -> None:
        """Show the spectrum of a region, fitted."""
        from napari_xanes._widgets.spectrum.dock import XanesSpectrum

        docks = self.viewer.window.dock_widgets.values()
        (spectrum,) = [one for one in docks if isinstance(one, XanesSpectrum)]
        here = {"scale": tuple(self.layer.scale)[-2:], "units": tuple(self.layer.units)[-2:]}
        active = self.viewer.layers.selection.active
        region = self.viewer.add_shapes(
            [[[60, 60], [60, 90], [95, 90], [95, 60]]],
            name="region",
            edge_color="yellow",
            face_color="transparent",
            **here,
        )
        self.viewer.layers.selection.active = active
        spectrum.tools.fit.setChecked(True)
        self.picture("spectrum")
        spectrum.tools.fit.setChecked(False)
        self.viewer.layers.remove(region)

    def scatter(self) -> None:
        """Show which pixels an outline in the plot of two maps encloses."""
        import numpy as np

        dock, scatter = self.dock("XANES scatter")
        self.settle(at_most=2)
        angle = np.linspace(0, 2 * np.pi, 40)
        scatter.select(np.column_stack([1.0 + 0.35 * np.cos(angle), 0.35 + 0.2 * np.sin(angle)]))
        self.settle(at_most=1)
        self.picture("scatter")
        self.close(dock)

    def table(self) -> None:
        """Show regions in numbers, one of them to be moved."""
        from napari_xanes._widgets.spectrum.dock import XanesSpectrum

        docks = self.viewer.window.dock_widgets.values()
        (spectrum,) = [one for one in docks if isinstance(one, XanesSpectrum)]
        active = self.viewer.layers.selection.active
        spectrum.tools.new_region.click()
        regions = self.viewer.layers.selection.active
        regions.add_rectangles([[[60, 60], [60, 90], [95, 90], [95, 60]]])
        regions.add_rectangles([[[20, 150], [20, 180], [45, 180], [45, 150]]], edge_color="#56b4e9")
        regions.mode = "select"
        self.viewer.layers.selection.active = active
        spectrum.tools.table.setChecked(True)
        self.settle(at_most=1)
        self.picture("table")
        spectrum.tools.table.setChecked(False)
        self.viewer.layers.remove(regions)

    def batch(self) -> None:
        """Show scans that are run one after the other, one of them damaged."""
        from napari_xanes import simulate

        dock, batch = self.dock("XANES batch")
        with tempfile.TemporaryDirectory() as home:
            scans = []
            for seed in range(1, 5):
                scan = simulate((200, 240), n_energies=61, max_drift=2, n_particles=10, seed=seed).save(
                    Path(home) / f"{seed}"
                )
                scans.append(str(scan.rename(Path(home) / f"Ni_scan_{seed:02d}.h5")))
            Path(scans[2]).write_bytes(Path(scans[2]).read_bytes()[:5000])
            batch.out.setText(str(Path(home) / "maps"))
            batch.add(scans)
            batch.run.click()
            self.settle(lambda: batch.queue.rows[scans[3]].part > 0.1, 300)
            self.picture("batch")
            self.close(dock)

    def import_dialog(self) -> None:
        """Show the dialog for files that need to be told what they hold."""
        from napari_xanes._widgets.window.import_dialog import import_stack

        dialog = import_stack(self.viewer, str(self.layer.metadata["xanes"]["source"]["path"]))
        self.settle(lambda: dialog.stack is not None, 120)
        self.settle()
        dialog.grab().save(str(self.out / "import.png"))
        dialog.reject()

    def docks(self) -> None:
        """Show every dock of the plugin by itself."""
        import npe2

        widgets = npe2.PluginManager.instance().get_manifest("napari-xanes").contributions.widgets or ()
        for one in widgets:
            if one.display_name in ("XANES workflow", "XANES spectrum"):  # open all the time
                continue
            dock, _ = self.dock(one.display_name)
            self.picture("dock_" + one.display_name.lower().replace(" ", "_"))
            self.close(dock)


if __name__ == "__main__":
    main()
