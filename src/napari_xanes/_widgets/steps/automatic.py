"""What a step would choose for a parameter that is left automatic, before it has run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.base.params import Params, make_params
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._core.runs.spectra import sampled_stack
from napari_xanes._widgets.forms.choice import extra_of
from napari_xanes._widgets.parts.busy import wait_for


def automatic(stack: EnergyStack, step: str, name: str, values: Mapping[str, Any]) -> Any:
    """Return the value of a parameter that a step would choose for a stack; None if that cannot be told.

    Steps choose from a sample of the pixels, which is enough here; what is left out means all energies, the whole
    frame, or nothing, for which there is an example to start from.
    """
    info = STEPS[step].params.model_fields[name]
    kind = extra_of(info).get("widget")
    if kind == "roi":
        return (0, stack.image_shape[-2], 0, stack.image_shape[-1])
    if not STEPS[step].whole_frames and (not STEPS[step].takes or stack.signal in STEPS[step].takes):
        try:
            params = make_params(STEPS[step].params, {**values, name: None}, step)
            found = wait_for(partial(_tried, stack, step, params), "Looking for a value to start from...")
        except XanesError:
            pass
        else:
            chosen = found.history[-1].params.get(name)
            if chosen is not None:
                return tuple(chosen) if isinstance(chosen, list) else chosen
    if kind == "window":
        return (float(stack.energy[0]), float(stack.energy[-1]))
    return extra_of(info).get("example") if kind != "file" else None


def _tried(stack: EnergyStack, step: str, params: Params) -> Result:
    """Return what a step makes of a sample of the pixels."""
    return run_steps(sampled_stack(stack), [(step, params)], in_memory=True)
