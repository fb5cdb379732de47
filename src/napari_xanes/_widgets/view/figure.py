"""The maps that are mixed as a figure for a paper, in a file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError, XanesError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.draw.figure_kinds import check_figure_path
from napari_xanes._core.regions.masks import apply_mask
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import about, find
from napari_xanes._widgets.layers.masked import applied_mask, data_of
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.parts.buttons import make_button
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.view.mix_panel import MixPanel

FILES = "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)"
TITLE = "Figure"


class FigurePanel(QWidget):
    """A button that asks for a file."""

    def __init__(self, viewer: Any, mix: MixPanel) -> None:
        super().__init__()
        self.viewer, self.mix = viewer, mix
        self.save = make_button(
            "Save figure...",
            "The maps of the mix as they are seen, each with its colour bar, and a scale bar, for a paper: PNG, SVG "
            "or PDF. Of volumes, the slice that is shown. Fractions are mixed in colours of the figure's own.",
        )
        self.background = Background(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.save)
        self.save.clicked.connect(self._ask)
        self.background.delivered.connect(lambda path: show_info(f"figure saved in {path}"))
        self.background.ended.connect(self.refresh)
        mix.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Follow whether there are maps."""
        self.save.setEnabled(bool(self.mix.maps()) and not self.background.running)

    def _ask(self) -> None:
        scan = about(self.mix.maps()[0])["name"].replace(" ", "_") or "maps"
        path, _ = QFileDialog.getSaveFileName(self, "Save figure", str(Path.cwd() / f"{scan}.png"), FILES)
        if path:
            self.save_as(path)

    def save_as(self, path: str | Path) -> None:
        """Draw the figure into a file, in the background."""
        path = Path(path)
        path = path if path.suffix else path.with_name(f"{path.name}.png")
        layers = self.mix.maps()
        fractions = [about(one)["map"] for one in layers if about(one)["kind"] == "fraction"]
        try:
            check_figure_path(path)
            job = partial(
                _draw,
                path,
                _as_seen(self.viewer, layers),
                names=[about(one)["map"] for one in layers],
                mix=fractions if len(fractions) > 1 else [],
                plane=_plane(self.viewer, layers[0]),
                pixel_size_um=about(layers[0])["pixel_size_um"],
                title=about(layers[0])["name"],
                sigma_limit=self.mix.fade_limit.value() if self.mix.fade.isChecked() else None,
            )
        except XanesError as error:
            report_error(error, TITLE)
            return
        self.background.start(job, f"{TITLE}: {path.name}")
        self.refresh()

    def cleanup(self) -> None:
        """Stop working."""
        self.background.abandon()


def _draw(path: Path, maps: Any, progress: Progress, **how: Any) -> Path:
    from napari_xanes._core.draw.figure import save_figure  # with matplotlib, which is long to load

    save_figure(path, maps, **how)
    return path


def _as_seen(viewer: Any, layers: list[Layer]) -> Any:
    """Return the result that maps are of, which knows their sigma, or the maps alone if its stack is not open.

    What a mask hides is invalid.
    """
    parent = find(viewer, about(layers[0]).get("made_from"))
    maps = {about(one)["map"]: data_of(one) for one in layers}
    try:
        result = None if parent is None else result_of(viewer, parent)
    except InputError:  # no step was run on it here
        return maps
    if result is None or not maps.keys() <= result.maps.keys():
        return maps
    inside = applied_mask(layers[0])
    if inside is None:
        return result
    masked = {
        name: apply_mask(data, inside) for name, data in result.maps.items() if data.shape == inside.shape
    }
    return replace(result, maps={**result.maps, **masked})


def _plane(viewer: Any, layer: Layer) -> int | None:
    if layer.ndim < 3:
        return None
    z = layer.world_to_data(viewer.dims.point[-3:])[0]
    return int(np.clip(np.round(z), 0, layer.data.shape[0] - 1))
