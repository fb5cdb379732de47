"""A choice of one of some layers that keeps what was chosen while layers come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from napari.layers import Layer

from napari_xanes._widgets.parts.eliding_combo import ElidingCombo


class LayerCombo(ElidingCombo):
    """Lists layers by name; layers are known by napari's own id, which every layer has.

    Parameters
    ----------
    viewer : napari viewer
        Where chosen layers are looked for, so that a layer that was removed is never handed out.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer

    def offer(
        self,
        layers: Sequence[Layer],
        prefer: Layer | None = None,
        *,
        first: bool = True,
        name: Callable[[Layer], str] = attrgetter("name"),
    ) -> None:
        """List layers without a signal, keeping the choice unless another is preferred; else the first, or none."""
        wanted = self.currentData() if prefer is None else _key(prefer)
        self.blockSignals(True)
        self.clear()
        for layer in layers:
            self.addItem(name(layer), _key(layer))
        self.setCurrentIndex(max(self.findData(wanted), 0 if first and layers else -1))
        self.blockSignals(False)

    def layer(self) -> Layer | None:
        """Return the layer that is chosen, if it is still there."""
        return next((one for one in self._viewer.layers if _key(one) == self.currentData()), None)

    def choose(self, layer: Layer) -> None:
        """Choose a layer."""
        self.setCurrentIndex(self.findData(_key(layer)))


def _key(layer: Layer) -> str:
    return str(layer.unique_id)
