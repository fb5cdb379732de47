"""Make the pictures of the README and the docs: the sample goes through all steps in a real napari window.

Run as ``xvfb-run -a -s "-screen 0 1366x768x24" python tools/screenshots.py [--theme light] [--out docs/images]``;
with a larger screen ``--size 1920 1052`` takes larger ones.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SIZE = (1366, 740)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, help="width and height of the window")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")  # the user's own stay untouched
        os.environ["XDG_CACHE_HOME"] = folder
        take(options.theme, options.out, tuple(options.size))


def take(theme: str, out: Path, size: tuple[int, int]) -> None:
    """Open the sample, run every step and take a picture after each."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_xanes._widgets.align_review import AlignReview
    from napari_xanes._widgets.import_dialog import import_stack
    from napari_xanes._widgets.launch import add_workflow
    from napari_xanes._widgets.spectrum import XanesSpectrum
    from napari_xanes._widgets.workflow import RankDock

    def settle(until: Callable[[], bool] = lambda: False, at_most: float = 0.5) -> None:
        end = time.monotonic() + at_most
        while time.monotonic() < end and not until():
            QApplication.processEvents()
            time.sleep(0.01)

    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.window.resize(*size)

    def picture(name: str) -> None:
        settle()
        viewer.screenshot(str(out / f"{name}.png"), canvas_only=False, flash=False)
        print(out / f"{name}.png")

    (layer,) = viewer.open_sample("napari-xanes", "ni_scan")
    workflow = add_workflow(viewer)
    picture("open")

    def run(key: str, name: str = "") -> None:
        panel = workflow.panels[key]
        panel.run()
        settle(lambda: not panel.runner.background.running, 120)
        workflow.open_step(key)
        picture(name or key)

    run("preprocess")
    run("align")
    workflow.panels["align"].review.click()
    settle()
    (review,) = [one for one in viewer.window.dock_widgets.values() if isinstance(one, AlignReview)]
    review.look_at(20)
    picture("review")
    viewer.window.remove_dock_widget(review)
    run("normalize")
    run("fit", "window")
    (spectrum,) = [one for one in viewer.window.dock_widgets.values() if isinstance(one, XanesSpectrum)]
    corners = [[60, 60], [60, 90], [95, 90], [95, 60]]
    here = {"scale": tuple(layer.scale)[-2:], "units": tuple(layer.units)[-2:]}
    active = viewer.layers.selection.active
    region = viewer.add_shapes(
        [corners], name="region", edge_color="yellow", face_color="transparent", **here
    )
    viewer.layers.selection.active = active
    spectrum.fit_shown.setChecked(True)
    picture("spectrum")
    spectrum.fit_shown.setChecked(False)
    viewer.layers.remove(region)
    workflow.open_step("masks")
    workflow.masks.find_limit()
    workflow.masks.editors["remove_small"].set_value(20)
    picture("masks")
    workflow.masks.keep_preview()
    workflow.masks.use.apply_mask()
    picture("masked")
    run("maps")
    run("clusters")
    workflow.panels["clusters"].choose("decompose")
    run("clusters", "components")
    workflow.panels["fit"].open_ranking()
    settle()
    (ranking,) = [one for one in viewer.window.dock_widgets.values() if isinstance(one, RankDock)]
    ranking.panel.run()
    settle(lambda: not ranking.panel.runner.background.running, 120)
    picture("ranking")
    viewer.window.remove_dock_widget(ranking)
    workflow.open_step("results")
    picture("results")
    view, _ = viewer.window.add_plugin_dock_widget("napari-xanes", "XANES view", tabify=True)
    settle(at_most=2)
    picture("view")
    viewer.window.remove_dock_widget(view)
    dialog = import_stack(viewer, str(layer.metadata["xanes"]["source"]["path"]))
    settle(lambda: dialog.stack is not None, 10)
    settle()
    dialog.grab().save(str(out / "import.png"))
    dialog.reject()
    viewer.close()


if __name__ == "__main__":
    main()
