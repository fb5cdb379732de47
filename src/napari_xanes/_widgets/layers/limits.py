"""Contrast limits of layers: found anew when a step runs again, unless the user has set others meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._core.data.result import Result
from napari_xanes._core.draw.limits import with_edge
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._widgets.layers.masked import data_of

LIMITS = "limits"
"""Under which a layer's ``"xanes"`` says the limits that it was given automatically."""
FRAMES = 3
"""So many frames at either end tell the jump of a spectrum."""


def are_automatic(layer: Layer) -> bool:
    """Whether a layer still has the limits that it was given."""
    given = layer.metadata.get("xanes", {}).get(LIMITS)
    return given is not None and np.allclose(layer.contrast_limits, given, rtol=1e-6, atol=0)


def give_limits(layer: Layer, limits: Sequence[float]) -> None:
    """Set limits, and the range of the slider with them, which napari only ever widens."""
    layer.contrast_limits_range = tuple(limits)
    layer.contrast_limits = tuple(limits)


def pixels_with_edge(
    results: Sequence[Mapping[str, Result]], stack: Layer, shape: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    """Return where the element is, as the nearest normalisation says, or else the jump of the spectra.

    None where nothing tells it: of counts, of stacks that were normalised when they were opened, and of images of
    another size.
    """
    for known in results:
        for result in known.values():
            step = result.maps.get("edge_step")
            if step is not None and step.shape == shape:
                return with_edge(step)
    data = data_of(stack)
    if not isinstance(data, np.ndarray) and (data.ndim > 3 or isinstance(data, ComputedStack)):
        return None  # to look at whole frames takes too long
    said = stack.metadata.get("xanes", {})
    if (
        said.get("signal") != "optical_density"
        or tuple(data.shape[1:]) != shape
        or data.shape[0] < 2 * FRAMES
    ):
        return None
    before, after = (
        np.mean([np.asarray(data[i]) for i in at], 0) for at in (range(FRAMES), range(-FRAMES, 0))
    )
    return with_edge(after - before)
