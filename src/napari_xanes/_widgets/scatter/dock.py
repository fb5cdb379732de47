"""Two maps against each other: which pixels have which values, and a mask of those inside a drawn outline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.draw.density import MapDensity, map_density
from napari_xanes._core.regions.mask import MaskParams, mask_of
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.layers.masks import (
    hide_preview,
    keep_mask,
    map_layers,
    place_of,
    show_preview,
)
from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.layers.tuples import map_title
from napari_xanes._widgets.parts.busy import PatientTimer
from napari_xanes._widgets.parts.buttons import allow, in_line, make_button, make_words, with_label
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.parts.layer_combo import LayerCombo
from napari_xanes._widgets.scatter.plot import ScatterPlot
from napari_xanes._widgets.steps.sections import FIT, MASKS, NORMALIZE, numbered

OWNER = "scatter"
FOLLOW_MS = 30
FOR_X, FOR_Y = ("thickness", "edge_step"), ("fraction", "peak_energy", "edge_energy", "edge_step")
HOW = "Draw around points with the left mouse button; the right one zooms."


class XanesScatter(Dock):
    """A scatter plot of two maps, linked with the picture both ways."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.across, self.up = LayerCombo(napari_viewer), LayerCombo(napari_viewer)
        self.plot = ScatterPlot(napari_viewer)
        self.words, self.found = make_words(), make_words()
        self.keep = make_button(
            "Keep as mask", f"Makes a layer of what is outlined, for {numbered(MASKS)} and for results."
        )
        self.clear = make_button("Clear", "Takes the outline away.")
        self.outline: NDArray[np.float64] | None = None
        self._mask: NDArray[np.bool_] | None = None
        self._picked: set[LayerCombo] = set()
        self._drawn: list[Any] | None = None
        self._followed: list[Layer] = []
        self._position: Any = None
        self._waiting: Callable[[], None] | None = None
        self.background = Background(self)
        self._timer = PatientTimer(self, FOLLOW_MS)
        for part in (
            with_label("x axis", self.across),
            with_label("y axis", self.up),
            self.plot,
            self.words,
            self.found,
        ):
            self.column.addWidget(part)
        self.column.addWidget(in_line(self.keep, self.clear))
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        for combo in (self.across, self.up):
            combo.currentIndexChanged.connect(partial(self._on_picked, combo))
        self.plot.outlined.connect(self.select)
        self.keep.clicked.connect(self.keep_mask)
        self.clear.clicked.connect(lambda: self.select(None))
        self.background.delivered.connect(lambda deliver: deliver())
        self.background.failed.connect(self.words.setText)
        self.background.ended.connect(self._on_ended)
        self._timer.due.connect(self._mark)
        self.viewer.layers.events.inserted.connect(self.refresh)
        self.viewer.layers.events.removed.connect(self.refresh)
        self.viewer.mouse_move_callbacks.append(self._on_move)

    # -- what is drawn --------------------------------------------------------------------------------

    def refresh(self, event: Any = None) -> None:
        """List the maps anew, keeping what is chosen."""
        maps = map_layers(self.viewer)
        self._offer(self.across, maps, FOR_X)
        x = self.across.layer()
        self._offer(self.up, [one for one in maps if x is not None and _fits(one, x)], FOR_Y)
        self._on_maps()

    def _offer(self, combo: LayerCombo, maps: list[Layer], kinds: tuple[str, ...]) -> None:
        combo.offer(maps, None if combo in self._picked else _first_of(maps, kinds))

    def _on_picked(self, combo: LayerCombo, index: int) -> None:
        """Keep what the user picked; until then offer the maps that are usually looked at."""
        self._picked.add(combo)
        self.refresh()

    def _maps(self) -> tuple[Layer, Layer] | None:
        x, y = self.across.layer(), self.up.layer()
        return None if x is None or y is None else (x, y)

    def _titles(self, maps: tuple[Layer, Layer]) -> list[str]:
        """Return what the axes are called: with the name of the scan where several have maps."""
        scans = {about(one)["name"] for one in map_layers(self.viewer)}
        return [_title(layer, about(layer)["name"] if len(scans) > 1 else "") for layer in maps]

    def _follow(self, layers: list[Layer]) -> None:
        """Notice when a mask is applied to the maps that are drawn, or taken off."""
        for layer in self._followed:
            layer.events.data.disconnect(self._on_data)
        self._followed = layers
        for layer in layers:
            layer.events.data.connect(self._on_data)

    def _on_data(self, event: Any = None) -> None:
        self._on_maps()

    def _on_maps(self) -> None:
        """Draw other maps; an outline has no meaning for them."""
        maps = self._maps()
        if maps is not None:
            self.plot.name_axes(*self._titles(maps))
        self._follow([] if maps is None else list(maps))
        drawn = [] if maps is None else [data_of(layer) for layer in maps]
        if self._drawn is not None and list(map(id, drawn)) == list(map(id, self._drawn)):
            return
        self._drawn = drawn
        self.select(None)
        self.plot.clear_density()
        if maps is None:
            self.words.setText(
                f"Needs two maps, such as thickness and a fraction: run {numbered(NORMALIZE)} and {numbered(FIT)}."
            )
            return
        self._run(partial(map_density, *drawn), partial(self._show_density, drawn))

    def _show_density(self, drawn: list[Any], density: MapDensity) -> None:
        """Show the maps that were counted, unless others were chosen meanwhile."""
        if drawn is not self._drawn:
            return
        total = density.counts.sum()
        parts = [f"{total} pixels"]
        if density.invalid:
            parts.append(f"{density.invalid} without a value")
        if density.outside:
            parts.append(f"{density.outside} beyond the axes")
        self.words.setText(f"{', '.join(parts)}. {HOW}")
        self.plot.show_density(density)

    # -- what is outlined -----------------------------------------------------------------------------

    def select(self, corners: NDArray[np.float64] | None) -> None:
        """Show which pixels lie inside an outline; none takes the selection away."""
        if corners is not None:
            self._on_maps()  # which a step may have made anew
        maps = self._maps()
        self.outline, self._mask = corners, None
        self.plot.show_outline(corners)
        for button in (self.keep, self.clear):
            allow(button, "" if corners is not None and button is self.clear else "Draw around points first.")
        self.found.setText("")
        hide_preview(self.viewer, OWNER)
        if corners is None or maps is None:
            return
        x, y = (data_of(layer) for layer in maps)
        self._run(partial(mask_of, y, self.params(), x), partial(self._show_mask, corners))

    def params(self) -> MaskParams:
        """Return the mask as a step of a recipe."""
        maps = self._maps()
        if maps is None or self.outline is None:
            raise InputError("There is no outline yet; draw one in the plot.")
        x, y = (about(layer)["map"] for layer in maps)
        return MaskParams(of=y, against=x, outline=tuple(map(tuple, self.outline.tolist())), apply=False)

    def _show_mask(self, outline: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Show what is inside an outline, unless another was drawn meanwhile."""
        maps = self._maps()
        if maps is None or outline is not self.outline:
            return
        self._mask = mask
        inside = int(mask.sum())
        self.found.setText(f"{inside} of {mask.size} pixels inside ({100 * inside / mask.size:.1f} %).")
        allow(self.keep, "" if inside else "No pixel lies inside.")
        show_preview(self.viewer, maps[1], mask, OWNER)

    def keep_mask(self) -> None:
        """Make a mask layer of what is outlined."""
        self._on_maps()  # of maps that were made anew meanwhile, the outline is gone
        maps = self._maps()
        if maps is None or self._mask is None:
            return
        mask, params = self._mask, self.params()
        self.select(None)
        made = keep_mask(self.viewer, maps[1], mask, params, None, against=maps[0])
        workflow = workflow_of(self.viewer)
        if workflow is not None:
            workflow.masks.refresh()
            workflow.masks.use.mask_choice.choose(made)
        self.found.setText(f"Kept as '{made.name}'; apply it in {numbered(MASKS)}.")

    # -- working and following ------------------------------------------------------------------------

    def _run(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Compute in another thread; what was asked for before is dropped."""
        if self.background.running:
            self._waiting = partial(self._run, work, then)
            return

        def job(progress: Progress) -> Callable[[], None]:
            return partial(then, work())

        self.background.start(job, "Scatter plot")

    def waiting(self) -> bool:
        """Whether something was asked for that is not shown yet."""
        return self.background.running or self._waiting is not None or self._timer.isActive()

    def _on_ended(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting()

    def _on_move(self, viewer: Any, event: Any) -> None:
        """Show soon where the pixel under the mouse lies in the plot."""
        self._position = event.position
        if not self._timer.isActive():
            self._timer.start()

    def _mark(self) -> None:
        maps = self._maps()
        if maps is None:
            return
        values = [_value_at(layer, self._position) for layer in maps]
        self.plot.mark((values[0], values[1]))

    def cleanup(self) -> None:
        """Stop working and listening: the dock goes away."""
        self._timer.stop()
        self._follow([])
        self.background.abandon()
        self.viewer.layers.events.inserted.disconnect(self.refresh)
        self.viewer.layers.events.removed.disconnect(self.refresh)
        self.viewer.mouse_move_callbacks.remove(self._on_move)
        hide_preview(self.viewer, OWNER)
        self.plot.cleanup()


def _first_of(maps: list[Layer], kinds: tuple[str, ...]) -> Layer | None:
    return next((one for kind in kinds for one in maps if about(one)["kind"] == kind), None)


def _fits(layer: Layer, other: Layer) -> bool:
    """Whether two maps are of one scan and show the sample at the same place."""
    same = about(layer)["source"] == about(other)["source"] and layer.data.shape == other.data.shape
    return same and place_of(layer) == place_of(other)


def _value_at(layer: Layer, position: Any) -> float:
    """Return the value of a map at a place of the world, NaN beside it."""
    at = np.round(layer.world_to_data(np.asarray(position)[-layer.ndim :])).astype(int)
    inside = all(0 <= i < n for i, n in zip(at, layer.data.shape, strict=True))
    return float(data_of(layer)[tuple(at)]) if inside else float("nan")


def _title(layer: Layer, scan: str) -> str:
    said = about(layer)
    title = map_title(said["map"], said, scan)
    return f"{title} ({said['unit']})" if said.get("unit") else title
