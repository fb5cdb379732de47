"""What the spectrum dock knows: which spectra were read, what the user wants to see, and the steps as the forms are set.

No Qt here: `picture` makes of it what is drawn, `plot` draws that, and `dock` tells what the user does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.runs.spectra import SpectraSteps
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.layers.one_scan import scan_of
from napari_xanes._widgets.spectrum.form_link import FitAsked, FormLink
from napari_xanes._widgets.spectrum.mean_spectra import MEASURED, NORMALISED
from napari_xanes._widgets.spectrum.reading import CURSOR, Reading, SpectrumRead
from napari_xanes._widgets.spectrum.rows import Row

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class ToShow:
    """What the user wants to see."""

    quantity: str = MEASURED
    derivative: bool = False
    windows: bool = True
    references: bool = False
    fit: bool = False


class SpectrumModel:
    """Reads spectra and makes of them what is drawn.

    Attributes
    ----------
    wanted : ToShow
    chosen : str
        Name of the spectrum that is fitted and whose edge is shown; another is taken where it is not there.
    """

    def __init__(self, viewer: Any) -> None:
        self.reading, self.forms = Reading(viewer), FormLink(viewer)
        self.wanted = ToShow()
        self.chosen = ""
        self._seen: set[str] = set()
        self._picked = False
        self._steps: dict[str, tuple[tuple[Any, ...], SpectraSteps]] = {}

    # -- what the user does ---------------------------------------------------------------------------

    def pick_quantity(self, quantity: str) -> None:
        """Show what the user chose; from now on no stack decides it any more."""
        self._picked = True
        self.wanted = replace(self.wanted, quantity=quantity)

    def read(self) -> None:
        """Read what changed of pins, shapes and labels."""
        layer = self.reading.stack_layer()
        if layer is None:
            self.reading.spectra = {}
            return
        self._choose_quantity(layer)
        self.reading.read_regions(layer, self._source(layer), self.wanted.quantity)

    def hover(self, position: Sequence[float]) -> bool:
        """Read the pixel at a position in the world, and fit that; returns whether there is one."""
        layer = self.reading.stack_layer()
        if layer is None:
            return False
        found = self.reading.read_cursor(layer, self._source(layer), self.wanted.quantity, position)
        if found:
            self.chosen = CURSOR
        return found

    def energy(self) -> Float64:
        """Return the energies of the stack that is looked at."""
        layer = self.reading.stack_layer()
        return np.empty(0) if layer is None else np.array(about(layer)["energy"])

    def _choose_quantity(self, layer: Layer) -> None:
        """Show a scan that is new as its values are, and from when it is normalised on so; no choice of a layer goes back."""
        normalised = about(layer)["signal"] == "normalized"
        looks = {scan_of(layer)} | ({about(layer)["id"]} if normalised else set())
        new = looks - self._seen
        self._seen |= looks
        if new and not self._picked:
            self.wanted = replace(self.wanted, quantity=NORMALISED if normalised else MEASURED)

    def _source(self, layer: Layer) -> Layer:
        return self.reading.source(layer, measured=self.wanted.quantity == MEASURED and not self.wanted.fit)

    # -- what the steps make of it --------------------------------------------------------------------

    def normalization(self, layer: Layer) -> SpectraSteps | None:
        """Return the normalisation as it is set, made ready for the stack; None if its spectra are not absorption.

        Raises XanesError with a sentence where they cannot be normalised so.
        """
        source = self._source(layer)
        signal = about(source)["signal"]
        if signal == "normalized" or (self.wanted.quantity == MEASURED and signal != "optical_density"):
            return None
        return self._ready("normalize", source, self.forms.normalization(source), None)

    def fit_steps(self, layer: Layer) -> SpectraSteps | None:
        """Return the fit as it is set, made ready; None if no references are chosen.  Raises XanesError."""
        source = self._source(layer)
        asked = self.forms.fit(self.reading.family(layer))
        if asked is None:
            return None
        first = asked.normalized_first and about(source)["signal"] != "normalized"
        normalize = self.forms.normalization(source) if first else None
        return self._ready("fit", source, normalize, asked)

    def differs_from_run(self, layer: Layer) -> str:
        """Say so where the live fit goes by another normalisation than Run of Fit would."""
        asked = self.forms.fit(self.reading.family(layer))
        return self.forms.differs_from_run(self._source(layer), asked is not None and asked.normalized_first)

    def _ready(
        self, what: str, source: Layer, normalize: NormalizeParams | None, asked: FitAsked | None
    ) -> SpectraSteps:
        """Return steps that were made ready before, if nothing has changed."""
        sample = self.reading.sample(source)
        params, references = (None, None) if asked is None else (asked.params, asked.references)
        key = (id(sample), normalize, params, references)
        known = self._steps.get(what)
        if known is None or known[0] != key:
            judged = known[1].judged if known is not None and known[0][0] == key[0] else None
            known = self._steps[what] = key, SpectraSteps(sample, normalize, params, references, judged)
        return known[1]

    # -- what is seen ---------------------------------------------------------------------------------

    def first(self) -> str:
        """Return the name of the spectrum that is fitted and whose edge is shown."""
        spectra = self.reading.spectra
        return self.chosen if self.chosen in spectra else next(iter(spectra), "")

    def is_normalized(self) -> bool:
        """Return whether what is read is normalised already."""
        layer = self.reading.stack_layer()
        return layer is not None and about(self._source(layer))["signal"] == "normalized"

    def is_read(self) -> bool:
        """Whether there are spectra, of the scan in view: not of another, while those of this one are waited for."""
        spectra, energies = self.reading.spectra.values(), self.energy().size
        return bool(spectra) and all(one.mean.values.size == energies for one in spectra)

    def rows(self) -> list[Row]:
        """Return what pins, shapes and labels hold, or the whole stack where there are none, in numbers."""
        layer = self.reading.stack_layer()
        if layer is None or not self.is_read():
            return []
        try:
            edge = self.normalization(layer)
        except XanesError:
            edge = None
        try:
            fit = self.fit_steps(layer) if self._can_fit(layer) else None
        except XanesError:
            fit = None
        spectra = self.reading.spectra.items()
        return [_row(name, one, edge, fit) for name, one in spectra if name != CURSOR]

    def _can_fit(self, layer: Layer) -> bool:
        return self.wanted.quantity != MEASURED or about(layer)["signal"] in ("optical_density", "normalized")


def _row(name: str, one: SpectrumRead, edge: SpectraSteps | None, fit: SpectraSteps | None) -> Row:
    thickness = None if edge is None else edge(one.mean.values).thickness
    found = None if fit is None else fit(one.mean.values).fit
    fractions = {}
    if found is not None and np.isfinite(found.coefficients).all():
        pairs = zip(found.fractions.tolist(), found.sigma.tolist(), strict=True)
        fractions = dict(zip(found.names, pairs, strict=True))
    return Row(name, one.color, one.pixels, thickness, fractions)
