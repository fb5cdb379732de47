"""Make the pictures of the tutorials: each sample goes through its steps in a real napari window.

Run as ``xvfb-run -a -s "-screen 0 1920x1080x24" python tools/tutorials.py``; with names of tutorials only theirs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from screenshots import IMAGES, SIZES, Tour, own_settings


def stxm(tour: Tour) -> None:
    """Take the beam from the empty part, then go on as ever."""
    dock, corrections = tour.dock("Corrections")
    corrections.panel.choose("internal_i0")
    tour.picture("tutorial_stxm_beam")
    tour.run(corrections.panel)
    tour.close(dock)
    for key in ("preprocess", "align", "normalize"):
        tour.run(tour.workflow.panels[key])
    tour.step("fit", "tutorial_stxm_fit")
    dock, view = tour.dock("XANES view")
    view.mix.bright.setChecked(True)
    view.mix.start.click()
    tour.picture("tutorial_stxm_mix")


def volumes(tour: Tour) -> None:
    """Fractions slice by slice, then in three dimensions."""
    for key in ("align", "normalize"):
        tour.run(tour.workflow.panels[key])
    tour.step("fit", "tutorial_volumes_fit")
    _, view = tour.dock("XANES view")
    view.volume.fractions.click()
    tour.settle(at_most=1)
    tour.picture("tutorial_volumes_mix")
    view.volume.cut.setChecked(True)
    tour.settle(at_most=1)
    tour.picture("tutorial_volumes_cut")


def fluorescence(tour: Tour) -> None:
    """Align with doubtful maps below the edge, mask, fit."""
    tour.step("align", "tutorial_fluorescence_align")
    tour.step("normalize")
    masks = tour.workflow.masks
    tour.workflow.open_step("masks")
    masks.find_limit()
    tour.picture("tutorial_fluorescence_mask")
    masks.keep_preview()
    masks.use.apply_mask()
    tour.step("fit", "tutorial_fluorescence_fit")


TUTORIALS: dict[str, tuple[str, Callable[[Tour], None]]] = {
    "stxm": ("fe_stxm", stxm),
    "volumes": ("ni_volume", volumes),
    "fluorescence": ("fe_fluorescence", fluorescence),
}
"""The sample of each, and what is shown of it; the full-field one has the pictures of `screenshots.py`."""


def main() -> None:
    """Take the pictures, of each tutorial in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", choices=[*TUTORIALS, []], help="which tutorials; all if none is named"
    )
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    if len(options.names) != 1:
        for name in options.names or TUTORIALS:
            subprocess.run([sys.executable, __file__, name, "--out", str(options.out)], check=True)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    sample, show = TUTORIALS[options.names[0]]
    with own_settings():
        tour = Tour("dark", options.out, SIZES[0], sample)
        show(tour)
        tour.viewer.close()


if __name__ == "__main__":
    main()
