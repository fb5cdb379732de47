"""A step that the program does not have, declared as its own are: the mean of every spectrum, times a factor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from napari_xanes._core.base.params import Params, field
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.recipe.steps import STEPS, add_step


class ToyParams(Params):
    """Parameters of the toy."""

    factor: float = field(2.0, "Factor", "What the mean is multiplied by.", gt=0)


class ToyKernel:
    """Takes the mean of every spectrum."""

    writes = False

    def __init__(self, factor: float) -> None:
        self.maps: dict[str, tuple[int, ...]] = {"toy": ()}
        self.factor = factor

    def __call__(self, y, out):
        out["toy"][...] = self.factor * y.mean(axis=0)


def toy_step(chain: Chain, params: ToyParams, progress) -> tuple[ToyParams, Found]:
    """Add the means to the chain; map "toy"."""

    def collect(raw):
        return {"toy": NamedMap(raw["toy"], "toy")}, Found({"mean_value": float(np.nanmean(raw["toy"]))})

    chain.add_kernel(ToyKernel(params.factor), collect)
    return params, Found()


TOY = Step(
    name="toy",
    title="Mean of spectra",
    does="take the mean of every spectrum",
    params=ToyParams,
    run=toy_step,
    order=155,
    takes=("optical_density", "normalized"),
    makes=("toy",),
    map_count=lambda params: 1,
    measures=True,
)


@contextmanager
def toy_known() -> Iterator[Step[ToyParams]]:
    """Have the program know the step meanwhile."""
    before = dict(STEPS)
    add_step(TOY)
    try:
        yield TOY
    finally:
        STEPS.clear()
        STEPS.update(before)
