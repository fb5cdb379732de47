"""Which stack is looked at, and the spectra of its pins, shapes, labels and of the pixel under the cursor; no Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.runs.spectra import sampled_stack
from napari_xanes._widgets.layers.layers import about, find, lineage, stack_layers, stack_of
from napari_xanes._widgets.layers.marks import mark_of
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._widgets.spectrum.colors import SpotColors
from napari_xanes._widgets.spectrum.mean_spectra import (
    MEASURED,
    MeanSpectrum,
    Wait,
    mean_of_stack,
    mean_spectrum,
)
from napari_xanes._widgets.spectrum.spots import Pixels, every_spot, pixel_at

Float64 = NDArray[np.float64]

CURSOR, MEAN = "cursor", "mean of the stack"


@dataclass(frozen=True, eq=False)
class SpectrumRead:
    """A spectrum that was read: its mean, the colour of what it is of, and how many pixels that has.

    What is `collapsed` was painted at single energies and counts at all.
    """

    mean: MeanSpectrum
    color: str | None
    pixels: int
    collapsed: bool = False


class Reading:
    """Reads spectra of the stack that is looked at, those that did not change only once.

    Attributes
    ----------
    spectra : dict
        What was read last, by name; the pixel under the cursor first.
    cursor : tuple of int or None
        The pixel under the cursor.
    wait : callable
        See `mean_spectrum`.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.wait: Wait = lambda read: read()
        self.spectra: dict[str, SpectrumRead] = {}
        self.cursor: tuple[int, ...] | None = None
        self._colors = SpotColors(viewer)
        self._looked_at: str | None = None
        self._known: dict[str, tuple[str, SpectrumRead]] = {}
        self._samples: dict[tuple[str, int, int | None], tuple[Any, EnergyStack]] = {}

    # -- which stack ----------------------------------------------------------------------------------

    def stack_layer(self) -> Layer | None:
        """Return the stack that is looked at.

        That is the active layer or what it was made from; where that is no stack's or the check of an alignment, the one
        that was looked at before while it is shown, else the topmost shown.
        """
        found = self._of_active() or self._as_before()
        if found is None:
            stacks = list(stack_layers(self.viewer))
            found = ([layer for layer in stacks if layer.visible] or stacks or [None])[-1]
        self._looked_at = None if found is None else about(found)["id"]
        return found

    def _of_active(self) -> Layer | None:
        active = self.viewer.layers.selection.active
        said = {} if active is None else about(active)
        if said.get("kind") == "check":  # a picture for a while, which says nothing of the stack
            return None
        while said:
            layer = find(self.viewer, said.get("id"))
            if layer is not None and said.get("kind") == "stack":
                return layer
            parent = find(self.viewer, said.get("made_from"))
            said = {} if parent is None else about(parent)
        return None

    def _as_before(self) -> Layer | None:
        before = find(self.viewer, self._looked_at)
        return before if before is not None and before.visible else None

    def family(self, layer: Layer) -> list[Layer]:
        """Return a stack, those made from it, and those it was made from, nearest first."""
        line = lineage(self.viewer, layer)
        made = [one for one in stack_layers(self.viewer) if layer in lineage(self.viewer, one)[1:]]
        return [line[0], *made, *line[1:]]

    def source(self, layer: Layer, *, measured: bool) -> Layer:
        """Return the stack whose pixels are averaged.

        That of a normalised stack is the optical density it was made from: there a mean weighs pixels by how much
        material they have, while after the division thin ones would bring their noise.
        """
        if measured or about(layer)["signal"] != "normalized":
            return layer
        line = lineage(self.viewer, layer)
        return next((one for one in line if about(one)["signal"] == "optical_density"), layer)

    def sample(self, source: Layer) -> EnergyStack:
        """Return the sample of a stack, by which its steps choose; raises InputError if it holds nothing."""
        data = data_of(source)
        key = (about(source)["id"], id(data), mark_of(source))
        if key not in self._samples:
            self._samples = dict(list(self._samples.items())[-2:])
            self._samples[key] = data, sampled_stack(stack_of(source))  # holding the data keeps its id
        return self._samples[key][1]

    # -- spectra --------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Read all anew the next time, as a stack has changed."""
        self._known.clear()
        self._samples.clear()

    def read_regions(self, layer: Layer, source: Layer, quantity: str) -> None:
        """Read what changed of pins, shapes and labels; the mean of the stack where there are none."""
        kept = {CURSOR: self.spectra[CURSOR]} if self.cursor is not None and CURSOR in self.spectra else {}
        spectra, known = dict[str, SpectrumRead](kept), dict[str, tuple[str, SpectrumRead]]()
        spots = list(every_spot(self.viewer, layer, self._plane(layer)))
        if self._colors.give([one.color for one in spots if one.label and one.color]):
            spots = list(every_spot(self.viewer, layer, self._plane(layer)))
        read = f"{about(source)['id']} {mark_of(source)} {quantity == MEASURED}"
        for spot in spots:  # while one is waited for, layers may come and go
            key = f"{read} {spot.color} {_mark(spot.pixels)}"
            before = self._known.get(spot.name)
            if before is None or before[0] != key:
                mean = mean_spectrum(source, spot.pixels, quantity, self.wait)
                before = key, SpectrumRead(mean, spot.color, spot.pixels[0].size, spot.collapsed)
            known[spot.name] = before
            spectra[spot.name] = before[1]
        if not spectra:
            mean = mean_of_stack(source, quantity, self.wait)
            spectra[MEAN] = SpectrumRead(mean, None, mean.pixels)
        self._known, self.spectra = known, spectra

    def read_cursor(self, layer: Layer, source: Layer, quantity: str, position: Sequence[float]) -> bool:
        """Read the pixel at a position in the world; returns whether there is one."""
        pixels = pixel_at(layer, position)
        if pixels is None:
            return False
        self.cursor = tuple(int(axis[0]) for axis in pixels)
        found = {CURSOR: self._read(source, pixels, quantity)}
        self.spectra = found | {n: one for n, one in self.spectra.items() if n not in (CURSOR, MEAN)}
        return True

    def forget_cursor(self) -> None:
        """Have no pixel under the cursor."""
        self.cursor = None
        self.spectra.pop(CURSOR, None)

    def _read(self, source: Layer, pixels: Pixels, quantity: str) -> SpectrumRead:
        """Return a spectrum that has no colour of its own."""
        return SpectrumRead(mean_spectrum(source, pixels, quantity, self.wait), None, pixels[0].size)

    def _plane(self, layer: Layer) -> int:
        if layer.data.ndim < 4:
            return 0
        z = round(layer.world_to_data(self.viewer.dims.point)[1])
        return int(np.clip(z, 0, layer.data.shape[1] - 1))


def _mark(pixels: Pixels) -> str:
    """Return what tells one set of pixels from another."""
    return " ".join(str(hash(axis.tobytes())) for axis in pixels)
