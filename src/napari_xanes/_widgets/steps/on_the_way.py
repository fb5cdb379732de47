"""Spectra that are normalised as part of the step that needs them, where no normalised stack was kept."""

from __future__ import annotations

from napari.layers import Layer

from napari_xanes._core.base.params import make_params
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.layers.layers import about, results_of
from napari_xanes._widgets.layers.words import resolved
from napari_xanes._widgets.steps.panel import Steps


def is_normalized(layer: Layer) -> bool:
    """Whether a stack is normalised, or it is known how to do so on the way."""
    return about(layer)["signal"] == "normalized" or bool(normalized_first(layer))


def normalized_first(layer: Layer) -> Steps:
    """Return the normalisation of a stack of optical density as it was resolved before; empty if there was none."""
    if about(layer)["signal"] != "optical_density" or "normalize" not in results_of(layer):
        return []
    chosen = resolved(results_of(layer)["normalize"], "normalize")
    return [("normalize", make_params(STEPS["normalize"].params, chosen, "Normalise"))]
