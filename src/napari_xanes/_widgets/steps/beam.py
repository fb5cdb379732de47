"""Where the beam of a scan without flats can be taken from: files beside it, a file that is named, its empty part."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.io.companions import Companion, find_companions, with_companion
from napari_xanes._widgets.jobs.worker import Background
from napari_xanes._widgets.layers.layers import about, stack_of
from napari_xanes._widgets.parts.advice import Told, Way
from napari_xanes._widgets.parts.notices import report_error

MOST = 3
"""So many files are proposed."""


class BeamSources(QObject):
    """Looks for the beam of scans without flats, and gives it to their layers.

    Signals
    -------
    found()
        Something was found beside a scan.
    """

    found = Signal()

    def __init__(self, parent: QWidget, run: Callable[[Layer, str], None]) -> None:
        super().__init__(parent)
        self._parent, self._run = parent, run
        self._background = Background(self)
        self._background.delivered.connect(self._on_found)
        self._known: dict[str, list[Companion]] = {}
        self._asked: str | None = None

    def proposals(self, layer: Layer) -> list[Told]:
        """Return where the beam could come from, the likeliest first."""
        layer_id = about(layer)["id"]
        if layer_id not in self._known and not self._background.running:
            self._asked, stack = layer_id, stack_of(layer)
            self._background.start(lambda progress: find_companions(stack), "Looking for flats")
        beside = self._known.get(layer_id, [])[:MOST]
        told = [
            Told(
                f"{one.title}: {one.reason}.",
                (
                    Way(
                        f"Use {one.title}",
                        "Divides by it and takes -ln.",
                        partial(self.take, layer, one.given),
                    ),
                ),
            )
            for one in beside
        ]
        ways = (
            Way(
                "I0 from an empty region",
                "Divides each frame by its brightest pixels, which must be without sample, and takes -ln. Corrections... shows "
                "which pixels these are.",
                partial(self._run, layer, "empty"),
            ),
            Way(
                "I0 or flats from a file...",
                "A text file with the beam spectrum, or images.",
                partial(self._ask, layer),
            ),
        )
        other = (
            "Or from elsewhere:"
            if told
            else "The beam can come from a part of the picture without sample, or a file:"
        )
        return [*told, Told(other, ways)]

    def take(self, layer: Layer, given: dict[str, Any]) -> None:
        """Give a scan its flats or beam spectrum from files, and go on."""
        stack = with_companion(stack_of(layer), given)
        if stack is None:
            files = " and ".join(Path(one).name for one in given.values())
            report_error(
                InputError(_why(stack_of(layer), given) or f"{files} do not fit the scan."), "Preprocess"
            )
            return
        said = {**about(layer), "source": stack.source}
        layer.metadata = {
            **layer.metadata,
            "xanes": said,
            "xanes_stack": stack.replace(data=stack_of(layer).data),
        }
        self._run(layer, "flat")

    def _ask(self, layer: Layer) -> None:
        start = str(Path(str(about(layer)["source"].get("path") or ".")).parent)
        path, _ = QFileDialog.getOpenFileName(self._parent, "I0 spectrum, or flats", start)
        if path:
            self.take(layer, {"flat": path})

    def _on_found(self, found: list[Companion]) -> None:
        if self._asked is not None:
            self._known[self._asked] = found
            self.found.emit()

    def cleanup(self) -> None:
        """Stop looking."""
        self._background.abandon()


def _why(stack: Any, given: dict[str, Any]) -> str:
    """Return why files do not fit a scan, in the words of the reader."""
    from napari_xanes._core.io import read_stack

    try:
        read_stack(stack.source["path"], energy=stack.source.get("energy"), signal="counts", **given)
    except InputError as error:
        return str(error)
    return ""
